"""Decode the pictures of a stream in the order in which they are shown, and notice damage.

Decoders are built to play on: where data are damaged they make up what is missing and say so in a flag, in their log, or not at all.
So every witness is heard: flags of packets and pictures, errors, FFmpeg's log, bytes that a codec forbids, the strictest decoder there
is. What none of them notices, such as the flipped sign of one number in H.264, is a picture like any other.
Not here: what is done about damage (`file`, `decoded`), the times of pictures (`timeline`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import cast

from av.codec.codec import UnknownCodecError
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videoseg_r1.config import Limits
from videoseg_r1.errors import UnsupportedSource
from videoseg_r1.video.container import is_timeless, reason_of
from videoseg_r1.video.libav_log import LibavErrors
from videoseg_r1.video.nal_units import NalUnits

_STRICTEST = {"vp9": ("libvpx-vp9", {}), "av1": ("libdav1d", {"strict": "strict"})}
"""Decoders that check whether a picture ends where its data end, as a wrong bit before makes it end elsewhere; and their options."""
_PADDED = ("gxf",)
"""Containers that fill up the data of pictures, so that bits that are left over are no sign of damage."""
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that keep the transparency of WebM, which stands beside the pictures; FFmpeg's own drop it."""
_REORDERED = ("h264", "hevc", "vvc", "mpeg1video")
"""Codecs for which FFmpeg does not work out the order of showing from the order of decoding."""
_DECODING_ORDER = ("avi", "asf")
"""Containers that store one time stamp per packet, in the order of decoding."""
_BEGINS_ANYWHERE = ("mpegts", "mpeg", "mpegvideo", "h264", "hevc")
"""Formats of broadcasts: recordings begin in the middle of a group of pictures."""

_JOINT = 3
"""FFmpeg flags a packet up to so many before the one from which on data are lost."""
_INVALID = "the decoder met invalid data"
_CUT = "the picture data end in the middle of a frame"


class Care(Enum):
    """How pictures are decoded."""

    PEEK = auto()
    """Up to the first sign of damage, by the decoder that was told all that the container says of colours and rotation."""
    STRICT = auto()
    """Up to the first sign of damage, by the strictest decoder, with all threads."""
    LENIENT = auto()
    """To the end, past all damage; in one thread, so that FFmpeg flags what it makes up, and makes it up in the same way every time."""


