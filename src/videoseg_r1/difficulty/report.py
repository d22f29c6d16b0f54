"""Rates many questions one after the other and returns plain data: ratings, D, tier and budget per item.

Not here: how a single question is rated (`rater`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from videoseg_r1.difficulty.levels import TIERS, Difficulty, Tiers, tier_of, tiers_of, token_budget
from videoseg_r1.difficulty.rater import Rater
from videoseg_r1.errors import InputError, InvalidQuery
from videoseg_r1.video.manifest import Item

TierMode: TypeAlias = Literal["tiers", "quantile"]


@dataclass(frozen=True)
class Rated:
    """An item with its difficulty, or with the error that stood in the way."""

    item: Item
    difficulty: Difficulty | None = None
    error: InputError | InvalidQuery | None = None


def rate_items(rater: Rater, items: Iterable[Item]) -> Iterator[Rated]:
    """Rate items as they come. An input that cannot be used is returned with its error.

    Raises: ModelError, ResourceError: they concern all items alike.
    """
    for item in items:
        try:
            yield Rated(item, rater.rate(item.video, item.query))
        except (InputError, InvalidQuery) as error:
            yield Rated(item, error=error)


def thresholds(rated: Sequence[Rated], mode: TierMode) -> Tiers:
    """Return the fixed tiers, or for "quantile" those that part the items whose D is known; the fixed ones where none is."""
    known = [one.difficulty.value for one in rated if one.difficulty and not one.difficulty.imputed]
    return tiers_of(known) if mode == "quantile" and known else TIERS


def row(rated: Rated, tiers: Tiers) -> Mapping[str, Any]:
    """Return an item as plain data."""
    item, found = rated.item, rated.difficulty
    about = {"id": item.id, "video": str(item.video), "query": item.query}
    if found is None:
        return {**about, "error": rated.error.to_dict() if rated.error else None}
    return {
        **about,
        "ratings": dict(found.ratings),
        "D": found.value,
        "tier": tier_of(found.known, tiers),
        "budget": token_budget(found.known, tiers=tiers),
        "imputed": found.imputed,
        "notes": list(found.notes),
    }
