"""Networks that are loaded once, also by threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from videoseg_r1.models.loading import loaded_once

_NUM_THREADS = 8


def test_threads_that_ask_at_the_same_time_get_one_network():
    loads, start = [], Barrier(_NUM_THREADS)

    @loaded_once
    def load(device):
        loads.append(device)
        return object()

    def ask(_number):
        start.wait()
        return load("cpu")

    with ThreadPoolExecutor(_NUM_THREADS) as threads:
        networks = set(threads.map(ask, range(_NUM_THREADS)))
    assert len(networks) == 1
    assert loads == ["cpu"]
    assert load("cuda") is not load("cpu")
    assert loads == ["cpu", "cuda"]


def test_an_error_is_not_kept():
    answers = [ValueError("not there yet"), "network"]

    @loaded_once
    def load():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ValueError, match="not there yet"):
        load()
    assert load() == load() == "network"
