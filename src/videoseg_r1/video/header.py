"""Read what the header of a container claims, and check it against the limits before anything is decoded.

Claims are hints: the decoded pictures are the truth, and are checked again.

Not here: what a file says that makes it unreadable (`unreadable`), and pictures (`decoder`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av import logging
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from videoseg_r1.config import Limits
from videoseg_r1.errors import NoVideoStream, UnsupportedSource
from videoseg_r1.video.base import DEFAULT_FPS, check_limit, own_times
from videoseg_r1.video.ebml import TRACK_ENTRY, elements_at
from videoseg_r1.video.elementary import ELEMENTARY
from videoseg_r1.video.memory import check_size
from videoseg_r1.video.sniff import Container

_NOT_THE_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_GUESSED_DURATION = ELEMENTARY | {"mpeg", "swf", "roq"}
"""Formats whose duration FFmpeg can only guess, by the size of the file or the few times in it."""
_FIELD_CLOCK = {"dv", "gxf"}
"""Formats for which FFmpeg's average rate is that of fields or bytes; the rate of pictures is the one it guesses."""
_CODEC_ID = (*TRACK_ENTRY, 0x86)
"""RFC 9559, 5.1.4.1.22."""
_MAX_FPS = 1000


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a container claims. `rate`, `num_frames` and `duration_s` are None where it claims nothing sensible.

    Without `states_times`, pictures have no times of their own: the rate alone says when they are shown.
    """

    codec: str
    width: int
    height: int
    time_base: Fraction
    rate: float | None
    num_frames: int | None
    duration_s: float | None
    has_audio: bool
    states_times: bool
    notes: tuple[str, ...]

    @property
    def expected_frames(self) -> int | None:
        """Frame count by the header, or by its duration and rate."""
        if self.num_frames is not None or self.duration_s is None or self.rate is None:
            return self.num_frames
        return round(self.duration_s * self.rate)


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Return the stream that is the video: the one flagged as default, else the first; never a cover picture.

    Raises: NoVideoStream. UnsupportedSource: there is no decoder for it.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & _NOT_THE_VIDEO]
    if not streams:
        why = "its only picture is cover art" if container.streams.video else _contents(container)
        raise NoVideoStream("the file holds no video", where=str(path), why=why)
    stream = next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])
    context = cast("VideoCodecContext | None", stream.codec_context)
    if context is None:
        raise UnsupportedSource(
            "there is no decoder for this video",
            where=str(path),
            why=f"its codec is {codec_label(container, stream, path)}",
            fix="convert it with a program that reads it, for example to H.264 in MP4",
        )
    return stream


def read_header(container: InputContainer, stream: VideoStream, path: Path, kind: Container, limits: Limits) -> Header:
    """Check what the header claims against the limits and return it. Raises: LimitExceeded."""
    where = str(path)
    check_size(stream.width, stream.height, limits, where)
    is_known = kind not in _GUESSED_DURATION and container.duration is not None and container.duration > 0
    duration_s = cast("int", container.duration) / av.time_base if is_known else None
    check_limit(duration_s or 0, limits.max_duration_s, "max_duration_s", "duration in seconds", where)
    check_limit(stream.frames, limits.max_frames, "max_frames", "frames", where)
    videos = [other for other in container.streams.video if not other.disposition & _NOT_THE_VIDEO]
    return Header(
        codec=stream.codec_context.codec.canonical_name,
        width=stream.width,
        height=stream.height,
        time_base=stream.time_base or Fraction(1, av.time_base),
        rate=_rate(stream, path, kind),
        num_frames=stream.frames or None,
        duration_s=duration_s,
        has_audio=bool(container.streams.audio),
        states_times=kind not in ELEMENTARY and not (kind == "yuv4mpegpipe" and not _states_rate(path)),
        notes=(f"the file holds {len(videos)} videos; stream {stream.index} is used",) if len(videos) > 1 else (),
    )


def clocked(header: Header, fps: float | None, where: str) -> Header:
    """Return a header with the rate by which pictures without times are shown, and a note that says where it is from.

    Raises: InvalidConfig: `fps` is given for a video with times of its own.
    """
    if header.states_times:
        if fps is not None:
            raise own_times(where)
        return header
    stated = f"its header says {header.rate:g} frames per second" if header.rate else ""
    if fps is not None:
        note = f"{fps:g} frames per second are used, as asked{f' ({stated})' if stated else ''}"
    else:
        note = stated or f"{DEFAULT_FPS:g} frames per second are assumed; where that is wrong, give open_video(fps=...)"
    rate = fps or header.rate or DEFAULT_FPS
    return replace(header, rate=rate, notes=(*header.notes, f"the stream states no times: {note}"))


def _rate(stream: VideoStream, path: Path, kind: Container) -> float | None:
    """Frames per second by the header; None where it says nothing, or nothing sensible."""
    if kind == "h263":
        rate = None  # its clock counts pictures that were left out, too
    elif kind in ELEMENTARY:
        rate = stream.codec_context.framerate
    elif kind == "yuv4mpegpipe" and not _states_rate(path):
        rate = None
    else:
        rate = stream.guessed_rate if kind in _FIELD_CLOCK else stream.average_rate
    return float(rate) if rate is not None and 0 < rate <= _MAX_FPS else None


def codec_label(container: InputContainer, stream: VideoStream, path: Path) -> str:
    """Return what a file calls the codec of a stream that PyAV has no decoder for."""
    level = logging.get_level()
    logging.set_level(logging.INFO)  # FFmpeg tells it in its log alone
    try:
        lines: str = container.dumps_format()  # pyright: ignore[reportAttributeAccessIssue]  (missing in PyAV's stubs)
    finally:
        logging.set_level(level)
    found = re.search(rf"Stream #0:{stream.index}\b.*?: Video: (\w+)(?: \((\S+) /)?", lines)
    if found and found[1] != "none":
        return found[1]
    if found and found[2]:
        return repr(found[2])
    with path.open("rb") as file:
        for codec in elements_at(file, _CODEC_ID):
            file.seek(codec.start)
            name = file.read(min(64, (codec.stop or codec.start) - codec.start))
            if name.startswith(b"V_"):
                return repr(name.decode("ascii", "replace"))
    return "unknown"


def _states_rate(path: Path) -> bool:
    """Whether the first line of a Y4M file says how many frames a second has."""
    with path.open("rb") as file:
        words = file.readline(4096).split()
    return any(re.fullmatch(rb"F[1-9]\d*:[1-9]\d*", word) for word in words)


def _contents(container: InputContainer) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return f"it holds only: {', '.join(kinds)}" if kinds else "it holds no streams"
