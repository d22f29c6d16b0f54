"""Masks whose pixels are known because a test drew them."""

from __future__ import annotations

import numpy as np

from videoseg_r1.types import BoolMask


def rectangle(size: tuple[int, int], x1: int, y1: int, x2: int, y2: int) -> BoolMask:
    """Return a (height, width) bool mask of a picture of `size` (width, height), true in columns x1..x2-1 and rows y1..y2-1."""
    mask = np.zeros(size[::-1], bool)
    mask[y1:y2, x1:x2] = True
    return mask


def square(size: tuple[int, int], left: int, top: int, side: int) -> BoolMask:
    """Return a (height, width) bool mask of a picture of `size` (width, height) with one square in it."""
    return rectangle(size, left, top, left + side, top + side)