class Pictures:
    """The decoded pictures of a stream, from where the container stands, in the order in which they are shown.

    Attributes:
        damage: what is wrong, "" as long as nothing was noticed. Iteration ends there unless it is lenient. What waits in the decoder is
            dropped then: the damage may have begun before it was noticed.
        damaged: whether the picture that was yielded last is damaged, when lenient.
        ends_badly: whether the container met errors after the last packet, which may be in its index alone.
        noticed_at: places in the file, in bytes, of the packets in which damage was noticed, when lenient.

    Args:
        container, stream, path: what is decoded.
        limits: largest size of a picture.
        care: see Care.
        suspects: ranges of bytes of the file that are damaged, even if no decoder notices it.
        known: the pictures were decoded before, and are compared with what they were: then no damage is looked for.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        path: Path,
        limits: Limits,
        care: Care,
        suspects: Sequence[range] = (),
        *,
        known: bool = False,
    ) -> None:
        self.stream = stream
        self.damage, self.damaged, self.ends_badly = "", False, False
        self.noticed_at: list[int] = []
        self._path, self._suspects = path, suspects
        self._packets = container.demux(stream)
        self._ahead: deque[Packet[VideoStream]] = deque()
        self._lenient = care is Care.LENIENT
        self._decoder, self._witness = _decoders(stream, care, limits)
        self._errors = LibavErrors(own_thread=self._lenient, heeded=not known)
        self._nal_units = None if known else NalUnits.of(stream.codec_context)
        self._begins_anywhere = container.format.name in _BEGINS_ANYWHERE
        self._first_key: int | None = None
        self._stamps = _Stamps(container, stream)
        self._spread = _Spread()

    @property
    def num_whole(self) -> int:
        """Number of pictures before the first one that is damaged or lost, when lenient."""
        return self._spread.num_whole

    def __iter__(self) -> Iterator[VideoFrame]:
        first: VideoFrame | None = None
        for index, picture in enumerate(self._decode()):
            first = first or picture
            if (picture.width, picture.height) != (first.width, first.height):
                raise self._size_change(first, picture, index)
            yield picture

    def _decode(self) -> Iterator[VideoFrame]:
        while True:
            with self._errors:
                packet = self._ahead.popleft() if self._ahead else self._next()
                if packet is None:
                    break
                sent = self._stamps.of_packet(packet)
                self._spread.sent(sent)
                found, trouble = self._pictures_of(packet, is_needed=self._is_needed(packet, sent))
            pictures = deque((picture, self._stamps.of_picture(picture)) for picture in found)
            if trouble:
                # what comes out now, but was sent before, was decoded before
                while pictures and _is_older(*pictures[0], sent):
                    yield self._judged(*pictures.popleft())
                self.damage = self.damage or trouble
                if not self._lenient:
                    return
                self._spread.notice(is_exact=packet.is_corrupt)
                self.noticed_at.append(packet.pos or 0)
                if not found:
                    self._stamps.forget_last()
            while pictures:
                yield self._judged(*pictures.popleft())
        # after the empty packet there is nothing left; without it, as at an error of the container, there may be
        for picture in self._decoded(self._decoder, None)[0]:
            yield self._judged(picture, self._stamps.of_picture(picture))

    def _judged(self, picture: VideoFrame, stamp: int | None) -> VideoFrame:
        self.damaged = self._spread.reaches(picture, stamp)
        return picture

    def _next(self) -> Packet[VideoStream] | None:
        """Read the next packet of the stream; the last one is empty and empties the decoder."""
        try:
            packet = next(self._packets, None)
        except FFmpegError as error:
            self.damage = self.damage or reason_of(error)
            packet = None
        except IndexError:
            # PyAV's own flush at the end trips over streams that appeared in the middle of a transport stream; that is no damage
            packet = None
        self.ends_badly |= self._errors.count > 0 and (packet is None or not packet.size)
        return packet

    def _pictures_of(self, packet: Packet[VideoStream], *, is_needed: bool) -> tuple[list[VideoFrame], str]:
        """Decode a packet. Return its pictures, and what is wrong with it, "" for nothing; errors count if the picture is needed."""
        trouble = _INVALID if packet.size and self._errors.count else ""
        if packet.is_corrupt:
            trouble = _CUT
        elif self._suspects and any(packet.pos is not None and packet.pos in suspect for suspect in self._suspects):
            trouble = "a checksum of the file does not fit"
        elif self._nal_units is not None and self._nal_units.are_broken(bytes(packet)):
            trouble = "the picture data hold bytes that cannot be there"
        pictures, error = self._decoded(self._decoder, packet)
        if self._decoder.name.startswith("libvpx"):  # which does not say what is a keyframe, but gives one picture for each packet
            for picture in pictures:
                picture.key_frame = packet.is_keyframe  # pyright: ignore[reportAttributeAccessIssue]
        if self._witness is not None:
            error = self._decoded(self._witness, packet)[1] or error
        if trouble == _CUT and not error and self._begins_anywhere and self._is_joint(packet):
            trouble = ""
        return pictures, trouble or (error if is_needed else "")

    def _is_joint(self, packet: Packet[VideoStream]) -> bool:
        """Whether two recordings are joined behind a packet, for which a broadcast is flagged as if data were lost.

        Then a keyframe follows at once, and its stamp starts anew or goes on; after a loss it would be later.
        """
        while len(self._ahead) < _JOINT and (following := self._next()) is not None:
            self._ahead.append(following)
        latest = packet.pts or 0
        for following in list(self._ahead)[:_JOINT]:
            if following.is_keyframe:
                return following.pts is not None and following.pts <= latest + 1.5 * (packet.duration or 0)
            latest = max(latest, following.pts or 0)
        return False

    def _decoded(self, decoder: VideoCodecContext, packet: Packet[VideoStream] | None) -> tuple[list[VideoFrame], str]:
        before = self._errors.count
        try:
            pictures = decoder.decode(packet)
        except EOFError:  # the decoder was emptied before
            return [], ""
        except FFmpegError as error:
            return [], reason_of(error)
        if self._errors.count > before:
            return pictures, _INVALID
        return pictures, "the decoder made up parts of a picture" if any(picture.is_corrupt for picture in pictures) else ""

    def _is_needed(self, packet: Packet[VideoStream], stamp: int | None) -> bool:
        """Whether a packet must decode without errors: at the start of a broadcast not those that the first keyframe does without."""
        if not self._begins_anywhere:
            return True
        if self._first_key is None and packet.is_keyframe:
            self._first_key = stamp if stamp is not None else 0
        return self._first_key is not None and (stamp is None or stamp >= self._first_key)

    def _size_change(self, first: VideoFrame, picture: VideoFrame, index: int) -> UnsupportedSource:
        size = f"{first.width}x{first.height}"
        return UnsupportedSource(
            "the picture size changes in the middle of the video",
            where=f"{self._path}, frame {index}",
            why=f"{size} before, {picture.width}x{picture.height} from here on",
            fix=f"bring it to one size: ffmpeg -i INPUT -vf scale={first.width}:{first.height} OUTPUT.mp4",
        )


def _is_older(picture: VideoFrame, stamp: int | None, sent: int | None) -> bool:
    return stamp is not None and sent is not None and stamp < sent and not picture.is_corrupt


class _Stamps:
    """Time stamps of packets and pictures, in units of the stream.

    Where packets are stamped in the order of decoding, a picture takes over the earliest stamp that no picture before it took, as they
    come in the order of showing; `Pictures` could not tell the time of a picture otherwise. Without any stamps packets are numbered.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._is_numbered = is_timeless(container)
        in_decoding_order = self._is_numbered or container.format.name in _DECODING_ORDER
        is_reordered = stream.codec_context.codec.canonical_name in _REORDERED
        self._waiting: deque[int] | None = deque() if in_decoding_order and is_reordered else None
        self._num_packets = 0

    def of_packet(self, packet: Packet[VideoStream]) -> int | None:
        if self._waiting is None or not packet.size:
            return packet.pts
        stamp = packet.dts if packet.dts is not None and not self._is_numbered else self._num_packets
        self._num_packets += 1
        self._waiting.append(stamp)
        return stamp

    def forget_last(self) -> None:
        """The last packet gave no picture."""
        if self._waiting:
            self._waiting.pop()

    def of_picture(self, picture: VideoFrame) -> int | None:
        if not self._waiting:
            return picture.pts
        stamp = self._waiting.popleft()
        if not self._is_numbered:
            picture.pts = stamp
        return stamp


