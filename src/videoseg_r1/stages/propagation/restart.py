"""The two frames from which a stepper starts anew when its memory ran out. Not here: what is given up for memory (`models.devices`)."""

from __future__ import annotations

from collections.abc import Iterator

from videoseg_r1.types import BoolMask, RgbImage


class RestartFrames:
    """The first and the newest frame that were followed, each with its masks; iterating gives them in order, each once."""

    def __init__(self) -> None:
        self._kept: list[tuple[RgbImage, BoolMask]] = []

    def keep(self, rgb: RgbImage, masks: BoolMask) -> None:
        """Add a frame (H, W, 3) with its masks (N, H, W); of earlier ones only the first stays."""
        self._kept = [*self._kept[:1], (rgb, masks)]

    def __iter__(self) -> Iterator[tuple[RgbImage, BoolMask]]:
        return iter(self._kept)

    def __bool__(self) -> bool:
        return bool(self._kept)
