"""Train what the tables compare with what ships, and put what each learned beside the shipped weights. About two hours on two cores.

python tools/train_variants.py runs                       # all that is not there, one after another; goes on where it was stopped
python tools/train_variants.py runs "RL without both"     # this one
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from videoseg_r1.lite.learned import pack_adapter
from videoseg_r1.lite.reader import WEIGHTS
from videoseg_r1.reproduction.readers import VARIANTS, Variant
from videoseg_r1.training.recipe import load_recipe
from videoseg_r1.training.run import train


def learn(variant: Variant, out: Path) -> None:
    recipe = load_recipe("lite", ["run.tracker=none", *variant.changes])
    folder = out / Path(variant.files[-1]).stem
    start = time.monotonic()
    final = train(
        recipe, folder, resume=True, progress=lambda stage, step, num: print(f"{variant.name}: {stage} {step} of {num}", flush=True)
    )
    target = WEIGHTS / variant.files[-1]
    target.parent.mkdir(exist_ok=True)
    told = {"base": recipe.model.source, "stages": " ".join(recipe.run.stages), "seed": str(recipe.run.seed)}
    pack_adapter(final / "adapter_model.safetensors", recipe.model.alpha / recipe.model.rank, target, told)
    print(f"{variant.name}: {target}, {(time.monotonic() - start) / 60:.0f} minutes")


def main() -> None:
    out, *names = sys.argv[1:]
    for name in names or [variant.name for variant in VARIANTS.values() if variant.changes and not variant.is_there]:
        learn(VARIANTS[name], Path(out))


if __name__ == "__main__":
    main()
