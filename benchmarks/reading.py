"""How well stage 2 of `lite` reads what perception writes of real clips: the trained reader against the matcher, on the same frames.

    python benchmarks/reading.py --root ../shared/data/davis16_dev [--mosaic 2] [--model reader] [--verbose]

Stage 1 is the matcher's for both. What is compared is the box in the target frame with that of the true mask; no masks are made, so
this takes minutes where `videoseg eval davis16` takes hours. `best line` is the most that choosing one line of the transcript can
reach. --model is a source of recipes: reader, or a folder such as run/sft/checkpoint-50.
"""

from __future__ import annotations

import argparse
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from videoseg_r1.chat.base import Reply
from videoseg_r1.datasets import davis
from videoseg_r1.datasets.mosaic import mosaic
from videoseg_r1.datasets.sample import Sample
from videoseg_r1.lite.matcher import LiteVoter, Matcher
from videoseg_r1.lite.speaker import transcript_question
from videoseg_r1.masks.geometry import box_of
from videoseg_r1.prompts import CANONICAL
from videoseg_r1.reasoner import Question
from videoseg_r1.rewards.matching import iou
from videoseg_r1.sampler import HierarchicalSampler
from videoseg_r1.stages import Context
from videoseg_r1.training.exam import answers
from videoseg_r1.training.network import load_learner
from videoseg_r1.training.recipe import load_recipe
from videoseg_r1.types import Box, Reasoning

_BOX = re.compile(r"box \[(\d+) (\d+) (\d+) (\d+)\]$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """A question about a real clip; `truth` is None where nothing is meant, `matched` and `lines` are boxes in pixels."""

    sample: Sample
    asked: Question
    truth: Box | None
    matched: Sequence[Box]
    lines: Sequence[Box]


def case_of(sample: Sample) -> Case:
    with sample.open() as video:
        pick = HierarchicalSampler(LiteVoter()).pick(video, sample.query)
        target, context = video.read([pick.target_frame])[0], Context(video, pick)
        found = Matcher().reason(target, context, sample.query)
        asked = transcript_question(target, context, sample.query)
    mask = sample.gold.mask(pick.target_frame)
    width, height = asked.frame_size
    sx, sy = width / CANONICAL[0], height / CANONICAL[1]
    boxes = [[int(number) for number in line] for line in _BOX.findall(str(asked.messages[-1].parts[0]))]
    lines = [Box(x1 * sx, y1 * sy, x2 * sx, y2 * sy) for x1, y1, x2, y2 in boxes]
    return Case(sample, asked, box_of(mask) if mask.any() else None, boxes_of(found), lines)


def boxes_of(reasoning: Reasoning) -> list[Box]:
    return [cue.box for cue in reasoning.cues if cue.box]


def worth(boxes: Sequence[Box], truth: Box | None) -> float:
    """Return the box IoU of an answer, 0 for several boxes or none; without a target 1 for none."""
    if truth is None:
        return float(not boxes)
    return iou(boxes[0], truth) if len(boxes) == 1 else 0.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--root", required=True)
    options.add_argument("--mosaic", type=int, default=0)
    options.add_argument("--model", default="reader")
    options.add_argument("--verbose", action="store_true")
    given = options.parse_args()
    samples = davis.load(given.root)
    cases = [case_of(sample) for sample in (mosaic(samples, given.mosaic) if given.mosaic else samples)]
    learner = load_learner(load_recipe("lite", [f"model.source={given.model}"]))
    scores: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for case, reply in zip(cases, answers(learner, [case.asked.messages for case in cases]), strict=True):
        read = case.asked.read(Reply(reply))
        mine = worth(boxes_of(read) if isinstance(read, Reasoning) else [Box(0, 0, 1, 1)] * 2, case.truth)
        best = max((worth([box], case.truth) for box in case.lines), default=0.0) if case.sample.target_present else 1.0
        row = mine, worth(case.matched, case.truth), best
        scores[case.sample.kind].append(row)
        if case.sample.target_present:
            scores["all with a target"].append(row)
        if given.verbose:
            print(f"{mine:.2f} {row[1]:.2f} {best:.2f} {case.sample.video_id}: {case.sample.query} | {reply.partition('</think>')[0]}")
    for kind, rows in scores.items():
        reader, matcher, best = np.mean(rows, 0)
        print(f"{kind:18s} {len(rows):3d}  reader {reader:.3f}  matcher {matcher:.3f}  best line {best:.3f}")


if __name__ == "__main__":
    main()
