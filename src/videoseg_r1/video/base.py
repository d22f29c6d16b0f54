"""What every video offers, whatever it is read from.

Threads that read frames of one video take turns; anything else that a video offers is for one thread at a time. Pixels are never shared:
writing into `Frame.rgb` changes neither the source nor what is read later. Non-square pixels stay as they are stored.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Literal, Self, TypeAlias

from videoseg_r1.errors import InvalidConfig, LimitExceeded, UsageError
from videoseg_r1.types import Frame, VideoInfo

OnCorrupt: TypeAlias = Literal["error", "keep-prefix", "keep-all"]
"""What is done with a damaged video: refuse it, use the frames before the damage, or use all and name the damaged ones."""
DEFAULT_FPS = 24.0
"""Frames per second given to sources that have no clock of their own: folders, arrays, iterators."""
_CHUNK_FRAMES = 32
_CHUNK_BYTES = 256 << 20


class Video(ABC):
    """Frames in order, by index, forwards and backwards; a context manager that frees what it opened.

    Every iteration starts at frame 0, also over sources that can be consumed only once.
    """

    path: Path | None = None
    """Where it was read from; None for arrays and iterators."""
    _closed = False

    @property
    @abstractmethod
    def info(self) -> VideoInfo:
        """What is known so far. `notes` may grow when the video is decoded."""

    @property
    @abstractmethod
    def times(self) -> tuple[float, ...]:
        """Presentation time of every frame, in seconds from the first, strictly increasing.

        Raises: CorruptVideo: decoding stopped early. LimitExceeded: more frames or seconds than allowed.
        """

    @abstractmethod
    def _forward(self, start: int, stop: int | None) -> Iterator[Frame]:
        """Yield frames start, start + 1, ... up to `stop` or the end."""

    @abstractmethod
    def _pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames of these indices, which exist, ascend and differ."""

    @property
    def num_frames(self) -> int:
        """Number of frames that can be decoded; the first use decodes the video once. Raises: see `times`."""
        return len(self.times)

    def pts_s(self, index: int) -> float:
        """Return the presentation time of one frame, in seconds from the first."""
        self._check_indices([index])
        return self.times[index]

    def read(self, indices: Sequence[int]) -> list[Frame]:
        """Return the frames of these indices, in the order asked for; an index may come more than once.

        Raises: UsageError: there is no such frame. CorruptVideo: the video cannot be decoded.
        """
        self._check_open()
        wanted = [operator.index(index) for index in indices]
        if not wanted:
            return []
        self._check_indices(wanted)
        with self._turn:
            found = {frame.index: frame for frame in self._pick(sorted(set(wanted)))}
        return [found[index] for index in wanted]

    def frames(self, start: int = 0, stop: int | None = None, reverse: bool = False) -> Generator[Frame]:
        """Stream the frames start <= index < stop in bounded memory.

        Args:
            start: first index of the range.
            stop: index after the last one; None, or anything beyond the end, means the end.
            reverse: yield the same frames from the last to the first.
        Raises: UsageError: the range is negative. CorruptVideo: decoding stopped early, after all good frames were yielded.
        """
        self._check_open()
        start, stop = operator.index(start), None if stop is None else operator.index(stop)
        if start < 0 or (stop is not None and stop < 0):
            raise UsageError("a range of frames cannot begin or end below 0", where=f"frames({start}, {stop})")
        return self._taking_turns(self._backward(start, stop) if reverse else self._forward(start, stop))

    @cached_property
    def _turn(self) -> RLock:
        """Held while a frame is read: readers of one video may share a file position or a converter."""
        return RLock()

    def _taking_turns(self, source: Iterator[Frame]) -> Generator[Frame]:
        while True:
            with self._turn:
                frame = next(source, None)
            if frame is None:
                return
            yield frame

    def _backward(self, start: int, stop: int | None) -> Iterator[Frame]:
        """Decode chunk by chunk from the end. The length of a chunk is bounded by memory, not by the distance of keyframes."""
        end = self.num_frames if stop is None else min(stop, self.num_frames)
        frame_bytes = 3 * self.info.width * self.info.height
        chunk = max(1, min(_CHUNK_FRAMES, _CHUNK_BYTES // frame_bytes))
        for high in range(end, start, -chunk):
            pending = list(self._forward(max(start, high - chunk), high))
            while pending:
                yield pending.pop()

    @property
    def origin(self) -> Video:
        """The video itself, also when it is seen through a borrowed view: what is learned of a video is remembered under it."""
        return self

    def close(self) -> None:
        """Free files and memory. Reading afterwards is a UsageError; closing twice is fine."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("the video is closed", where=self.info.source, fix="read from it inside its `with` block")

    def _check_indices(self, indices: Sequence[int]) -> None:
        count = self.num_frames
        for index in indices:
            if not 0 <= index < count:
                raise UsageError("no such frame", where=f"frame {index} of {self.info.source}", why=f"there are frames 0 to {count - 1}")

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class BorrowedVideo(Video):
    """A video that somebody else opened: closing this view leaves the video open."""

    def __init__(self, video: Video) -> None:
        self._video, self.path = video, video.path

    @property
    def info(self) -> VideoInfo:
        return self._video.info

    @property
    def times(self) -> tuple[float, ...]:
        self._check_open()
        return self._video.times

    @property
    def origin(self) -> Video:
        return self._video.origin

    def _forward(self, start: int, stop: int | None) -> Iterator[Frame]:
        return self._video.frames(start, stop)

    def _pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        return iter(self._video.read(indices))


def check_limit(value: float, limit: float, name: str, what: str, where: str) -> None:
    """Raise LimitExceeded, naming the limit and how to raise it, when `value` is above `limit`."""
    if value > limit:
        raise LimitExceeded(
            f"too much {what}",
            where=where,
            why=f"{value:g} is above the limit of {limit:g}",
            fix=f"if that is intended, raise the limit: Limits({name}=...)",
        )


def own_times(where: str) -> InvalidConfig:
    """Return the error for `fps` given with a source that says itself when each of its frames is shown."""
    return InvalidConfig(
        "fps is only for sources without times",
        where=where,
        why="this one says when each of its frames is shown",
        fix="leave fps out; to make a video faster or slower, write it anew: ffmpeg -i INPUT -vf setpts=0.5*PTS OUTPUT.mp4",
    )
