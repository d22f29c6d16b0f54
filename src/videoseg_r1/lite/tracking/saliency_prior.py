"""What stands out around the objects: a third witness of the tracker, at the resolution of the picture.

The grid of the memory is coarse and its outlines drift; saliency knows nothing of what was meant, but where the things that are followed
stand out, it draws their outline sharply. It is believed as far as it has agreed with the masks so far, which for a thing that does not
stand out is not at all. Not here: the network (`lite.perception.saliency`).
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

_MEMORY = 0.8  # share of what was believed before in what is believed after a frame


@dataclass(frozen=True, slots=True)
class _Look:
    """What stood out in a working picture: its crop, the picture in grey, the saliency, and how many pictures ago it was computed."""

    crop: Crop
    grey: npt.NDArray[np.uint8]
    standing: npt.NDArray[np.float32]
    age: int


class Outline:
    """The witness for one run of a tracker.

    Args:
        max_odds: log odds of what stands out for certain.
        least: agreement, in IoU, from which it is believed at all.
        every: pictures from one look of the network to the next; it costs more than all the rest of a tracker.
        device: of the network.
    """

    def __init__(self, max_odds: float, least: float, every: int, device: str = "cpu") -> None:
        self._max_odds = max_odds
        self._least = least
        self._every = every
        self._device = device
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._last: _Look | None = None
        self._agreement: float | None = None

    def look(self, picture: RgbImage, crop: Crop) -> npt.NDArray[np.float32]:
        """Return how much each pixel of a working picture stands out, float32 (H, W) in 0..1.

        Only every few pictures are looked at: for those between, what stood out before is carried along by optical flow (DIS), as
        long as the crop is the same.
        """
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        if self._last is not None and self._last.crop == crop and self._last.age + 1 < self._every:
            flow = self._flow.calc(grey, self._last.grey, None)  # type: ignore[call-overload]  # None asks OpenCV for a new array
            x, y = np.meshgrid(np.arange(crop.width, dtype=np.float32), np.arange(crop.height, dtype=np.float32))
            standing = cv2.remap(self._last.standing, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            self._last = _Look(crop, grey, np.asarray(standing, np.float32), self._last.age + 1)
        else:
            self._last = _Look(crop, grey, load_saliency(self._device, quick=True)(picture, (crop.width, crop.height)), 0)
        return self._last.standing

    def odds(self, standing: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return the log odds (H, W) of a picture that was looked at, 0 as long as nothing was learned."""
        trust = 0.0 if self._agreement is None else max(0.0, (self._agreement - self._least) / (1 - self._least))
        return trust * torch.logit(torch.from_numpy(standing).clamp(1e-4, 1 - 1e-4)).clamp(-self._max_odds, self._max_odds)

    def learn(self, standing: npt.NDArray[np.float32], mask: BoolMask) -> None:
        """Compare what stands out with the mask (H, W) of all objects in the same picture."""
        stands_out = standing > 0.5
        either = np.count_nonzero(stands_out | mask)
        if not either or not mask.any():
            return
        agreement = np.count_nonzero(stands_out & mask) / either
        self._agreement = agreement if self._agreement is None else _MEMORY * self._agreement + (1 - _MEMORY) * agreement
