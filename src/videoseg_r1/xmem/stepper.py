"""XMem as a propagator: pictures and masks in, masks and confidence out.

Frames are worked on at a limited size, because the cost of a read grows with the fourth power of it. Not here: the network and its
memory (`core`), the direction of time (`videoseg_r1.propagator`).
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from videoseg_r1.propagator import BothWays, Tracked
from videoseg_r1.types import BoolMask, RgbImage
from videoseg_r1.xmem.config import XMemConfig
from videoseg_r1.xmem.core import InferenceCore
from videoseg_r1.xmem.network import XMem

SHORT_SIDE = 480
"""Pixels of the shorter side that XMem was trained and is evaluated at."""
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # ImageNet
_STD = np.array([0.229, 0.224, 0.225], np.float32)


class XMemStepper:
    """Follows N objects from frame to frame.

    Args:
        network: the weights.
        config: settings.
        short_side: pictures with a longer shorter side are reduced to it, in pixels.
    """

    def __init__(self, network: XMem, config: XMemConfig | None = None, short_side: int = SHORT_SIDE) -> None:
        self._core = InferenceCore(network, config)
        self._short_side = short_side

    def step(self, rgb: RgbImage, masks: BoolMask | None = None) -> Tracked:
        """Follow the objects into the next frame.

        Args:
            rgb: (H, W, 3) uint8, the same size every time.
            masks: bool (N, H, W) when they are known for this frame; the first frame needs them. They are returned as they are.
        Raises: InvalidPrompt: the first frame came without masks, or they do not fit. ShapeMismatch: the frame size changed.
        """
        height, width = rgb.shape[:2]
        scale = min(1.0, self._short_side / min(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        given = None if masks is None else np.stack([_resized(mask.astype(np.float32), size) for mask in masks])
        probabilities = self._core.step(normalised(_resized(rgb, size)), given)
        if masks is not None:
            return Tracked(masks, (1.0,) * len(masks))
        if size != (height, width):
            probabilities = F.interpolate(probabilities[None], (height, width), mode="bilinear", align_corners=False)[0]
        winner = probabilities.argmax(0)
        found = torch.stack([winner == index for index in range(1, len(probabilities))])
        return Tracked(found.cpu().numpy(), self._core.confidence)


def normalised(rgb: RgbImage) -> torch.Tensor:
    """Return the picture (H, W, 3) as XMem takes it: float32 (3, H, W), minus the ImageNet mean, over its standard deviation."""
    return torch.from_numpy((rgb.astype(np.float32) / 255 - _MEAN) / _STD).permute(2, 0, 1)


def xmem_propagator(network: XMem, config: XMemConfig | None = None, short_side: int = SHORT_SIDE) -> BothWays:
    """Return a propagator on XMem; arguments as for `XMemStepper`."""
    return BothWays(lambda: XMemStepper(network, config, short_side))


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if picture.shape[:2] == size:
        return picture
    return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA)
