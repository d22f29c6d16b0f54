"""What a masked thing looks like, as a vector: its colours, and what a frozen network sees in it.

By it an object is known again behind a cut, whatever propagator carries it. Not here: which looks are kept and how alike is alike enough
(`stages.propagation.recognition`).
"""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from videoseg_r1.lite.perception.backbone import load_backbone, prepare
from videoseg_r1.stages.propagation.recognition import Describe
from videoseg_r1.types import BoolMask, RgbImage

_SIDE = 160
"""Pixels of the longer side that the network is shown."""
_STRIDE = 32


def describer(device: torch.device) -> Describe:
    """Return `describe_thing` on a device; the network is loaded when something is described."""
    return partial(describe_thing, device=device)


def describe_thing(rgb: RgbImage, mask: BoolMask, *, device: torch.device) -> npt.NDArray[np.float32]:
    """Return what a thing looks like, (1536 + 352,) float32 of length 1; half of the dot product of two is that of their colours.

    Args:
        rgb: (h, w, 3) uint8, the thing with a little of what is around it.
        mask: bool (h, w), not empty.
        device: where the network computes.
    """
    return np.concatenate([_colours(rgb, mask), _features(rgb, mask, device)]) * np.float32(0.5**0.5)


def _colours(rgb: RgbImage, mask: BoolMask) -> npt.NDArray[np.float32]:
    """Return the roots of the shares of 6 x 16 x 16 colours (L, a, b) inside the mask: their dot product is Bhattacharyya's coefficient."""
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
    counts = cv2.calcHist([lab], [0, 1, 2], mask.view(np.uint8), [6, 16, 16], [0, 256] * 3)
    # neighbouring colours are alike: a little light more or less is no other thing
    blurred = np.stack([cv2.GaussianBlur(plane, (3, 3), 0.7) for plane in counts])
    return np.sqrt(blurred.ravel() / max(float(blurred.sum()), 1e-9)).astype(np.float32)


def _features(rgb: RgbImage, mask: BoolMask, device: torch.device) -> npt.NDArray[np.float32]:
    """Return the mean of the network's last features over the mask, (352,) of length 1."""
    scale = _SIDE / max(mask.shape)
    height, width = (max(_STRIDE, round(side * scale / _STRIDE) * _STRIDE) for side in mask.shape)
    features = load_backbone(device).features(prepare(rgb, (width, height), device))[-1][0]
    cover = cv2.resize(mask.astype(np.float32), (features.shape[2], features.shape[1]), interpolation=cv2.INTER_AREA)
    mean = (features * torch.from_numpy(cover).to(features)).flatten(1).sum(1)
    return F.normalize(mean, dim=0).cpu().numpy()
