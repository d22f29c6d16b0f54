"""Completions scored per second on one core, for samples of one object.

    python benchmarks/rewards.py [--samples 200] [--group 8]

Every sample has its own mask (ellipses in 854 x 480) and a group of completions of about 70 words: right ones, near misses, wild
ones, overlong and broken ones, each with a negative point. `score` is given truths; `trl_reward` is given rows as a data set holds
them and reads a truth anew for each group. Times are processor times, the better of three passes. Prints one JSON document; exits
with 1 unless both agree to the last digit and both reach 10,000 a second.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

import numpy as np

from videoseg_r1.rewards import Truth, score, trl_reward, truth_of

REQUIRED_PER_S = 10_000
SENTENCE = "the brown dog on the left runs ahead of a white one while the sentence asks for that which turns last near its red ball"


def sample_truth(rng: np.random.Generator) -> Truth:
    """Return the truth of one ellipse."""
    y, x = np.ogrid[:480, :854]
    middle, radii = rng.uniform((120, 200), (360, 650)), rng.uniform(20, 110, 2)
    return truth_of((((y - middle[0]) / radii[0]) ** 2 + ((x - middle[1]) / radii[1]) ** 2 < 1)[None], budget=72)


def completion(truth: Truth, rng: np.random.Generator) -> str:
    """Return an answer as a model in training may give it."""
    box, point = truth.boxes[0], truth.points[0]
    error = rng.choice([0, 12, 200], p=[0.4, 0.4, 0.2])
    corners = (np.array([box.x1, box.y1, box.x2, box.y2]) + rng.integers(-error, error + 1, 4)).astype(int).tolist()
    beside = [corners[2] + int(rng.integers(-5, 50)), int(point.y)]
    answer = json.dumps([{"bbox_2d": corners, "point_2d": [int(point.x), int(point.y)], "neg_point_2d": beside}])
    thinking = " ".join(rng.choice(SENTENCE.split(), int(rng.integers(30, 110)))) + "."
    text = f"<think>{thinking}</think><answer>{answer}</answer>"
    return text if rng.random() > 0.1 else text[: int(rng.integers(0, len(text)))]


def fastest(passes: int, run: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """Return seconds of processor time of the fastest pass, and the rewards."""
    best, rewards = float("inf"), list[float]()
    for _ in range(passes):
        began = time.process_time()
        rewards = run()
        best = min(best, time.process_time() - began)
    return best, rewards


def measure(num_samples: int, group: int) -> dict[str, object]:
    """Return the document to print."""
    rng = np.random.default_rng(0)
    truths = [truth for truth in (sample_truth(rng) for _ in range(num_samples)) for _ in range(group)]
    texts = [completion(truth, rng) for truth in truths]
    rows = [truth.to_dict() for truth in truths]
    function = trl_reward()
    score_s, scored = fastest(3, lambda: [score(text, truth).total for text, truth in zip(texts, truths, strict=True)])
    trl_s, rewards = fastest(3, lambda: function(completions=texts, truth=rows))
    rates = [len(texts) / score_s, len(texts) / trl_s]
    return {
        "benchmark": "rewards of one-object completions",
        "completions": len(texts),
        "group": group,
        "mean_reward": sum(scored) / len(scored),
        "score_per_s": rates[0],
        "trl_reward_per_s": rates[1],
        "required_per_s": REQUIRED_PER_S,
        "ok": rewards == scored and min(rates) >= REQUIRED_PER_S,
    }


def main() -> int:
    """Run and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200, metavar="N", help="different truths (default: %(default)s)")
    parser.add_argument("--group", type=int, default=8, metavar="N", help="completions of each (default: %(default)s)")
    args = parser.parse_args()
    result = measure(max(1, args.samples), max(1, args.group))
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
