"""Open one container file with PyAV.

Before FFmpeg sees a file its format is fixed by `sniff`; format and protocol whitelists keep it from opening anything else. One gap
remains: streams without a header, such as MPEG-TS, are decoded by FFmpeg to learn their size before the limit on pixels can apply.

Not here: what the header claims (`header`), and pictures (`decoder`).
"""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer
from av.error import ExitError, FFmpegError, InvalidDataError
from av.format import Flags
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videoseg_r1.config import Limits
from videoseg_r1.errors import CorruptVideo
from videoseg_r1.video.base import check_limit
from videoseg_r1.video.sniff import Container
from videoseg_r1.video.truncation import is_cut_short

_OPENING_TIMEOUT_S = 10.0
"""Files are opened in milliseconds, but some that are hostile or full of zeros let FFmpeg search for minutes."""
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_MAX_PIXEL_ASPECT = 100


def open_container(path: Path, kind: Container, limits: Limits) -> InputContainer:
    """Open a file of a sniffed format. Only what FFmpeg needs to probe the streams is decoded here.

    Raises: CorruptVideo: the file cannot be opened as what it claims to be. LimitExceeded: too many streams.
    """
    options = {"format_whitelist": kind, "protocol_whitelist": "file", "max_pixels": str(limits.max_width * limits.max_height)}
    try:
        container = av.open(
            str(path.absolute()), "r", format=kind, options=options, metadata_errors="replace", timeout=(_OPENING_TIMEOUT_S, None)
        )
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


def is_timeless(container: InputContainer) -> bool:
    """Return whether a format has no time stamps, as elementary streams have none."""
    return bool(container.format.flags & Flags.no_timestamps.value)


def picture_notes(picture: VideoFrame, stream: VideoStream) -> tuple[str, ...]:
    """Return what a user should know of the first picture: interlaced, HDR, odd pixel shape."""
    notes: list[str] = []
    if picture.interlaced_frame:
        notes.append("interlaced: moving edges are combed, the fields are not separated")
    if picture.color_trc in _HDR_TRANSFERS:
        notes.append(f"HDR ({_HDR_TRANSFERS[picture.color_trc]}): colours look washed out, they are not tone-mapped")
    aspect = pixel_aspect(stream, picture.rotation)
    if aspect != (1, 1):
        drawn = "videos and pictures that are written show them as they are meant; masks, boxes and points count stored pixels"
        notes.append(f"pixels are not square ({aspect[0]}:{aspect[1]}): {drawn}")
    if picture.rotation % 90:
        notes.append(f"a rotation by {picture.rotation} degrees is rounded to a quarter turn")
    return tuple(notes)


def pixel_aspect(stream: VideoStream, rotation: int) -> tuple[int, int]:
    """Return width : height of a pixel once the picture is turned by `rotation` degrees; (1, 1) where nothing sensible is said.

    The container is asked first, then the coded stream: MPEG-2 and transport streams say it in the latter alone.
    """
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if not aspect or not 1 / _MAX_PIXEL_ASPECT <= aspect <= _MAX_PIXEL_ASPECT:
        return 1, 1
    turned = round(rotation / 90) % 2
    return (aspect.denominator, aspect.numerator) if turned else (aspect.numerator, aspect.denominator)


def reason_of(error: Exception) -> str:
    """One short line of a foreign error, without its numbers and paths."""
    if isinstance(error, ExitError):
        return f"nothing that can be read is found within {_OPENING_TIMEOUT_S:g} seconds"
    if isinstance(error, InvalidDataError):
        return "the decoder met invalid data"
    return (error.strerror if isinstance(error, FFmpegError) else None) or str(error)
