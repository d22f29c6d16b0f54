"""Scores one completion: every term, their weighted sum, and the factor for the length of the thinking.

Not here: counting tokens (`num_think_tokens` is the caller's; words stand in for it), and anything that compares completions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from videoseg_r1.errors import InvalidConfig
from videoseg_r1.masks import decode, union_of
from videoseg_r1.metrics import region_similarity
from videoseg_r1.prompts import CANONICAL, Answer, Size, read_answer
from videoseg_r1.prompts.items import read_cue
from videoseg_r1.prompts.schema import pixels_per_unit
from videoseg_r1.rewards.config import DEFAULT, RewardConfig, Terms
from videoseg_r1.rewards.form import answer_format, is_complete, non_repeat, num_negatives, think_span, thinking_format
from videoseg_r1.rewards.matching import Pairs, accuracy, box_iou
from videoseg_r1.rewards.truth import Truth
from videoseg_r1.types import BoolMask, Cue

Segment: TypeAlias = Callable[[Sequence[Cue]], BoolMask]
"""Masks (N, 840, 840) of cues with a box, in pixels of the canonical frame: a segmenter bound to the sample's target frame."""


@dataclass(frozen=True, slots=True)
class RewardBreakdown:
    """A reward and its parts.

    Attributes:
        terms: value of each term, before weights. A term beyond the paper that has no weight is not measured and 0.
        pairs: the assignment behind the accuracy.
        num_think_tokens: length that was charged.
        budget: length that was free of charge.
        length_factor: s in floor..1.
        original: weighted sum of the terms (R_original).
        total: original * length_factor (R_final, eq. 8).
    """

    terms: Terms
    pairs: Pairs
    num_think_tokens: int
    budget: int
    length_factor: float
    original: float
    total: float


def score(
    completion: str,
    truth: Truth,
    config: RewardConfig = DEFAULT,
    *,
    num_think_tokens: int | None = None,
    coord_size: Size = CANONICAL,
    segment: Segment | None = None,
) -> RewardBreakdown:
    """Score one completion.

    Args:
        completion: the decoded text, without special tokens and with its opening `<think>` (some chat templates write that one).
        truth: what should have been found.
        config: see `RewardConfig`.
        num_think_tokens: tokens of `think_span(completion)`; None counts words.
        coord_size: (width, height) of the grid the completion is written in, as for `parse_reply`.
        segment: needed by, and only used for, the term `mask_iou`.
    Returns: see `RewardBreakdown`; never an exception for anything a model wrote.
    Raises: InvalidConfig: `mask_iou` has a weight and there is no segmenter, or a size is not positive.
        ShapeMismatch: the segmenter's masks are not of the canonical size.
    Source: the paper, eq. 5-8; term by term in docs/rewards.md.
    """
    scale = pixels_per_unit(CANONICAL, coord_size)
    if num_think_tokens is None:
        num_think_tokens = len(think_span(completion).split())
    answer = read_answer(completion, mode="strict")
    items = answer.items if isinstance(answer, Answer) else ()
    cues = [read_cue(item, scale, CANONICAL, strict=True)[0] or Cue(None) for item in items]
    agreement, pairs = accuracy(cues, truth, config.point_distance)
    weights = config.weights
    form = answer_format(items, negatives=weights.negative_point > 0, strict_parse=config.strict_parse)
    beside = _negative_point(items, cues, truth)
    if config.strict_parse and not all(map(is_complete, items)):
        agreement = 0.0
    elif config.allow_empty and isinstance(answer, Answer) and not items:
        # "nothing" is as good a form as any: were it paid less than a wrong box, rewards would teach never to say it
        form = 2.0
        if not truth.boxes:
            agreement, beside = 3.0, 1.0
    terms = Terms(
        thinking_format=thinking_format(completion) if config.thinking and num_think_tokens >= config.min_think_tokens else 0.0,
        answer_format=form,
        accuracy=agreement,
        non_repeat=non_repeat(completion),
        negative_point=beside,
        box_iou=box_iou(cues, truth) if weights.box_iou else 0.0,
        mask_iou=_mask_iou(cues, truth, segment) if weights.mask_iou else 0.0,
    )
    budget = config.budget if truth.budget is None else truth.budget
    factor = length_factor(num_think_tokens, budget, config.beta, config.floor) if config.thinking else 1.0
    original = sum(weight * value for weight, value in zip(weights, terms, strict=True))
    return RewardBreakdown(terms, pairs, num_think_tokens, budget, factor, original, original * factor)


def length_factor(num_tokens: int, budget: int, beta: float, floor: float) -> float:
    """Return s: 1 within the budget, `beta` less per token beyond it, never below `floor`. Source: eq. 7; the floor is ours."""
    return max(floor, 1.0 - beta * max(0, num_tokens - budget))


def _negative_point(items: Sequence[object], cues: Sequence[Cue], truth: Truth) -> float:
    """Return the share of the negative points, unusable ones counted, that lie beside the targets: 0..1, 0.0 for none."""
    count = sum(map(num_negatives, items))
    return sum(truth.is_beside(point) for cue in cues for point in cue.neg_points) / count if count else 0.0


def _mask_iou(cues: Sequence[Cue], truth: Truth, segment: Segment | None) -> float:
    """Return the IoU of the united masks; 0.0 where no object can be segmented. Source: docs/algorithm.md, "Rewards beyond the paper"."""
    if segment is None:
        raise InvalidConfig("mask_iou needs a segmenter", fix="give segment=, or set the weight of mask_iou to 0")
    usable = [cue for cue in cues if cue.box]
    return region_similarity(union_of(segment(usable)), decode(truth.mask)) if usable else 0.0
