"""How well a reader of `lite` votes in stage 1, on held-out scenes: intervals against the true ones, moments against the best ones.

    python benchmarks/moments.py [--model reader] [--num 60]

Beside each stands what costs no reading: the whole clip for an interval, its middle for a moment. --model is a source of recipes:
reader, reader-sft, or a folder such as run/sft/checkpoint-50.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from videoseg_r1.lite.reader.base import interval_prompt, position_prompt
from videoseg_r1.prompts import parse_interval, parse_position
from videoseg_r1.training.exam import answers
from videoseg_r1.training.network import Learner, load_learner
from videoseg_r1.training.recipe import load_recipe
from videoseg_r1.training.world import Split, draw_moment

WHOLE, MIDDLE, PART = (0.0, 100.0), 50.0, 90


def overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the intersection over the union of two intervals."""
    both = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    either = max(one[1], other[1]) - min(one[0], other[0])
    return both / either if either else 1.0


def told(learner: Learner, split: Split, num: int) -> None:
    questions = [draw_moment(seed, split) for seed in range(num)]
    intervals = [parse_interval(text) for text in answers(learner, [interval_prompt(one.transcript, one.query.text) for one in questions])]
    moments = [parse_position(text) for text in answers(learner, [position_prompt(one.transcript, one.query.text) for one in questions])]
    rows = list(zip(questions, intervals, moments, strict=True))
    parts = [row for row in rows if np.ptp(row[0].interval) < PART]
    for name, chosen in (("the whole clip", [row for row in rows if row not in parts]), ("a part of it", parts)):
        voted = np.mean([overlap(interval, question.interval) if interval else 0.0 for question, interval, _ in chosen])
        whole = np.mean([overlap(WHOLE, question.interval) for question, *_ in chosen])
        num_whole = sum(interval == WHOLE for _, interval, _ in chosen)
        errors = np.mean([abs((MIDDLE if moment is None else moment) - question.position) for question, _, moment in chosen])
        middles = np.mean([abs(MIDDLE - question.position) for question, *_ in chosen])
        print(
            f"{split:4s} about {name:14s} {len(chosen):3d}  interval IoU {voted:.3f} (whole clip {whole:.3f}, voted for by {num_whole})  "
            f"moment off by {errors:.1f} % of the clip (its middle {middles:.1f})",
            flush=True,
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", default="reader")
    options.add_argument("--num", type=int, default=60)
    given = options.parse_args()
    learner = load_learner(load_recipe("lite", [f"model.source={given.model}"]))
    for split in ("val", "ood"):
        told(learner, split, given.num)


if __name__ == "__main__":
    main()
