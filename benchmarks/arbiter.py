"""Who is right where the matcher's answer replaces the reader's, on drawn questions that no table asks (`lite.reader.arbiter`).

    python benchmarks/arbiter.py [--num 130] [--model reader]

Of the questions of each split, all kinds alike, the reader is asked those for which the matcher is sure enough of its answer to replace
another; --num of them. What is counted: where the two differ, by what the reader means, to how many the answer of each is right.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from itertools import count

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from videoseg_r1.ablations.text import matcher_answer
from videoseg_r1.lite.language.matcher import MatcherAnswer
from videoseg_r1.lite.reader.arbiter import outweighs
from videoseg_r1.lite.reader.base import reasoning_prompt
from videoseg_r1.prompts import CANONICAL, format_reply, parse_reply
from videoseg_r1.rewards import truth_of
from videoseg_r1.training.exam import answers, is_success
from videoseg_r1.training.network import Learner, load_learner
from videoseg_r1.training.recipe import load_recipe
from videoseg_r1.training.world import KINDS_OF_QUERY, Split, WorldSample, draw_world_sample
from videoseg_r1.types import Box, Cue, Reasoning

FIRST_SEED = 6000
"""Of the questions; those of the tables have seeds from 0, and training has scenes of its own."""
_ELSEWHERE = Box(-2, -2, -1, -1)


def sure_questions(split: Split, num: int) -> tuple[list[tuple[WorldSample, MatcherAnswer]], int]:
    """Return the first questions for which the matcher is sure enough, with its answers, and how many were drawn."""
    found: list[tuple[WorldSample, MatcherAnswer]] = []
    for drawn in count():
        if len(found) == num:
            return found, drawn
        sample = draw_world_sample(FIRST_SEED + drawn, split, KINDS_OF_QUERY[drawn % len(KINDS_OF_QUERY)])
        answer = matcher_answer(sample)
        if outweighs(answer, [Cue(_ELSEWHERE)]):
            found.append((sample, answer))
    raise AssertionError


def compare(learner: Learner, split: Split, num: int) -> None:
    """Print who is right, by what the reader means."""
    asked, drawn = sure_questions(split, num)
    rights: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    replies = answers(learner, [reasoning_prompt(sample.transcript, sample.query.text) for sample, _ in asked])
    for (sample, answer), reply in zip(asked, replies, strict=True):
        read = parse_reply(reply, frame_size=CANONICAL)
        boxes = read.boxes if isinstance(read, Reasoning) else None
        theirs = answer.reasoning.cues
        sort = _means(boxes, answer) if outweighs(answer, None if boxes is None else [Cue(box) for box in boxes]) else "agrees"
        truth = truth_of(sample.masks())
        rights[sort].append((is_success(truth, reply), is_success(truth, format_reply("", theirs, CANONICAL))))
    print(f"{split}: {num} of {drawn} questions")
    for sort, found in sorted(rights.items()):
        reader, matcher = (sum(right) for right in zip(*found, strict=True))
        print(f"    reader {sort:36s} {len(found):4d}  reader right {reader:4d}  matcher right {matcher:4d}", flush=True)


def _means(boxes: tuple[Box, ...] | None, answer: MatcherAnswer) -> str:
    if boxes is None:
        return "cannot be read"
    if not boxes:
        return "finds nothing"
    return "means something else" if answer.reasoning.cues else "means something, and nothing is seen"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--num", type=int, default=130)
    options.add_argument("--model", default="reader")
    given = options.parse_args()
    learner = load_learner(load_recipe("lite", [f"model.source={given.model}"]))
    splits: tuple[Split, ...] = ("val", "ood")
    for split in splits:
        compare(learner, split, given.num)


if __name__ == "__main__":
    main()
