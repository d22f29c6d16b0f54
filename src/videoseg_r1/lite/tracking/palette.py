"""The colours of a video: a palette found on its first frame, and how much of each colour is in each cell of a picture.

Shares of colours are what a linear model can use of colour: a mean would make grey of red and green. Not here: features of a network.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from videoseg_r1.lite.tracking.crop import CELL
from videoseg_r1.types import BoolMask, RgbImage

_COLOURS = 48
_SAMPLES = 2000
_ROUNDS = 8
_WIDTH = 10.0
"""Units of OpenCV's 8-bit Lab in which colours count as alike."""
_LEVELS = 32
"""Levels of red, green and blue that are told apart."""


class Palette:
    """Colours of a picture, found by k-means in Lab, half of the samples from the objects. Every choice is a function of the picture.

    Args:
        picture: (h, w, 3) uint8.
        objects: bool (h, w).
    """

    def __init__(self, picture: RgbImage, objects: BoolMask) -> None:
        lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
        parts = [_spread(lab[where], _SAMPLES // 2) for where in (objects, ~objects) if where.any()]
        self._table = torch.from_numpy(_table(_centres(np.concatenate(parts))))

    def shares(self, picture: RgbImage, grid: tuple[int, int]) -> torch.Tensor:
        """Return which part of each cell has which colour, (P, 48) float32 on the CPU; each row sums to 1.

        Args:
            picture: (8 rows, 8 columns, 3) uint8.
            grid: rows and columns of the cells.
        """
        rows, columns = grid
        side = CELL // 2
        small = cv2.resize(picture, (columns * side, rows * side), interpolation=cv2.INTER_AREA)
        levels = (small // (256 // _LEVELS)).astype(np.int64)
        index = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
        cells = index.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(rows * columns, side * side)
        return F.embedding_bag(torch.from_numpy(np.ascontiguousarray(cells)), self._table, mode="mean")


def _spread(values: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """Return about `count` of the values (n, 3), evenly spread over their order."""
    return values[:: max(1, len(values) // count)]


def _centres(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the colours (48, 3) of a k-means that starts from samples spread over the order of lightness."""
    ordered = samples[np.lexsort(samples.T[::-1])]
    centres = ordered[np.linspace(0, len(ordered) - 1, _COLOURS).astype(np.intp)].copy()
    for _ in range(_ROUNDS):
        nearest = _distances(ordered, centres).argmin(1)
        counts = np.bincount(nearest, minlength=_COLOURS)
        sums = np.stack([np.bincount(nearest, ordered[:, axis], _COLOURS) for axis in range(3)], 1)
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres).astype(np.float32)
    return centres


def _table(centres: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return for every level of red, green and blue how much it is of each colour, (32768, 48)."""
    step = 256 // _LEVELS
    level = (np.arange(_LEVELS) * step + step // 2).astype(np.uint8)
    cube = np.stack(np.meshgrid(level, level, level, indexing="ij"), -1).reshape(-1, 1, 3)
    away = _distances(cv2.cvtColor(cube, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32), centres)
    weight = np.exp(-(away - away.min(1, keepdims=True)) / (2 * _WIDTH**2))
    return (weight / weight.sum(1, keepdims=True)).astype(np.float32)


def _distances(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the squared distances (n, m) between colours (n, 3) and (m, 3)."""
    return (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T
