"""The plain optical-flow baseline of stage 3b: masks warped from one frame to the next.

Flow cannot find anything again: behind a cut an object is absent until the next given frame. Not here: the order in which frames are
visited (`both_ways`), how motion is estimated (`motion`).
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.stages.propagation.both_ways import BothWays, Tracked
from videoseg_r1.stages.propagation.calibration import given_confidence
from videoseg_r1.stages.propagation.motion import GreyImage, MotionEstimator, MotionField, grey, moved
from videoseg_r1.stages.propagation.recognition import Search
from videoseg_r1.types import BoolMask, Given, RgbImage

_Map: TypeAlias = npt.NDArray[np.float32]

_BORDER = 4
"""Pixels on each side of an outline in which it is judged."""
_SPREAD_LOSS = 1.4
"""Loss of confidence for each diameter by which parts of the outline moved differently. Fitted on half of the development clips by
`benchmarks/confidence.py`."""
_CHANGE_LOSS = 40.0
_MOST_CHANGE = 0.1
"""Mean change of grey, of 1, along the outline that motion explains; behind a cut it is more (0.11 to 0.34 in 80 joined frames)."""


class FlowStepper:
    """Warps the masks along DIS optical flow. What a user would write first, and the baseline that memory must beat.

    Its confidence begins at 1 with the given masks and is multiplied by exp(-loss) at each step, see `_loss`.

    Source: Kroeger et al. 2016 (DIS), as implemented by OpenCV.
    """

    def __init__(self) -> None:
        self._motion = MotionEstimator()
        self._gray: GreyImage | None = None
        self._soft: _Map = np.zeros((0, 0, 0), np.float32)
        self._loss = np.zeros(0)

    def step(self, rgb: RgbImage, given: Given | None = None, search: Search | None = None) -> Tracked:
        """Follow the masks into the next frame. Raises: ValueError: nothing was given for the first frame."""
        gray, before = grey(rgb), self._gray
        self._gray = gray
        if before is None:
            if given is None:
                raise ValueError("the first frame needs masks")
            self._soft, self._loss = given.masks.astype(np.float32), np.zeros(len(given.masks))
            return Tracked(given.masks, given_confidence(given.masks))
        if given is None or not given.which.all():
            self._carry(before, gray, search)
        if given is not None:
            self._soft, self._loss = _corrected(self._soft, given), np.where(given.which, 0.0, self._loss)
        found = self._soft > 0.5
        return Tracked(found, tuple((np.exp(-self._loss) * found.any((1, 2))).tolist()))

    def _carry(self, before: GreyImage, gray: GreyImage, search: Search | None) -> None:
        """Move the masks from the frame before into this one, except those that are sought."""
        motion = self._motion.since(before, gray)
        self._soft = np.stack([moved(one, motion) if one.any() else one for one in self._soft])
        if search is not None:
            self._soft[search.sought] = 0
        change = np.asarray(np.abs(moved(before.astype(np.float32), motion) - gray) / 255, np.float32)
        self._loss += [_loss(mask, motion, change) if mask.any() else 0.0 for mask in self._soft > 0.5]


def _corrected(soft: _Map, given: Given) -> _Map:
    """Return soft masks (N, H, W) with the given ones in their places; the others are cut off where those lie."""
    return np.where(given.which[:, None, None], given.masks, soft * ~given.masks.any(0)).astype(np.float32)


def flow_propagator() -> BothWays:
    """Return the optical-flow baseline."""
    return BothWays(FlowStepper)


def _loss(mask: BoolMask, motion: MotionField, change: _Map) -> float:
    """Return the loss of one step: an outline whose parts moved apart is torn, and one that does not look as before is of something else.

    Of the measures that were compared (consistency of forward and backward flow, change of grey, speed, age, softness, and this one) the
    spread of the flow along the outline, over the diameter of the object, follows the true IoU best (docs/results.md, "Confidence").

    Args:
        mask: bool (H, W), not empty.
        motion: (H, W, 2), where each pixel was, in pixels from here.
        change: (H, W), difference of grey to where it was, in 0..1.
    """
    kernel = np.ones((2 * _BORDER + 1,) * 2, np.uint8)
    solid = mask.view(np.uint8)
    outline = cv2.dilate(solid, kernel) > cv2.erode(solid, kernel)
    if not outline.any():  # it fills the frame
        outline = mask
    diameter = float(np.sqrt(mask.sum() * 4 / np.pi))
    spread = float(np.linalg.norm(motion[outline].std(0))) / diameter
    return _SPREAD_LOSS * spread + _CHANGE_LOSS * max(0.0, float(change[outline].mean()) - _MOST_CHANGE)
