"""Videos in container files: streaming, exact frame counts and exact random access.

The first full pass, whoever asks for it, writes an index: presentation time, keyframes, and a checksum of the luma of every picture.
Random access seeks to a keyframe and compares every picture with that index; when they differ, as with open groups of pictures, broken
seek tables or missing time stamps, it begins at an earlier keyframe and in the end at the start of the file. So a frame that is read by
its index is the same to the bit as in a pass from the start.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from videoseg_r1.config import Limits
from videoseg_r1.errors import CorruptVideo, NoVideoStream, UnsupportedSource
from videoseg_r1.types import Frame, RgbImage, VideoInfo
from videoseg_r1.video.base import DEFAULT_FPS, OnCorrupt, check_limit
from videoseg_r1.video.container import Header, Pictures, open_container, picture_notes, pixel_aspect, read_header, video_stream
from videoseg_r1.video.decoded import DecodedVideo
from videoseg_r1.video.memory import check_size
from videoseg_r1.video.sniff import Container
from videoseg_r1.video.truncation import is_cut_short

_SEEK_TRIES = 2
_SEEK_WORTH = 8
"""Frames that are decoded faster than a file is opened and sought anew."""
_Decoded: TypeAlias = Generator[tuple[int, VideoFrame, float]]


class _Index:
    """Time stamp, time in seconds and luma checksum of every picture, and which of them are keyframes."""

    def __init__(self) -> None:
        self.pts: list[int | None] = []
        self.times: list[float] = []
        self.checksums: list[int] = []
        self.keys: list[int] = []
        self.tells_apart = True

    def __len__(self) -> int:
        return len(self.pts)

    def add(self, picture: VideoFrame, time_s: float) -> None:
        if picture.key_frame:
            self.keys.append(len(self))
        last = self.pts[-1] if self.pts else None
        self.tells_apart &= picture.pts is not None and (last is None or picture.pts > last)
        self.pts.append(picture.pts)
        self.times.append(time_s)
        self.checksums.append(_checksum(picture))

    def has(self, number: int, picture: VideoFrame) -> bool:
        return picture.pts == self.pts[number] and _checksum(picture) == self.checksums[number]

    def seek_points(self, number: int) -> list[int]:
        """The nearest keyframes at or before a frame, nearest first; none where time stamps do not tell frames apart."""
        if not self.tells_apart:
            return []
        end = bisect_right(self.keys, number)
        return self.keys[max(0, end - _SEEK_TRIES) : end][::-1]


class FileVideo(DecodedVideo):
    """One video of a container file. Opening decodes the first picture, so that size and rotation are true.

    Raises: CorruptVideo, NoVideoStream, UnsupportedSource, LimitExceeded.
    """

    def __init__(self, path: Path, kind: Container, *, limits: Limits, on_corrupt: OnCorrupt, fps: float | None) -> None:
        self._path, self._limits = path, limits
        self._kind: Container = kind
        self._index: _Index | None = None
        self._times: tuple[float, ...] = ()
        self._cursor: _Decoded | None = None
        self._cursor_at = 0
        self._reformatter = VideoReformatter()
        check_limit(path.stat().st_size, limits.max_bytes, "max_bytes", "data in bytes", str(path))
        with open_container(path, kind, limits) as container:
            stream = self._video_stream(container)
            self._header = read_header(container, stream, path, limits)
            super().__init__(_info(path, self._header, None, ()), on_corrupt)
            pictures = Pictures(container, stream, path, limits)
            picture = next(iter(pictures), None)
            if picture is None:
                cut = "the file is cut short" if is_cut_short(path, kind) else ""
                self._settle(0, self._header.expected_frames, pictures.damage or cut)
                return
            check_size(picture.width, picture.height, limits, str(path))
            info = _info(path, self._header, picture, self._header.notes + picture_notes(picture, stream))
            self._info = replace(info, pixel_aspect=pixel_aspect(stream, picture.rotation))
        self._rate = fps or self._header.rate or DEFAULT_FPS

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

    def _indexed(self) -> _Index:
        self._check_open()
        if self._index is None:
            for _ in self._walk():
                pass
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
    def _pictures(self, pts: int | None = None) -> Generator[Pictures]:
        """The pictures from the start, or from the keyframe that is shown at a time stamp."""
        with open_container(self._path, self._kind, self._limits) as container:
            stream = video_stream(container, self._path)
            if pts is not None:
                with suppress(FFmpegError):  # where seeking fails, decoding starts at the beginning
                    container.seek(pts, stream=stream)
            yield Pictures(container, stream, self._path, self._limits)

    def _walk(self) -> _Decoded:
        """Decode everything once from the start; at the end the index is there and damage has been dealt with."""
        index = _Index()
        with self._pictures() as pictures:
            for number, picture in enumerate(pictures):
                check_limit(number + 1, self._limits.max_frames, "max_frames", "frames", str(self._path))
                time_s = self._time(picture, index)
                check_limit(time_s, self._limits.max_duration_s, "max_duration_s", "duration in seconds", str(self._path))
                index.add(picture, time_s)
                yield number, picture, time_s
        self._finish(index, pictures.damage)

    def _time(self, picture: VideoFrame, before: _Index) -> float:
        """Seconds since the first picture; without a time stamp the nominal rate counts.

        Pictures come in the order they are shown in, so a stamp that does not follow the last one is wrong (H.264 with B-frames in AVI
        has such) and is replaced by the next tick.
        """
        tick = self._header.time_base
        first = before.pts[0] if before.pts else picture.pts
        time_s = len(before) / self._rate
        if first is not None and picture.pts is not None:
            time_s = float((picture.pts - first) * tick)
        return max(time_s, before.times[-1] + float(tick)) if before.times else 0.0

    def _finish(self, index: _Index, damage: str) -> None:
        """Take over a finished index.

        Fewer frames than the header claims are no damage by themselves: edit lists, dropped pictures and careless writers look the same.
        They count as damage when the decoder failed, or when the file is shorter than its structure says and frames are missing.
        """
        count, claimed = len(index), self._header.num_frames
        if not damage and not self._reaches_end(index) and is_cut_short(self._path, self._kind):
            damage = "the file is cut short"
        self._settle(count, self._header.expected_frames, damage)
        if not damage and claimed is not None and count != claimed:
            self._add_note(f"{count} frames decoded, the header claims {claimed}")
        if self._info.fps is None and index.times[-1] > 0:
            self._info = replace(self._info, fps=(count - 1) / index.times[-1])
        self._index = index

    def _reaches_end(self, index: _Index) -> bool:
        """Whether all that the header claims was decoded; a cut file may have lost no more than its seek table."""
        if self._header.num_frames is not None:
            return len(index) >= self._header.num_frames
        # elsewhere the duration was measured on what is left of the file
        duration_s = self._header.duration_s if self._kind == "matroska" else None
        return duration_s is not None and bool(index.times) and index.times[-1] + 1.5 / self._rate >= duration_s

    def _from(self, start: int) -> _Decoded:
        """Decode the frames from `start` on, beginning at the nearest keyframe that leads to the right pictures."""
        index = self._indexed()
        for key in index.seek_points(start):
            with self._pictures(index.pts[key]) as pictures:
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
        with self._pictures() as pictures:
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
        # one reformatter for all pictures: setting up a conversion costs more than running it; threads cost more than they save
        try:
            rgb: RgbImage = np.asarray(self._reformatter.reformat(picture, format="rgb24", threads=1).to_ndarray(), np.uint8)
        except FFmpegError as error:
            why = f"its pixel format is {picture.format.name}"
            raise UnsupportedSource("a picture cannot be converted to RGB", where=f"{self._path}, frame {number}", why=why) from error
        return Frame(number, time_s, np.ascontiguousarray(np.rot90(rgb, self._info.rotation // 90)))


def _checksum(picture: VideoFrame) -> int:
    """CRC-32 of the first plane without its padding, whose bytes are left over from other pictures."""
    plane = picture.planes[0]
    bytes_per_pixel = (picture.format.components[0].bits + 7) // 8
    rows: npt.NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]  # pyright: ignore[reportArgumentType]
    rows = rows.reshape(plane.height, plane.line_size)[:, : plane.width * bytes_per_pixel]
    return zlib.crc32(rows.tobytes())


def _info(path: Path, header: Header, picture: VideoFrame | None, notes: tuple[str, ...]) -> VideoInfo:
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
    )
