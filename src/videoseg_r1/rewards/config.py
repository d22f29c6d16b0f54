"""The settings of the reward: weights of the terms, and the choices that the papers leave open.

Not here: the terms themselves (`form`, `matching`, `scoring`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from videoseg_r1.errors import InvalidConfig

PointDistance: TypeAlias = Literal["euclidean", "l1"]


class Terms(NamedTuple):
    """One number per term: its weight in a configuration (the defaults; 0 turns it off), its value in a breakdown.

    Values range over 0..1, `answer_format` over 0..2 and `accuracy` over 0..3. The last two go beyond the paper.
    """

    thinking_format: float = 1.0
    answer_format: float = 1.0
    accuracy: float = 1.0
    non_repeat: float = 1.0
    negative_point: float = 1.0
    box_iou: float = 0.0
    mask_iou: float = 0.0


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """Settings of `score`.

    Attributes:
        weights: of the terms. Without a weight for `negative_point`, the answer's format asks for no negative points either.
        thinking: False for completions that should not think: the thinking's format earns nothing, and length costs nothing.
        beta: what a thinking token beyond the budget takes off the factor s (eq. 7); 0 turns the penalty off.
        floor: the least s. Above 0, so that of two overlong answers the better one still gets more.
        budget: thinking tokens that are free of charge for a medium sample, and for a truth that names no budget.
        min_think_tokens: with fewer, the thinking's format earns nothing; at 0 empty thinking earns all of it, as in VisionReasoner.
        point_distance: VisionReasoner's code measures "euclidean", its paper says "l1".
        strict_parse: one malformed object voids the accuracy of all and ends the count of the answer's format, as in VisionReasoner.
        allow_empty: [] is an answer: its format earns all of its reward, and where there is no target so do accuracy and negative point.
    Raises: InvalidConfig: a number out of range.
    Source: values of beta, floor and budget are ours (docs/algorithm.md, "Length penalty"), the paper does not give them.
    """

    weights: Terms = field(default_factory=Terms)
    thinking: bool = True
    beta: float = 0.005
    floor: float = 0.1
    budget: int = 72
    min_think_tokens: int = 0
    point_distance: PointDistance = "euclidean"
    strict_parse: bool = False
    allow_empty: bool = False

    def __post_init__(self) -> None:
        ranges = {
            "weights": all(0 <= weight < math.inf for weight in self.weights),
            "beta": 0 <= self.beta < math.inf,
            "floor": 0 < self.floor <= 1,
            "budget": self.budget >= 0,
            "min_think_tokens": self.min_think_tokens >= 0,
            "point_distance": self.point_distance in ("euclidean", "l1"),
        }
        wrong = [name for name, good in ranges.items() if not good]
        if wrong:
            fix = "weights, beta, budget and min_think_tokens are at least 0, floor is above 0 and at most 1"
            raise InvalidConfig("a setting of the reward is out of range", where=", ".join(wrong), fix=fix)


DEFAULT = RewardConfig()
"""VideoSeg-R1's terms; where the paper leaves a value open, ours. The reward is in 0..8."""
VISION_REASONER = RewardConfig(weights=Terms(negative_point=0.0), beta=0.0, strict_parse=True)
"""VisionReasoner's reward as its code computes it, in 0..7; docs/rewards.md names what differs in the corners."""
