"""The readers that are compared: what ships, and what it is without one part of the method.

All start from the same stage of examples. What each learned after it is a small file that ships with the package; a file that is not
there is a row that was not trained, and the tables say so. Not here: training them (`videoseg train`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from videoseg_r1.lite.learned import add_learned
from videoseg_r1.lite.reader import WEIGHTS
from videoseg_r1.training.network import Learner, load_learner
from videoseg_r1.training.recipe import Recipe, load_recipe


@dataclass(frozen=True)
class Variant:
    """One reader.

    Attributes:
        name: in the tables.
        file: what it learned beyond the shipped examples, in the folder of the shipped weights; "" for nothing.
        thinking: whether it thinks before it answers.
    """

    name: str
    file: str = ""
    thinking: bool = True

    @property
    def path(self) -> Path | None:
        """The file, None where it needs none."""
        return WEIGHTS / self.file if self.file else None

    @property
    def is_there(self) -> bool:
        return self.path is None or self.path.is_file()

    def recipe(self) -> Recipe:
        return load_recipe("lite", ["model.source=reader-sft", f"reward.thinking={str(self.thinking).lower()}"])

    def load(self) -> Learner:
        """Return the network, ready to be asked. Raises: WeightsMissing, ModelError."""
        learner = load_learner(self.recipe())
        if self.path:
            add_learned(learner.network, self.path)
        return learner


VARIANTS: Mapping[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("SFT"),
        Variant("SFT without thinking", "sft-without-thinking.safetensors", thinking=False),
        Variant("RL without thinking", "rl-without-thinking.safetensors", thinking=False),
        Variant("RL with thinking", "reader-rewards.safetensors"),
        Variant("RL with thinking, second seed", "rl-second-seed.safetensors"),
        Variant("RL without length penalty", "rl-without-penalty.safetensors"),
    )
}
