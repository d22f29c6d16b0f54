"""Adapters to the reward interfaces of trainers: plain lists, TRL, verl. No trainer is imported.

The length factor multiplies the sum of all terms, so the terms cannot be separate functions of a trainer that adds them up: there
is one function, and its parts are logged. Not here: normalising a model family's completions, and the trainers' settings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, TypeAlias, cast

from videoseg_r1.errors import InputError, InvalidConfig, ShapeMismatch
from videoseg_r1.prompts import CANONICAL, Size
from videoseg_r1.rewards.config import DEFAULT, RewardConfig
from videoseg_r1.rewards.form import think_span
from videoseg_r1.rewards.scoring import RewardBreakdown, score
from videoseg_r1.rewards.truth import Truth

CountTokens: TypeAlias = Callable[[str], int]
TrlReward: TypeAlias = Callable[..., list[float]]
"""A reward function as TRL calls it: by keyword, one list per column, one value per completion."""
_NAME = "videoseg_reward"


def score_batch(
    completions: Sequence[str],
    truths: Sequence[Truth],
    config: RewardConfig = DEFAULT,
    *,
    count_tokens: CountTokens | None = None,
    coord_size: Size = CANONICAL,
) -> list[RewardBreakdown]:
    """Return `score` of every completion against its truth.

    Args:
        count_tokens: number of tokens of a text, without special tokens; None counts words.
    Raises: ShapeMismatch: not one truth per completion.
    """
    if len(completions) != len(truths):
        raise ShapeMismatch("every completion needs its truth", where=_NAME, why=f"{len(completions)} completions, {len(truths)} truths")
    lengths = [count_tokens(think_span(text)) if count_tokens else None for text in completions]
    return [
        score(text, truth, config, num_think_tokens=length, coord_size=coord_size)
        for text, truth, length in zip(completions, truths, lengths, strict=True)
    ]


def trl_reward(config: RewardConfig = DEFAULT, *, count_tokens: CountTokens | None = None, coord_size: Size = CANONICAL) -> TrlReward:
    """Return the one reward function for `GRPOTrainer(reward_funcs=...)`.

    It reads the column `truth` (`Truth.to_dict`). The mean of each term that has a weight, of the length, its factor and the share
    over budget goes to `log_metric` as `reward/NAME`; the values themselves go to `log_extra`. Arguments as for `score_batch`.

    Raises: InvalidConfig: `mask_iou` has a weight; it needs a segmenter per sample, which a trainer does not hand out.
        The function itself: InputError and ShapeMismatch, naming the function and the sample.
    """
    if config.weights.mask_iou:
        raise InvalidConfig("mask_iou cannot be measured inside a trainer", fix="set its weight to 0, or call score with a segmenter")

    def videoseg_reward(
        *,
        completions: Sequence[object],
        truth: Sequence[Mapping[str, object]],
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **_columns: object,
    ) -> list[float]:
        texts = [_text_of(completion, sample) for sample, completion in enumerate(completions)]
        scored = score_batch(texts, _truths_of(truth), config, count_tokens=count_tokens, coord_size=coord_size)
        rewards = check_rewards(_NAME, [one.total for one in scored], len(completions))
        for name, values in _parts(scored, config).items():
            if log_metric and values:
                log_metric(f"reward/{name}", fmean(values))
            if log_extra:
                log_extra(name, values)
        return rewards

    return videoseg_reward


def check_rewards(name: str, rewards: Sequence[float], num_completions: int) -> list[float]:
    """Return the rewards of the function called `name`, every one a finite number.

    A trainer masks NaN silently, and the run goes on with fewer samples than it reports.
    Raises: ShapeMismatch: not one reward per completion. InputError: one is not finite.
    """
    if len(rewards) != num_completions:
        raise ShapeMismatch(
            "a reward function must return one number per completion", where=name, why=f"{len(rewards)}, not {num_completions}"
        )
    for sample, reward in enumerate(rewards):
        if not math.isfinite(reward):
            raise InputError("a reward is not a finite number", where=f"{name}, sample {sample}", why=f"it is {reward}")
    return list(rewards)


def compute_score(
    data_source: str,  # noqa: ARG001 (verl passes it by name)
    solution_str: str,
    ground_truth: Mapping[str, object],
    extra_info: Mapping[str, object] | None = None,
) -> float:
    """Return the default reward of one completion, for verl's `custom_reward_function`. Never run inside verl here.

    `ground_truth` is `Truth.to_dict`; `extra_info` may hold `num_think_tokens`, else words are counted.
    """
    num_think_tokens = cast("int | None", (extra_info or {}).get("num_think_tokens"))
    return score(solution_str, Truth.from_dict(ground_truth, "ground_truth"), num_think_tokens=num_think_tokens).total


def _truths_of(rows: Sequence[Mapping[str, object]]) -> list[Truth]:
    """Return the truths of a column; the completions of a group stand side by side and share one."""
    truths: list[Truth] = []
    for sample, row in enumerate(rows):
        same = sample > 0 and row == rows[sample - 1]
        truths.append(truths[-1] if same else Truth.from_dict(row, f"{_NAME}, truth of sample {sample}"))
    return truths


def _text_of(completion: object, sample: int) -> str:
    """Return the text of a completion: plain, or the last message of a conversation."""
    match completion:
        case str(text) | [*_, {"content": str(text)}]:
            return text
        case _:
            raise InputError("a completion has no text", where=f"{_NAME}, sample {sample}", why=f"it is a {type(completion).__name__}")


def _parts(scored: Sequence[RewardBreakdown], config: RewardConfig) -> dict[str, list[float]]:
    weighted = [name for name, weight in config.weights._asdict().items() if weight]
    columns = {name: [float(getattr(one.terms, name)) for one in scored] for name in weighted}
    return columns | {
        "num_think_tokens": [float(one.num_think_tokens) for one in scored],
        "over_budget": [float(one.num_think_tokens > one.budget) for one in scored],
        "length_factor": [one.length_factor for one in scored],
    }
