"""Rows T1, T2 and T6 of the fault list: rewards that are no numbers, groups without a difference, and answers made to be paid."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
import pytest

from helpers.replies import answered, reply_with, truth_with
from videoseg_r1.errors import InputError, InvalidConfig, InvalidDocument, ShapeMismatch
from videoseg_r1.rewards import (
    VISION_REASONER,
    RewardConfig,
    Terms,
    Truth,
    check_rewards,
    compute_score,
    score,
    score_batch,
    trl_reward,
)

THINK = "Two dogs run here. The brown one is ahead of the other, and the sentence asks for the one in front"
told = partial(reply_with, think=THINK)


TRUTH = truth_with((100, 100, 299, 299), budget=48)
OTHER = truth_with((500, 500, 699, 699))
RIGHT = answered([110, 95, 290, 305], [205, 190], [310, 200])
WRONG = answered([500, 500, 600, 600], [550, 550], [610, 550])
HONEST = told(RIGHT)
ROW, OTHER_ROW = TRUTH.to_dict(), OTHER.to_dict()


def call(function: Any, completions: list[Any], truth: list[Any], **columns: Any) -> list[float]:
    """Call as TRL 1.16 does (docs/algorithm.md, "GRPO")."""
    prompts, ids = [[]] * len(completions), [[1, 2, 3]] * len(completions)
    return function(prompts=prompts, completions=completions, completion_ids=ids, truth=truth, trainer_state=None, **columns)


# T1


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), float("-inf")])
def test_a_reward_that_is_no_number_is_an_error_that_names_function_and_sample(reward: float) -> None:
    with pytest.raises(InputError, match=r"not a finite number: my_reward, sample 1\n.*(nan|inf)"):
        check_rewards("my_reward", [1.0, reward], 2)
    assert check_rewards("my_reward", (1.0, 2.0), 2) == [1.0, 2.0]


@pytest.mark.parametrize("count", [1, 3])
def test_a_wrong_number_of_rewards_is_an_error_that_names_the_function(count: int) -> None:
    with pytest.raises(ShapeMismatch, match=rf"my_reward\n.*2, not {count}"):
        check_rewards("my_reward", [1.0, 1.0], count)


def test_weights_that_overflow_are_found_when_they_are_used() -> None:
    function = trl_reward(RewardConfig(weights=Terms(answer_format=1.5e308)))
    with pytest.raises(InputError, match="videoseg_reward, sample 1"):
        call(function, ["", HONEST], [ROW, ROW])


def test_completions_without_their_truth_are_refused() -> None:
    with pytest.raises(ShapeMismatch, match="2 completions, 1 truths"):
        score_batch([HONEST, HONEST], [TRUTH])
    with pytest.raises(ShapeMismatch, match="videoseg_reward"):
        call(trl_reward(), [HONEST], [ROW, ROW])


@pytest.mark.parametrize("completion", [None, [], [{"role": "assistant"}], [{"content": [{"type": "text"}]}], 3])
def test_a_completion_without_text_is_refused_by_its_number(completion: object) -> None:
    with pytest.raises(InputError, match="no text: videoseg_reward, sample 1"):
        call(trl_reward(), [HONEST, completion], [ROW, ROW])


def test_a_truth_that_cannot_be_read_is_refused_by_its_number() -> None:
    with pytest.raises(InvalidDocument, match="videoseg_reward, truth of sample 1: "):
        call(trl_reward(), [HONEST, HONEST], [ROW, {"boxes": []}])


def test_the_mask_iou_is_refused_where_no_segmenter_can_be_given() -> None:
    settings = RewardConfig(weights=Terms(mask_iou=1))
    with pytest.raises(InvalidConfig, match="segmenter"):
        trl_reward(settings)
    with pytest.raises(InvalidConfig, match="segmenter"):
        score(HONEST, TRUTH, settings)
    with pytest.raises(ShapeMismatch):
        score(HONEST, TRUTH, settings, segment=lambda cues: np.ones((len(cues), 8, 8), bool))


@pytest.mark.parametrize(
    "text",
    [
        "</think>" * 125_000,
        "</think>" + " " * 1_000_000,
        "<think>" + "</think><answer>" * 60_000 + "x</answer>",
        "<think>" + "</think> " * 100_000 + "</answer>",
        ". " * 500_000,
        "a." * 500_000,
        told(*[RIGHT] * 3000),
    ],
)
def test_a_megabyte_of_anything_is_scored_before_the_tests_time_out(text: str) -> None:
    """In linear time that is milliseconds; in quadratic time it would be hours."""
    result = score(text, TRUTH)
    assert 0 <= result.total <= 8
    assert result.terms.accuracy == 0


# the adapters


def test_a_trainer_gets_what_score_gives_and_its_parts_are_logged() -> None:
    metrics: dict[str, float] = {}
    extras: dict[str, list[float]] = {}
    completions = [[{"role": "assistant", "content": HONEST}], told(WRONG), HONEST]
    rewards = call(
        trl_reward(count_tokens=len),
        completions,
        [ROW, ROW, OTHER_ROW],
        log_metric=metrics.__setitem__,
        log_extra=extras.__setitem__,
    )
    expected = [score(text, truth, num_think_tokens=len(THINK)) for text, truth in ((HONEST, TRUTH), (told(WRONG), TRUTH), (HONEST, OTHER))]
    assert rewards == [one.total for one in expected]
    assert extras["accuracy"] == [3, 0, 0]
    assert metrics["reward/accuracy"] == 1
    assert metrics["reward/negative_point"] == pytest.approx(1 / 3)
    assert metrics["reward/num_think_tokens"] == len(THINK)
    assert metrics["reward/over_budget"] == 1
    assert extras["length_factor"] == [one.length_factor for one in expected]
    names = {*Terms._fields[:5], "num_think_tokens", "over_budget", "length_factor"}
    assert set(extras) == names
    assert set(metrics) == {f"reward/{name}" for name in names}


def test_what_is_within_the_budget_is_not_logged_as_over_it() -> None:
    extras: dict[str, list[float]] = {}
    call(trl_reward(count_tokens=lambda _: 48), [HONEST] * 2, [ROW, OTHER_ROW], log_extra=extras.__setitem__)
    assert extras["over_budget"] == [0, 0]


def test_the_adapter_works_on_plain_lists_and_on_none() -> None:
    function = trl_reward(VISION_REASONER)
    assert function(completions=[HONEST], truth=[ROW]) == [7]
    assert function(completions=[], truth=[], log_metric=lambda *_: None) == []
    assert function.__name__ == "videoseg_reward"  # TRL logs it under this name


def test_the_grid_of_the_model_family_reaches_the_score() -> None:
    half = told(answered([55, 47.5, 145, 152.5], [102.5, 95], [155, 100]))
    assert call(trl_reward(coord_size=(420, 420)), [half], [ROW]) == [8]


def test_verl_gets_the_default_reward() -> None:
    assert compute_score("videoseg", HONEST, ROW) == 8
    assert compute_score("videoseg", HONEST, ROW, {"num_think_tokens": 148, "split": "train"}) == 4
    with pytest.raises(InvalidDocument, match=": ground_truth: "):
        compute_score("videoseg", HONEST, {"boxes": []})


# T2


def test_equal_completions_of_a_group_get_equal_rewards() -> None:
    """So that an advantage against the mean of the group is exactly 0."""
    rewards = call(trl_reward(), [HONEST] * 8, [ROW] * 8)
    assert np.ptp(rewards) == 0
    assert rewards[0] - np.mean(rewards) == 0


# T6

LONG = " ".join(f"word{n}" for n in range(480))
ANSWER = f"<answer>{json.dumps([RIGHT])}</answer>"
FRAME = answered([0, 0, 839, 839], [200, 200], [310, 200])
PROBES = {
    "the whole frame": told(FRAME),
    "the whole frame, for a target in its middle": told(answered([0, 0, 839, 839], [420, 420], [310, 200])),
    "a pyramid of boxes": told(*[answered([x, x, 839 - x, 839 - x], [420, 420], [310, 200]) for x in range(0, 400, 20)]),
    "a grid of boxes": told(
        *[answered([x, y, x + 199, y + 199], [x + 99, y + 99]) for x in range(0, 840, 200) for y in range(0, 840, 200)]
    ),
    "the right object over and over": told(*[RIGHT] * 10),
    "a grid of negative points": told(answered([110, 95, 290, 305], [205, 190], [[x, 310] for x in range(0, 840, 10)])),
    "no answer": told(),
    "empty thought and nothing else": "<think></think><answer></answer>",
    "repeated tags": "<think>" * 50 + THINK + "</think><answer>[]</answer>",
    "repeated thought": told(RIGHT, think="It is the dog. " * 20),
    "copied query": told(WRONG, think="the dog in front"),
    "copied query, again and again": told(RIGHT, think="the dog in front. " * 10),
    "ten times the length": told(RIGHT, think=LONG),
    "ten times the length, behind an early end": f"<think></think>{LONG}</think>{ANSWER}",
    "ten times the length, no end": f"<think>{LONG}{ANSWER}",
    "ten times the length, no tags": f"{LONG}{ANSWER}",
}


@pytest.mark.parametrize("name", PROBES)
def test_what_is_made_to_be_paid_gets_less_than_an_honest_answer(name: str) -> None:
    assert score(PROBES[name], TRUTH).total < score(HONEST, TRUTH).total == 8


def test_an_honest_answer_that_is_a_little_off_is_not_beaten_by_one_that_does_not_try() -> None:
    lazy = ("the whole frame", "a grid of boxes", "no answer", "empty thought and nothing else", "repeated tags")
    honest = score(told(answered([130, 130, 340, 340], [220, 210], [330, 200])), TRUTH).total
    assert all(score(PROBES[name], TRUTH).total < honest for name in lazy)


def test_an_empty_thought_gets_no_more_than_an_honest_one_and_less_where_a_minimum_is_set() -> None:
    """With the default of 0, as in VisionReasoner, it gets as much; the mean length is logged so that the collapse is seen."""
    empty = told(RIGHT, think="")
    assert score(empty, TRUTH).total == score(HONEST, TRUTH).total
    settings = RewardConfig(min_think_tokens=8)
    assert score(empty, TRUTH, settings).total < score(HONEST, TRUTH, settings).total


def test_a_truth_is_read_once_for_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = Truth.from_dict.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Truth, "from_dict", classmethod(lambda cls, value, where="": read.append(where) or original(cls, value, where)))
    call(trl_reward(), [HONEST] * 8, [dict(ROW) for _ in range(4)] + [dict(OTHER_ROW) for _ in range(4)])
    assert [place.rpartition(" ")[2] for place in read] == ["0", "4"]
