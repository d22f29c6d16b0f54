"""The steps of one run: how long each took, and who is told of them.

Not here: the work itself (`segmenter`).
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

from videoseg_r1.types import Progress


class Steps:
    """Times the steps of one run and reports them.

    Args:
        on_progress: who is told; None tells nobody.
    """

    def __init__(self, on_progress: Progress | None = None) -> None:
        self._on_progress = on_progress
        self.timings_s: dict[str, float] = {}

    @contextmanager
    def timed(self, stage: str) -> Generator[None]:
        """Add the time that the block takes to that of a stage."""
        start = time.perf_counter()
        yield
        self.timings_s[stage] = self.timings_s.get(stage, 0.0) + time.perf_counter() - start

    @contextmanager
    def step(self, stage: str) -> Generator[None]:
        """Time a block and report it as one step, before and after."""
        self.report(stage, 0, 1)
        with self.timed(stage):
            yield
        self.report(stage, 1, 1)

    def report(self, stage: str, done: int, total: int) -> None:
        """Tell of progress. Raises whatever the listener raises to cancel the run."""
        if self._on_progress:
            self._on_progress(stage, done, total)
