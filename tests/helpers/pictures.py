"""Frames that tests can tell apart."""

from __future__ import annotations

import numpy as np

from videoseg_r1.types import RgbImage


def painted(num_frames: int = 6, width: int = 64, height: int = 48) -> RgbImage:
    """Return (T, H, W, 3) uint8: every frame has a plain colour of its own, at half its brightness in the right half."""
    frames = np.zeros((num_frames, height, width, 3), np.uint8)
    for index in range(num_frames):
        frames[index] = (40 + 30 * index % 200, 90, 200 - 25 * index % 200)
    frames[:, :, width // 2 :] //= 2
    return frames
