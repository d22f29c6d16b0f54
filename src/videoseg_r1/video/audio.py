"""Copy the sound of a video file into a file that is being written, packet by packet, without decoding it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from videoseg_r1.config import Limits
from videoseg_r1.errors import NoVideoStream
from videoseg_r1.video.container import open_container
from videoseg_r1.video.header import video_stream
from videoseg_r1.video.sniff import is_container, sniff


class AudioCopy:
    """The first sound stream of a file, shifted so that time 0 is its first picture.

    Sound before the first picture is dropped. Sound is an extra: when the output cannot hold it or the source is damaged, it is left out
    and `notes` says so.
    Raises: InputError: the source cannot be opened.
    """

    def __init__(self, source: Path, output: OutputContainer) -> None:
        self.notes: tuple[str, ...] = ()
        self._output = output
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._pending: Packet[AudioStream] | None = None
        self._container: InputContainer | None = None
        kind = sniff(source)
        if is_container(kind):
            self._container = open_container(source, kind, Limits())
            self._connect(self._container, source)

    def _connect(self, container: InputContainer, source: Path) -> None:
        if not container.streams.audio:
            return
        audio = container.streams.audio[0]
        context = cast("CodecContext | None", audio.codec_context)
        name = context.codec.canonical_name if context else "its codec"
        try:
            self._stream = self._output.add_stream_from_template(audio)
        except (ValueError, FFmpegError):
            self.notes = (f"the sound is left out: {self._output.format.name} cannot hold {name}",)
            return
        self._offset_s = _start_s(container, source)
        self._packets = (packet for packet in container.demux(audio) if packet.pts is not None)
        self._pending = self._take()

    def _take(self) -> Packet[AudioStream] | None:
        """The next packet that does not begin before the first picture, with its time shifted."""
        try:
            for packet in self._packets:
                shift = round(self._offset_s / packet.time_base)
                packet.pts = (packet.pts or 0) - shift
                packet.dts = None if packet.dts is None else packet.dts - shift
                if packet.pts >= 0:
                    return packet
        except FFmpegError:
            self.notes = ("the sound ends early: the source is damaged",)
        return None

    def copy_until(self, time_s: float) -> None:
        """Write all sound that begins before this time."""
        while self._pending is not None and (self._pending.pts or 0) * self._pending.time_base < time_s:
            self._pending.stream = self._stream
            self._output.mux(self._pending)
            self._pending = self._take()

    def close(self) -> None:
        if self._container is not None:
            self._container.close()


def _start_s(container: InputContainer, source: Path) -> float:
    """Time of the first picture on the clock of the sound."""
    try:
        stream = video_stream(container, source)
    except NoVideoStream:
        return 0.0
    return float((stream.start_time or 0) * (stream.time_base or 0))
