"""The saliency prior of the tracker: what stands out around the objects, at the resolution of the working picture.

The grid of the memory is coarse, so its outlines drift. Saliency does not know which objects are followed, but where they stand out it has
sharp outlines. It is trusted as far as it agreed with the masks so far; for an object that does not stand out that is not at all. Not here:
the network (`lite.perception.saliency`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from videoseg_r1.lite.perception.saliency import load_saliency
from videoseg_r1.lite.tracking.crop import Crop
from videoseg_r1.types import BoolMask, RgbImage

_MEMORY = 0.8  # weight of the earlier agreement in the running mean


@dataclass(frozen=True, slots=True)
class _Look:
    """A working picture: its crop, the picture in grey, its saliency, and how many pictures ago the network computed that."""

    crop: Crop
    grey: npt.NDArray[np.uint8]
    saliency: npt.NDArray[np.float32]
    age: int


class SaliencyPrior:
    """The prior for one run of a tracker.

    Args:
        device: where the saliency network computes.
        max_odds: the log odds are clamped to this.
        least: agreement with the masks, in IoU, from which saliency is trusted at all.
        every: pictures from one run of the network to the next; a run costs more than all the rest of the tracker.
    """

    def __init__(self, device: torch.device, max_odds: float, least: float, every: int) -> None:
        self._max_odds = max_odds
        self._least = least
        self._every = every
        self._device = device
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._last: _Look | None = None
        self._agreement: float | None = None

    def look(self, picture: RgbImage, crop: Crop) -> npt.NDArray[np.float32]:
        """Return the saliency of each pixel of a working picture, float32 (H, W) in 0..1.

        The network runs every few pictures. For those between, the last saliency is moved along by optical flow (DIS), as long as the
        crop stays the same.
        """
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        if self._last is not None and self._last.crop == crop and self._last.age + 1 < self._every:
            flow = self._flow.calc(grey, self._last.grey, None)  # type: ignore[call-overload]  # None asks OpenCV for a new array
            x, y = np.meshgrid(np.arange(crop.width, dtype=np.float32), np.arange(crop.height, dtype=np.float32))
            saliency = cv2.remap(self._last.saliency, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            self._last = _Look(crop, grey, np.asarray(saliency, np.float32), self._last.age + 1)
        else:
            self._last = _Look(crop, grey, load_saliency(self._device, quick=True)(picture, (crop.width, crop.height)), 0)
        return self._last.saliency

    def forget_picture(self) -> None:
        """Let the network look at the next picture: it is of another scene, and nothing moved from the last one to it."""
        self._last = None

    def odds(self, saliency: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return the log odds float32 (H, W), on the CPU, of the saliency of a picture; 0 as long as there is no trust in it."""
        trust = 0.0 if self._agreement is None else max(0.0, (self._agreement - self._least) / (1 - self._least))
        return trust * torch.logit(torch.from_numpy(saliency).clamp(1e-4, 1 - 1e-4)).clamp(-self._max_odds, self._max_odds)

    def compare(self, saliency: npt.NDArray[np.float32], mask: BoolMask) -> None:
        """Update the trust by the agreement of a saliency with the mask (H, W) of all objects in the same picture."""
        stands_out = saliency > 0.5
        either = np.count_nonzero(stands_out | mask)
        if not either or not mask.any():
            return
        agreement = np.count_nonzero(stands_out & mask) / either
        self._agreement = agreement if self._agreement is None else _MEMORY * self._agreement + (1 - _MEMORY) * agreement
