"""Simulated perception of a scene: the tracks that `lite` would hold, with mistakes by named levels of noise.

The tracks are `lite`'s own values, so the transcript is written by the code that writes those of real videos. Without noise every
line is exact. Boxes are those of whole things within the borders, also where something hides a part. Not here: pixels (`render`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from videoseg_r1.lite.language.vocabulary import CONCEPTS, NUM_CLASSES, class_names, membership
from videoseg_r1.lite.perception.regions import PALETTE, Region
from videoseg_r1.lite.perception.tracks import MAX_TRACKS, ThingTrack
from videoseg_r1.training.world import names
from videoseg_r1.training.world.names import KINDS, ThingKind
from videoseg_r1.training.world.scene import FILL, WHOLE, Floats, Scene, Thing
from videoseg_r1.types import BoolMask, Box

_AROUND = 16  # classes that share what is seen of a blurred thing
_BLURRED, _OF_ITS_SORT = (0.1, 0.38), (0.35, 1.0)  # probabilities of the first of them, and of all of them together
_GRID = (54, 30)  # (width, height) of the coarse masks of regions


@dataclass(frozen=True, slots=True)
class Noise:
    """How wrong perception is.

    Attributes:
        name, level: what it is called; 0 is none.
        wrong, near: chance that a thing is taken for any other kind, or for another kind of its category with its own as second best.
        blur: chance that a thing is so unclear that only its category can be told: another kind of the category leads by little.
        doubt: share of the class probability that goes to other classes, at most.
        colour: chance that the main colour is wrong.
        jitter: standard deviation of each edge of a box, in sides of the box.
        missed, lost: chance that a thing is never seen, or not seen in one look.
        split: chance that a thing becomes two, in space or in time.
        velocity: standard deviation of a velocity in own sizes per frame.
        ghosts: mean number of false detections: small, unclear, gone after a few looks.
    """

    name: str
    level: int
    wrong: float = 0.0
    near: float = 0.0
    blur: float = 0.0
    doubt: float = 0.0
    colour: float = 0.0
    jitter: float = 0.0
    missed: float = 0.0
    lost: float = 0.0
    split: float = 0.0
    velocity: float = 0.0
    ghosts: float = 0.0


NOISES = (
    Noise("none", 0),
    Noise(
        "light",
        1,
        wrong=0.02,
        near=0.05,
        blur=0.1,
        doubt=0.4,
        colour=0.03,
        jitter=0.02,
        missed=0.02,
        lost=0.03,
        split=0.03,
        velocity=0.002,
        ghosts=0.6,
    ),
    Noise(
        "medium",
        2,
        wrong=0.05,
        near=0.1,
        blur=0.15,
        doubt=0.6,
        colour=0.08,
        jitter=0.04,
        missed=0.06,
        lost=0.08,
        split=0.06,
        velocity=0.004,
        ghosts=1.0,
    ),
    Noise(
        "heavy",
        3,
        wrong=0.1,
        near=0.15,
        blur=0.2,
        doubt=0.75,
        colour=0.15,
        jitter=0.06,
        missed=0.1,
        lost=0.15,
        split=0.12,
        velocity=0.008,
        ghosts=1.5,
    ),
)
HELD_OUT_NOISES = frozenset({"heavy"})


@dataclass(frozen=True, slots=True)
class Sighting:
    """A track, and the index of the thing that it shows; false detections count -1, -2, ..."""

    thing: int
    track: ThingTrack


def noises(held_out: bool) -> tuple[Noise, ...]:
    """Return the levels that are held out of training, or those that are not."""
    return tuple(noise for noise in NOISES if (noise.name in HELD_OUT_NOISES) == held_out)


def perceive(
    rng: np.random.Generator,
    scene: Scene,
    looks: Sequence[int],
    noise: Noise,
    pool: Sequence[ThingKind],
    targets: Collection[int],
    frame: int,
) -> list[Sighting]:
    """Return what is seen, the most prominent first, as `follow` orders it; at most MAX_TRACKS.

    Args:
        rng: of the mistakes.
        scene, looks: what is looked at, and at which frames.
        noise: how wrong it goes.
        pool: kinds that a thing may be taken for.
        targets, frame: things that are always seen in this frame, and whose name and colour are never entirely wrong: a question
            about an unseen thing would train guessing.
    """
    sightings: list[Sighting] = []
    for index in range(len(scene.things)):
        if index not in targets and rng.random() < noise.missed:
            continue
        found = scene.visible[index, looks] & (rng.random(len(looks)) >= noise.lost)
        kept = [t for t, seen in zip(looks, found, strict=True) if seen or (index in targets and t == frame)]
        if kept:
            track = _track(rng, scene, index, kept, noise, pool, mild=index in targets)
            sightings += [Sighting(index, part) for part in _split(rng, track, scene.size, noise)]
    sightings += [Sighting(-1 - ghost, _ghost(rng, scene.size, looks)) for ghost in range(int(rng.poisson(noise.ghosts)))]
    main = {s.thing: s for s in sorted(sightings, key=lambda s: s.track.regions[frame].area if frame in s.track.regions else -1.0)}
    sightings.sort(key=lambda s: (s.thing not in targets or main[s.thing] is not s, -s.track.prominence))
    return sorted(sightings[:MAX_TRACKS], key=lambda s: -s.track.prominence)


def top_class(track: ThingTrack) -> str:
    """Return the class that a track looks most like."""
    return class_names()[int(next(iter(track.regions.values())).classes.argmax())]


def _track(
    rng: np.random.Generator, scene: Scene, index: int, looks: Sequence[int], noise: Noise, pool: Sequence[ThingKind], *, mild: bool
) -> ThingTrack:
    """Return a thing as it is seen in these frames; `mild` spares its name and colour the worst."""
    thing = scene.things[index]
    kind, breed = _taken_for(rng, thing, noise, pool, mild)
    return _followed(
        looks,
        _jittered(rng, np.clip(scene.boxes[index, looks], 0, 1), noise.jitter),
        scene.size,
        areas=scene.areas[index, looks],
        confidences=1 - 0.5 * noise.doubt * rng.random(len(looks)),
        classes=_blurred(rng, thing, pool) if rng.random() < noise.blur else _classes(rng, thing, kind, breed, noise.doubt),
        colours=_colours(rng, thing, 0.0 if mild else noise.colour),
        velocities=thing.velocities[looks] + noise.velocity * rng.standard_normal((len(looks), 2)),
        cut=scene.inside[index, looks] < WHOLE,
    )


def _ghost(rng: np.random.Generator, size: tuple[int, int], looks: Sequence[int]) -> ThingTrack:
    """Return something that is seen in one to three looks: a bright patch, a piece of the background."""
    start = int(rng.integers(len(looks)))
    seen = looks[start : start + int(rng.integers(1, 4))]
    count, corner, side = len(seen), rng.uniform(0, 0.85, 2), rng.uniform(0.02, 0.15, 2)
    classes = np.zeros(NUM_CLASSES, np.float32)
    classes[rng.choice(_strays(), 12)] = rng.dirichlet(np.full(12, 0.5))
    return _followed(
        seen,
        np.tile(np.concatenate([corner, corner + side]), (count, 1)),
        size,
        areas=np.full(count, FILL * side.prod()),
        confidences=rng.uniform(0.4, 0.7, count),
        classes=classes,
        colours=rng.dirichlet(np.full(len(PALETTE), 0.3)).astype(np.float32),
        velocities=0.01 * rng.standard_normal((count, 2)),
        cut=np.zeros(count, np.bool_),
    )


def _followed(
    looks: Sequence[int],
    boxes: Floats,
    size: tuple[int, int],
    *,
    areas: Floats,
    confidences: Floats,
    classes: npt.NDArray[np.float32],
    colours: npt.NDArray[np.float32],
    velocities: Floats,
    cut: BoolMask,
) -> ThingTrack:
    """Return a track of one region per look; boxes are (L, 4) in fractions of the frame."""
    regions: dict[int, Region] = {}
    pixels = (boxes * (*size, *size)).tolist()
    for t, corners, area, confidence, (right, down), is_cut in zip(
        looks, pixels, areas.tolist(), confidences.tolist(), velocities.tolist(), cut.tolist(), strict=True
    ):
        box = Box(*corners)
        center = box.center.x / size[0], box.center.y / size[1]
        regions[t] = Region(t, _coarse(box, size), box, center, area, confidence, classes, colours, (right, down), is_cut)
    return ThingTrack(regions)


def _coarse(box: Box, size: tuple[int, int]) -> BoolMask:
    """Return the box as a mask on a coarse grid."""
    mask = np.zeros(_GRID[::-1], np.bool_)
    sx, sy = _GRID[0] / size[0], _GRID[1] / size[1]
    mask[int(box.y1 * sy) : int(box.y2 * sy) + 1, int(box.x1 * sx) : int(box.x2 * sx) + 1] = True
    return mask


def _taken_for(rng: np.random.Generator, thing: Thing, noise: Noise, pool: Sequence[ThingKind], mild: bool) -> tuple[ThingKind, str]:
    """Return the kind, and the class of it, that a thing is taken for."""
    chance, options = rng.random(), [thing.kind]
    if chance < noise.wrong and not mild:
        options = [kind for kind in pool if kind is not thing.kind]
    elif chance < noise.wrong + noise.near:
        widest = names.categories(thing.kind)[0]
        options = [kind for kind in pool if kind is not thing.kind and widest in names.categories(kind)] or options
    kind = options[int(rng.integers(len(options)))]
    classes = kind.classes.split("|")
    return kind, thing.breed if kind is thing.kind else classes[int(rng.integers(len(classes)))]


def _classes(rng: np.random.Generator, thing: Thing, kind: ThingKind, breed: str, doubt: float) -> npt.NDArray[np.float32]:
    """Return (1000,) float32 probabilities: most for the class it is taken for, some for others of that kind, the doubt over a few of all.

    One that is taken for another of its category keeps its own class as second best.
    """
    probabilities = np.zeros(NUM_CLASSES, np.float32)
    positions = names.class_positions(kind)
    own = 1 - doubt * float(rng.random())
    confused = kind is not thing.kind and names.categories(kind)[0] == names.categories(thing.kind)[0]
    second = 0.4 * own if confused else 0.0
    probabilities[class_names().index(thing.breed)] += second
    probabilities[list(positions)] += 0.1 * own / len(positions)
    probabilities[class_names().index(breed)] += 0.9 * own - second
    if own < 1:
        strays = rng.choice(_strays(), 12)
        shares = rng.exponential(size=12)
        np.add.at(probabilities, strays, ((1 - own) * shares / shares.sum()).astype(np.float32))
    return probabilities


def _blurred(rng: np.random.Generator, thing: Thing, pool: Sequence[ThingKind]) -> npt.NDArray[np.float32]:
    """Return (1000,) float32 probabilities of a thing that looks like anything of its sort but itself, the more so the clearer its sort is.

    A person looks like what people wear, hold or ride. Where there is nothing else of a sort, the thing is seen well.
    """
    others = _alike(thing.kind, tuple(pool))
    if len(others) < _AROUND:
        return _classes(rng, thing, thing.kind, thing.breed, 0.0)
    chosen = rng.choice(others, _AROUND, replace=False)
    first, of_its_sort = float(rng.uniform(*_BLURRED)), float(rng.uniform(*_OF_ITS_SORT))
    shares = rng.dirichlet(np.full(_AROUND - 1, 4.0))
    probabilities = np.zeros(NUM_CLASSES, np.float32)
    probabilities[chosen] = [first, *(max(0.0, of_its_sort - first) * shares)]
    rest = 1 - float(probabilities.sum())
    np.add.at(probabilities, rng.choice(_strays(), _AROUND), (rest * rng.dirichlet(np.full(_AROUND, 4.0))).astype(np.float32))
    return probabilities


@lru_cache(maxsize=256)
def _alike(kind: ThingKind, pool: tuple[ThingKind, ...]) -> tuple[int, ...]:
    """Return the classes that a badly seen thing of a kind looks like."""
    widest = names.categories(kind)[0]
    if kind.name == "person":
        known = {position for other in KINDS for position in names.class_positions(other)}
        column = next(n for n, concept in enumerate(CONCEPTS, NUM_CLASSES) if concept.names.startswith("person"))
        return tuple(position for position in np.flatnonzero(membership()[:, column]).tolist() if position not in known)
    others = [other for other in pool if other is not kind and widest in names.categories(other)]
    return tuple(position for other in others for position in names.class_positions(other))


@lru_cache(maxsize=1)
def _strays() -> npt.NDArray[np.int64]:
    """Return the classes that doubt may fall on: those of the kinds held out must not show up in training, not even by mistake."""
    held_out = {word for kind in names.kinds(held_out=True) for word in (kind.name, *kind.classes.split("|"))}
    pattern = re.compile(rf"\b(?:{'|'.join(sorted(held_out))})\b")  # "tiger beetle" has the word in it
    return np.array([position for position, name in enumerate(class_names()) if not pattern.search(name)])


def _colours(rng: np.random.Generator, thing: Thing, wrong_chance: float) -> npt.NDArray[np.float32]:
    """Return (len(PALETTE),) float32 fractions: the main colour has the most, others too little to be named."""
    shares = (0.95,) if len(thing.colours) == 1 else (0.6, 0.35)
    fractions = np.full(len(PALETTE), 0.05 / len(PALETTE), np.float32)
    for position, (colour, share) in enumerate(zip(thing.colours, shares, strict=True)):
        wrong = position == 0 and rng.random() < wrong_chance
        fractions[int(rng.integers(len(PALETTE))) if wrong else PALETTE.index(colour)] += share
    return fractions


def _jittered(rng: np.random.Generator, boxes: Floats, jitter: float) -> Floats:
    """Return (L, 4) boxes in fractions of the frame, every edge moved by a share of the box's side."""
    if not jitter:
        return boxes
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return np.clip(boxes + jitter * sides * np.clip(rng.standard_normal(boxes.shape), -2, 2), 0, 1)


