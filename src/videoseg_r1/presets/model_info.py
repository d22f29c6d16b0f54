"""What a preset or propagator says of a model it uses. Not here: fetching weights (`models.weights`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from videoseg_r1.models.weights import MODELS, locate


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model that is used.

    Attributes:
        role: what it does.
        name: what it is called.
        source: where its weights come from, with the version.
        licence: SPDX name.
        weights: returns where they lie. Raises WeightsMissing.
    """

    role: str
    name: str
    source: str
    licence: str
    weights: Callable[[], Path]


def card_of(role: str, name: str) -> ModelCard:
    """Return the card of a model of the table that is used for something."""
    ref = MODELS[name]
    return ModelCard(role, name, f"{ref.model_id} {ref.revision or 'newest'}", ref.licence, lambda: locate(ref))
