"""Means with confidence intervals, and the rows of Markdown tables that show them. Not here: what is measured (`text`, `masks`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

_LEVEL = 0.95
_RESAMPLES = 2000


@dataclass(frozen=True)
class Figure:
    """The mean of some values, the bounds of its 95 % bootstrap interval, and how many values there are."""

    mean: float
    low: float
    high: float
    num: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]" if self.num else "none"


def figure(values: Sequence[float]) -> Figure:
    """Return the mean of values with its percentile bootstrap interval, always the same for the same values."""
    found = np.asarray(values, np.float64)
    if len(found) < 2 or np.ptp(found) == 0:
        mean = float(found.mean()) if len(found) else 0.0
        return Figure(mean, mean, mean, len(found))
    drawn = bootstrap((found,), np.mean, n_resamples=_RESAMPLES, confidence_level=_LEVEL, method="percentile", rng=np.random.default_rng(0))
    return Figure(float(found.mean()), float(drawn.confidence_interval.low), float(drawn.confidence_interval.high), len(found))


def difference(one: Sequence[float], other: Sequence[float]) -> Figure:
    """Return the mean of the paired differences `one` - `other`, values of the same samples, with its interval."""
    return figure([a - b for a, b in zip(one, other, strict=True)])


def share_fewer(one: Sequence[float], other: Sequence[float]) -> Figure:
    """Return by what share the mean of `one` is below that of `other`, values of the same samples: 0.3 is 30 % fewer."""
    pairs = np.asarray([one, other], np.float64)
    mean = _share(*pairs, axis=-1)
    if pairs.shape[1] < 2 or np.ptp(pairs, axis=1).max() == 0:
        return Figure(mean, mean, mean, len(one))
    drawn = bootstrap(
        tuple(pairs),
        _share,
        paired=True,
        n_resamples=_RESAMPLES,
        confidence_level=_LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return Figure(mean, float(drawn.confidence_interval.low), float(drawn.confidence_interval.high), len(one))


def _share(one: NDArray[np.float64], other: NDArray[np.float64], axis: int) -> Any:
    return 1 - one.mean(axis) / other.mean(axis)


def table_row(name: str, cells: Sequence[object]) -> str:
    """Return a row of a Markdown table."""
    return f"| {name} | {' | '.join(map(str, cells))} |"


def table_head(names: Sequence[str]) -> list[str]:
    """Return the head of a Markdown table."""
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
