"""Confidence: the IoU with the truth that is to be expected of a mask, 0..1.

1 where a mask was given, 0 where it is empty. Not here: what a stepper measures of itself, the figures (docs/results.md, "Confidence").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from videoseg_r1.types import BoolMask


def given_confidence(masks: BoolMask) -> tuple[float, ...]:
    """Return the confidence of masks (N, H, W) that were given: 1, and 0 of an object that was given as absent."""
    return tuple(float(mask.any()) for mask in masks)


def expected_iou(probabilities: npt.NDArray[np.float32], masks: BoolMask) -> tuple[float, ...]:
    """Return for each object the IoU that its own probabilities promise, 0 where its mask is empty.

    With T the true mask, whose pixels are there with the given probabilities: the expected overlap of mask and T, over their expected
    union. Objects exclude each other: beside the likeliest one, another has at most what that one leaves. It is as good as the
    probabilities are. Source: ours.

    Args:
        probabilities: (N, H, W) float, of each pixel to belong to each object; they may sum to more than 1.
        masks: bool (N, H, W), no two overlapping.
    """
    if len(probabilities) > 1:
        best = probabilities.max(0)
        probabilities = np.where(probabilities == best, best, np.minimum(probabilities, 1 - best))
    inside = np.array([float(plane[mask].sum()) for plane, mask in zip(probabilities, masks, strict=True)])
    union = masks.sum((1, 2)) + probabilities.sum((1, 2), dtype=np.float64) - inside
    return tuple((inside / np.maximum(union, 1e-9)).tolist())


@dataclass(frozen=True, slots=True)
class Calibration:
    """A line in log odds that turns the IoU that probabilities promise into the one that is found on clips with true masks.

    Called with an IoU in 0..1 it returns a confidence in 0..1; both ends stay. Source: Platt 1999.

    Attributes:
        slope, offset: of the line.
    """

    slope: float
    offset: float

    def __call__(self, iou: float) -> float:
        if iou <= 0 or iou >= 1:
            return iou
        odds = (iou / (1 - iou)) ** self.slope * math.exp(self.offset)
        return odds / (1 + odds)

    def inverse(self) -> Calibration:
        """Return the calibration that undoes this one."""
        return Calibration(1 / self.slope, -self.offset / self.slope)
