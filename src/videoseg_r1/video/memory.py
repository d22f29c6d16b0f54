"""Videos from arrays and from iterators of arrays.

Colour order cannot be checked: pixels are taken as RGB. Floats are not scaled:
0..1 and 0..255 look alike in a dark picture.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import TypeGuard

import numpy as np
import numpy.typing as npt

from videoseg_r1.config import Limits
from videoseg_r1.errors import NoVideoStream, OutputError, ShapeMismatch, UnsupportedSource
from videoseg_r1.types import Frame, RgbImage, VideoInfo
from videoseg_r1.video.base import DEFAULT_FPS, Video, check_limit


class ArrayVideo(Video):
    """Frames that are in memory already: an array (T, H, W, 3) uint8 or a sequence of arrays (H, W, 3) uint8, all of one size.

    Raises: ShapeMismatch: not RGB, or of differing sizes. UnsupportedSource: not uint8. NoVideoStream: no frames. LimitExceeded.
    """

    def __init__(self, frames: Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8], *, limits: Limits, fps: float | None) -> None:
        where = f"array of {len(frames)} frames"
        if isinstance(frames, np.ndarray) and frames.ndim != 4:
            raise ShapeMismatch(
                "an array of frames must have the shape (T, H, W, 3)",
                where=f"array of shape {frames.shape}",
                fix="for a single picture (H, W, 3) add the first axis: picture[None]",
            )
        if len(frames) == 0:
            raise NoVideoStream("there are no frames", where=where)
        check_limit(len(frames), limits.max_frames, "max_frames", "frames", where)
        self._frames = [checked_rgb(frame, index, where) for index, frame in enumerate(frames)]
        _check_sizes(self._frames[0], self._frames, where)
        self._rate = fps or DEFAULT_FPS
        self._times = tuple(index / self._rate for index in range(len(frames)))
        height, width = self._frames[0].shape[:2]
        check_size(width, height, limits, where)
        self._info = VideoInfo(where, "array", width, height, fps=fps, num_frames_hint=len(frames))

    @property
    def info(self) -> VideoInfo:
        return self._info

    @property
    def times(self) -> tuple[float, ...]:
        self._check_open()
        return self._times

    @property
    def num_frames(self) -> int:
        return len(self._frames)

    def _frame(self, index: int) -> Frame:
        self._check_open()
        return Frame(index, self._times[index], self._frames[index].copy())

    def _forward(self, start: int, stop: int | None) -> Iterator[Frame]:
        end = len(self._frames)
        return map(self._frame, range(start, end if stop is None else min(stop, end)))

    def _pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        return map(self._frame, indices)


class SpooledVideo(Video):
    """Frames of an iterable that can be consumed once. They are written to a temporary file as they come, so they can be read again.

    The iterable is pulled only as far as it is read. `close` deletes the file; it has no name on systems that allow it.
    Raises: ShapeMismatch: a frame is not RGB or differs in size. UnsupportedSource: not uint8. NoVideoStream: no frames.
        OutputError: the temporary folder is full.
    """

    def __init__(self, frames: Iterable[npt.NDArray[np.uint8]], *, limits: Limits, fps: float | None) -> None:
        self._rest = iter(frames)
        self._limits, self._rate, self._where = limits, fps or DEFAULT_FPS, "iterator of frames"
        first = next(self._rest, None)
        if first is None:
            raise NoVideoStream("there are no frames", where=self._where)
        self._shape = checked_rgb(first, 0, self._where).shape
        height, width = self._shape[:2]
        check_size(width, height, limits, self._where)
        self._info = VideoInfo(self._where, "iterator", width, height, fps=fps)
        self._count = 0
        self._times: tuple[float, ...] = ()
        self._file = tempfile.TemporaryFile(prefix="videoseg-")  # noqa: SIM115  (lives until close)
        self._append(first)

    @property
    def info(self) -> VideoInfo:
        return self._info

    @property
    def times(self) -> tuple[float, ...]:
        if len(self._times) != self.num_frames:
            self._times = tuple(index / self._rate for index in range(self._count))
        return self._times

    @property
    def num_frames(self) -> int:
        self._check_open()
        while self._reach(self._count):
            pass
        return self._count

    def close(self) -> None:
        super().close()
        self._file.close()

    def _reach(self, index: int) -> bool:
        """Pull the iterable until the frame is there; False when the iterable ends before."""
        for frame in islice(self._rest, max(0, index + 1 - self._count)):
            check_limit(self._count + 1, self._limits.max_frames, "max_frames", "frames", self._where)
            self._append(frame)
        return index < self._count

    def _append(self, frame: npt.NDArray[np.uint8]) -> None:
        pixels = checked_rgb(frame, self._count, self._where)
        if pixels.shape != self._shape:
            raise _size_mismatch(pixels, self._count, self._shape, self._where)
        try:
            self._file.seek(self._count * pixels.nbytes)
            self._file.write(np.ascontiguousarray(pixels).data)
        except OSError as error:
            raise OutputError(
                "frames cannot be kept on disk",
                where=f"{tempfile.gettempdir()}, frame {self._count}",
                why=error.strerror or str(error),
                fix="free some space, point TMPDIR to a larger disk, or give a video file",
            ) from error
        self._count += 1

    def _frame(self, index: int) -> Frame:
        rgb: RgbImage = np.empty(self._shape, np.uint8)
        self._file.seek(index * rgb.nbytes)
        self._file.readinto(rgb.data)  # pyright: ignore[reportAttributeAccessIssue]
        return Frame(index, index / self._rate, rgb)

    def _forward(self, start: int, stop: int | None) -> Iterator[Frame]:
        for index in range(start, stop) if stop is not None else count(start):
            self._check_open()
            if not self._reach(index):
                return
            yield self._frame(index)

    def _pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        return map(self._frame, indices)


def checked_rgb(frame: npt.NDArray[np.uint8], index: int, where: str) -> RgbImage:
    """Return the frame as an array, or raise ShapeMismatch or UnsupportedSource when it is not (H, W, 3) uint8."""
    pixels: npt.NDArray[np.generic] = np.asarray(frame)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ShapeMismatch("a frame must have the shape (H, W, 3)", where=f"frame {index} of {where}", why=f"its shape is {pixels.shape}")
    if not _is_uint8(pixels):
        raise UnsupportedSource(
            "a frame must be uint8 RGB",
            where=f"frame {index} of {where}",
            why=f"its dtype is {pixels.dtype}",
            fix="scale it to 0..255 and convert: (frame * 255).astype(numpy.uint8) for floats in 0..1",
        )
    return pixels


def check_size(width: int, height: int, limits: Limits, where: str) -> None:
    """Raise LimitExceeded when a picture is wider or higher than allowed."""
    check_limit(width, limits.max_width, "max_width", "width in pixels", where)
    check_limit(height, limits.max_height, "max_height", "height in pixels", where)


def _is_uint8(pixels: npt.NDArray[np.generic]) -> TypeGuard[RgbImage]:
    return pixels.dtype == np.uint8


def _check_sizes(first: RgbImage, frames: Iterable[RgbImage], where: str) -> None:
    for index, frame in enumerate(frames):
        if frame.shape != first.shape:
            raise _size_mismatch(frame, index, first.shape, where)


def _size_mismatch(frame: RgbImage, index: int, shape: tuple[int, ...], where: str) -> ShapeMismatch:
    return ShapeMismatch(
        "the frames do not share one size",
        where=f"frame {index} of {where}",
        why=f"it is {frame.shape[1]}x{frame.shape[0]}, the first one {shape[1]}x{shape[0]}",
        fix="resize the frames before",
    )
