"""From ratings to the difficulty D, from D to a tier, and from there to the token budget; the one place with these numbers.

The paper names the five ratings, their mean and three tiers; it publishes no thresholds and no budgets. The values are ours,
docs/algorithm.md, "Difficulty". Not here: asking for ratings (`rater`), the penalty for reasoning beyond the budget (`rewards`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from videoseg_r1.errors import InvalidConfig

Tier: TypeAlias = Literal["easy", "medium", "hard"]
BudgetMode: TypeAlias = Literal["tiers", "linear"]

RATINGS = ("scene_complexity", "segmentation_challenge", "temporal_ambiguity", "motion_complexity", "linguistic_ambiguity")
"""What is rated, each from 1 (easy) to 10."""
NEUTRAL = 5.5
"""D where nobody could tell: the middle of the scale."""

_LOWEST, _HIGHEST = 1.0, 10.0
_ENOUGH = 3
"""Ratings that make a mean; one bad key is no reason to drop a sample."""
_QUANTILES = (0.33, 0.67)
_TIER_TOKENS: Mapping[Tier, int] = {"easy": 48, "medium": 72, "hard": 112}
MEDIUM = _TIER_TOKENS["medium"]
"""Tokens that a medium question is worth, for a model that thinks in sentences."""
_LINEAR_TOKENS = (40, 8)
"""Of D = 1, and more for every further point."""


class Tiers(NamedTuple):
    """The thresholds of D: up to the first a question is easy, above the second it is hard."""

    easy: float
    hard: float


TIERS = Tiers(4.0, 7.0)
"""The scale in thirds."""


@dataclass(frozen=True)
class Difficulty:
    """How hard a question is.

    Attributes:
        ratings: those that were given, by names of `RATINGS`, in 1..10.
        value: D, their mean; `NEUTRAL` where it is imputed.
        imputed: whether there were not enough ratings.
        notes: what was repaired on the way.
    """

    ratings: Mapping[str, float]
    value: float
    imputed: bool = False
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> float | None:
        """D, None where it is imputed."""
        return None if self.imputed else self.value


def difficulty_of(given: Mapping[str, float]) -> Difficulty:
    """Return the difficulty by finite ratings of any size: clamped to 1..10, missing ones left out, imputed with fewer than three."""
    found = {name: given[name] for name in RATINGS if name in given}
    notes = [f"{name} is missing" for name in RATINGS if name not in given]
    notes += [f"{name} was {value:g}, out of range" for name, value in found.items() if not _LOWEST <= value <= _HIGHEST]
    ratings = {name: min(max(value, _LOWEST), _HIGHEST) for name, value in found.items()}
    if len(ratings) < _ENOUGH:
        return Difficulty(ratings, NEUTRAL, imputed=True, notes=tuple(notes))
    return Difficulty(ratings, math.fsum(ratings.values()) / len(ratings), notes=tuple(notes))


def tiers_of(values: Iterable[float]) -> Tiers:
    """Return the thresholds that part a set of D in thirds (33 and 67 %), since ratings bunch near the middle of the scale.

    Raises: InvalidConfig: the set is empty.
    """
    known = list(values)
    if not known:
        raise InvalidConfig("thresholds need at least one rated sample", fix="use the fixed tiers")
    low, high = np.quantile(known, _QUANTILES)
    return Tiers(float(low), float(high))


def tier_of(d: float | None, tiers: Tiers = TIERS) -> Tier:
    """Return the tier of a D; "medium" where there is none. So are values at both thresholds at once, as when all of a set are equal."""
    if d is None:
        return "medium"
    if d <= tiers.easy and d < tiers.hard:
        return "easy"
    return "hard" if d > tiers.hard else "medium"


def token_budget(d: float | None, mode: BudgetMode = "tiers", tiers: Tiers = TIERS, *, medium: int = MEDIUM) -> int:
    """Return how many tokens of reasoning a question is worth, L(D) of the paper's eq. 7.

    Args:
        d: difficulty in 1..10; None where it is not known, which gives a medium budget.
        mode: "tiers" gives 48, 72 or 112; "linear" gives 40 + 8 (D - 1), rounded half up.
        tiers: thresholds of the first mode.
        medium: tokens of a medium question, by which all others scale; models differ in how many tokens they need for the same reasoning.
    Raises: InvalidConfig: D is out of range.
    """
    if d is not None and not _LOWEST <= d <= _HIGHEST:  # also NaN
        raise InvalidConfig("a difficulty is out of range", where=f"D = {d}", fix="D is in 1..10")
    base, slope = _LINEAR_TOKENS
    tokens = _TIER_TOKENS[tier_of(d, tiers)] if mode == "tiers" else base + slope * ((NEUTRAL if d is None else d) - _LOWEST)
    return math.floor(tokens * medium / MEDIUM + 0.5)
