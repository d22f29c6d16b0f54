"""Confidence: the IoU with the truth that is to be expected of a mask, 0..1.

0 where there is no mask, 1 where it was given. Not here: what a stepper measures of itself, the figures (docs/results.md, "Confidence").
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from videoseg_r1.types import BoolMask


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
