"""How many completions a second are drawn: prompts computed once per group, against TRL's stock generation on the same network.

    python benchmarks/rollouts.py [--model DIR] [--groups 2] [--repeats 3]

Both draw the same number of tokens from the same trainer; no completion ends early, so that nothing but the way of drawing differs.
Without --model the network is SmolLM2-135M, untrained: how fast it is does not depend on what it has learned.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from trl.trainer.grpo_trainer import GRPOTrainer

from videoseg_r1.lite.reader.base import base_folder
from videoseg_r1.training.network import load_learner
from videoseg_r1.training.recipe import load_recipe
from videoseg_r1.training.trainers import grpo_stage

GROUP, PROMPT, COMPLETION = 8, 700, 64  # as `lite` has them, completions cut short


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default=str(base_folder()))
    options.add_argument("--groups", type=int, default=2)
    options.add_argument("--repeats", type=int, default=3)
    given = options.parse_args()
    changes = [
        f"model.source={given.model}",
        f"grpo.batch_size={given.groups}",
        f"grpo.micro_batch={given.groups * GROUP}",
        f"grpo.max_tokens={COMPLETION}",
        "run.tracker=none",
    ]
    recipe = load_recipe("lite", changes)
    with tempfile.TemporaryDirectory() as folder:
        trainer = grpo_stage(recipe, load_learner(recipe), Path(folder))
    trainer.eos_token_ids = []
    trainer.generation_config.eos_token_id = None
    trainer.generation_config.min_new_tokens = COMPLETION
    torch.manual_seed(0)
    prompts = [row for ids in torch.randint(1000, 40000, (given.groups, PROMPT)).tolist() for row in [ids] * GROUP]
    ours, stock = type(trainer)._generate_single_turn, GRPOTrainer._generate_single_turn
    best: dict[str, float] = {}
    for _ in range(given.repeats):  # by turns, so that whatever else runs slows both
        for name, draw in (("ours", ours), ("stock", stock)):
            start = time.perf_counter()
            with trainer.accelerator.autocast():  # as the trainer wraps the network, but casting weights once: to the advantage of stock
                completions, _logs = draw(trainer, prompts, None, {}, GROUP)
            seconds = time.perf_counter() - start
            if {len(one) for one in completions} != {COMPLETION}:
                raise SystemExit(f"{name} drew completions of other lengths")
            best[name] = max(best.get(name, 0.0), len(prompts) / seconds)
    print(f"group {GROUP}, prompt {PROMPT}, completion {COMPLETION} tokens, {torch.get_num_threads()} threads, best of {given.repeats}")
    for name, rate in best.items():
        print(f"{name:>6}: {rate:.2f} completions a second")
    print(f" ratio: {best['ours'] / best['stock']:.2f}")


if __name__ == "__main__":
    main()
