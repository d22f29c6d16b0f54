"""Dense motion between two pictures, and pictures moved along it.

Source: Kroeger et al. 2016 (DIS), as implemented by OpenCV. Not here: what is carried along it (`flow`).
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.types import RgbImage

GreyImage: TypeAlias = npt.NDArray[np.uint8]
"""(H, W) uint8."""
MotionField: TypeAlias = npt.NDArray[np.float32]
"""(H, W, 2) float32: how far to the right and down of each pixel the same thing was in the picture before."""
_LEAST_SIDE = 16
"""DIS works at half the size or less, on patches of 8 pixels; below this OpenCV 5 raises, or reads past its buffers."""


class MotionEstimator:
    """Estimates the motion between pictures of one size."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def since(self, before: GreyImage, gray: GreyImage) -> MotionField:
        """Return where everything in `gray` was in `before`."""
        height, width = gray.shape
        flow = self._flow.calc(_at_least(gray), _at_least(before), None)  # type: ignore[call-overload]  # None asks for a new array
        return np.asarray(flow, np.float32)[:height, :width]


def grey(rgb: RgbImage) -> GreyImage:
    """Return a picture without colour."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def moved(picture: npt.NDArray[np.float32], motion: MotionField) -> npt.NDArray[np.float32]:
    """Return a picture (H, W) of the frame before, moved to where its things are now; 0 where they come from outside."""
    height, width = picture.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(cv2.remap(picture, x + motion[..., 0], y + motion[..., 1], cv2.INTER_LINEAR), np.float32)


def _at_least(gray: GreyImage) -> GreyImage:
    """Return the picture (H, W), contiguous, with its last row and column repeated, so that no side is shorter than DIS can take."""
    down, across = (max(0, _LEAST_SIDE - side) for side in gray.shape)
    if down or across:
        return np.asarray(cv2.copyMakeBorder(gray, 0, down, 0, across, cv2.BORDER_REPLICATE), np.uint8)
    return np.ascontiguousarray(gray)
