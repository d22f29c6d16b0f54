"""Pictures that say which frame they are, in blocks so coarse that any codec keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from videoseg_r1.types import BoolMask, RgbImage

_ROWS, _COLUMNS, _BLOCK = 2, 4, 16
_WEIGHTS = 1 << np.arange(_ROWS * _COLUMNS).reshape(_ROWS, _COLUMNS)
WIDTH, HEIGHT = _COLUMNS * _BLOCK, _ROWS * _BLOCK


def numbered_mask(number: int) -> BoolMask:
    """Return (32, 64) bool: a block of 16 x 16 for every bit of a number below 256; bit 0 is at the top left."""
    return np.kron((number & _WEIGHTS) > 0, np.ones((_BLOCK, _BLOCK), np.bool_))


def numbered_picture(number: int) -> RgbImage:
    """Return (32, 64, 3) uint8: the blocks of the number are light, the others dark."""
    return np.where(numbered_mask(number)[..., None], np.uint8(220), np.uint8(30)).repeat(3, axis=2)


def number_of(rgb: RgbImage) -> int:
    """Return the number that a picture shows, by the brightness of the middle of each block."""
    grey = rgb.mean(axis=-1).reshape(_ROWS, _BLOCK, _COLUMNS, _BLOCK)[:, 4:12, :, 4:12].mean(axis=(1, 3))
    return int(_WEIGHTS[grey > 110].sum())


def encode_numbers(
    path: Path, codec: str, num_frames: int, *, rate: Fraction, options: dict[str, str], stamps: Sequence[int] | None = None
) -> Path:
    """Write a video of frames 0, 1, ...

    Args:
        stamps: when each is shown, in milliseconds; None for one after the other at `rate`.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}.get(codec, "yuv420p")
        base = 1 / rate if stamps is None else Fraction(1, 1000)
        stream.codec_context.time_base = base
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")
            frame.pts, frame.time_base = number if stamps is None else stamps[number], base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
