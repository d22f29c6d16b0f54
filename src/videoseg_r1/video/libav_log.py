"""Count the errors that FFmpeg's libraries write to their log while they work.

Some decoders say only there that they met damage: they return a picture all the same. PyAV keeps the log switched off, as threads that
log while a decoder is closed can wait for each other for ever; here it is on only during the calls that are listened to, and nothing
of it is printed. Not here: what a message says, which frames it is about (`decoder`).
"""

from __future__ import annotations

from threading import Lock
from types import TracebackType
from typing import Self

from av import logging as libav
from av.logging import Capture


class _Log:
    """The log's switch, which the whole process shares: on while anybody listens, then as it was before."""

    def __init__(self) -> None:
        self._lock, self._listeners = Lock(), 0
        self._before: tuple[int | None, bool] = (None, True)
        self._sink: Capture | None = None

    def join(self) -> None:
        with self._lock:
            self._listeners += 1
            if self._listeners > 1:
                return
            level = libav.get_level()
            self._before = level, libav.get_skip_repeated()
            libav.set_skip_repeated(False)
            if level is None or level < libav.ERROR:
                libav.set_level(libav.ERROR)
                # messages of threads that nobody listens to end here; PyAV would print them
                self._sink = Capture(local=False)
                self._sink.__enter__()

    def leave(self) -> None:
        with self._lock:
            self._listeners -= 1
            if self._listeners:
                return
            if self._sink is not None:
                self._sink.__exit__(None, None, None)
                self._sink = None
                libav.set_level(self._before[0])
            libav.set_skip_repeated(self._before[1])


_log = _Log()


class LibavErrors:
    """Counts errors while it is entered; it may be entered again and again, by one thread.

    Args:
        own_thread: count the messages of this thread only. They are surely about the work of this thread, but what a decoder's own
            threads say is missed. Otherwise the messages of all threads count, also those about other videos.
        heeded: False counts nothing, and costs nothing.
    """

    def __init__(self, *, own_thread: bool, heeded: bool = True) -> None:
        self._own_thread, self._heeded = own_thread, heeded
        self._before = self._found = 0
        self._is_entered = False
        self._capture = Capture()

    def __enter__(self) -> Self:
        if not self._heeded:
            return self
        _log.join()
        self._before = libav.get_last_error()[0]
        self._capture = Capture()
        self._capture.__enter__()
        self._is_entered = True
        return self

    @property
    def count(self) -> int:
        """Number of errors since it was entered, up to now or until it was left."""
        if not self._is_entered:
            return self._found
        if self._own_thread:
            return sum(level <= libav.ERROR for level, _, _ in self._capture.logs)
        return libav.get_last_error()[0] - self._before

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._is_entered:
            return
        self._found, self._is_entered = self.count, False
        self._capture.__exit__(None, None, None)
        _log.leave()
