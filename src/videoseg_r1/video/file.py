"""Videos in container files: streaming, exact frame counts and exact random access.

The first full pass, whoever asks for it, writes an index: presentation time, keyframes, and a checksum of the luma of every picture.
Random access seeks to a keyframe and compares every picture with that index; when they differ, as with open groups of pictures, broken
seek tables or missing time stamps, it begins at an earlier keyframe and in the end at the start of the file. So a frame that is read by
its index is the same to the bit as in a pass from the start.

At the first sign of damage that pass gives way to a survey, which decodes all there is and finds out which frames are damaged.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videoseg_r1.config import Limits
from videoseg_r1.errors import CorruptVideo, NoVideoStream, UnsupportedSource
from videoseg_r1.types import Color, Frame, RgbImage, VideoInfo
from videoseg_r1.video.background import color_name, flattened_note
from videoseg_r1.video.base import DEFAULT_FPS, OnCorrupt, check_limit
from videoseg_r1.video.checksums import damaged_ranges
from videoseg_r1.video.container import open_container, picture_notes, pixel_aspect
from videoseg_r1.video.decoded import Damage, DecodedVideo
from videoseg_r1.video.decoder import Care, Pictures
from videoseg_r1.video.header import Header, clocked, read_header, video_stream
from videoseg_r1.video.libav_log import LibavErrors
from videoseg_r1.video.memory import check_size
from videoseg_r1.video.pixels import RgbConverter
from videoseg_r1.video.sniff import Container
from videoseg_r1.video.timeline import Clock, FrameIndex
from videoseg_r1.video.truncation import is_cut_short
from videoseg_r1.video.unreadable import check_readable

_SEEK_WORTH = 8
"""Frames that are decoded faster than a file is opened and sought anew."""
_Decoded: TypeAlias = Generator[tuple[int, VideoFrame, float]]


class FileVideo(DecodedVideo):
    """One video of a container file. Opening decodes the first picture, so that size and rotation are true.

    Raises: CorruptVideo, NoVideoStream, UnsupportedSource, LimitExceeded.
    """

    def __init__(self, path: Path, kind: Container, *, limits: Limits, on_corrupt: OnCorrupt, fps: float | None, background: Color) -> None:
        self._path, self._limits = path, limits
        self._kind: Container = kind
        self._index: FrameIndex | None = None
        self._refusal: CorruptVideo | None = None
        self._care = Care.STRICT
        self._times: tuple[float, ...] = ()
        self._cursor: _Decoded | None = None
        self._cursor_at = 0
        self._background, self._pixels = background, RgbConverter(background)
        check_limit(path.stat().st_size, limits.max_bytes, "max_bytes", "data in bytes", str(path))
        check_readable(path, kind)
        # FFmpeg probes by reading ahead, often to the end of a small file: what it meets there is not said again
        with LibavErrors(own_thread=True) as errors:
            container = open_container(path, kind, limits)
        self._probed_badly = errors.count > 0
        with container:
            stream = self._video_stream(container)
            self._header = clocked(read_header(container, stream, path, kind, limits), fps, str(path))
            self._rate = self._header.rate or DEFAULT_FPS
            super().__init__(_info(path, self._header, None, (), background), on_corrupt)
            picture = next(iter(Pictures(container, stream, path, limits, Care.PEEK)), None)
            if picture is not None:
                self._meet(picture, stream)
        if picture is None:
            self._survey()
            if self._refusal is not None and not self._index:
                raise self._refusal

    def _meet(self, picture: VideoFrame, stream: VideoStream) -> None:
        """Take over what only the first picture tells."""
        check_size(picture.width, picture.height, self._limits, str(self._path))
        info = _info(self._path, self._header, picture, self._header.notes + picture_notes(picture, stream), self._background)
        self._info = replace(info, pixel_aspect=pixel_aspect(stream, picture.rotation))
        if self._pixels.has_alpha(picture):
            self._rgb(0, picture)  # so that the notes tell of transparency

    @property
    def times(self) -> tuple[float, ...]:
        index = self._indexed()
        if len(self._times) != len(index):
            self._times = tuple(index.times)
        return self._times

    @property
    def num_frames(self) -> int:
        return len(self._indexed())

    def close(self) -> None:
        super().close()
        self._close_cursor()

    def _indexed(self) -> FrameIndex:
        self._check_open()
        if self._index is None:
            for _ in self._walk():
                pass
        if self._refusal is not None:
            raise self._refusal
        if self._index is None:
            raise CorruptVideo("no frame can be decoded", where=str(self._path))
        return self._index

    def _video_stream(self, container: InputContainer) -> VideoStream:
        try:
            return video_stream(container, self._path)
        except (NoVideoStream, UnsupportedSource) as error:
            if not is_cut_short(self._path, self._kind):
                raise
            why, fix = "the file is cut short within its header", "get a complete copy of the file"
            raise CorruptVideo("no frame can be decoded", where=str(self._path), why=why, fix=fix) from error

    @contextmanager
    def _pictures(self, pts: int | None = None, suspects: Sequence[range] = (), *, known: bool = False) -> Generator[Pictures]:
        """The pictures from the start, or from the keyframe that is shown at a time stamp; `suspects`, `known`: see Pictures."""
        with open_container(self._path, self._kind, self._limits) as container:
            stream = video_stream(container, self._path)
            if pts is not None:
                with suppress(FFmpegError):  # where seeking fails, decoding starts at the beginning
                    container.seek(pts, stream=stream)
            yield Pictures(container, stream, self._path, self._limits, self._care, suspects, known=known)

    def _walk(self) -> _Decoded:
        """Decode everything once from the start; at the end the index is there and damage has been dealt with.

        Raises: CorruptVideo, after the good frames.
        """
        index = FrameIndex()
        with self._pictures() as pictures:
            yield from self._timed(pictures, index)
        if pictures.damage or damaged_ranges(self._path, self._kind):
            self._survey()
            yield from self._from(len(index))
        else:
            self._finish(index, pictures)
        if self._refusal is not None:
            raise self._refusal

    def _survey(self, suspects: Sequence[range] = ()) -> None:
        """Decode all there is, damaged or not, and take over the index of what is used of it."""
        self._care = Care.LENIENT
        index = FrameIndex()
        with self._pictures(suspects=suspects) as pictures:
            for number, picture, _ in self._timed(pictures, index):
                if number == 0:
                    self._meet(picture, pictures.stream)
        ranges = () if suspects else damaged_ranges(self._path, self._kind)
        unnoticed = [place for place in ranges if not any(at in place for at in pictures.noticed_at)]
        if unnoticed:
            self._survey(unnoticed)
            return
        if not pictures.damage:
            self._care = Care.STRICT
        self._finish(index, pictures)

    def _timed(self, pictures: Pictures, index: FrameIndex) -> _Decoded:
        """Yield the pictures with their numbers and times, and write them into an index."""
        clock = Clock(self._header.time_base, 1 / self._rate, timeless=not self._header.states_times)
        marked = ((picture, pictures.damaged) for picture in pictures)
        upcoming = next(marked, None)
        while upcoming is not None:
            (picture, damaged), number, upcoming = upcoming, len(index), None
            check_limit(number + 1, self._limits.max_frames, "max_frames", "frames", str(self._path))
            if clock.is_doubtful(picture.pts):  # holding every picture until the next one is decoded would cost a tenth of the time
                upcoming = next(marked, None)
            time_s = clock.time_s(picture.pts, upcoming[0].pts if upcoming else None)
            if self._header.states_times:  # a rate that is assumed must not make a video too long
                check_limit(time_s, self._limits.max_duration_s, "max_duration_s", "duration in seconds", str(self._path))
            index.add(picture, time_s, damaged=damaged)
            yield number, picture, time_s
            upcoming = upcoming or next(marked, None)

    def _finish(self, index: FrameIndex, pictures: Pictures) -> None:
        """Take over the index of all pictures, or the part of it that is used."""
        count, claimed, num_whole = len(index), self._header.num_frames, pictures.num_whole
        damage = pictures.damage or self._missing_end(index, pictures)
        found = Damage(damage, num_whole, count, tuple(index.damaged)) if damage or not count else None
        try:
            used = count if found is None else self._settle(found, self._header.expected_frames)
        except CorruptVideo as refusal:
            self._refusal, used = refusal, num_whole
        index.cut(used)
        self._index = index
        if found is None and claimed is not None and count != claimed:
            self._add_note(f"{count} frames decoded, the header claims {claimed}")
        if used and self._info.fps is None and index.times[-1] > 0:
            self._info = replace(self._info, fps=(used - 1) / index.times[-1])

    def _missing_end(self, index: FrameIndex, pictures: Pictures) -> str:
        """Return why the end is missing although no damage was noticed, "" where it is not.

        Fewer frames than the header claims are no damage by themselves: edit lists, dropped pictures and careless writers look the same.
        They are damage where the file is shorter than its structure says, or broken after the last frame.
        """
        if self._reaches_end(index):
            return ""
        if is_cut_short(self._path, self._kind):
            return "the file is cut short"
        # in Matroska alone the header says for sure that more was to come (`_reaches_end`)
        probed_badly = self._probed_badly and self._kind == "matroska" and self._header.duration_s is not None
        return "the end of the file is damaged" if pictures.ends_badly or probed_badly else ""

    def _reaches_end(self, index: FrameIndex) -> bool:
        """Whether all that the header claims was decoded; a cut file may have lost no more than its seek table."""
        if self._header.num_frames is not None:
            return len(index) >= self._header.num_frames
        # elsewhere the duration was measured on what is left of the file
        duration_s = self._header.duration_s if self._kind == "matroska" else None
        return duration_s is not None and bool(index.times) and index.times[-1] + 1.5 / self._rate >= duration_s

    def _from(self, start: int) -> _Decoded:
        """Decode the frames from `start` on, beginning at the nearest keyframe that leads to the right pictures."""
        index = self._index or self._indexed()
        if start >= len(index):
            return
        for key in index.seek_points(start):
            with self._pictures(index.pts[key], known=True) as pictures:
                for picture in pictures:
                    if start == len(index):
                        return
                    if index.has(start, picture):
                        yield start, picture, index.times[start]
                        start += 1
                    elif picture.pts is None or picture.pts >= (index.pts[start] or 0):
                        break
            if start == len(index):
                return
        with self._pictures(known=True) as pictures:
            for number, picture in zip(range(len(index)), pictures, strict=False):
                if number >= start:
                    yield number, picture, index.times[number]

    def _forward(self, start: int, stop: int | None) -> Iterator[Frame]:
        if stop is not None and start >= stop:
            return
        if start > 0 and start >= self.num_frames:
            return
        source = self._walk() if self._index is None else self._from(start)
        with closing(source):
            for number, picture, time_s in source:
                self._check_open()
                yield self._frame(number, picture, time_s)
                if number + 1 == stop:
                    return
        if self._refusal is not None:
            raise self._refusal

    def _decode_picked(self, indices: Sequence[int]) -> Iterator[Frame]:
        return map(self._seek, indices)

    def _seek(self, wanted: int) -> Frame:
        """Decode one frame. Decoding goes on from the frame before when that is nearer than the keyframe."""
        points = self._indexed().seek_points(wanted)
        if not self._cursor_at <= wanted or (points and points[0] - self._cursor_at > _SEEK_WORTH):
            self._close_cursor()
        if self._cursor is None:
            self._cursor = self._from(wanted)
        for number, picture, time_s in self._cursor:
            self._cursor_at = number + 1
            if number == wanted:
                return self._frame(number, picture, time_s)
        self._close_cursor()
        raise CorruptVideo("a frame cannot be decoded again", decoded=wanted, where=f"{self._path}, frame {wanted}", why="the file changed")

    def _close_cursor(self) -> None:
        if self._cursor is not None:
            self._cursor.close()
        self._cursor, self._cursor_at = None, 0

    def _frame(self, number: int, picture: VideoFrame, time_s: float) -> Frame:
        rgb = self._rgb(number, picture)
        return Frame(number, time_s, np.ascontiguousarray(np.rot90(rgb, self._info.rotation // 90)))

    def _rgb(self, number: int, picture: VideoFrame) -> RgbImage:
        try:
            rgb = self._pixels.rgb(picture)
        except FFmpegError as error:
            why = f"its pixel format is {picture.format.name}"
            raise UnsupportedSource("a picture cannot be converted to RGB", where=f"{self._path}, frame {number}", why=why) from error
        if self._pixels.flattened:
            self._add_note(flattened_note(self._background))
        return rgb


def _info(path: Path, header: Header, picture: VideoFrame | None, notes: tuple[str, ...], background: Color) -> VideoInfo:
    """Facts of the header, corrected by the first decoded picture."""
    rotation = round((picture.rotation if picture else 0) / 90) * 90 % 360
    width, height = (picture.width, picture.height) if picture else (header.width, header.height)
    if rotation % 180:
        width, height = height, width
    return VideoInfo(
        source=str(path),
        kind="file",
        width=width,
        height=height,
        fps=header.rate,
        num_frames_hint=header.num_frames,
        duration_hint_s=header.duration_s,
        codec=header.codec,
        rotation=rotation,
        has_audio=header.has_audio,
        notes=notes,
        background=color_name(background),
    )
