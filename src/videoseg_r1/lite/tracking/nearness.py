"""Where each object can be: near the place to which the motion of the picture carries its last mask.

What looks like one object is not that object if it is far from where that one was a moment ago. This tells things of one kind apart that
appearance takes for each other. Not here: what things look like (`appearance`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from videoseg_r1.lite.tracking.course import Course, Shift
from videoseg_r1.lite.tracking.crop import Crop
from videoseg_r1.stages.propagation.motion import GreyImage, MotionEstimator, grey
from videoseg_r1.types import BoolMask, RgbImage

_STEP = 2
"""Pixels of the working picture along the side of one here."""


@dataclass(frozen=True, slots=True, eq=False)
class _Before:
    crop: Crop
    grey: GreyImage
    masks: npt.NDArray[np.float32]


class Nearness:
    """Remembers the last picture and its masks.

    Args:
        reach: pixels of the working picture in which the log odds fall by one.
        most: what they fall at most, so that a thing that leapt can still be found.
    """

    def __init__(self, reach: float, most: float) -> None:
        self._reach, self._most = reach, most
        self._motion = MotionEstimator()
        self._before: _Before | None = None
        self._course = Course()

    def log_odds(self, picture: RgbImage, crop: Crop) -> torch.Tensor | None:
        """Return log odds (N, height / 2, width / 2) float32, at most 0, of each object.

        There are none without a last picture. An object that had no mask may be anywhere: its log odds are 0.
        """
        before = self._before
        if before is None:
            return None
        now = _small(picture)
        masks = before.masks
        measured: list[Shift | None] = [None] * len(masks)
        if before.crop == crop:
            motion = self._motion.since(before.grey, now)
            x, y = np.meshgrid(np.arange(now.shape[1], dtype=np.float32), np.arange(now.shape[0], dtype=np.float32))
            x, y = x + motion[..., 0], y + motion[..., 1]
            masks = np.stack([cv2.remap(mask, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for mask in masks])
            scale = (crop.x2 - crop.x1) / now.shape[1]
            measured = [-scale * np.median(motion[mask > 0.5], 0) if (mask > 0.5).any() else None for mask in masks]
        else:
            masks = np.stack([_moved(mask, before.crop, crop, now.shape) for mask in masks])
        self._course.go_on(measured)
        falling = [self._falling(mask > 0.5, self._most) for mask in masks]
        for number in range(len(masks)):
            expected = self._course.expected(number, crop, now.shape)
            if expected is not None:
                falling[number] += self._falling(expected, 2 * self._most)
        return torch.from_numpy(np.stack(falling))

    def keep(self, picture: RgbImage, crop: Crop, masks: BoolMask) -> None:
        """Remember a picture and the masks (N, H, W) of its frame."""
        size = (crop.width // _STEP, crop.height // _STEP)
        small = [cv2.resize(crop.cut_mask(mask).astype(np.float32), size, interpolation=cv2.INTER_AREA) for mask in masks]
        self._before = _Before(crop, _small(picture), np.stack(small).astype(np.float32))
        self._course.keep(masks)

    def forget(self) -> None:
        """Start anew: the next picture is of another scene, or what was known of places was wrong."""
        self._before = None
        self._course.forget()

    def _falling(self, inside: npt.NDArray[np.bool_], most: float) -> npt.NDArray[np.float32]:
        if not inside.any():
            return np.zeros(inside.shape, np.float32)
        away = cv2.distanceTransform((~inside).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
        return np.asarray(-np.minimum(away * (_STEP / self._reach), most), np.float32)


def out_of_reach(labels: npt.NDArray[np.int64], before: npt.NDArray[np.bool_], reach: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return bool (N, rows, columns): separate parts of each object out of reach of where it was, if it has others within.

    They look like the object, but it cannot have gone there in one frame.

    Args:
        labels: (rows, columns), 0 background, k + 1 object k.
        before: (N, rows, columns), where the objects were.
        reach: cells, up and down, and to the sides.
    """
    around = np.ones((2 * reach[0] + 1, 2 * reach[1] + 1), np.uint8)
    found = np.zeros_like(before)
    for number in np.flatnonzero(before.any((1, 2))):
        count, parts = cv2.connectedComponents((labels == number + 1).view(np.uint8), connectivity=8)
        if count > 2:
            near = np.unique(parts[cv2.dilate(before[number].view(np.uint8), around) > 0])
            if near.any():
                found[number] = ~np.isin(parts, [0, *near])
    return found


def _small(picture: RgbImage) -> GreyImage:
    height, width = picture.shape[:2]
    return np.asarray(cv2.resize(grey(picture), (width // _STEP, height // _STEP), interpolation=cv2.INTER_AREA), np.uint8)


def _moved(mask: npt.NDArray[np.float32], source: Crop, crop: Crop, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return a mask of one crop as it lies in another, of the given shape."""
    height, width = shape
    xs = crop.x1 + (np.arange(width, dtype=np.float32) + 0.5) / width * (crop.x2 - crop.x1)
    ys = crop.y1 + (np.arange(height, dtype=np.float32) + 0.5) / height * (crop.y2 - crop.y1)
    rows, columns = mask.shape
    x, y = np.meshgrid((xs - source.x1) / (source.x2 - source.x1) * columns - 0.5, (ys - source.y1) / (source.y2 - source.y1) * rows - 0.5)
    return np.asarray(
        cv2.remap(mask, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.float32
    )
