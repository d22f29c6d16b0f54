"""Open one container file with PyAV and check its header.

Before FFmpeg sees a file its format is fixed by `sniff`; format and protocol whitelists keep it from opening anything else. Header
values are hints: they are checked against the limits before decoding, and the decoded pictures are checked again. One gap remains:
MPEG-TS has no header, so FFmpeg decodes a picture to learn its size before the limit on pixels can apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.format import Flags
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videoseg_r1.config import Limits
from videoseg_r1.errors import CorruptVideo, NoVideoStream, UnsupportedSource
from videoseg_r1.video.base import check_limit
from videoseg_r1.video.memory import check_size
from videoseg_r1.video.sniff import Container
from videoseg_r1.video.truncation import is_cut_short

_WHITELISTS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,gif",
    "protocol_whitelist": "file",
}
_NOT_THE_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_MAX_FPS = 1000


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a container claims. `rate`, `num_frames` and `duration_s` are None where it claims nothing sensible.

    `is_timeless`: the file is a bare stream of pictures without times; `rate` is then what the stream says of itself, or a guess.
    """

    codec: str
    width: int
    height: int
    time_base: Fraction
    rate: float | None
    num_frames: int | None
    duration_s: float | None
    has_audio: bool
    is_timeless: bool
    notes: tuple[str, ...]

    @property
    def expected_frames(self) -> int | None:
        """Frame count by the header, or by its duration and rate."""
        if self.num_frames is not None or self.duration_s is None or self.rate is None:
            return self.num_frames
        return round(self.duration_s * self.rate)


def open_container(path: Path, kind: Container, limits: Limits) -> InputContainer:
    """Open a file of a sniffed format. Only what FFmpeg needs to probe the streams is decoded here.

    Raises: CorruptVideo: the file cannot be opened as what it claims to be. LimitExceeded: too many streams.
    """
    options = _WHITELISTS | {"max_pixels": str(limits.max_width * limits.max_height)}
    try:
        container = av.open(str(path.absolute()), "r", format=kind, options=options, metadata_errors="replace")
    except (FFmpegError, ValueError) as error:
        raise CorruptVideo(
            "the video cannot be opened",
            where=str(path),
            why="the file is cut short" if is_cut_short(path, kind) else reason_of(error),
            fix="the file is damaged or incomplete; get it again, or try to repair it with ffmpeg",
        ) from error
    num_streams = len(container.streams)
    if num_streams > limits.max_streams:
        container.close()
        check_limit(num_streams, limits.max_streams, "max_streams", "streams", str(path))
    return container


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
        raise UnsupportedSource("there is no decoder for this video", where=str(path), why="its codec is unknown")
    return stream


def read_header(container: InputContainer, stream: VideoStream, path: Path, limits: Limits) -> Header:
    """Check what the header claims against the limits and return it. Raises: LimitExceeded."""
    where = str(path)
    check_size(stream.width, stream.height, limits, where)
    duration_s = None if container.duration is None or container.duration <= 0 else container.duration / av.time_base
    check_limit(duration_s or 0, limits.max_duration_s, "max_duration_s", "duration in seconds", where)
    check_limit(stream.frames, limits.max_frames, "max_frames", "frames", where)
    timeless = is_timeless(container)
    # the average of a bare stream is FFmpeg's default
    rate = stream.guessed_rate if timeless else stream.average_rate or stream.guessed_rate
    videos = [other for other in container.streams.video if not other.disposition & _NOT_THE_VIDEO]
    return Header(
        codec=stream.codec_context.codec.canonical_name,
        width=stream.width,
        height=stream.height,
        time_base=stream.time_base or Fraction(1, av.time_base),
        rate=float(rate) if rate is not None and 0 < rate <= _MAX_FPS else None,
        num_frames=stream.frames or None,
        duration_s=duration_s,
        has_audio=bool(container.streams.audio),
        is_timeless=timeless,
        notes=(f"the file holds {len(videos)} videos; stream {stream.index} is used",) if len(videos) > 1 else (),
    )


def is_timeless(container: InputContainer) -> bool:
    """Return whether a format has no time stamps, as elementary streams have none."""
    return bool(container.format.flags & Flags.no_timestamps.value)


def picture_notes(picture: VideoFrame, stream: VideoStream) -> tuple[str, ...]:
    """Return what a user should know of the first picture: interlaced, HDR, dropped alpha, odd pixel shape."""
    notes: list[str] = []
    if picture.interlaced_frame:
        notes.append("interlaced: moving edges are combed, the fields are not separated")
    if picture.color_trc in _HDR_TRANSFERS:
        notes.append(f"HDR ({_HDR_TRANSFERS[picture.color_trc]}): colours look washed out, they are not tone-mapped")
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if tags.get("alpha_mode") == "1" or any(component.is_alpha for component in picture.format.components):
        notes.append("transparency is dropped: hidden colours are shown")
    aspect = stream.sample_aspect_ratio
    if aspect and aspect != 1:
        notes.append(f"pixels are not square ({aspect.numerator}:{aspect.denominator}); they are kept as stored")
    if picture.rotation % 90:
        notes.append(f"a rotation by {picture.rotation} degrees is rounded to a quarter turn")
    return tuple(notes)


def _contents(container: InputContainer) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return f"it holds only: {', '.join(kinds)}" if kinds else "it holds no streams"


def reason_of(error: Exception) -> str:
    """One short line of a foreign error, without its numbers and paths."""
    if isinstance(error, InvalidDataError):
        return "the decoder met invalid data"
    return (error.strerror if isinstance(error, FFmpegError) else None) or str(error)
