"""Decoded pictures of PyAV as RGB, their transparency flattened."""

from __future__ import annotations

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from videoseg_r1.types import Color, RgbImage
from videoseg_r1.video.background import flatten


class RgbConverter:
    """Converts the pictures of one video. `flattened` tells whether any of them had transparent pixels so far.

    One reformatter for all pictures: setting up a conversion costs more than running it; threads cost more than they save.
    """

    def __init__(self, background: Color) -> None:
        self.flattened = False
        self._background = background
        self._colors, self._alphas = VideoReformatter(), VideoReformatter()
        self._format, self._has_alpha = "", False

    def has_alpha(self, picture: VideoFrame) -> bool:
        """Return whether the pixel format of a picture has a place for transparency."""
        if picture.format.name != self._format:
            self._format, self._has_alpha = picture.format.name, _has_alpha(picture.format)
        return self._has_alpha

    def rgb(self, picture: VideoFrame) -> RgbImage:
        """Return (H, W, 3) uint8. Raises: FFmpegError: the pixel format cannot be converted."""
        rgb: RgbImage = np.asarray(self._colors.reformat(picture, format="rgb24", threads=1).to_ndarray(), np.uint8)
        if not self.has_alpha(picture):
            return rgb
        rgba: RgbImage = np.asarray(self._alphas.reformat(picture, format="rgba", threads=1).to_ndarray(), np.uint8)
        flat = flatten(rgb, rgba[..., 3], self._background)
        self.flattened |= flat is not rgb
        return flat


def _has_alpha(pixel_format: VideoFormat) -> bool:
    """Colours of a palette have transparency without a component for it."""
    return pixel_format.has_palette or any(component.is_alpha for component in pixel_format.components)
