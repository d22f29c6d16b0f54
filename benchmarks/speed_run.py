"""One measurement of speed in a process of its own, on one commit: what `speed.py` starts, several times, and puts together.

    taskset -c 0 python benchmarks/speed_run.py '{"propagator": null, "parts": false, "warm_up": CLIP, "clips": [CLIP, ...]}'

A CLIP is {"path": video, "given": label map of its first frame, "things": [1, 2]}: the numbers that are given. torch gets as many threads
as the process may use cores. The models are loaded with the warm-up clip; then the given masks are carried through each clip, from opening
the file to the finished result, which is saved as PNG.

Prints one JSON document: frames, seconds, and seconds of saving, of every clip; and with "parts" the seconds of each part of the work.
Only names that old commits have too are used: `videoseg_r1.load` and `propagate`. Parts are timed by wrapping the functions that `PARTS`
names, here, so that the package has no timers; time in a wrapped function that another one calls counts for the inner one alone.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

import videoseg_r1

PARTS: dict[str, tuple[str, ...]] = {
    "decode": ("video.base:Video.frames", "video.base:Video.read"),
    "cuts": ("stages.propagation.both_ways:with_cuts",),
    "features": ("lite.tracking.tracker:Tracker._describe",),
    "read": ("lite.tracking.tracker:Tracker._read",),
    "appearance": (
        "lite.tracking.appearance:AppearanceModel.fit",
        "lite.tracking.appearance:AppearanceModel.log_probabilities",
        "lite.tracking.appearance:AppearanceModel.scores",
    ),
    "nearness": ("lite.tracking.nearness:Nearness.log_odds", "lite.tracking.nearness:Nearness.keep"),
    "identity": ("lite.tracking.identity:Identity.check",),
    "outline": (
        "lite.tracking.tracker:sharpened",
        "lite.tracking.saliency_prior:SaliencyPrior.look",
        "lite.tracking.saliency_prior:SaliencyPrior.compare",
    ),
    "decide": ("lite.tracking.tracker:_decide", "lite.tracking.tracker:_masks"),
    "recognise": ("stages.propagation.recognition:Recogniser.learn", "stages.propagation.recognition:Recogniser.search"),
    "write": ("masks:MaskSpool.put",),
}
"""Part -> the functions it is done by, "module:name" in the package."""


class Parts:
    """Seconds of each part, apart for the main thread and for others."""

    def __init__(self) -> None:
        self.seconds: dict[str, dict[str, float]] = {"main thread": defaultdict(float), "other threads": defaultdict(float)}
        self.not_found: list[str] = []
        self._open = threading.local()

    def watch(self) -> None:
        """Wrap every function that is there; those that are not are in `not_found`."""
        for part, names in PARTS.items():
            for name in names:
                module, _, path = name.partition(":")
                *owners, last = path.split(".")
                try:
                    owner = functools.reduce(getattr, owners, importlib.import_module(f"videoseg_r1.{module}"))
                    setattr(owner, last, self._timed(part, getattr(owner, last)))
                except (ImportError, AttributeError):
                    self.not_found.append(name)

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            with self._spent(part):
                made = function(*args, **options)
            return self._each(part, made) if isinstance(made, Iterator) else made

        return timed

    def _each(self, part: str, made: Iterator[Any]) -> Iterator[Any]:
        while True:
            with self._spent(part):
                item = next(made, self)
            if item is self:
                return
            yield item

    @contextmanager
    def _spent(self, part: str) -> Generator[None]:
        inner: list[float] = self._open.__dict__.setdefault("inner", [])
        inner.append(0.0)
        start = time.perf_counter()
        try:
            yield
        finally:
            whole = time.perf_counter() - start
            thread = "main thread" if threading.current_thread() is threading.main_thread() else "other threads"
            self.seconds[thread][part] += whole - inner.pop()
            if inner:
                inner[-1] += whole


def carry(segmenter: Any, clip: dict[str, Any]) -> dict[str, float]:
    labels = np.asarray(Image.open(clip["given"]))
    given = np.where(np.isin(labels, clip["things"]), labels, 0).astype(np.uint8)
    start = time.perf_counter()
    result = segmenter.propagate(clip["path"], {0: given})
    done = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result.save(folder, ["png"], overwrite=True)
    return {"frames": result.num_frames, "seconds": done - start, "saving": time.perf_counter() - done}


def main() -> None:
    spec, parts = json.loads(sys.argv[1]), Parts()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    segmenter = videoseg_r1.load("lite", device="cpu", propagator=spec["propagator"])
    carry(segmenter, spec["warm_up"])
    if spec["parts"]:
        parts.watch()
    clips = [carry(segmenter, clip) for clip in spec["clips"]]
    print(json.dumps({"clips": clips, "parts": parts.seconds, "not_found": parts.not_found}))


if __name__ == "__main__":
    main()
