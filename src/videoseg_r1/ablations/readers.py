"""The readers that are compared: the one that ships, and variants of it without one part of the method.

All start from the weights after the same stage of examples. What each learned after that is in small files in `weights/ablations` of the
repository, which the wheel does not have; where a file is missing, the tables say that the variant was not trained. Not here: training them
(`tools/train_variants.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from videoseg_r1.lite.reader.trained import weights_file
from videoseg_r1.lite.reader.weights_delta import apply_delta
from videoseg_r1.training.network import Learner, load_learner
from videoseg_r1.training.recipe import Recipe, load_recipe

_SILENT = "reward.thinking=false"


@dataclass(frozen=True)
class AblationVariant:
    """One row of the tables: a reader, and how it was trained.

    Attributes:
        name: in the tables.
        files: what it learned beyond the first stage, one after another, by name.
        changes: changes of the recipe `lite` by which its last file was made; none for the reader that ships.
        num_rewarded: number of GRPO steps after which the weights were taken, of the 80 of the schedule.
    """

    name: str
    files: tuple[str, ...]
    changes: tuple[str, ...] = ()
    num_rewarded: int = 40

    @property
    def thinking(self) -> bool:
        """Whether it thinks before it answers."""
        return _SILENT not in self.changes

    @property
    def is_there(self) -> bool:
        return all(weights_file(file).is_file() for file in self.files)

    def recipe(self) -> Recipe:
        """Return the recipe by which it is examined: that of what ships, with or without thinking."""
        return load_recipe("lite", ["model.source=reader-base", f"reward.thinking={str(self.thinking).lower()}"])

    def load(self) -> Learner:
        """Return the network, ready to be asked. Raises: WeightsMissing, ModelError."""
        learner = load_learner(self.recipe())
        for file in self.files:
            apply_delta(learner.network, weights_file(file))
        return learner


_EXAMPLES, _SILENT_EXAMPLES = "reader-examples.safetensors", "sft-without-thinking.safetensors"
_BY_EXAMPLES = ('run.stages=["refine"]', "model.source=reader-base", "run.seed=63")
_BY_REWARDS = ('run.stages=["grpo"]', "model.rank=8", "model.alpha=8")  # what was there before becomes part of the weights
_AFTER_SFT, _AFTER_SILENCE = ("model.source=reader-sft", "run.seed=64"), ("model.source=reader-silent", "run.seed=64", _SILENT)

ABLATION_VARIANTS: Mapping[str, AblationVariant] = {
    variant.name: variant
    for variant in (
        AblationVariant("SFT", (_EXAMPLES,)),
        AblationVariant("SFT without thinking", (_SILENT_EXAMPLES,), (*_BY_EXAMPLES, _SILENT)),
        AblationVariant("RL without thinking", (_SILENT_EXAMPLES, "rl-without-thinking.safetensors"), (*_BY_REWARDS, *_AFTER_SILENCE)),
        AblationVariant("RL with thinking", ("reader-rewards.safetensors",)),
        AblationVariant(
            "RL with thinking, second seed",
            (_EXAMPLES, "rl-second-seed.safetensors"),
            (*_BY_REWARDS, "model.source=reader-sft", "run.seed=65"),
        ),
        AblationVariant(
            "RL without length penalty",
            (_EXAMPLES, "rl-without-penalty.safetensors"),
            (*_BY_REWARDS, *_AFTER_SFT, "reward.beta=0"),
        ),
        AblationVariant(
            "RL without non-repetition",
            (_EXAMPLES, "rl-without-repetition.safetensors"),
            (*_BY_REWARDS, *_AFTER_SFT, "reward.weights.non_repeat=0"),
            num_rewarded=80,
        ),
        AblationVariant(
            "RL without both",
            (_EXAMPLES, "rl-without-both.safetensors"),
            (*_BY_REWARDS, *_AFTER_SFT, "reward.beta=0", "reward.weights.non_repeat=0"),
            num_rewarded=80,
        ),
    )
}
