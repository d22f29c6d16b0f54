"""Open one container file with PyAV, check its header, and decode pictures in order.

Before FFmpeg sees a file its format is fixed by `sniff`; format and protocol whitelists keep it from opening anything else. Header
values are hints: they are checked against the limits before decoding, and the decoded pictures are checked again. One gap remains:
MPEG-TS has no header, so FFmpeg decodes a picture to learn its size before the limit on pixels can apply.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
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
_MAX_PIXEL_ASPECT = 100


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a container claims. `rate`, `num_frames` and `duration_s` are None where it claims nothing sensible."""

    codec: str
    width: int
    height: int
    time_base: Fraction
    rate: float | None
    num_frames: int | None
    duration_s: float | None
    has_audio: bool
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
            why="the file is cut short" if is_cut_short(path, kind) else _reason(error),
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
    rate = stream.average_rate
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
        notes=(f"the file holds {len(videos)} videos; stream {stream.index} is used",) if len(videos) > 1 else (),
    )


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


class Pictures:
    """The decoded pictures of a stream, from where the container stands, in presentation order.

    Iteration ends at the end of the stream or at the first damage; `damage` then says what is wrong. Errors before the first picture
    do not count while no keyframe has come: recordings of broadcasts begin in the middle of a group of pictures.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, path: Path, limits: Limits) -> None:
        self.damage = ""
        self._container, self._stream, self._path, self._limits = container, stream, path, limits
        # Frame threads can hang when a loop is left early (PyAV issue 1861); slice threads do not.
        stream.thread_type = "SLICE"  # pyright: ignore[reportAttributeAccessIssue]
        stream.codec_context.options = {"max_pixels": str(limits.max_width * limits.max_height)}

    def __iter__(self) -> Iterator[VideoFrame]:
        first: VideoFrame | None = None
        for index, picture in enumerate(self._decode()):
            first = first or picture
            if (picture.width, picture.height) != (first.width, first.height):
                raise self._size_change(first, picture, index)
            yield picture

    def _decode(self) -> Iterator[VideoFrame]:
        started = False
        # a transport stream flags every gap of reception as corrupt and goes on; in a file format the flag means a missing end
        strict = self._container.format.name != "mpegts"
        try:
            for packet in self._container.demux(self._stream):
                if packet.is_corrupt and strict:
                    self.damage = "the picture data ends in the middle of a frame"
                    break
                try:
                    pictures = packet.decode()
                except InvalidDataError:
                    if started or packet.is_keyframe:
                        raise
                    continue
                started = started or bool(pictures)
                yield from pictures
            else:
                return
        except FFmpegError as error:
            # what waits in the decoder is dropped: the damage may have begun before it was noticed
            self.damage = _reason(error)
            return
        except IndexError:
            # PyAV's own flush at the end trips over streams that appeared in the middle of a transport stream; that is no damage
            pass
        yield from self._rest()

    def _rest(self) -> Iterator[VideoFrame]:
        """Pictures that wait in the decoder for their turn; they are older than the damage."""
        try:
            yield from self._stream.decode(None)
        except FFmpegError:
            return

    def _size_change(self, first: VideoFrame, picture: VideoFrame, index: int) -> UnsupportedSource:
        size = f"{first.width}x{first.height}"
        return UnsupportedSource(
            "the picture size changes in the middle of the video",
            where=f"{self._path}, frame {index}",
            why=f"{size} before, {picture.width}x{picture.height} from here on",
            fix=f"bring it to one size: ffmpeg -i INPUT -vf scale={first.width}:{first.height} OUTPUT.mp4",
        )


def _contents(container: InputContainer) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return f"it holds only: {', '.join(kinds)}" if kinds else "it holds no streams"


def _reason(error: Exception) -> str:
    """One short line of a foreign error, without its numbers and paths."""
    if isinstance(error, InvalidDataError):
        return "the decoder met invalid data"
    return (error.strerror if isinstance(error, FFmpegError) else None) or str(error)
