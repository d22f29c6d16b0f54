"""Picture files read with Pillow: single photos and animations (GIF, APNG, WebP).

The size is checked by the header before anything is decoded. Transparency is dropped, not blended.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from videoseg_r1.config import Limits
from videoseg_r1.errors import CorruptVideo, LimitExceeded
from videoseg_r1.types import Frame, RgbImage, VideoInfo
from videoseg_r1.video.base import OnCorrupt, Video, check_limit
from videoseg_r1.video.decoded import Damage, DecodedVideo
from videoseg_r1.video.memory import ArrayVideo, check_size
from videoseg_r1.video.sniff import Picture
from videoseg_r1.video.truncation import is_cut_short

_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
"""What Pillow's readers raise on damaged files."""
_TURNS = {3: 180, 6: 270, 8: 90}
"""EXIF orientation to counter-clockwise degrees (EXIF 2.3, tag 0x0112); the mirrored orientations are applied but not named."""
_ORIENTATION = 0x0112
_TRANSPARENT = "transparency is dropped: hidden colours are shown"


def open_picture_file(path: Path, kind: Picture, *, limits: Limits, on_corrupt: OnCorrupt, fps: float | None) -> Video:
    """Open a photo as a video of one frame, or an animation.

    Raises: CorruptVideo: it cannot be decoded. LimitExceeded: it is too large, by its header.
    """
    check_limit(path.stat().st_size, limits.max_bytes, "max_bytes", "data in bytes", str(path))
    with opened_picture(path, kind, limits) as image:
        # photos of phones may hold a second view, and TIFF files pages: neither is an animation
        animated = kind in ("GIF", "PNG", "WEBP") and bool(getattr(image, "is_animated", False))
    if animated:
        return AnimationVideo(path, kind, limits=limits, on_corrupt=on_corrupt)
    return ImageVideo(path, kind, limits=limits, fps=fps)


class ImageVideo(ArrayVideo):
    """A single photo, turned upright by its orientation tag."""

    def __init__(self, path: Path, kind: Picture, *, limits: Limits, fps: float | None) -> None:
        with opened_picture(path, kind, limits) as image, decoding(path):
            orientation: int = image.getexif().get(_ORIENTATION, 1)
            notes = (_TRANSPARENT,) if image.has_transparency_data else ()
            rgb = to_rgb(ImageOps.exif_transpose(image))
        super().__init__(rgb[None], limits=limits, fps=fps)
        self._info = replace(
            self._info, source=str(path), kind="image", codec=kind.lower(), rotation=_TURNS.get(orientation, 0), notes=notes
        )


class AnimationVideo(DecodedVideo):
    """GIF, APNG or animated WebP. Delays up to 10 ms count as 100 ms, as in browsers."""

    def __init__(self, path: Path, kind: Picture, *, limits: Limits, on_corrupt: OnCorrupt) -> None:
        self._path, self._limits = path, limits
        self._kind: Picture = kind
        self._times: tuple[float, ...] | None = None
        with opened_picture(path, kind, limits) as image, decoding(path):
            width, height = image.size
            self._claimed: int | None = None if kind == "GIF" else getattr(image, "n_frames", None)
            check_limit(self._claimed or 0, limits.max_frames, "max_frames", "frames", str(path))
            image.load()
            alpha = image.convert("RGBA").getchannel("A").getextrema()
            notes = (_TRANSPARENT,) if alpha != (255, 255) else ()
            rate = 1 / _delay_s(image)
        info = VideoInfo(str(path), "animation", width, height, rate, self._claimed, codec=kind.lower(), notes=notes)
        super().__init__(info, on_corrupt)

    @property
    def times(self) -> tuple[float, ...]:
        self._check_open()
        if self._times is None:
            for _ in self._walk():
                pass
        return self._times or ()

    def _walk(self) -> Generator[tuple[int, Image.Image, float]]:
        """Decode from the first frame on; at the end the times are there and damage has been dealt with."""
        times: list[float] = []
        damage, clock = "", 0.0
        with opened_picture(self._path, self._kind, self._limits) as image:
            for number in count():
                try:
                    image.seek(number)
                    image.load()
                except EOFError:
                    break
                except _DECODE_ERRORS as error:
                    damage = str(error)
                    break
                check_limit(number + 1, self._limits.max_frames, "max_frames", "frames", str(self._path))
                check_limit(clock, self._limits.max_duration_s, "max_duration_s", "duration in seconds", str(self._path))
                times.append(clock)
                clock += _delay_s(image)
                yield number, image, times[-1]
        if self._times is None:
            self._finish(times, clock, damage)

    def _finish(self, times: list[float], duration_s: float, damage: str) -> None:
        if not damage and (is_cut_short(self._path, self._kind) or len(times) < (self._claimed or 0)):
            damage = "the file is cut short"
        if damage or not times:
            self._settle(Damage(damage, len(times), len(times)), self._claimed)
        self._times = tuple(times)
        self._info = replace(self._info, fps=len(times) / duration_s, duration_hint_s=duration_s)

    def _forward(self, start: int, stop: int | None) -> Iterator[Frame]:
        if stop is not None and start >= stop:
            return
        for number, image, time_s in self._walk():
            self._check_open()
            if number >= start:
                yield Frame(number, time_s, to_rgb(image))
            if number + 1 == stop:
                return

    def _decode_picked(self, indices: Sequence[int]) -> Iterator[Frame]:
        wanted = set(indices)
        for frame_number, image, time_s in self._walk() if wanted else ():
            if frame_number in wanted:
                yield Frame(frame_number, time_s, to_rgb(image))
            if frame_number == indices[-1]:
                return


@contextmanager
def opened_picture(path: Path, kind: Picture, limits: Limits) -> Generator[Image.Image]:
    """Open a picture by its header, check its size, and allow no other reader than the sniffed one."""
    try:
        with warnings.catch_warnings():
            # our own limit is checked below; Pillow's warning would only come on top of it
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=[kind])
    except Image.DecompressionBombError as error:
        raise LimitExceeded("too many pixels", where=str(path), why=str(error), fix="scale the picture down") from error
    except _DECODE_ERRORS as error:
        raise CorruptVideo("the picture cannot be opened", where=str(path), why=f"it is no valid {kind} file") from error
    with image:
        check_size(*image.size, limits, str(path))
        yield image


@contextmanager
def decoding(path: Path, index: int = 0, expected: int | None = None) -> Generator[None]:
    """Map what Pillow raises while it decodes to CorruptVideo, with the number of frames that were good before."""
    try:
        yield
    except _DECODE_ERRORS as error:
        raise CorruptVideo(
            "the picture is damaged",
            decoded=index,
            expected=expected,
            where=str(path),
            why=str(error),
            fix="get a complete copy of the file",
        ) from error


def to_rgb(image: Image.Image) -> RgbImage:
    """Return (H, W, 3) uint8 of the current frame. 16-bit grey keeps its upper 8 bits, where Pillow would clip it to white."""
    if image.mode.startswith("I"):
        grey = np.clip(np.asarray(image, np.int32) >> 8, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))


def _delay_s(image: Image.Image) -> float:
    milliseconds: float = image.info.get("duration") or 0
    return milliseconds / 1000 if milliseconds > 10 else 0.1
