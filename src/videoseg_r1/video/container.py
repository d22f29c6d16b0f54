"""Open one container file with PyAV, and decode pictures in order.

Before FFmpeg sees a file its format is fixed by `sniff`; format and protocol whitelists keep it from opening anything else. One gap
remains: streams without a header, such as MPEG-TS, are decoded by FFmpeg to learn their size before the limit on pixels can apply.

Not here: what the header claims (`header`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videoseg_r1.config import Limits
from videoseg_r1.errors import CorruptVideo, UnsupportedSource
from videoseg_r1.video.base import check_limit
from videoseg_r1.video.sniff import Container
from videoseg_r1.video.truncation import is_cut_short

_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


def open_container(path: Path, kind: Container, limits: Limits) -> InputContainer:
    """Open a file of a sniffed format. Only what FFmpeg needs to probe the streams is decoded here.

    Raises: CorruptVideo: the file cannot be opened as what it claims to be. LimitExceeded: too many streams.
    """
    options = {"format_whitelist": kind, "protocol_whitelist": "file", "max_pixels": str(limits.max_width * limits.max_height)}
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


def picture_notes(picture: VideoFrame, stream: VideoStream) -> tuple[str, ...]:
    """Return what a user should know of the first picture: interlaced, HDR, odd pixel shape."""
    notes: list[str] = []
    if picture.interlaced_frame:
        notes.append("interlaced: moving edges are combed, the fields are not separated")
    if picture.color_trc in _HDR_TRANSFERS:
        notes.append(f"HDR ({_HDR_TRANSFERS[picture.color_trc]}): colours look washed out, they are not tone-mapped")
    aspect = stream.sample_aspect_ratio
    if aspect and aspect != 1:
        notes.append(f"pixels are not square ({aspect.numerator}:{aspect.denominator}); they are kept as stored")
    if picture.rotation % 90:
        notes.append(f"a rotation by {picture.rotation} degrees is rounded to a quarter turn")
    return tuple(notes)


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
        self._alpha = _alpha_decoder(stream)

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
                    pictures = packet.decode() if self._alpha is None else _with_alpha(self._alpha, packet)
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
            yield from self._stream.decode(None) if self._alpha is None else self._alpha.decode(None)
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


def _alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """A decoder that keeps the transparency of VP8 and VP9, which stands beside the pictures; FFmpeg's own decoders drop it."""
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.name)
    if tags.get("alpha_mode") != "1" or name not in av.codecs_available:
        return None
    return cast("VideoCodecContext", av.CodecContext.create(name, "r"))


def _with_alpha(decoder: VideoCodecContext, packet: Packet[VideoStream]) -> list[VideoFrame]:
    """Decode one packet; libvpx does not say which pictures are keyframes, but gives one picture for each packet."""
    pictures = decoder.decode(packet if packet.size else None)
    for picture in pictures:
        picture.key_frame = packet.is_keyframe  # pyright: ignore[reportAttributeAccessIssue]
    return pictures


def _reason(error: Exception) -> str:
    """One short line of a foreign error, without its numbers and paths."""
    if isinstance(error, InvalidDataError):
        return "the decoder met invalid data"
    return (error.strerror if isinstance(error, FFmpegError) else None) or str(error)
