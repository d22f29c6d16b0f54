"""Scenes drawn at random: what things there are, and where each of them is in every frame.

Places are fractions of the frame, sizes are in frame heights, and velocities in own sizes per frame, as perception measures them.
A thing is opaque and keeps its shape; what is nearer hides what is farther. The camera stands still. Not here: what is asked
about a scene (`queries`), how perception sees it (`perception`), how it is drawn (`render`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from videoseg_r1.training.world import names
from videoseg_r1.training.world.names import ThingKind
from videoseg_r1.types import BoolMask, Box

Floats = npt.NDArray[np.float64]
_T = TypeVar("_T")

FILL = 0.6
"""Part of its box that a thing fills, about."""
SIZES = ((320, 180), (480, 270), (640, 360), (854, 480))
DEEDS = ("enter", "leave", "stop", "turn", "start")
MIN_THINGS, MAX_THINGS = 2, 8
WHOLE = 0.98
"""Part of a thing in the picture from which the border does not seem to cut it off."""
_SEEN = 0.5  # of a thing must be in the picture and uncovered for it to be seen
_SLOW, _FAST = (0.025, 0.045), (0.08, 0.14)  # own sizes per frame, clear of the transcript's STILL and FAST
_ANGLES = (0.0,) * 7 + (1.0,) * 7 + (0.5, 1.5, 0.25, 0.75, 1.25, 1.75)  # of pi: mostly across, seldom up, down or in between
_CHANGES = ("",) * 5 + ("stop", "turn", "start")
_PEOPLE = 0.25  # share of the scenes that have people in them for certain: few videos that anybody asks about have none
_CHASES = 0.5  # share of the eventful scenes in which one thing is to overtake another
_GROWTH = (0.01, 0.018)  # of the log area per frame, clear of the threshold 0.005


@dataclass(frozen=True, eq=False)
class Thing:
    """One thing.

    Attributes:
        kind, breed: what it is, and the one of its kind's ImageNet classes that it is of.
        colours: one or two names of `regions.PALETTE`, the main one first.
        aspect: width of its box divided by the height.
        centers: (T, 2) float64, middle of its box in fractions of the frame.
        sizes: (T,) float64, root of its area in frame heights.
        velocities: (T, 2) float64, right and down, in own sizes per frame.
        growth: of the log area per frame.
        deed, deed_frame: "stop", "turn" or "start", and the first frame of the new motion; "" and -1 for none.
    """

    kind: ThingKind
    breed: str
    colours: tuple[str, ...]
    aspect: float
    centers: Floats
    sizes: Floats
    velocities: Floats
    growth: float
    deed: str = ""
    deed_frame: int = -1


@dataclass(frozen=True, eq=False)
class Scene:
    """Things in a video of `num_frames` frames of `size` (width, height); later things are nearer and hide earlier ones."""

    num_frames: int
    size: tuple[int, int]
    things: tuple[Thing, ...]

    @cached_property
    def boxes(self) -> Floats:
        """(N, T, 4) float64: x1, y1, x2, y2 in fractions of the frame, not cut off by its border."""
        aspect = self.size[0] / self.size[1]
        return np.stack([_boxes(thing.centers, thing.sizes, thing.aspect, aspect) for thing in self.things])

    @cached_property
    def inside(self) -> Floats:
        """(N, T) float64: which part of each box is in the picture, 0..1."""
        return inside_share(self.boxes)

    @cached_property
    def uncovered(self) -> Floats:
        """(N, T) float64: which part of the box in the picture the largest cover leaves free, 0..1."""
        clipped = np.clip(self.boxes, 0, 1)
        free = np.ones(clipped.shape[:2])
        for far in range(len(self.things) - 1):
            near = clipped[far + 1 :]
            low, high = np.maximum(clipped[far, :, :2], near[..., :2]), np.minimum(clipped[far, :, 2:], near[..., 2:])
            common = np.clip(high - low, 0, None).prod(-1)
            free[far] = 1 - (common / np.maximum(_areas(clipped[far]), 1e-9)).max(0)
        return free

    @cached_property
    def in_picture(self) -> BoolMask:
        """(N, T) bool: at least half of the thing is within the borders."""
        return self.inside >= _SEEN

    @cached_property
    def visible(self) -> BoolMask:
        """(N, T) bool: in the picture, and at least half of it uncovered."""
        return self.in_picture & (self.uncovered >= _SEEN)

    @cached_property
    def areas(self) -> Floats:
        """(N, T) float64: area in the picture, as a fraction of the frame."""
        sizes = np.stack([thing.sizes for thing in self.things])
        return sizes**2 * self.size[1] / self.size[0] * self.inside

    @cached_property
    def first(self) -> npt.NDArray[np.int64]:
        """(N,) int64: first frame in the picture."""
        return self.in_picture.argmax(1)

    @cached_property
    def last(self) -> npt.NDArray[np.int64]:
        """(N,) int64: last frame in the picture."""
        return self.num_frames - 1 - self.in_picture[:, ::-1].argmax(1)

    @cached_property
    def deeds(self) -> dict[str, Floats]:
        """By deed of DEEDS, (N,) float64: the frame at which each thing does it; NaN for those that do not."""
        deeds, frames = (np.array(values) for values in zip(*((t.deed, float(t.deed_frame)) for t in self.things), strict=True))
        changes = {deed: np.where(deeds == deed, frames, np.nan) for deed in ("stop", "turn", "start")}
        enters = np.where(self.in_picture[:, 0], np.nan, self.first)
        leaves = np.where(self.in_picture[:, -1], np.nan, self.last)
        return {"enter": enters, "leave": leaves, **changes}

    @cached_property
    def races(self) -> frozenset[str]:
        """The deeds that two things or more do."""
        return frozenset(deed for deed, frames in self.deeds.items() if np.count_nonzero(~np.isnan(frames)) > 1)

    def box(self, thing: int, frame: int, size: tuple[int, int]) -> Box:
        """Return the part of a thing's box in the picture, in pixels of a frame of this size (width, height)."""
        x1, y1, x2, y2 = (float(v) for v in np.clip(self.boxes[thing, frame], 0, 1))
        return Box(x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1])


