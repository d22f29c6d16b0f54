"""How unlike two pictures are, whatever moved between them and however the light changed.

Not here: where a film is cut (`cuts`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.types import RgbImage

_WIDTH, _HEIGHT = 64, 36
_ACROSS, _DOWN = 8, 9
"""Pixels of a block; there are 4 rows of 8 blocks."""
_FAR_X, _FAR_Y = 8, 6
"""How far a block is looked for: an eighth of the width and a sixth of the height."""
_NOISE = 0.5
"""Grey levels; a weaker pattern is rounding."""
_PLAIN = 1.0
"""Grey levels; a picture whose levels differ less has nothing in it."""
_FULL = 0.5
"""A block counts fully from this share of the picture's own contrast on."""
_LEAST_BLOCKS = 16.0
"""A picture with fewer full blocks, such as a single thing on plain ground, does not become another one because they changed."""

Grey = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnail:
    """A picture made small.

    Attributes:
        grey: (36, 64) float32, 0..255.
        coarse: (9, 16) float32, the same so much smaller that most of what moves stays in its pixel.
        contrast: standard deviation of `grey`.
    """

    grey: Grey
    coarse: Grey
    contrast: float

    @classmethod
    def of(cls, rgb: RgbImage) -> Thumbnail:
        """Return the thumbnail of a picture, (H, W, 3) uint8 of any size."""
        # at first only some pixels are read: the mean of all takes eight times as long
        some = cv2.resize(rgb, (4 * _WIDTH, 4 * _HEIGHT), interpolation=cv2.INTER_LINEAR)
        grey = cv2.cvtColor(cv2.resize(some, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY).astype(np.float32)
        coarse = cv2.resize(grey, (_WIDTH // 4, _HEIGHT // 4), interpolation=cv2.INTER_AREA)
        return cls(grey, np.asarray(coarse, np.float32), float(grey.std()))

    @property
    def plain(self) -> bool:
        """Whether there is nothing in the picture: it is black, white, or of one other level."""
        return self.contrast < _PLAIN

    def unlike(self, other: Thumbnail) -> float:
        """Return 0..1: which part of the patterns in either picture is nowhere near its place in the other. The order does not matter.

        For each block of one picture the place near its own is taken where the other correlates with it best (normalised
        cross-correlation); blocks with little contrast count little. Up to 0.3 between neighbouring frames of film with fast motion, 0.3
        to 0.7 between different scenes.
        """
        return (self._missing_in(other) + other._missing_in(self)) / 2

    def unlike_in_place(self, other: Thumbnail) -> float:
        """Return `unlike` for blocks that do not move: never less, and much sooner computed."""
        ours, theirs = _blocks(self.grey), _blocks(other.grey)
        ours, theirs = (part - part.mean(1, keepdims=True) for part in (ours, theirs))
        strength, strength_there = (np.sqrt((part * part).mean(1)) for part in (ours, theirs))
        alike = (ours * theirs).mean(1) / np.maximum(strength, _NOISE) / np.maximum(strength_there, _NOISE)
        return (self._missing(alike, strength) + other._missing(alike, strength_there)) / 2

    def _missing_in(self, other: Thumbnail) -> float:
        blocks = _blocks(self.grey)
        blocks = blocks - blocks.mean(1, keepdims=True)
        strength = np.sqrt((blocks * blocks).mean(1))
        there = np.pad(other.grey, ((_FAR_Y, _FAR_Y), (_FAR_X, _FAR_X)), mode="edge")
        places = np.lib.stride_tricks.sliding_window_view(there, (_DOWN, _ACROSS))
        mean, square = (cv2.blur(values, (_ACROSS, _DOWN), anchor=(0, 0)) for values in (there, there * there))
        strength_there = np.sqrt(np.maximum(square - mean * mean, _NOISE**2))[: places.shape[0], : places.shape[1]]
        best: list[float] = []
        for y, row in zip(range(0, _HEIGHT, _DOWN), np.split(blocks, _HEIGHT // _DOWN), strict=True):
            near = slice(y, y + 2 * _FAR_Y + 1)
            alike = places[near].reshape(-1, row.shape[1]) @ row.T / row.shape[1]
            alike = alike.reshape(*strength_there[near].shape, -1) / strength_there[near][..., None]
            best += [float(alike[:, x : x + 2 * _FAR_X + 1, k].max()) for k, x in enumerate(range(0, _WIDTH, _ACROSS))]
        return self._missing(np.array(best, np.float32) / np.maximum(strength, _NOISE), strength)

    def _missing(self, alike: Grey, strength: Grey) -> float:
        """Return the weighted mean of what the best match of each block leaves; `strength` is each block's contrast."""
        weight = np.minimum(1, strength / max(_FULL * self.contrast, _PLAIN))
        return float((weight * (1 - np.clip(alike, 0, 1))).sum() / max(float(weight.sum()), _LEAST_BLOCKS))


def _blocks(grey: Grey) -> Grey:
    """Return (32, 72), the pixels of each block, row by row."""
    parts = grey.reshape(_HEIGHT // _DOWN, _DOWN, _WIDTH // _ACROSS, _ACROSS)
    return parts.transpose(0, 2, 1, 3).reshape(-1, _DOWN * _ACROSS)
