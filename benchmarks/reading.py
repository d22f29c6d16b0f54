"""How well readers of `lite` read real clips, kind by kind, against the matcher, on the same target frames (`ablations.clips`).

    python benchmarks/reading.py --root ../shared/data/davis16_dev [--mosaic 2] [--model reader] [--verbose]

--model is a source of recipes: reader, reader-sft, or a folder such as run/sft/checkpoint-50. `best line` is the most that choosing
one line of the transcript can reach. --verbose prints what each answer is worth, and the thinking.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from videoseg_r1.ablations.clips import cases_of
from videoseg_r1.datasets.controls import mosaic
from videoseg_r1.datasets.davis import load_davis16
from videoseg_r1.datasets.sample import samples_of
from videoseg_r1.training.exam import answers
from videoseg_r1.training.network import load_learner
from videoseg_r1.training.recipe import load_recipe


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--root", required=True)
    options.add_argument("--mosaic", type=int, default=0)
    options.add_argument("--model", default="reader")
    options.add_argument("--verbose", action="store_true")
    given = options.parse_args()
    samples = samples_of(load_davis16(given.root))
    cases = list(cases_of(mosaic(samples, given.mosaic) if given.mosaic else samples))
    learner = load_learner(load_recipe("lite", [f"model.source={given.model}"]))
    scores: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for case, reply in zip(cases, answers(learner, [case.asked.messages for case in cases]), strict=True):
        best = max((case.worth([box]) for box in case.lines), default=0.0) if case.truth else 1.0
        read = case.read(reply)
        row = case.worth(read), case.worth(case.arbitrated(read)), case.worth(case.matched), best
        scores[case.sample.kind].append(row)
        if case.sample.target_present:
            scores["all with a target"].append(row)
        if given.verbose:
            told = f"{case.sample.video_id}: {case.sample.query} | {reply.partition('</think>')[0]}"
            print(" ".join(f"{value:.2f}" for value in row), told)
    for kind, rows in scores.items():
        reader, both, matcher, best = np.mean(rows, 0)
        print(
            f"{kind:18s} {len(rows):3d}  reader {reader:.3f}  reader, then matcher {both:.3f}  matcher {matcher:.3f}  best line {best:.3f}"
        )


if __name__ == "__main__":
    main()