def draw_scene(rng: np.random.Generator, pool: tuple[ThingKind, ...], eventful: bool = False, most: int = MAX_THINGS) -> Scene:
    """Return a scene of at most `most` things, of kinds of the pool.

    Some things share their kind, or category, with another, so that there is a choice.
    In an eventful one, most things enter, leave, stop, turn or start, or one overtakes another.
    """
    num_frames = int(rng.integers(24, 61))
    size = SIZES[int(rng.integers(len(SIZES)))]
    count = int(rng.integers(MIN_THINGS, most + 1))
    kinds: list[ThingKind] = []
    while len(kinds) < count:
        kinds.append(_next_kind(rng, pool, kinds))
    kinds = [kinds[i] for i in rng.permutation(count)]
    aspect = size[0] / size[1]
    if eventful and kinds[0] is not kinds[1] and kinds[0].moves and kinds[1].moves and rng.random() < _CHASES:
        chase = _draw_chase(rng, (kinds[0], kinds[1]), num_frames, aspect)
        return Scene(num_frames, size, (*chase, *(_draw_thing(rng, kind, num_frames, aspect, eventful=False) for kind in kinds[2:])))
    return Scene(num_frames, size, tuple(_draw_thing(rng, kind, num_frames, aspect, eventful) for kind in kinds))


def inside_share(boxes: Floats) -> Floats:
    """Return which part of (..., 4) boxes, in fractions of the frame, lies in the frame: (...) float64, 0..1."""
    return _areas(np.clip(boxes, 0, 1)) / _areas(boxes)


def _next_kind(rng: np.random.Generator, pool: tuple[ThingKind, ...], so_far: list[ThingKind]) -> ThingKind:
    chance = rng.random()
    options: tuple[ThingKind, ...] = pool
    if not so_far and chance < _PEOPLE:
        options = tuple(kind for kind in pool if kind.name == "person") or pool
    if so_far and chance < 0.6:
        model = so_far[int(rng.integers(len(so_far)))]
        widest = names.categories(model)[0]
        options = (model,) if chance < 0.35 else tuple(kind for kind in pool if widest in names.categories(kind))
    return options[int(rng.integers(len(options)))]


def _draw_thing(rng: np.random.Generator, kind: ThingKind, num_frames: int, frame_aspect: float, eventful: bool) -> Thing:
    def propose() -> Thing:
        velocities, deed, deed_frame = _draw_motion(rng, kind, num_frames, eventful)
        growth = _one_of(rng, (-1.0, 1.0)) * rng.uniform(*_GROWTH) if kind.moves and rng.random() < 0.15 else 0.0
        place = rng.uniform((0.08, 0.2), (0.92, 0.8))
        return _moving(rng, kind, velocities, float(growth), int(rng.integers(num_frames)), place, frame_aspect, (deed, deed_frame))

    return _in_sight(propose, frame_aspect)


