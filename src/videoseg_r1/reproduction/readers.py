"""The readers that are compared: what ships, and what it is without one part of the method.

All start from the same stage of examples. What each learned after it is a small file beside the weights that ship (not in the wheel);
a file that is not there is a row that was not trained, and the tables say so. Not here: training them (`tools/train_variants.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from videoseg_r1.lite.learned import add_learned
from videoseg_r1.lite.reader import WEIGHTS
from videoseg_r1.training.network import Learner, load_learner
from videoseg_r1.training.recipe import Recipe, load_recipe

_SILENT = "reward.thinking=false"


@dataclass(frozen=True)
class Variant:
    """One reader.

    Attributes:
        name: in the tables.
        file: what it learned beyond the first stage, in the folder of the shipped weights.
        changes: of the recipe `lite`, by which it was trained; none is what ships.
    """

    name: str
    file: str
    changes: tuple[str, ...] = ()

    @property
    def thinking(self) -> bool:
        """Whether it thinks before it answers."""
        return _SILENT not in self.changes

    @property
    def is_there(self) -> bool:
        return (WEIGHTS / self.file).is_file()

    def recipe(self) -> Recipe:
        """Return the recipe by which it is examined: that of what ships, with or without thinking."""
        return load_recipe("lite", ["model.source=reader-base", f"reward.thinking={str(self.thinking).lower()}"])

    def load(self) -> Learner:
        """Return the network, ready to be asked. Raises: WeightsMissing, ModelError."""
        learner = load_learner(self.recipe())
        add_learned(learner.network, WEIGHTS / self.file)
        return learner


_BY_EXAMPLES = ('run.stages=["refine"]', "model.source=reader-base")
_BY_REWARDS = ('run.stages=["grpo"]', "run.seed=43", "model.source=reader-sft")  # another seed: other scenes than the examples had

VARIANTS: Mapping[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("SFT", "reader-examples.safetensors"),
        Variant("SFT without thinking", "variants/sft-without-thinking.safetensors", (*_BY_EXAMPLES, _SILENT)),
        Variant(
            "RL without thinking", "variants/rl-without-thinking.safetensors", (*_BY_REWARDS[:2], "model.source=reader-silent", _SILENT)
        ),
        Variant("RL with thinking", "reader-rewards.safetensors"),
        Variant("RL with thinking, second seed", "variants/rl-second-seed.safetensors", _BY_REWARDS),
        Variant("RL without length penalty", "variants/rl-without-penalty.safetensors", (*_BY_REWARDS, "reward.beta=0")),
        Variant("RL without non-repetition", "variants/rl-without-repetition.safetensors", (*_BY_REWARDS, "reward.weights.non_repeat=0")),
        Variant("RL without both", "variants/rl-without-both.safetensors", (*_BY_REWARDS, "reward.beta=0", "reward.weights.non_repeat=0")),
    )
}
