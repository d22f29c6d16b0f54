"""Clips in which an identity is easily lost, drawn with exact truth: crossing, touching, hiding, leaving, growing, being small or fast.

    clip = drawn("twins", seed=3)
    clip.frame(12), clip.masks(12)

The same kind, seed and size give the same pixels. Lengths are those of a picture of 854 x 480 and shrink with it, except where a kind says
pixels. Not here: how a thing is drawn (`drawn_things`), whether it was followed (`identity`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from helpers.drawn_things import DrawnClip, Floats, Thing, skin_of
from videoseg_r1.types import Size

SIZE: Size = (854, 480)
_PRESENT = 38
"""Frames in which a thing that leaves is to be seen, unless a clip is made shorter; 14 of 38 before it leaves."""


@dataclass(frozen=True, eq=False)
class Stage:
    """Where a clip is drawn: its random numbers, its size (width, height), its length, and its number."""

    rng: np.random.Generator
    size: Size
    num_frames: int
    seed: int

    @property
    def unit(self) -> float:
        """Pixels per pixel of a picture of 853 x 480, of which as much as possible fits into this one."""
        return min(self.size[0] * 9 / 16, self.size[1]) / 480

    def disc(self, centers: Floats, radius: float | Floats, hue: float, lobes: int = 0, wave: float = 0.0) -> Thing:
        """Return a disc of a hue, with a pattern of its own, that turns slowly; `radius` is in pixels, one or one per frame."""
        radii = np.broadcast_to(np.asarray(radius, np.float64), self.num_frames)
        turns = self.rng.uniform(0, 2 * np.pi) + self.rng.uniform(-0.03, 0.03) * np.arange(self.num_frames, dtype=np.float64)
        return Thing(skin_of(self.rng, hue, 0.6, 0.7), centers, radii, turns, hue, lobes=lobes, wave=wave)

    def line(self, start: Floats, velocity: Floats) -> Floats:
        """Return (T, 2) places of a thing that moves evenly, in pixels."""
        return start + velocity * np.arange(self.num_frames, dtype=np.float64)[:, None]

    def inside(self, path: Floats, radius: float) -> Floats:
        """Return a path (T, 2) that is thrown back where a disc of that radius would leave the picture."""
        room = np.array(self.size) - 2 * radius
        folded = np.mod(path - radius, 2 * room)
        return radius + np.minimum(folded, 2 * room - folded)


def drawn(kind: str, seed: int, size: Size = SIZE, num_frames: int | None = None) -> DrawnClip:
    """Return the clip of a kind, a key of `KINDS`, with a seed and a size (width, height).

    With fewer frames than is usual for its kind, 24 at least, things that meet or leave begin nearer to each other or to the border.
    """
    usual, draw = KINDS[kind]
    number = zlib.crc32(kind.encode())
    things = draw(Stage(np.random.default_rng([number, seed]), size, num_frames or usual, seed))
    return DrawnClip(f"{kind}-{seed}", size, tuple(things), number + seed)


def wanderers(seed: int, num_things: int, num_frames: int, size: Size = SIZE) -> DrawnClip:
    """Return a clip of things that wander among each other, of which the first six are three pairs of like ones."""
    stage = Stage(np.random.default_rng([num_things, seed]), size, num_frames, seed)
    return DrawnClip(f"wanderers-{num_things}-{seed}", size, tuple(_wandering(stage, num_things)), seed)


def _crossing(stage: Stage, radii: tuple[float, float], hues: tuple[float, float]) -> list[Thing]:
    """Two discs meet in the middle of the clip, head on or one overtaking the other; one of them passes in front."""
    rng, unit, middle = stage.rng, stage.unit, (stage.num_frames - 1) / 2
    reach = np.array(radii) * unit
    while True:
        overtakes, way = rng.random() < 0.3, np.where(rng.random() < 0.5, -1.0, 1.0)
        speeds = rng.uniform((8.5, 1), (11.0, 3)) if overtakes else rng.uniform(5, 9, 2)
        angles, ways = rng.uniform(-0.5, 0.5, 2), way * np.array([1, 1 if overtakes else -1])
        velocities = unit * speeds[:, None] * np.stack([ways * np.cos(angles), np.sin(angles)], 1)
        miss = rng.uniform(-0.6, 0.6) * reach.sum() * np.array([0.0, 1.0])
        meeting = np.array(stage.size) * rng.uniform(0.4, 0.6, 2)
        paths = [stage.line(meeting + off - velocity * middle, velocity) for off, velocity in zip((miss, -miss), velocities, strict=True)]
        apart = np.linalg.norm(paths[0] - paths[1], axis=1)
        seen = all(
            (path >= radius + 2).all() and (path <= np.array(stage.size) - radius - 2).all()
            for path, radius in zip(paths, reach, strict=True)
        )
        if seen and min(apart[3], apart[-5]) > reach.sum() and apart.min() < 0.8 * reach.sum():
            return [stage.disc(paths[k], float(reach[k]), hues[k]) for k in rng.permutation(2)]


def _colour(stage: Stage) -> list[Thing]:
    radius, hue = stage.rng.uniform(40, 55), stage.rng.random()
    return _crossing(stage, (radius, radius), (hue, (hue + stage.rng.uniform(0.25, 0.5)) % 1))


def _size(stage: Stage) -> list[Thing]:
    radius, hue = stage.rng.uniform(34, 40), stage.rng.random()
    return _crossing(stage, (radius, 1.8 * radius), (hue, hue))


def _twins(stage: Stage) -> list[Thing]:
    radius, hue = stage.rng.uniform(36, 50), stage.rng.random()
    return _crossing(stage, (radius, radius), (hue, hue))


def _away(stage: Stage, num_absent: int) -> list[Thing]:
    """A thing is absent for some frames and comes back at another height, beside one that stayed: past the border if the seed is even,
    from behind a bar if it is odd."""
    rng, unit, (width, height) = stage.rng, stage.unit, stage.size
    num_present = stage.num_frames - num_absent
    gone = num_present * 14 // 38
    back = gone + num_absent
    radius, speed, hue = rng.uniform(38, 46) * unit, 140 * unit / gone, rng.random()
    stays = np.array([0.72 * width, 0.68 * height])
    before, since = np.arange(gone)[::-1] + 0.5, np.arange(num_present - gone) + 0.5
    absent = np.zeros(num_absent)
    if stage.seed % 2:
        left = np.rint(0.3 * width) - 0.5  # the edge of a pixel, whose middle is a whole number
        right = left + np.rint(2.6 * radius)
        x = np.concatenate([left + radius - speed * before, absent + (left + right) / 2, right - radius + speed * since])
        x = np.minimum(x, stays[0] - 2.3 * radius)
        bar = _bar(stage, np.array([(left + right) / 2, height / 2]), height, (right - left) / 2)
        front = [bar]
    else:
        x = np.concatenate([speed * before - radius - 0.5, absent - 3 * radius, width - 0.5 + radius - speed * since])
        x[back:] = np.maximum(x[back:], stays[0] + 2.3 * radius)
        front = []
    y = np.where(np.arange(stage.num_frames) < back, 0.3 * height, stays[1])
    leaver = stage.disc(np.stack([x, y], 1).astype(np.float64), radius, hue)
    stayer = stage.disc(stage.line(stays, np.zeros(2)), radius, (hue + rng.uniform(0.25, 0.5)) % 1)
    return [stayer, leaver, *front]


def _bar(stage: Stage, center: Floats, half_length: float, half_width: float) -> Thing:
    """Return a grey bar from top to bottom, which is no object."""
    still = stage.line(center, np.zeros(2))
    sizes, turns = np.full(stage.num_frames, half_length), np.full(stage.num_frames, np.pi / 2)
    return Thing(skin_of(stage.rng, 0.0, 0.0, 0.3), still, sizes, turns, 0.0, half_width, is_scenery=True)


def _wandering(stage: Stage, num_things: int) -> list[Thing]:
    """Things of several colours, sizes and shapes that move slowly; the first and second are alike, so are the third and fourth, and so on
    up to the sixth."""
    rng, unit = stage.rng, stage.unit
    num_alike = min(num_things, 6) // 2
    looks = [pair for pair in range(num_alike) for _ in range(2)]
    looks += range(num_alike, num_alike + num_things - 2 * num_alike)
    hues = (rng.random() + rng.permutation(looks[-1] + 1) / (looks[-1] + 1)) % 1
    radii, shapes = rng.uniform(24, 38, len(hues)) * unit, [(int(rng.integers(2, 6)), rng.uniform(0, 0.15)) for _ in hues]
    starts: list[tuple[Floats, float]] = []
    while len(starts) < num_things:
        radius = 1.15 * float(radii[looks[len(starts)]])
        place = rng.uniform(radius, np.array(stage.size) - radius)
        if all(np.linalg.norm(place - other) > radius + reach + 2 for other, reach in starts):
            starts.append((place, radius))
    things: list[Thing] = []
    for look, (start, radius) in zip(looks, starts, strict=True):
        angle = rng.uniform(0, 2 * np.pi)
        velocity = rng.uniform(3, 5.5) * unit * np.array([np.cos(angle), np.sin(angle)])
        path = stage.inside(stage.line(start, velocity), radius)
        things.append(stage.disc(path, float(radii[look]), float(hues[look]), *shapes[look]))
    return [things[k] for k in rng.permutation(num_things)]


def _small(stage: Stage, pixels: float) -> list[Thing]:
    """One thing of so many pixels across, whatever the size of the picture."""
    rng = stage.rng
    angle = rng.uniform(0, 2 * np.pi)
    velocity = rng.uniform(1.5, 3) * stage.unit * np.array([np.cos(angle), np.sin(angle)])
    start = np.array(stage.size) * rng.uniform(0.3, 0.7, 2)
    return [stage.disc(stage.inside(stage.line(start, velocity), 2 * pixels), pixels / 2, rng.random())]


def _fast(stage: Stage) -> list[Thing]:
    """One thing that moves 1.2 to 1.5 times its width in every frame, back and forth."""
    rng, radius = stage.rng, 24 * stage.unit
    angle = rng.uniform(-0.3, 0.3) + np.pi * rng.integers(2)
    velocity = rng.uniform(2.4, 3.0) * radius * np.array([np.cos(angle), np.sin(angle)])
    start = np.array(stage.size) * rng.uniform(0.3, 0.7, 2)
    return [stage.disc(stage.inside(stage.line(start, velocity), radius), radius, rng.random())]


def _touch(stage: Stage, *, alike: bool) -> list[Thing]:
    """Two discs come together, go on side by side for a third of the clip, and part."""
    rng, unit = stage.rng, stage.unit
    radius, hue = rng.uniform(40, 50) * unit, rng.random()
    other_hue = hue if alike else (hue + rng.uniform(0.25, 0.5)) % 1
    third = stage.num_frames // 3
    away = np.concatenate([np.arange(third)[::-1], np.zeros(stage.num_frames - 2 * third), np.arange(third)])
    apart = 0.97 * radius + rng.uniform(4, 6) * unit * away
    angle = rng.uniform(-0.3, 0.3)
    side = apart[:, None] * np.array([np.cos(angle), np.sin(angle)])
    going = rng.choice([-1.0, 1.0], 2) * rng.uniform(1, 2, 2) * unit
    middle = stage.line(np.array(stage.size) / 2 - going * stage.num_frames / 2, going)
    return [stage.disc(middle - side, radius, hue), stage.disc(middle + side, radius, other_hue)]


def _growth(stage: Stage) -> list[Thing]:
    """One thing that grows to three times its size; with an odd seed it shrinks to a third."""
    rng, unit = stage.rng, stage.unit
    radii = 30 * unit * 3 ** np.linspace(0, 1, stage.num_frames)
    velocity = rng.uniform(-3, 3, 2) * unit * (1, 0.4)
    path = stage.line(np.array(stage.size) / 2 - velocity * stage.num_frames / 2, velocity)
    return [stage.disc(path, radii[::-1] if stage.seed % 2 else radii, rng.random(), 3, 0.12)]


def _stick(stage: Stage) -> list[Thing]:
    """A stick 4 pixels wide, whatever the size of the picture, that turns by 4 degrees a frame."""
    rng, unit = stage.rng, stage.unit
    velocity, hue = rng.uniform(-2, 2, 2) * unit, rng.random()
    path = stage.line(np.array(stage.size) / 2 - velocity * stage.num_frames / 2, velocity)
    turns = rng.uniform(0, np.pi) + rng.choice([-1.0, 1.0]) * np.radians(4) * np.arange(stage.num_frames)
    return [Thing(skin_of(rng, hue, 0.75, 0.9), path, np.full(stage.num_frames, 80 * unit), turns, hue, 2.0)]


KINDS: dict[str, tuple[int, Callable[[Stage], list[Thing]]]] = {
    "colour": (48, _colour),
    "size": (48, _size),
    "twins": (48, _twins),
    **{f"away-{count}": (_PRESENT + count, partial(_away, num_absent=count)) for count in (5, 30, 100)},
    "ten": (48, partial(_wandering, num_things=10)),
    "small-12": (40, partial(_small, pixels=12)),
    "small-20": (40, partial(_small, pixels=20)),
    "fast": (40, _fast),
    "touch": (48, partial(_touch, alike=False)),
    "touch-twins": (48, partial(_touch, alike=True)),
    "growth": (48, _growth),
    "stick": (48, _stick),
}
"""Kind -> frames, and what draws its things from back to front."""
