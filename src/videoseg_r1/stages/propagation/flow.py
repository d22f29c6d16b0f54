"""The plain optical-flow baseline of stage 3b: masks warped from one frame to the next.

Flow cannot find anything again: behind a cut an object is absent until the next given frame. Not here: the order in which frames are
visited (`both_ways`).
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.stages.propagation.both_ways import BothWays, Tracked
from videoseg_r1.stages.propagation.calibration import given_confidence
from videoseg_r1.stages.propagation.recognition import Search
from videoseg_r1.types import BoolMask, Given, RgbImage

_Grey: TypeAlias = npt.NDArray[np.uint8]
_Map: TypeAlias = npt.NDArray[np.float32]


_LEAST_SIDE = 16
"""DIS works at half the size or less, on patches of 8 pixels; below this OpenCV 5 raises, or reads past its buffers."""
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
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._gray: _Grey | None = None
        self._soft: _Map = np.zeros((0, 0, 0), np.float32)
        self._loss = np.zeros(0)

    def step(self, rgb: RgbImage, given: Given | None = None, search: Search | None = None) -> Tracked:
        """Follow the masks into the next frame. Raises: ValueError: nothing was given for the first frame."""
        gray, before = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), self._gray
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

    def _carry(self, before: _Grey, gray: _Grey, search: Search | None) -> None:
        """Move the masks from the frame before into this one, except those that are sought."""
        height, width = gray.shape
        flow = self._flow.calc(_at_least(gray), _at_least(before), None)  # type: ignore[call-overload]  # None asks for a new array
        motion = np.asarray(flow, np.float32)[:height, :width]
        self._soft = np.stack([_warped(one, motion) if one.any() else one for one in self._soft])
        if search is not None:
            self._soft[search.sought] = 0
        change = np.asarray(np.abs(_warped(before.astype(np.float32), motion) - gray) / 255, np.float32)
        self._loss += [_loss(mask, motion, change) if mask.any() else 0.0 for mask in self._soft > 0.5]


def _corrected(soft: _Map, given: Given) -> _Map:
    """Return soft masks (N, H, W) with the given ones in their places; the others are cut off where those lie."""
    return np.where(given.which[:, None, None], given.masks, soft * ~given.masks.any(0)).astype(np.float32)


def _at_least(gray: _Grey) -> _Grey:
    """Return the picture (H, W) with its last row and column repeated, so that no side is shorter than DIS can take."""
    down, across = (max(0, _LEAST_SIDE - side) for side in gray.shape)
    return np.asarray(cv2.copyMakeBorder(gray, 0, down, 0, across, cv2.BORDER_REPLICATE), np.uint8) if down or across else gray


def flow_propagator() -> BothWays:
    """Return the optical-flow baseline."""
    return BothWays(FlowStepper)


def _warped(picture: _Map, motion: _Map) -> _Map:
    """Return a picture (H, W) of the frame before, moved along the flow (H, W, 2), which says where each pixel was."""
    height, width = picture.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(cv2.remap(picture, x + motion[..., 0], y + motion[..., 1], cv2.INTER_LINEAR), np.float32)


def _loss(mask: BoolMask, motion: _Map, change: _Map) -> float:
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
