"""Tables 4 and 7 at small scale: readers of `lite` take the exam on the drawn world as text, and answer questions about real clips.

The matcher, which is not trained, is the baseline: it sees the same things that the transcript tells the readers of. Not here: masks
(`masks`), training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from videoseg_r1.ablations.clips import Case
from videoseg_r1.ablations.figures import difference, figure, share_fewer, table_head, table_row
from videoseg_r1.ablations.readers import ABLATION_VARIANTS, AblationVariant
from videoseg_r1.difficulty.levels import TIERS
from videoseg_r1.lite.language.matcher import PRESENT, MatcherAnswer, match
from videoseg_r1.lite.language.transcript import canonical_box, canonical_middle
from videoseg_r1.lite.language.words import understand
from videoseg_r1.prompts import CANONICAL, format_reply
from videoseg_r1.rewards import DEFAULT
from videoseg_r1.training.exam import Marks, answers, exam_questions, examine, mark
from videoseg_r1.training.examples import without_thinking
from videoseg_r1.training.world import Split, WorldSample
from videoseg_r1.types import Box, Cue, Point, Reasoning

BASELINE = "matcher, nothing taught"
_PENALTY = (("RL with thinking", "RL without length penalty"), ("RL without non-repetition", "RL without both"))
"""Pairs of readers that differ in the soft length penalty alone, the one with it first. The reward for not repeating shortens reasoning
texts as well, so one pair is without it."""
_SPLITS: tuple[Split, ...] = ("val", "ood")
_TIERS: Mapping[str, Callable[[float], bool]] = {
    "easy": lambda value: value <= TIERS.easy,
    "medium": lambda value: TIERS.easy < value <= TIERS.hard,
    "hard": lambda value: value > TIERS.hard,
}


@dataclass(frozen=True)
class ReaderScores:
    """The scores of a reader.

    Attributes:
        world: marks of the answers to questions about the world, by split.
        clips: kind of the question and box IoU of the answer, for real clips.
    """

    world: Mapping[str, tuple[Marks, ...]]
    clips: tuple[tuple[str, float], ...]

    def of_world(self, split: Split, what: str) -> list[float]:
        """Return one value per question of a split: "success", "iou" or "num_think_tokens"."""
        return [float(getattr(mark, what)) for mark in self.world[split]]

    def of_clips(self) -> list[float]:
        """Return one value per question about real clips that has a target."""
        return [worth for kind, worth in self.clips if kind != "absent"]


def baseline(num: int, cases: Sequence[Case]) -> ReaderScores:
    """Return the scores of the matcher on the questions that readers are asked. It has no reasoning text, so its tokens are 0."""
    world = {split: tuple(mark(sample, matched(sample), DEFAULT, 0) for sample in exam_questions(split, num)) for split in _SPLITS}
    return ReaderScores(world, tuple((case.sample.kind, case.worth(case.matched)) for case in cases))


def scores_of(variant: AblationVariant, num: int, cases: Sequence[Case]) -> ReaderScores:
    """Return the scores of a reader. Raises: WeightsMissing, ModelError."""
    learner, reward = variant.load(), variant.recipe().reward
    prompts = [case.asked.messages if variant.thinking else without_thinking(case.asked.messages) for case in cases]
    replies = answers(learner, prompts) if prompts else []
    return ReaderScores(
        {split: tuple(examine(learner, split, num, reward)) for split in _SPLITS},
        tuple((case.sample.kind, case.worth(case.read(reply))) for case, reply in zip(cases, replies, strict=True)),
    )


def matcher_answer(sample: WorldSample) -> MatcherAnswer:
    """Return what the matcher makes of a question of the world, in the canonical frame."""
    wanted, frame = understand(sample.query.text), sample.pick.target_frame
    judged, presence = match(wanted, sample.tracks, frame)
    found = [one.track.regions[frame] for one in judged[:1]] if presence >= PRESENT else []
    cues = tuple(Cue(Box(*canonical_box(view, sample.scene.size)), (Point(*canonical_middle(view)),)) for view in found)
    return MatcherAnswer(Reasoning("The best fit.", cues, presence=presence), judged[0].share if judged else 0.0, wanted)


def matched(sample: WorldSample) -> str:
    """Return the reply of the matcher to a question of the world."""
    answer = matcher_answer(sample).reasoning
    return format_reply(answer.text, answer.cues, CANONICAL)


def table_4(scores: Mapping[str, ReaderScores]) -> list[str]:
    """Return the lines of the table: training, in and out of distribution and on real clips. Rows that were not trained say so."""
    told = ("success, in distribution", "IoU", "success, out of it", "IoU", "box IoU, real clips")
    nums = [max(map(len, column)) for column in zip(*map(_columns, scores.values()), strict=True)]
    lines = table_head(["reader", *(f"{name} (n {num})" for name, num in zip(told, nums, strict=True))])
    others = {name for pair in _PENALTY for name in pair} - {"RL with thinking"}
    for name in (BASELINE, *(name for name in ABLATION_VARIANTS if name not in others)):
        lines.append(
            table_row(name, [figure(values) for values in _columns(scores[name])] if name in scores else ["not trained yet", *[""] * 4])
        )
    for other in ("SFT without thinking", "SFT"):  # the paper's row, and what the rewards began with
        if {other, "RL with thinking"} <= scores.keys():
            pairs = zip(_columns(scores["RL with thinking"]), _columns(scores[other]), strict=True)
            lines.append(table_row(f"RL with thinking, less {other}", [difference(*pair) for pair in pairs]))
    return lines


def _columns(found: ReaderScores) -> list[list[float]]:
    return [*(found.of_world(split, what) for split in _SPLITS for what in ("success", "iou")), found.of_clips()]


def table_7(scores: Mapping[str, ReaderScores]) -> list[str]:
    """Return the lines of the table: with and without the length penalty, success and thinking tokens by tier of difficulty.

    Below them, for every pair of readers that differ in the penalty alone, by how much success differs, and how many tokens fewer.
    """
    lines = table_head(["reader", "split", *(f"{tier}: success, tokens" for tier in _TIERS), "all: success, tokens"])
    for name in ("SFT", *(name for pair in _PENALTY for name in pair)):
        if name not in scores:
            lines.append(table_row(name, ["not trained yet", *[""] * (len(_TIERS) + 1)]))
            continue
        for split in _SPLITS:
            marks = scores[name].world[split]
            lines.append(table_row(name, [split, *(_told(tier) for tier in [*_by_tier(marks), marks])]))
    for pair in _PENALTY:
        if set(pair) <= scores.keys():
            for split in _SPLITS:
                tiers = zip(*(_by_tier(scores[name].world[split]) for name in pair), strict=True)
                everything = tuple(scores[name].world[split] for name in pair)
                lines.append(table_row(f"{pair[0]}, against {pair[1]}", [split, *(_compared(*one) for one in [*tiers, everything])]))
    return lines


def _by_tier(marks: Sequence[Marks]) -> list[list[Marks]]:
    return [[mark for mark in marks if holds(mark.difficulty)] for holds in _TIERS.values()]


def _told(marks: Sequence[Marks]) -> str:
    if not marks:
        return "none"
    return f"{figure([float(mark.success) for mark in marks])}, {fmean(mark.num_think_tokens for mark in marks):.1f} (n {len(marks)})"


def _compared(one: Sequence[Marks], other: Sequence[Marks]) -> str:
    if not one:
        return "none"
    success, tokens = (
        [[float(getattr(mark, what)) for mark in marks] for marks in (one, other)] for what in ("success", "num_think_tokens")
    )
    return f"{difference(*success)}, {share_fewer(*tokens)} fewer"
