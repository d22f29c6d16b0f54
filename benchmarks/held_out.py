"""What rewards changed: readers of `lite` on the same held-out questions, greedy and drawn at temperature 1 as GRPO draws, pair by pair.

    python benchmarks/held_out.py reader-sft run/grpo/final [--num 104] [--draws 4] [--split val]

Each reader is a source of recipes (smollm2, reader-sft, reader), or a folder that a run has written: RUN/STAGE/final or checkpoint-N.
The first one is what the others are compared with: the mean difference over questions, with its 95 % bootstrap interval; and success
by kind of question.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import cast

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from videoseg_r1.ablations.figures import difference
from videoseg_r1.documents import read_json
from videoseg_r1.training.exam import examine
from videoseg_r1.training.network import Learner, load_learner
from videoseg_r1.training.recipe import load_recipe, recipe_of
from videoseg_r1.training.run import finals
from videoseg_r1.training.world import KINDS_OF_QUERY, Split

MEASURES = ("success", "reward", "num_think_tokens")


def reader(name: str) -> Learner:
    """Return the network that a name stands for."""
    folder = Path(name)
    if not folder.is_dir():
        return load_learner(load_recipe("lite", [f"model.source={name}"]))
    run, stage = folder.parents[1], folder.parent.name
    recipe = recipe_of(read_json(run / "recipe.json"))  # which tells what an adapter lies on
    return load_learner(recipe, [*finals(recipe, run)[: recipe.run.stages.index(stage)], folder])


def measured(learner: Learner, split: Split, num: int, draws: int) -> dict[str, np.ndarray]:
    """Return each measure of every question, float64 (num,): the mean over its answers."""
    torch.manual_seed(1)
    marks = examine(learner, split, num, load_recipe("lite").reward, draws=draws)
    return {name: np.array([getattr(mark, name) for mark in marks], np.float64).reshape(num, -1).mean(1) for name in MEASURES}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("readers", nargs="+")
    options.add_argument("--num", type=int, default=104)
    options.add_argument("--draws", type=int, default=4)
    options.add_argument("--split", choices=("val", "ood"), default="val")
    given = options.parse_args()
    for draws in dict.fromkeys((0, given.draws)):
        first: dict[str, np.ndarray] = {}
        for name in given.readers:
            own = measured(reader(name), cast("Split", given.split), given.num, draws)
            means = "  ".join(f"{measure} {values.mean():.3f}" for measure, values in own.items())
            print(f"{given.split} {given.num} x {draws or 'greedy'}  {name}: {means}", flush=True)
            for measure in MEASURES if first else ():
                print(f"    {measure} against {given.readers[0]}: {difference(own[measure].tolist(), first[measure].tolist())}", flush=True)
            by_kind = [
                f"{kind} {own['success'][at :: len(KINDS_OF_QUERY)].mean():.2f}" for at, kind in enumerate(KINDS_OF_QUERY[: given.num])
            ]
            print(f"    success: {', '.join(by_kind)}", flush=True)
            first = first or own


if __name__ == "__main__":
    main()
