"""When pictures are shown, and the index of all pictures of a file.

Not here: decoding (`decoder`), the order of stamps in containers that store them in the order of decoding (`decoder`).
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

_SEEK_TRIES = 2
_REGULAR = 1.1
"""Up to so many times the last gap between two pictures, a gap is beyond doubt."""


class Clock:
    """Turns time stamps into seconds since the first picture, strictly increasing.

    Pictures come in the order in which they are shown, so a stamp that is missing, equal to the last one or before it is wrong, and so
    is one after which the stamps fall back. Such a picture is shown one step after the last one, or halfway to the next one where that
    is earlier. Where stamps start anew, as at the joint of two recordings, their differences go on counting.

    Args:
        tick: seconds of one unit of the stamps.
        step_s: seconds of one frame at the nominal rate.
        timeless: the stamps mean nothing; every frame takes one step.
    """

    def __init__(self, tick: Fraction, step_s: float, *, timeless: bool = False) -> None:
        # not as a fraction: its arithmetic takes ten times as long
        self._num, self._den = tick.numerator, tick.denominator
        self._step_s, self._timeless = step_s, timeless
        self._origin: tuple[int, float] | None = None
        self._stamp: int | None = None
        self._time_s = self._gap_s = 0.0
        self._count = 0

    def is_doubtful(self, stamp: int | None) -> bool:
        """Return whether `time_s` must know the stamp after this one, as this one is missing, wrong, or unusually late."""
        if self._timeless or not self._count:
            return False
        own = self._on_clock(stamp)
        return own is None or not 0 < own - self._time_s <= _REGULAR * min(self._step_s, self._gap_s or self._step_s)

    def time_s(self, stamp: int | None, following: int | None) -> float:
        """Return when the next picture is shown; `stamp` is its own.

        `following` is that of the picture after it, None where there is none, or where `is_doubtful` needs none.
        """
        time_s = 0.0
        if self._timeless:
            time_s = self._count * self._step_s
        elif self._count:
            time_s = self._after_last(stamp, following)
        if stamp is not None:
            if self._origin is None:
                self._origin = stamp, time_s
            self._stamp = stamp
        self._time_s, self._gap_s, self._count = time_s, time_s - self._time_s, self._count + 1
        return time_s

    def _after_last(self, stamp: int | None, following: int | None) -> float:
        last, usual = self._time_s, self._time_s + self._step_s
        own, limit = self._on_clock(stamp), self._on_clock(following)
        if own is None:
            own = usual
        elif own <= last:
            if stamp is not None and self._stamp is not None and stamp > self._stamp:  # they began anew, and go on
                return last + (stamp - self._stamp) * self._num / self._den
            own = usual
        if limit is not None and last < limit < own:
            return min(usual, (last + limit) / 2)
        return own

    def _on_clock(self, stamp: int | None) -> float | None:
        if stamp is None or self._origin is None:
            return None
        origin, time_s = self._origin
        return time_s + (stamp - origin) * self._num / self._den


@dataclass(slots=True)
class FrameIndex:
    """Time stamp, time in seconds and luma checksum of every picture, which of them are keyframes, and which are damaged."""

    pts: list[int | None] = field(default_factory=list[int | None])
    times: list[float] = field(default_factory=list[float])
    checksums: list[int] = field(default_factory=list[int])
    keys: list[int] = field(default_factory=list[int])
    damaged: list[int] = field(default_factory=list[int])
    tells_apart: bool = True
    """Whether the stamps increase from picture to picture."""

    def __len__(self) -> int:
        return len(self.pts)

    def add(self, picture: VideoFrame, time_s: float, *, damaged: bool = False) -> None:
        if picture.key_frame:
            self.keys.append(len(self))
        if damaged:
            self.damaged.append(len(self))
        last = self.pts[-1] if self.pts else None
        self.tells_apart &= picture.pts is not None and (last is None or picture.pts > last)
        self.pts.append(picture.pts)
        self.times.append(time_s)
        self.checksums.append(checksum(picture))

    def cut(self, count: int) -> None:
        """Forget the frames from number `count` on."""
        del self.pts[count:], self.times[count:], self.checksums[count:]
        self.keys = [number for number in self.keys if number < count]
        self.damaged = [number for number in self.damaged if number < count]

    def has(self, number: int, picture: VideoFrame) -> bool:
        """Return whether a picture is, to the bit of its luma, the one of this number."""
        return picture.pts == self.pts[number] and checksum(picture) == self.checksums[number]

    def seek_points(self, number: int) -> list[int]:
        """The nearest keyframes at or before a frame, nearest first; none where time stamps do not tell frames apart."""
        if not self.tells_apart:
            return []
        end = bisect_right(self.keys, number)
        return self.keys[max(0, end - _SEEK_TRIES) : end][::-1]


def checksum(picture: VideoFrame) -> int:
    """CRC-32 of the first plane without its padding, whose bytes are left over from other pictures."""
    plane = picture.planes[0]
    bytes_per_pixel = (picture.format.components[0].bits + 7) // 8
    rows: npt.NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]  # pyright: ignore[reportArgumentType]
    rows = rows.reshape(plane.height, plane.line_size)[:, : plane.width * bytes_per_pixel]
    return zlib.crc32(rows.tobytes())
