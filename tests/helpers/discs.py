"""Drawn films of several scenes with true masks: discs of one colour that move over grounds of smooth blobs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from videoseg_r1.types import BoolMask, Direction, Frame, RgbImage, TrackEvent

RED, GREEN, BLUE = (230, 40, 40), (40, 210, 60), (50, 70, 235)


@dataclass(frozen=True)
class Disc:
    """A disc of a colour; `number` is the object that it is, None for something else."""

    color: tuple[int, int, int]
    x: float
    y: float
    number: int | None = 0
    radius: float = 9.0
    speed: float = 1.0


def scene(
    seed: int, discs: Sequence[Disc], num_frames: int, size: tuple[int, int] = (64, 48), num_objects: int = 1
) -> tuple[RgbImage, BoolMask]:
    """Return frames (T, H, W, 3) and masks (T, N, H, W) of one scene; the seed paints its ground, dark if it is odd and light if even."""
    width, height = size
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 90, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8) + np.uint8(0 if seed % 2 else 110)
    ground = np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width]
    y, x = np.mgrid[:height, :width]
    frames, masks = np.repeat(ground[None], num_frames, 0), np.zeros((num_frames, num_objects, height, width), bool)
    for t in range(num_frames):
        for disc in discs:
            inside = (x - disc.x - disc.speed * t) ** 2 + (y - disc.y) ** 2 < disc.radius**2
            frames[t][inside] = disc.color
            if disc.number is not None:
                masks[t, disc.number] = inside
    return frames, masks


def film(*scenes: tuple[RgbImage, BoolMask]) -> tuple[RgbImage, BoolMask]:
    """Return the scenes one after the other."""
    return np.concatenate([frames for frames, _ in scenes]), np.concatenate([masks for _, masks in scenes])


def light_cuts(
    frames: Iterable[Frame], direction: Direction, unseen: Container[int] = frozenset()
) -> Iterator[tuple[Frame, TrackEvent | None]]:
    """Yield frames with the cuts between dark and light scenes: for tests of what comes behind a cut, not of its detection."""
    before: float | None = None
    for frame in frames:
        light = float(frame.rgb.mean())
        is_cut = before is not None and abs(light - before) > 50
        before = light
        first = frame.index if direction == "forwards" else frame.index + 1
        yield frame, TrackEvent(first, "cut", None, direction, "drawn") if is_cut else None
