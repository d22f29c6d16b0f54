"""The two frames from which a stepper starts anew when its memory ran out. Not here: what is given up for memory (`models.devices`)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from videoseg_r1.types import BoolMask, Given, RgbImage


class RestartFrames:
    """The first and the newest frame that were followed, each with the masks of the objects that were known then.

    Iterating gives them in order, each once.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[RgbImage, Given]] = []
        self._known = np.zeros(0, np.bool_)

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """The objects that were given so far or seen, bool (N,); none of no objects before the first frame."""
        return self._known

    def keep(self, rgb: RgbImage, masks: BoolMask, given: Given | None) -> None:
        """Add a frame (H, W, 3) with its masks (N, H, W) and what was given of it; of earlier frames only the first stays."""
        before = self._known if self._kept else np.zeros(len(masks), np.bool_)
        new = before if given is None else given.which
        self._known = np.asarray(before | new | masks.any((1, 2)), np.bool_)
        self._kept = [*self._kept[:1], (rgb, Given(masks, self._known))]

    def __iter__(self) -> Iterator[tuple[RgbImage, Given]]:
        return iter(self._kept)

    def __bool__(self) -> bool:
        return bool(self._kept)
