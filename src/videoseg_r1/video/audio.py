"""Carry the sound of a video file into a file that is being written.

Packets are copied where the output can hold their codec and what it is made for plays it: browsers for mp4 and webm, editors for mov.
Other sound is decoded and encoded anew, sample by sample in time with the pictures: gaps become silence, what overlaps is dropped.
Memory does not grow with the length. Not here: sound of its own, mixing, more than two channels in converted sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Disposition

from videoseg_r1.config import Limits
from videoseg_r1.errors import NoVideoStream, UnsupportedSource
from videoseg_r1.video.container import open_container
from videoseg_r1.video.header import video_stream
from videoseg_r1.video.sniff import is_container, sniff


class _Encoding(NamedTuple):
    """Codecs that are copied into a container, and what all others become there; `rates` in hertz."""

    copied: tuple[str, ...]
    encoder: str
    name: str
    rates: tuple[int, ...]


# what MPEG-4 allows, up to what every browser and sound card plays
_AAC = ("aac", "AAC", (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000))
_PCM_OF_MOV = tuple(f"pcm_{kind}" for kind in ("s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "u8", "mulaw", "alaw"))
_ENCODINGS = {
    "mp4": _Encoding(("aac", "mp3", "opus"), *_AAC),
    "webm": _Encoding(("opus", "vorbis"), "libopus", "Opus", (48_000,)),
    "mov": _Encoding(("aac", "mp3", "alac", "ac3", *_PCM_OF_MOV), *_AAC),
}
_SLACK_S = 0.03
"""Time stamps this far from where the samples before end are taken as rounded: nobody hears it, and the sound is not cut for it."""
_PIECE_S = 1
_DAMAGED = "some of the sound is damaged: it is silent there"
_MAX_UNSEEN = 300
"""Packets that are tried for a first picture."""
_Block: TypeAlias = tuple[int | None, npt.NDArray[np.float32]]
"""Number of its first sample, None where it follows the block before; samples (channels, n)."""


class SoundCarrier:
    """The sound of a file, the stream that is flagged as default or else the first, shifted so that time 0 is its first picture.

    Sound before the first picture is dropped. Sound is an extra: where it is converted, damaged or left out, `notes` says so, and the
    pictures are written all the same.

    Args:
        source: the video file that has the sound.
        output: what is written, not yet begun; its format is mp4, webm or mov.
    Raises: InputError: the source cannot be opened.
    """

    def __init__(self, source: Path, output: OutputContainer) -> None:
        self.notes: tuple[str, ...] = ()
        self._output = output
        self._container: InputContainer | None = None
        self._copied: _Copied | None = None
        self._converted: _Converted | None = None
        kind = sniff(source)
        if is_container(kind):
            self._container = open_container(source, kind, Limits())
            if self._container.streams.audio:
                with open_container(source, kind, Limits()) as pictures:
                    offset_s = _first_picture_s(pictures, source)
                self._connect(self._container, offset_s)

    def copy_until(self, time_s: float) -> None:
        """Write all sound that begins before this time."""
        for carried in (self._copied, self._converted):
            if carried is not None:
                carried.until(time_s)

    def finish(self) -> None:
        """Write what the encoder holds back; nothing may be copied afterwards."""
        if self._converted is not None:
            self._converted.finish()

    def close(self) -> None:
        """Close the source."""
        if self._container is not None:
            self._container.close()

    def _connect(self, container: InputContainer, offset_s: float) -> None:
        streams = container.streams.audio
        audio = next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])
        context = cast("CodecContext | None", audio.codec_context)
        if context is None or not audio.codec_context.sample_rate or not audio.layout.channels:
            self._note(f"the sound is left out: {'there is no decoder for its codec' if context is None else 'nothing tells its rate'}")
            return
        encoding, name = _ENCODINGS[self._output.format.name], context.codec.canonical_name
        if name in encoding.copied:
            with suppress(ValueError, FFmpegError):  # a variant that this container cannot hold after all is converted
                self._copied = _Copied(container, audio, self._output, offset_s, self._note)
                return
        converted = _Converted(container, audio, encoding, offset_s, self._note)
        if converted.connect(self._output):
            self._converted = converted
            self._note(f"the sound is converted from {name} to {encoding.name}")
        else:
            self._note(f"the sound is left out: none of it can be decoded ({name})")

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes = (*self.notes, note)


_Note: TypeAlias = Callable[[str], None]


class _Copied:
    """Sound as it is stored, packet by packet."""

    def __init__(self, container: InputContainer, audio: AudioStream, output: OutputContainer, offset_s: float, note: _Note) -> None:
        self._output, self._offset_s, self._note = output, offset_s, note
        self._last_dts = -1
        self._stream = output.add_stream_from_template(audio)
        self._packets = _packets(container, audio, note)
        self._pending = self._take()

    def until(self, time_s: float) -> None:
        while self._pending is not None and (self._pending.pts or 0) * self._pending.time_base < time_s:
            self._pending.stream = self._stream
            try:
                self._output.mux(self._pending)
            except InvalidDataError:
                self._note(_DAMAGED)
            self._pending = self._take()

    def _take(self) -> Packet[AudioStream] | None:
        """The next packet that does not begin before the first picture, with its time shifted."""
        for packet in self._packets:
            if packet.pts is None:
                continue
            shift = round(self._offset_s / packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            if packet.pts < 0:
                continue
            if packet.dts > self._last_dts:
                self._last_dts = packet.dts
                return packet
            self._note(_DAMAGED)
        return None


class _Converted:
    """Sound that is decoded and encoded anew, as one run of samples without a gap from the first picture on."""

    def __init__(self, container: InputContainer, audio: AudioStream, encoding: _Encoding, offset_s: float, note: _Note) -> None:
        self._encoding, self._offset_s, self._note = encoding, offset_s, note
        self._rate = next((rate for rate in encoding.rates if rate >= audio.codec_context.sample_rate), encoding.rates[-1])
        self._layout = "mono" if len(audio.layout.channels) == 1 else "stereo"
        self._blocks = self._decode(_packets(container, audio, note))
        self._pending: _Block | None = None
        self._position = 0

    def connect(self, output: OutputContainer) -> bool:
        """Add a stream to the output; False where the source has no sound that can be decoded."""
        self._output, self._pending = output, next(self._blocks, None)
        if self._pending is None:
            return False
        self._stream: AudioStream = output.add_stream(self._encoding.encoder, rate=self._rate, layout=self._layout)  # pyright: ignore[reportAttributeAccessIssue]
        return True

    def until(self, time_s: float) -> None:
        end = round(time_s * self._rate)
        while self._position < end and self._pending is not None:
            start, samples = self._pending
            slack = _SLACK_S * self._rate if self._position else 0
            if start is None or abs(start - self._position) <= slack:
                start = self._position
            self._silence(min(start, end))
            samples = samples[:, max(0, self._position - start) :]
            room = max(0, end - self._position)
            self._encode(samples[:, :room])
            if samples.shape[1] > room:
                self._pending = (max(start, self._position), samples[:, room:])
            else:
                self._pending = next(self._blocks, None)

    def finish(self) -> None:
        if self._position:
            self._output.mux(self._stream.encode(None))

    def _decode(self, packets: Iterator[Packet[AudioStream]]) -> Iterator[_Block]:
        resampler, setup = None, None
        for packet in packets:
            try:
                frames = packet.decode()
            except FFmpegError:
                self._note(_DAMAGED)
                continue
            for frame in frames:
                found = frame.format.name, frame.layout.name, frame.sample_rate
                if resampler is None or found != setup:
                    resampler, setup = AudioResampler("fltp", self._layout, self._rate), found
                start = None
                if frame.pts is not None and frame.time_base is not None:
                    start = round((float(frame.pts * frame.time_base) - self._offset_s) * self._rate)
                for resampled in resampler.resample(frame):
                    yield start, resampled.to_ndarray().astype(np.float32, copy=False)
                    start = None

    def _silence(self, until: int) -> None:
        while self._position < until:
            length = min(until - self._position, _PIECE_S * self._rate)
            self._encode(np.zeros((1 if self._layout == "mono" else 2, length), np.float32))

    def _encode(self, samples: npt.NDArray[np.float32]) -> None:
        if not samples.shape[1]:
            return
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._position, Fraction(1, self._rate)
        self._position += samples.shape[1]
        self._output.mux(self._stream.encode(frame))


def _packets(container: InputContainer, audio: AudioStream, note: _Note) -> Iterator[Packet[AudioStream]]:
    """The packets of a stream, up to the end or to where the file is damaged."""
    try:
        yield from container.demux(audio)
    except FFmpegError:
        note("the sound ends early: the source is damaged")


def _first_picture_s(container: InputContainer, source: Path) -> float:
    """Time of the first picture that can be decoded, on the clock of the sound.

    The header does not do: recordings of broadcasts begin with pictures that nothing can decode.
    """
    try:
        stream = video_stream(container, source)
    except (NoVideoStream, UnsupportedSource):
        return 0.0
    with suppress(FFmpegError):
        sent: list[int | None] = []
        for packet in islice(container.demux(stream), _MAX_UNSEEN):
            try:
                pictures = packet.decode()
            except InvalidDataError:
                continue
            sent.append(packet.dts)
            if pictures:
                # AVI has times of decoding alone, and FFmpeg's guess of the others is a picture late
                stamp = sent[0] if container.format.name == "avi" else pictures[0].pts
                return float((stamp or 0) * (packet.time_base or stream.time_base or 0))
    return float((stream.start_time or 0) * (stream.time_base or 0))
