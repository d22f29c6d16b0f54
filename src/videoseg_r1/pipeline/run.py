"""One video while it is worked on: what was asked, what is known so far, how long each stage took, and who is told of progress.

Not here: the work itself (`segmenter`), what is handed out at the end (`output.result`).
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from videoseg_r1.masks import MaskSpool, Rle
from videoseg_r1.stages.protocols import Reasoner
from videoseg_r1.types import Anchor, BoolMask, KeyframePick, Progress, Reasoning, TrackEvent
from videoseg_r1.video import Video


@dataclass(frozen=True, slots=True)
class Carried:
    """Seeds carried through a video: the masks, and the events in order of frames."""

    spool: MaskSpool
    events: tuple[TrackEvent, ...] = ()


@dataclass
class Run:
    """What is known while a video is worked on.

    Attributes:
        reasoner: who answers for a frame; None where nobody is asked, as in a replay.
        seeds: masks (N, H, W) by frame index; none means no target.
        given: the same, as the user gave them.
        anchors: further frames that were answered for.
    """

    video: Video
    query: str | None
    seed: int
    on_progress: Progress | None
    keyframes: KeyframePick | None = None
    reasoning: Reasoning | None = None
    reasoner: Reasoner | None = None
    seeds: Mapping[int, BoolMask] = field(default_factory=dict[int, BoolMask])
    given: Mapping[int, tuple[Rle, ...]] = field(default_factory=dict[int, tuple[Rle, ...]])
    anchors: tuple[Anchor, ...] = ()
    timings_s: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def num_objects(self) -> int:
        return len(next(iter(self.seeds.values()))) if self.seeds else 0

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), displayed."""
        return self.video.info.width, self.video.info.height

    @contextmanager
    def timed(self, stage: str) -> Generator[None]:
        start = time.perf_counter()
        yield
        self.timings_s[stage] = self.timings_s.get(stage, 0.0) + time.perf_counter() - start

    @contextmanager
    def step(self, stage: str) -> Generator[None]:
        """A timed stage that is reported as one step."""
        self.report(stage, 0, 1)
        with self.timed(stage):
            yield
        self.report(stage, 1, 1)

    def report(self, stage: str, done: int, total: int) -> None:
        if self.on_progress:
            self.on_progress(stage, done, total)
