"""Train what the tables compare with what ships, and put what each learned in weights/ablations. About 20 minutes each on two cores.

python tools/train_variants.py runs                       # all that is not there, one after another; goes on where it was stopped
python tools/train_variants.py runs "RL without both"     # this one

Rewards stop where `readers` says, for most after 40 of the recipe's 80 steps, as they did for what ships.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from videoseg_r1.ablations.readers import ABLATION_VARIANTS, AblationVariant
from videoseg_r1.lite.reader.trained import ABLATION_WEIGHTS
from videoseg_r1.lite.reader.weights_delta import pack_adapter
from videoseg_r1.training.recipe import load_recipe
from videoseg_r1.training.run import train


class EnoughError(Exception):
    """The rewards are to stop here; the checkpoint of those steps is written."""


def learn(variant: AblationVariant, out: Path) -> None:
    recipe = load_recipe("lite", ["run.tracker=none", *variant.changes])
    folder, stage = out / Path(variant.files[-1]).stem, recipe.run.stages[-1]
    made = folder / stage / (f"checkpoint-{variant.num_rewarded}" if stage == "grpo" else "final")
    start = time.monotonic()

    def told(name: str, step: int, num: int) -> None:
        print(f"{variant.name}: {name} {step} of {num}", flush=True)
        if name == "grpo" and step > variant.num_rewarded:
            raise EnoughError

    try:
        if not made.is_dir():
            train(recipe, folder, resume=True, progress=told)
    except EnoughError:
        pass
    target = ABLATION_WEIGHTS / variant.files[-1]
    target.parent.mkdir(parents=True, exist_ok=True)
    about = {"base": recipe.model.source, "stages": " ".join(recipe.run.stages), "seed": str(recipe.run.seed)}
    pack_adapter(made / "adapter_model.safetensors", recipe.model.alpha / recipe.model.rank, target, about)
    print(f"{variant.name}: {target}, {(time.monotonic() - start) / 60:.0f} minutes")


def main() -> None:
    out, *names = sys.argv[1:]
    for name in names or [variant.name for variant in ABLATION_VARIANTS.values() if variant.changes and not variant.is_there]:
        learn(ABLATION_VARIANTS[name], Path(out))


if __name__ == "__main__":
    main()
