"""Where objects are expected by their motion: things that meet, and things that are fast.

When two objects that look alike overlap, no look and no last mask tells where the one ends and the other begins, and one of them soon takes
all. Their motion does: an object that met another is expected where its whole mask would be if it had gone on. Not here: objects that are
by themselves (`nearness`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.lite.tracking.crop import Crop
from videoseg_r1.types import BoolMask

_TOUCH = 8
"""Pixels of the frame between two objects that meet."""
_LONGEST = 30
"""Frames after which nothing is expected any more: motion has changed."""
_DOUBT = 0.013
"""Of the size of an object, as the side of a square, by which what is expected grows in every frame."""
_GAIN_APART, _GAIN_MEETING = 0.5, 0.1
"""How fast the velocity follows what is measured."""
_WHOLE = 0.7, 1.2
"""Size of a mask in times of the last one by itself. While a mask is smaller or larger, its outline is in doubt, and so is its motion."""

Shift = npt.NDArray[np.float64]
"""(2,), pixels of the frame to the right and down."""


@dataclass(slots=True, eq=False)
class _Way:
    """Of one object: its last mask by itself (H, W) and its pixels, how far it has gone since, for how many frames it has met others, and
    whether as much of it is seen.
    """

    mask: BoolMask
    size: int
    velocity: Shift
    gone: Shift
    met: int = 0
    is_whole: bool = True


class Course:
    """Watches objects meet and part."""

    def __init__(self) -> None:
        self._ways: dict[int, _Way] = {}

    def go_on(self, measured: list[Shift | None]) -> None:
        """Carry the objects on by one frame; `measured` is how each one moved, None if that is not known."""
        for number, way in self._ways.items():
            velocity = measured[number]
            if velocity is not None and way.is_whole:
                way.velocity = way.velocity + (_GAIN_MEETING if way.met else _GAIN_APART) * (velocity - way.velocity)
            way.gone = way.gone + way.velocity

    def expected(self, number: int, crop: Crop, shape: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
        """Return where the whole of an object is expected that has met another, bool (h, w) over the crop; None for others."""
        way = self._ways.get(number)
        if way is None or not 0 < way.met <= _LONGEST:
            return None
        height, width = shape
        across, down = (crop.x2 - crop.x1) / width, (crop.y2 - crop.y1) / height
        left, up = crop.x1 + across / 2 - 0.5 - way.gone[0], crop.y1 + down / 2 - 0.5 - way.gone[1]
        to_frame = np.array([[across, 0, left], [0, down, up]])
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        there = cv2.warpAffine(way.mask.view(np.uint8), to_frame, (width, height), flags=flags)
        doubt = round(_DOUBT * way.size**0.5 * way.met / across)
        return cv2.dilate(there, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * doubt + 1,) * 2)) > 0

    def keep(self, masks: BoolMask) -> None:
        """Take in the masks (N, H, W) of a frame: objects by themselves begin anew; for those that meet or are hidden the frames go on."""
        around = np.ones((2 * (_TOUCH // 4) + 1,) * 2, np.uint8)  # on a quarter of the frame
        small = np.stack([cv2.resize(mask.view(np.uint8), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA) for mask in masks])
        wide = np.stack([cv2.dilate(mask, around) for mask in small]) > 0
        for number, mask in enumerate(masks):
            way = self._ways.get(number)
            meets = bool((wide[number] & np.delete(wide, number, 0).any(0)).any())
            size = int(mask.sum())
            if size and not meets:
                self._ways[number] = _Way(mask, size, np.zeros(2) if way is None else way.velocity, np.zeros(2))
            elif way is not None and (meets or way.met):
                way.met += 1
                way.is_whole = _WHOLE[0] < size / way.size < _WHOLE[1]
            elif not size:
                self._ways.pop(number, None)

    def forget(self) -> None:
        """Start anew."""
        self._ways.clear()


def centre(mask: BoolMask) -> Shift | None:
    """Return the centre (x, y) of a mask (H, W) in pixels, None if it is empty."""
    size = mask.sum()
    if not size:
        return None
    height, width = mask.shape
    return np.array([mask.sum(0) @ np.arange(width), mask.sum(1) @ np.arange(height)]) / size


def leap(before: BoolMask, now: BoolMask, least: float) -> Shift:
    """Return how far an object (H, W) went from one frame to the next, (dx, dy); nothing if that is less than `least` pixels."""
    start, end = centre(before), centre(now)
    if start is None or end is None or np.hypot(*(end - start)) < least:
        return np.zeros(2)
    return end - start


def shifted(masks: BoolMask, by: Shift) -> BoolMask:
    """Return masks (N, H, W) moved by (dx, dy) pixels."""
    to_frame = np.array([[1, 0, -by[0]], [0, 1, -by[1]]])
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return np.stack([cv2.warpAffine(mask.view(np.uint8), to_frame, mask.shape[::-1], flags=flags) for mask in masks]) > 0
