"""Confidence: the IoU with the truth that is to be expected of a mask, 0..1.

1 where a mask was given, 0 where it is empty. Not here: what a stepper measures of itself, the figures (docs/results.md, "Confidence").
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from videoseg_r1.types import BoolMask


def given_confidence(masks: BoolMask) -> tuple[float, ...]:
    """Return the confidence of masks (N, H, W) that were given: 1, and 0 of an object that was given as absent."""
    return tuple(float(mask.any()) for mask in masks)


def expected_iou(probabilities: npt.NDArray[np.float32], masks: BoolMask) -> tuple[float, ...]:
    """Return for each object the IoU that its own probabilities promise, 0 where its mask is empty.

    With T the true mask, whose pixels are there with the given probabilities: the expected overlap of mask and T, over their expected
    union. It is as good as the probabilities are. Source: ours.

    Args:
        probabilities: (N, H, W) float, of each pixel to belong to each object.
        masks: bool (N, H, W).
    """
    inside = np.array([float(plane[mask].sum()) for plane, mask in zip(probabilities, masks, strict=True)])
    union = masks.sum((1, 2)) + probabilities.sum((1, 2), dtype=np.float64) - inside
    return tuple((inside / np.maximum(union, 1e-9)).tolist())


SLOPE, OFFSET = 1.0, 0.0


def calibrated(iou, slope=SLOPE, offset=OFFSET):
    return iou


def uncalibrated(iou):
    return iou
