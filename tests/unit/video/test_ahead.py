"""Reading ahead changes nothing but the time: order, errors, and what is freed at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

import numpy as np
import pytest

from videoseg_r1.config import Limits
from videoseg_r1.types import Frame
from videoseg_r1.video.ahead import read_ahead
from videoseg_r1.video.memory import ArrayVideo


def _counting(stop: int, log: list[object], error: BaseException | None = None) -> Generator[int]:
    try:
        for number in range(stop):
            log.append(number)
            yield number
        if error is not None:
            raise error
    finally:
        log.append(f"closed on {threading.current_thread().name}")


def _settled(before: int) -> bool:
    return threading.active_count() == before


@pytest.mark.parametrize("stop", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_everything_comes_in_order_and_the_thread_ends(stop: int, count: int) -> None:
    before, log = threading.active_count(), list[object]()
    assert list(read_ahead(_counting(stop, log), count)) == list(range(stop))
    assert log == [*range(stop), "closed on read-ahead_0"]
    assert _settled(before)


def test_no_more_is_prepared_than_was_asked_for() -> None:
    log, asked = list[object](), threading.Event()

    def source() -> Generator[int]:
        for number in range(100):
            log.append(number)
            if number == 3:
                asked.set()
            yield number

    ahead = read_ahead(source(), 2)
    assert log == []
    assert next(ahead) == 0
    assert next(ahead) == 1
    assert asked.wait(5)
    ahead.close()
    assert log == [0, 1, 2, 3]


def test_an_error_reaches_the_caller_as_it_is_after_what_came_before() -> None:
    before, error = threading.active_count(), OSError("the disk is gone")
    ahead = read_ahead(_counting(3, [], error), 2)
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="gone") as raised:
        next(ahead)
    assert raised.value is error
    assert list(ahead) == []
    assert _settled(before)


def test_whoever_stops_early_closes_the_source_and_ends_the_thread() -> None:
    before, log = threading.active_count(), list[object]()
    ahead = read_ahead(_counting(100, log), 2)
    assert next(ahead) == 0
    ahead.close()
    assert log[-1] == "closed on read-ahead_0"
    assert len(log) <= 5
    assert _settled(before)
    unused = list[object]()
    read_ahead(_counting(100, unused), 2).close()
    assert unused == []


def test_an_error_of_the_caller_ends_the_thread_too() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        sum(1 // number for number in read_ahead(_counting(100, []), 2))
    assert _settled(before)


class _OneByOne(ArrayVideo):
    """Notices when two frames are read at a time."""

    reading, collided = 0, False

    def _frame(self, index: int) -> Frame:
        self.reading += 1
        time.sleep(0.002)
        self.collided |= self.reading > 1
        self.reading -= 1
        return super()._frame(index)


def test_a_frame_that_is_read_meanwhile_waits_for_its_turn() -> None:
    video = _OneByOne(np.zeros((20, 4, 4, 3), np.uint8), limits=Limits(), fps=None)
    found = [(frame.index, video.read([3])[0].index, next(video.frames(7)).index) for frame in read_ahead(video.frames())]
    assert found == [(index, 3, 7) for index in range(20)]
    assert not video.collided
