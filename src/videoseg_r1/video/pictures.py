"""Picture files read with Pillow: single photos, and animations (GIF, APNG, WebP, AVIF).

The size is checked by the header before anything is decoded.
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

import pi_heif
from PIL import Image, ImageOps

from videoseg_r1.config import Limits
from videoseg_r1.errors import CorruptVideo, LimitExceeded
from videoseg_r1.types import Frame, VideoInfo
from videoseg_r1.video.background import PlainColor, color_name, flattened_note, is_transparent, to_rgb
from videoseg_r1.video.base import OnCorrupt, Video, check_limit, own_times
from videoseg_r1.video.decoded import Damage, DecodedVideo
from videoseg_r1.video.memory import ArrayVideo, check_size
from videoseg_r1.video.sniff import Picture
from videoseg_r1.video.truncation import is_cut_short

_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
"""What Pillow's readers raise on damaged files."""
_TURNS = {3: 180, 6: 270, 8: 90}
"""EXIF orientation to counter-clockwise degrees (EXIF 2.3, tag 0x0112); the mirrored orientations are applied but not named."""
_ORIENTATION = 0x0112
_VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".wmv", ".flv")
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
"""Photos of phones may hold a second view, and TIFF files pages: neither is an animation."""


def open_picture_file(
    path: Path, kind: Picture, *, limits: Limits, on_corrupt: OnCorrupt, fps: float | None, background: PlainColor
) -> Video:
    """Open a photo as a video of one frame, or an animation.

    Raises: CorruptVideo: it cannot be decoded. LimitExceeded: it is too large, by its header. InvalidConfig: `fps` for an animation.
    """
    check_limit(path.stat().st_size, limits.max_bytes, "max_bytes", "data in bytes", str(path))
    with opened_picture(path, kind, limits) as image:
        animated = kind in _ANIMATED and bool(getattr(image, "is_animated", False))
    if not animated:
        return ImageVideo(path, kind, limits=limits, fps=fps, background=background)
    if fps is not None:
        raise own_times(str(path))
    return AnimationVideo(path, kind, limits=limits, on_corrupt=on_corrupt, background=background)


class ImageVideo(ArrayVideo):
    """A single photo, turned upright by its orientation tag."""

    def __init__(self, path: Path, kind: Picture, *, limits: Limits, fps: float | None, background: PlainColor) -> None:
        with opened_picture(path, kind, limits) as image, decoding(path):
            orientation: int = image.getexif().get(_ORIENTATION, 1)
            notes = (*_misnamed(path, kind), *((flattened_note(background),) if is_transparent(image) else ()))
            rgb = to_rgb(ImageOps.exif_transpose(image), background)
        super().__init__(rgb[None], limits=limits, fps=fps)
        self._info = replace(
            self._info,
            source=str(path),
            kind="image",
            codec=kind.lower(),
            rotation=_TURNS.get(orientation, 0),
            notes=notes,
            background=color_name(background),
        )


class AnimationVideo(DecodedVideo):
    """GIF, APNG, animated WebP or AVIF. Delays up to 10 ms count as 100 ms, as in browsers."""

    def __init__(self, path: Path, kind: Picture, *, limits: Limits, on_corrupt: OnCorrupt, background: PlainColor) -> None:
        self._path, self._limits, self._background = path, limits, background
        self._kind: Picture = kind
        self._times: tuple[float, ...] | None = None
        with opened_picture(path, kind, limits) as image, decoding(path):
            width, height = image.size
            self._claimed: int | None = None if kind == "GIF" else getattr(image, "n_frames", None)
            check_limit(self._claimed or 0, limits.max_frames, "max_frames", "frames", str(path))
            image.load()
            notes = (*_misnamed(path, kind), *((flattened_note(background),) if is_transparent(image) else ()))
            rate = 1 / _delay_s(image)
        info = VideoInfo(str(path), "animation", width, height, rate, self._claimed, codec=kind.lower(), notes=notes)
        super().__init__(replace(info, background=color_name(background)), on_corrupt)

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

    def _seen(self, number: int, image: Image.Image, time_s: float) -> Frame:
        if is_transparent(image):
            self._add_note(flattened_note(self._background))
        return Frame(number, time_s, to_rgb(image, self._background))

    def _forward(self, start: int, stop: int | None) -> Iterator[Frame]:
        if stop is not None and start >= stop:
            return
        for number, image, time_s in self._walk():
            self._check_open()
            if number >= start:
                yield self._seen(number, image, time_s)
            if number + 1 == stop:
                return

    def _decode_picked(self, indices: Sequence[int]) -> Iterator[Frame]:
        wanted = set(indices)
        for frame_number, image, time_s in self._walk() if wanted else ():
            if frame_number in wanted:
                yield self._seen(frame_number, image, time_s)
            if frame_number == indices[-1]:
                return


@contextmanager
def opened_picture(path: Path, kind: Picture, limits: Limits) -> Generator[Image.Image]:
    """Open a picture by its header, check its size, and allow no other reader than the sniffed one."""
    if kind == "HEIF":
        pi_heif.register_heif_opener()
    try:
        with warnings.catch_warnings():
            # of bombs and damaged tags; our own limit is checked below, and damage is an error or does no harm
            warnings.simplefilter("ignore")
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


def _misnamed(path: Path, kind: Picture) -> tuple[str, ...]:
    """A note where a picture bears the name of a video, as failed downloads do."""
    suffix = path.suffix.lower()
    return (f"the name ends in {suffix}, but the content is a {kind} picture",) if suffix in _VIDEO_SUFFIXES else ()


def _delay_s(image: Image.Image) -> float:
    milliseconds: float = image.info.get("duration") or 0
    return milliseconds / 1000 if milliseconds > 10 else 0.1
