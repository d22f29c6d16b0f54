"""The plain optical-flow baseline of stage 3b: masks warped from one frame to the next.

Not here: the order in which frames are visited (`both_ways`).
"""

from __future__ import annotations

import cv2
import numpy as np

from videoseg_r1.stages.propagation.both_ways import BothWays, Tracked
from videoseg_r1.types import BoolMask, RgbImage

_LEAST_SIDE = 16
"""DIS works at half the size or less, on patches of 8 pixels; below this OpenCV 5 raises, or reads past its buffers."""


class FlowStepper:
    """Warps the masks along DIS optical flow. What a user would write first, and the baseline that memory must beat.

    Source: Kroeger et al. 2016 (DIS), as implemented by OpenCV.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._gray: np.ndarray | None = None
        self._soft: np.ndarray | None = None

    def step(self, rgb: RgbImage, masks: BoolMask | None = None) -> Tracked:
        """Follow the masks into the next frame. Raises: ValueError: the first frame came without masks."""
        gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        if masks is not None:
            self._soft = masks.astype(np.float32)
        elif self._gray is None or self._soft is None:
            raise ValueError("the first frame needs masks")
        else:
            height, width = gray.shape
            pictures = _at_least(gray), _at_least(self._gray)
            flow = self._flow.calc(*pictures, None)[:height, :width]  # type: ignore[call-overload]  # None asks OpenCV for a new array
            x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
            where = x + flow[..., 0], y + flow[..., 1]
            self._soft = np.stack([cv2.remap(soft, *where, cv2.INTER_LINEAR) for soft in self._soft])
        self._gray = gray
        return Tracked(self._soft > 0.5, (1.0,) * len(self._soft))


def _at_least(gray: np.ndarray) -> np.ndarray:
    """Return the picture (H, W) with its last row and column repeated, so that no side is shorter than DIS can take."""
    down, across = (max(0, _LEAST_SIDE - side) for side in gray.shape)
    return cv2.copyMakeBorder(gray, 0, down, 0, across, cv2.BORDER_REPLICATE) if down or across else gray


def flow_propagator() -> BothWays:
    """Return the optical-flow baseline."""
    return BothWays(FlowStepper)
