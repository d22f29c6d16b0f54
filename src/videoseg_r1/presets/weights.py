"""Which weights a preset needs: names as `videoseg models` takes them, to rows of the table of models.

Not here: the rows (`models.weights.table`), fetching the files (`models.weights.pull`).
"""

from __future__ import annotations

from collections.abc import Iterable

from videoseg_r1.errors import unknown_name
from videoseg_r1.models.weights import MODELS, ModelRef
from videoseg_r1.presets.propagators import PROPAGATORS
from videoseg_r1.presets.table import PRESETS, Preset


def find_models(names: Iterable[str]) -> list[ModelRef]:
    """Return the models of these names, each once; a preset stands for those that have to be fetched for it.

    Raises: UnknownName: neither a preset nor a model.
    """
    found: dict[str, ModelRef] = {}
    for name in names:
        if name in PRESETS:
            found |= _fetched(PRESETS[name])
        elif name in MODELS:
            found[name] = MODELS[name]
        else:
            raise unknown_name("preset or model", name, [*PRESETS, *MODELS])
    return list(found.values())


def _fetched(preset: Preset) -> dict[str, ModelRef]:
    """Return the models of a preset and its propagator whose weights come neither with the package nor with another one."""
    cards = (*preset.models, *PROPAGATORS[preset.propagator].models)
    return {card.name: MODELS[card.name] for card in cards if card.name in MODELS}
