"""The part of the frame that `lite` propagation works on: a crop around the objects, at about the same number of pixels always.

Small objects are enlarged, and the cost of a frame does not depend on the size of the video. Not here: what is computed in it (`tracker`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from videoseg_r1.types import BoolMask, RgbImage

CELL = 8
"""Pixels of the working picture along the side of a cell of the memory grid."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle of the frame (whole pixels, outer edges) and the size at which it is worked on, a multiple of 32."""

    x1: int
    y1: int
    x2: int
    y2: int
    width: int
    height: int

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the memory grid."""
        return self.height // CELL, self.width // CELL

    @property
    def cells_per_pixel(self) -> tuple[float, float]:
        """Grid cells per pixel of the frame, (vertical, horizontal)."""
        rows, columns = self.grid
        return rows / (self.y2 - self.y1), columns / (self.x2 - self.x1)

    def moved(self, right: int, down: int) -> Crop:
        """Return a crop of the same size elsewhere."""
        return replace(self, x1=self.x1 + right, y1=self.y1 + down, x2=self.x2 + right, y2=self.y2 + down)

    def cut(self, rgb: RgbImage) -> RgbImage:
        """Return the working picture, (height, width, 3) uint8."""
        part = rgb[self.y1 : self.y2, self.x1 : self.x2]
        shrinks = self.width * self.height < part.shape[0] * part.shape[1]
        return cv2.resize(part, (self.width, self.height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR).astype(np.uint8)

    def cut_mask(self, mask: BoolMask) -> BoolMask:
        """Return the part of a mask (H, W) of the frame that is in the working picture, (height, width)."""
        part = mask[self.y1 : self.y2, self.x1 : self.x2].astype(np.uint8)
        return cv2.resize(part, (self.width, self.height), interpolation=cv2.INTER_NEAREST) > 0

    def to_grid(self, masks: BoolMask) -> torch.Tensor:
        """Return masks of the frame, bool (N, H, W), as covered fractions of the cells, (N, rows, columns) float32."""
        rows, columns = self.grid
        part = masks[:, self.y1 : self.y2, self.x1 : self.x2].astype(np.float32)
        cells = [cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_AREA) for mask in part]
        return torch.from_numpy(np.stack(cells).astype(np.float32))

    def resample(self, planes: torch.Tensor, source: Crop) -> torch.Tensor:
        """Return planes (C, rows, columns) of another crop on the grid of this one, zero where the other did not reach."""
        rows, columns = self.grid
        xs = self.x1 + (torch.arange(columns) + 0.5) / columns * (self.x2 - self.x1)
        ys = self.y1 + (torch.arange(rows) + 0.5) / rows * (self.y2 - self.y1)
        gx = (xs - source.x1) / (source.x2 - source.x1) * 2 - 1
        gy = (ys - source.y1) / (source.y2 - source.y1) * 2 - 1
        where = torch.stack([gx.expand(rows, -1), gy[:, None].expand(-1, columns)], -1)[None].to(planes.device)
        return F.grid_sample(planes[None], where, mode="bilinear", padding_mode="zeros", align_corners=False)[0]


def bounds(masks: BoolMask) -> tuple[int, int, int, int] | None:
    """Return the outer edges (x1, y1, x2, y2) of the union of masks (N, H, W), None when all are empty."""
    columns, rows = np.flatnonzero(masks.any((0, 1))), np.flatnonzero(masks.any((0, 2)))
    if not len(columns):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def crop_around(masks: BoolMask, max_pixels: int, margin: float, min_margin: float, max_zoom: float) -> Crop:
    """Return the crop around the union of masks (N, H, W); the whole frame when they are empty.

    Args:
        masks: bool (N, H, W).
        max_pixels: pixels of the working picture.
        margin: border on each side, as a fraction of the mean side of the box, plus nothing below `min_margin` pixels.
        min_margin: pixels.
        max_zoom: a small crop is enlarged at most by this factor.
    """
    height, width = masks.shape[1:]
    box = bounds(masks)
    if box is None:
        return _at_scale(0, 0, width, height, max_pixels, max_zoom)
    x1, y1, x2, y2 = box
    border = (max(margin * (x2 - x1), min_margin) + max(margin * (y2 - y1), min_margin)) / 2
    left, top = max(0, round(x1 - border)), max(0, round(y1 - border))
    right, bottom = min(width, round(x2 + border)), min(height, round(y2 + border))
    return _at_scale(left, top, right, bottom, max_pixels, max_zoom)


def pixels_for(masks: BoolMask, crop: Crop, least_side: float) -> float:
    """Return how many times the pixels of a crop it takes to show the smallest of the masks (N, H, W) at the size of a square of
    `least_side` pixels; 1 if it is shown so already.
    """
    sizes = [size for size in masks.sum((1, 2)) if size]
    shown = min(sizes, default=np.inf) * crop.width * crop.height / ((crop.x2 - crop.x1) * (crop.y2 - crop.y1))
    return max(1.0, float(least_side**2 / shown))


def still_fits(crop: Crop, masks: BoolMask, wanted: Crop, reach: float) -> bool:
    """Return whether `crop` still serves: the objects keep `reach` pixels from its inner edges and its size is near the wanted one."""
    height, width = masks.shape[1:]
    box = bounds(masks)
    if box is None:
        return (crop.x1, crop.y1, crop.x2, crop.y2) == (0, 0, width, height)
    x1, y1, x2, y2 = box
    tight = (
        (crop.x1 > 0 and x1 - crop.x1 < reach)
        or (crop.y1 > 0 and y1 - crop.y1 < reach)
        or (crop.x2 < width and crop.x2 - x2 < reach)
        or (crop.y2 < height and crop.y2 - y2 < reach)
    )
    ratio = ((wanted.x2 - wanted.x1) * (wanted.y2 - wanted.y1)) / ((crop.x2 - crop.x1) * (crop.y2 - crop.y1))
    # hysteresis: memory is resampled whenever the crop moves, so it should move seldom
    return not tight and 0.6 < ratio < 1.3


def _at_scale(x1: int, y1: int, x2: int, y2: int, max_pixels: int, max_zoom: float) -> Crop:
    scale = min(max_zoom, (max_pixels / ((x2 - x1) * (y2 - y1))) ** 0.5)
    width, height = (max(64, round((b - a) * scale / 32) * 32) for a, b in ((x1, x2), (y1, y2)))
    return Crop(x1, y1, x2, y2, width, height)