def _split(rng: np.random.Generator, track: ThingTrack, size: tuple[int, int], noise: Noise) -> list[ThingTrack]:
    """Return the track, or two: one until and one from a moment on, or one for each side of the thing."""
    if rng.random() >= noise.split:
        return [track]
    share = float(rng.uniform(0.25, 0.75))
    if rng.random() < 0.5:
        cut = max(1, round(share * len(track.regions)))
        views = list(track.regions.items())
        return [ThingTrack(dict(part)) for part in (views[:cut], views[cut:]) if part]
    parts: list[ThingTrack] = []
    for low, high in ((0.0, share), (share, 1.0)):
        regions = {t: _part(region, low, high, size) for t, region in track.regions.items()}
        parts.append(ThingTrack(regions))
    return parts


def _part(region: Region, low: float, high: float, size: tuple[int, int]) -> Region:
    """Return the part of a region from `low` to `high` of its box's longer side."""
    box = region.box
    if box.width >= box.height:
        box = Box(box.x1 + low * box.width, box.y1, box.x1 + high * box.width, box.y2)
    else:
        box = Box(box.x1, box.y1 + low * box.height, box.x2, box.y1 + high * box.height)
    center = box.center.x / size[0], box.center.y / size[1]
    return replace(region, mask=_coarse(box, size), box=box, center=center, area=region.area * (high - low))
