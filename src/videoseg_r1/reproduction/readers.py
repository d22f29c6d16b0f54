"""The readers that are compared: what ships, and what it is without one part of the method.

All start from the same stage of examples. What each learned after it is in small files that ship with the package; a file that is not there
is a row that was not trained, and the tables say so. Not here: training them (`videoseg train`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from videoseg_r1.lite.learned import add_learned
from videoseg_r1.lite.reader import WEIGHTS
from videoseg_r1.training.network import Learner, load_learner
from videoseg_r1.training.recipe import Recipe, load_recipe


@dataclass(frozen=True)
class Variant:
    """One reader.

    Attributes:
        name: in the tables.
        files: what it learned beyond the first stage, one after another, in the folder of the shipped weights.
        thinking: whether it thinks before it answers.
    """

    name: str
    files: tuple[str, ...]
    thinking: bool = True

    @property
    def is_there(self) -> bool:
        return all((WEIGHTS / file).is_file() for file in self.files)

    def recipe(self) -> Recipe:
        return load_recipe("lite", ["model.source=reader-base", f"reward.thinking={str(self.thinking).lower()}"])

    def load(self) -> Learner:
        """Return the network, ready to be asked. Raises: WeightsMissing, ModelError."""
        learner = load_learner(self.recipe())
        for file in self.files:
            add_learned(learner.network, WEIGHTS / file)
        return learner


_EXAMPLES, _SILENT = "reader-examples.safetensors", "sft-without-thinking.safetensors"

VARIANTS: Mapping[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("SFT", (_EXAMPLES,)),
        Variant("SFT without thinking", (_SILENT,), thinking=False),
        Variant("RL without thinking", (_SILENT, "rl-without-thinking.safetensors"), thinking=False),
        Variant("RL with thinking", ("reader-rewards.safetensors",)),
        Variant("RL with thinking, second seed", (_EXAMPLES, "rl-second-seed.safetensors")),
        Variant("RL without length penalty", (_EXAMPLES, "rl-without-penalty.safetensors")),
        Variant("RL without non-repetition", (_EXAMPLES, "rl-without-repetition.safetensors")),
        Variant("RL without both", (_EXAMPLES, "rl-without-both.safetensors")),
    )
}