def _draw_chase(rng: np.random.Generator, kinds: tuple[ThingKind, ThingKind], num_frames: int, frame_aspect: float) -> list[Thing]:
    """Return two things that go the same way across, one faster than the other, level with each other in the middle of the video."""
    way, x, middle = _one_of(rng, (-1.0, 1.0)), rng.uniform(0.4, 0.6), num_frames // 2

    def propose(kind: ThingKind, speeds: tuple[float, float], y: float) -> Thing:
        velocities = np.tile((way * rng.uniform(*speeds), 0.0), (num_frames, 1))
        return _moving(rng, kind, velocities, 0.0, middle, np.array([x, y]), frame_aspect, ("", -1))

    lanes = zip(kinds, (_SLOW, _FAST), rng.permutation([0.3, 0.7]).tolist(), strict=True)
    return [_in_sight(partial(propose, *lane), frame_aspect) for lane in lanes]


def _in_sight(propose: Callable[[], Thing], frame_aspect: float) -> Thing:
    """Return the first thing proposed that is in the picture, without a break, for at least a quarter of the video."""
    while True:
        thing = propose()
        inside = inside_share(_boxes(thing.centers, thing.sizes, thing.aspect, frame_aspect)) >= _SEEN
        seen = np.flatnonzero(inside)
        if len(seen) >= len(inside) / 4 and seen[-1] - seen[0] == len(seen) - 1 and thing.sizes.max() < 0.8:
            return thing


def _moving(
    rng: np.random.Generator,
    kind: ThingKind,
    velocities: Floats,
    growth: float,
    middle: int,
    place: Floats,
    frame_aspect: float,
    deed: tuple[str, int],
) -> Thing:
    """Return a thing of any looks and size that moves like this and is at `place` in frame `middle`."""
    sizes = float(np.exp(rng.uniform(np.log(0.09), np.log(0.42)))) * np.exp(growth / 2 * (np.arange(len(velocities)) - middle))
    path = np.cumsum(velocities * sizes[:, None] / (frame_aspect, 1), 0)
    main, second = _one_of(rng, kind.colours.split()), _one_of(rng, kind.colours.split())
    colours = (main, second) if second != main and rng.random() < 0.3 else (main,)
    breed, aspect = _one_of(rng, kind.classes.split("|")), float(rng.uniform(0.7, 1.8))
    return Thing(kind, breed, colours, aspect, place + path - path[middle], sizes, velocities, growth, *deed)


def _draw_motion(rng: np.random.Generator, kind: ThingKind, num_frames: int, eventful: bool) -> tuple[Floats, str, int]:
    """Return (T, 2) velocities, and what changes when."""
    velocities = np.zeros((num_frames, 2))
    if not kind.moves or rng.random() < (0.05 if eventful else 0.2):
        return velocities, "", -1
    angle = np.pi * _one_of(rng, _ANGLES) + float(rng.uniform(-0.15, 0.15))
    speed = rng.uniform(*(_FAST if rng.random() < (0.7 if eventful else 0.5) else _SLOW))
    velocities[:] = speed * np.array([np.cos(angle), np.sin(angle)])
    deed = _one_of(rng, _CHANGES[3:] if eventful else _CHANGES)
    if not deed:
        return velocities, "", -1
    frame = int(rng.integers(num_frames // 4, 3 * num_frames // 4))
    if deed == "start":
        velocities[:frame] = 0
    else:
        velocities[frame:] *= 0 if deed == "stop" else -1
    return velocities, deed, frame


def _one_of(rng: np.random.Generator, options: Sequence[_T]) -> _T:
    return options[int(rng.integers(len(options)))]


def _boxes(centers: Floats, sizes: Floats, aspect: float, frame_aspect: float) -> Floats:
    """Return (T, 4) boxes in fractions of the frame."""
    height = sizes / np.sqrt(FILL * aspect)
    half = np.stack([aspect * height / frame_aspect, height], -1) / 2
    return np.concatenate([centers - half, centers + half], -1)


def _areas(boxes: Floats) -> Floats:
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)
