"""Benchmarks: a reader per dataset, and two harder versions of any of them (`mosaic`, `shuffle_text`).

Readers check names, counts and sizes of all files before anything is computed, and list every problem in one error.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from videoseg_r1.datasets import davis
from videoseg_r1.datasets.mosaic import mosaic, shuffle_text
from videoseg_r1.datasets.sample import ABSENT, Gold, Sample
from videoseg_r1.errors import unknown_name

__all__ = ["ABSENT", "DATASETS", "Gold", "Reader", "Sample", "load_dataset", "mosaic", "shuffle_text"]


class Reader(Protocol):
    """Reads the samples of a benchmark from its folder, all or those of some clips."""

    def __call__(self, root: str | Path, videos: Collection[str] | None = None) -> list[Sample]: ...


DATASETS: dict[str, Reader] = {"davis16": davis.load}


def load_dataset(name: str, root: str | Path, videos: Collection[str] | None = None) -> list[Sample]:
    """Return the samples of a benchmark, all or those of some clips. Raises UnknownName, and what its reader raises."""
    if name not in DATASETS:
        raise unknown_name("dataset", name, DATASETS)
    return DATASETS[name](root, videos)