class _Spread:
    """How far damage reaches: pictures are predicted from others, so it goes on until a keyframe that was sent after it was noticed.

    Attributes:
        num_whole: pictures before the first one that is damaged or lost.
    """

    def __init__(self) -> None:
        self.num_whole = 0
        self._noticed = self._goes_on = False
        self._sent: int | None = None
        self._last: int | None = None
        self._until: int | None = None
        self._in_decoder: set[int] = set()
        self._whole: set[int] = set()

    def sent(self, stamp: int | None) -> None:
        """A packet of this stamp is decoded next."""
        self._sent = stamp
        if stamp is not None:
            self._in_decoder.add(stamp)
            self._last = stamp if self._last is None else max(self._last, stamp)

    def notice(self, *, is_exact: bool) -> None:
        """Something is damaged, in the packet that was sent last if `is_exact`, otherwise there or in those that wait in the decoder."""
        if is_exact and not self._goes_on:
            self._whole = {stamp for stamp in self._in_decoder if stamp != self._sent}
        if not self._noticed:
            self.num_whole += sum(stamp < self._sent for stamp in self._whole) if self._sent is not None else 0
        self._noticed = self._goes_on = True
        self._until = self._last

    def reaches(self, picture: VideoFrame, stamp: int | None) -> bool:
        """Return whether the next picture is damaged."""
        if picture.key_frame and stamp is not None and (self._until is None or stamp > self._until):
            self._goes_on = False
        if stamp is not None:
            self._in_decoder = {other for other in self._in_decoder if other > stamp}
        self.num_whole += not self._noticed
        return self._goes_on and (stamp is None or stamp not in self._whole)


def _decoders(stream: VideoStream, care: Care, limits: Limits) -> tuple[VideoCodecContext, VideoCodecContext | None]:
    """Return the decoder whose pictures are used, and another one that only tells of damage, if one is needed."""
    own = stream.codec_context
    # Frame threads can hang when a loop is left early (PyAV issue 1861); slice threads do not.
    threads = "NONE" if care is Care.LENIENT else "SLICE"
    checks = "crccheck+buffer" if stream.container.format.name in _PADDED else "crccheck+bitstream+buffer"
    options = {"max_pixels": str(limits.max_width * limits.max_height), "err_detect": checks}
    own.thread_type, own.options = threads, options  # pyright: ignore[reportAttributeAccessIssue]
    name, strict = _STRICTEST.get(own.codec.canonical_name, ("", {}))
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    has_alpha = tags.get("alpha_mode") == "1" and own.codec.canonical_name in _WITH_ALPHA
    if has_alpha:
        name, strict = _WITH_ALPHA[own.codec.canonical_name], {}
    elif care is Care.PEEK or not name:
        return own, None
    if care is Care.STRICT and name == own.codec.name:
        own.options = options | strict
        return own, None
    try:
        other = cast("VideoCodecContext", VideoCodecContext.create(name, "r"))
    except UnknownCodecError:
        return own, None
    other.thread_type, other.options = threads, options | strict  # pyright: ignore[reportAttributeAccessIssue]
    other.extradata = own.extradata
    other.colorspace, other.color_range = own.colorspace, own.color_range
    other.color_primaries, other.color_trc = own.color_primaries, own.color_trc
    return (own, other) if care is Care.LENIENT and not has_alpha else (other, None)
