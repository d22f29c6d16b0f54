"""The reward's oracles (docs/algorithm.md, "Worked examples"), each rule at its edge, and the switches."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from helpers.replies import GRID, answered, corner_mask, reply_with, truth_with
from videoseg_r1.errors import InvalidConfig
from videoseg_r1.rewards import DEFAULT, VISION_REASONER, RewardBreakdown, RewardConfig, Terms, Truth, score, think_span, truth_of
from videoseg_r1.rewards.form import non_repeat, thinking_format
from videoseg_r1.types import BoolMask, Box, Cue, Point

LEFT, RIGHT = (100, 100, 299, 299), (500, 400, 699, 599)
LEFT_POINT, RIGHT_POINT = [200, 200], [600, 500]
ONE, TWO, NONE = truth_with(LEFT), truth_with(LEFT, RIGHT), truth_with()
GOOD = answered([*LEFT], LEFT_POINT, [304, 200])  # five pixels beside
GOOD_RIGHT = answered([*RIGHT], RIGHT_POINT, [704, 500])
FAR = answered([700, 700, 800, 800], [750, 750])


def accuracy_of(*items: object, against: Truth = ONE, **settings: Any) -> float:
    return score(reply_with(*items), against, RewardConfig(**settings)).terms.accuracy


def negative_of(*points: object, against: Truth = ONE) -> float:
    return score(reply_with(answered([*LEFT], LEFT_POINT, list(points))), against).terms.negative_point


# F.1


def test_a_perfect_object_earns_every_term_in_full() -> None:
    result = score(reply_with(answered([*LEFT], LEFT_POINT)), ONE, VISION_REASONER)
    assert result.terms == (1, 2, 3, 1, 0, 0, 0)
    assert result.total == 7
    result = score(reply_with(GOOD), ONE)
    assert result == RewardBreakdown(Terms(1, 2, 3, 1, 1, 0, 0), ((0, 0),), 5, 72, 1.0, 8.0, 8.0)


def test_a_hundred_tokens_over_an_easy_budget_halve_the_reward() -> None:
    result = score(reply_with(GOOD), truth_with(LEFT, budget=48), num_think_tokens=148)
    assert (result.num_think_tokens, result.budget, result.length_factor) == (148, 48, 0.5)
    assert (result.original, result.total) == (8, 4)


# F.2


def test_an_iou_of_exactly_a_half_earns_nothing_and_one_more_pixel_does() -> None:
    tall = truth_with((100, 100, 199, 299))
    assert accuracy_of(answered([100, 100, 199, 199], [0, 0]), against=tall) == 0
    assert accuracy_of(answered([100, 100, 199, 200], [0, 0]), against=tall) == 1


def test_corners_ten_pixels_off_earn_nothing_and_less_does() -> None:
    narrow = truth_with((100, 100, 109, 109))  # no shift by ten pixels keeps half of it
    assert accuracy_of(answered([110, 110, 119, 119], [0, 0]), against=narrow) == 0
    assert accuracy_of(answered([110, 110, 119, 118], [0, 0]), against=narrow) == 1
    for corner in range(4):
        box = [100, 100, 109, 109]
        box[corner] += 39 if corner > 1 else -39
        assert accuracy_of(answered(box, [0, 0]), against=narrow) == 1
        box[corner] += 1 if corner > 1 else -1
        assert accuracy_of(answered(box, [0, 0]), against=narrow) == 0


@pytest.mark.parametrize(
    ("point", "distance", "expected"),
    [
        ([230, 200], "euclidean", 2),
        ([218, 224], "euclidean", 2),  # sides 18 and 24 make 30
        ([229, 200], "euclidean", 3),
        ([218, 223], "euclidean", 3),
        ([182, 177], "euclidean", 3),
        ([200, 170], "euclidean", 2),
        ([215, 215], "l1", 2),
        ([185, 216], "l1", 2),
        ([215, 214], "l1", 3),
        ([186, 185], "l1", 3),
    ],
)
def test_points_count_closer_than_thirty_pixels(point: list[int], distance: str, expected: int) -> None:
    square = Truth(ONE.boxes, (Point(200, 200),), ONE.mask)
    assert accuracy_of(answered([*LEFT], point), against=square, point_distance=distance) == expected


@pytest.mark.parametrize(("d", "expected"), [(0, 0), (1, 1), (5, 1), (40, 1), (41, 0)])
def test_negative_points_count_up_to_forty_pixels_beside_the_mask(d: int, expected: int) -> None:
    x1, y1, x2, y2 = LEFT
    for point in (
        [x2 + d, 200],
        [x1 - d, 200],
        [200, y2 + d],
        [200, y1 - d],
        [x2 + d - d // 2, y2 + d // 2],
        [x1 - d + d // 2, y1 - d // 2],
    ):
        assert negative_of(point) == expected, point


# F.3


def test_accuracy_is_shared_among_the_larger_number_of_objects() -> None:
    assert accuracy_of(GOOD, against=TWO) == 1.5
    assert accuracy_of(GOOD_RIGHT, GOOD, against=TWO) == 3
    assert accuracy_of(FAR, GOOD, FAR) == 1
    assert score(reply_with(GOOD_RIGHT, GOOD), TWO).pairs == ((0, 1), (1, 0))
    assert score(reply_with(FAR, GOOD, FAR), ONE).pairs == ((1, 0),)


def test_one_assignment_serves_box_and_point() -> None:
    """The first prediction has one target's box and the second one's point: three terms matched apart would earn it more."""
    crossed = answered([*LEFT], RIGHT_POINT)
    assert accuracy_of(crossed, against=TWO) == 1.0


# F.4


def test_the_factor_has_a_floor_at_which_the_better_answer_still_gets_more() -> None:
    better, worse = (score(reply_with(*items), TWO, num_think_tokens=1072) for items in ((GOOD, GOOD_RIGHT), (GOOD,)))
    assert better.length_factor == worse.length_factor == 0.1
    assert better.total == pytest.approx(0.8)
    assert better.total > worse.total > 0


# thinking


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>a</think><answer>b</answer>", 1),
        ("<think></think><answer></answer>", 1),
        ("<think>a\nb</think> \n\t<answer>b\n</answer>", 1),
        ("<think><think>a</think>b</think><answer>c</answer>", 1),
        ("<think>a</think><answer>b</answer>\n", 0),
        (" <think>a</think><answer>b</answer>", 0),
        ("<think>a</think>b<answer>c</answer>", 0),
        ("<think>a<answer>c</answer>", 0),
        ("a</think><answer>c</answer>", 0),
        ("<think>a</think><answer>c", 0),
        ("<think></answer>", 0),
        ("", 0),
    ],
)
def test_the_thinking_format_is_the_whole_text(text: str, expected: int) -> None:
    assert thinking_format(text) == expected


@pytest.mark.parametrize(
    ("text", "charged"),
    [
        ("<think>a b</think><answer>c</answer>", "a b"),
        ("x<think>a b<answer>c</answer>", "a b<answer>c</answer>"),
        ("a b<answer>c</answer>", "a b<answer>c</answer>"),
        ("a</think>b<think>c", "c"),
        ("<think></think>a b</think><answer>c</answer>", "</think>a b"),
        ("<think><think>a</think>", "<think>a"),
    ],
)
def test_what_is_charged_as_thinking(text: str, charged: str) -> None:
    assert think_span(text) == charged


def test_words_stand_in_for_tokens() -> None:
    assert score(reply_with(GOOD, think="one two  three\nfour"), ONE).num_think_tokens == 4


def test_with_a_minimum_a_short_thought_loses_the_thinking_format_only() -> None:
    settings = RewardConfig(min_think_tokens=3)
    assert score(reply_with(GOOD, think="a b c"), ONE, settings).total == 8
    assert score(reply_with(GOOD, think="a b"), ONE, settings).total == 7


def test_without_thinking_neither_its_format_nor_its_length_counts() -> None:
    text = f"<answer>{json.dumps([GOOD])}</answer>"
    assert score(text, ONE, RewardConfig(thinking=False), num_think_tokens=900).total == 7
    assert score(reply_with(GOOD), ONE, RewardConfig(thinking=False)).terms.thinking_format == 0


# length


@pytest.mark.parametrize(("tokens", "factor"), [(0, 1), (72, 1), (73, 0.995), (172, 0.5), (252, 0.1), (253, 0.1)])
def test_the_penalty_begins_beyond_the_budget(tokens: int, factor: float) -> None:
    result = score(reply_with(GOOD), ONE, num_think_tokens=tokens)
    assert result.length_factor == pytest.approx(factor)
    assert result.total == result.original * result.length_factor


def test_the_budget_of_the_truth_comes_before_that_of_the_configuration() -> None:
    assert score(reply_with(GOOD), truth_with(LEFT, budget=0), RewardConfig(budget=9), num_think_tokens=20).budget == 0
    assert score(reply_with(GOOD), ONE, RewardConfig(budget=9), num_think_tokens=20).budget == 9


def test_beta_and_floor_are_free() -> None:
    assert score(reply_with(GOOD), ONE, RewardConfig(beta=0), num_think_tokens=9999).length_factor == 1
    assert score(reply_with(GOOD), ONE, RewardConfig(floor=1), num_think_tokens=9999).length_factor == 1
    assert score(reply_with(GOOD), ONE, RewardConfig(beta=0.01, floor=0.25), num_think_tokens=82).length_factor == pytest.approx(0.9)


# answer format


@pytest.mark.parametrize(
    ("items", "with_negatives", "without"),
    [
        ([], 0, 0),
        ([GOOD], 2, 2),
        ([answered([*LEFT], LEFT_POINT)], 4 / 3, 2),
        ([answered([*LEFT], None, [1, 2])], 4 / 3, 1),
        ([GOOD, {}], 1, 1),
        ([answered(["a", None, {}, []], ["b", "c"], ["d", "e"])], 2, 2),
        ([answered([1, 2, 3], [1], [1, 2, 3])], 0, 0),
        ([answered("abcd", "ab", "ab")], 0, 0),
        ([answered([*LEFT], LEFT_POINT, [[1, 2], [3, 4], [5, 6]])], 2, 2),
        ([answered([*LEFT], LEFT_POINT, [])], 4 / 3, 2),
        ([GOOD, "x", ["bbox"], GOOD], 1, 1),
    ],
)
def test_the_answer_format_counts_keys_of_the_right_length(items: list[object], with_negatives: float, without: float) -> None:
    plain = RewardConfig(weights=Terms(negative_point=0))
    assert score(reply_with(*items), ONE).terms.answer_format == pytest.approx(with_negatives)
    assert score(reply_with(*items), ONE, plain).terms.answer_format == pytest.approx(without)


@pytest.mark.parametrize(
    ("item", "expected"),
    [(3, 2 / 3), (None, 2 / 3), ("a bbox_2d", 2 / 3), (["point_2d"], 2 / 3), ("text", 4 / 3), (["text"], 4 / 3), ({}, 4 / 3)],
)
def test_strictly_the_count_ends_where_visionreasoner_fails(item: object, expected: float) -> None:
    box_and_point = answered([*LEFT], LEFT_POINT)
    text = reply_with(box_and_point, item, box_and_point)
    assert score(text, ONE, VISION_REASONER).terms.answer_format == pytest.approx(expected)
    assert score(text, ONE, RewardConfig(weights=Terms(negative_point=0))).terms.answer_format == pytest.approx(4 / 3)


@pytest.mark.parametrize("answer", ["", "nothing", "{}", "3", json.dumps(GOOD), f"```json\n{json.dumps([GOOD])}\n```", "[{]"])
def test_an_answer_that_is_no_list_earns_the_thinking_format_and_non_repetition(answer: str) -> None:
    assert score(f"<think>a</think><answer>{answer}</answer>", ONE, RewardConfig(allow_empty=True)).terms == (1, 0, 0, 1, 0, 0, 0)


def test_only_the_first_answer_counts() -> None:
    text = f"<think>a</think><answer>{json.dumps([FAR])}</answer><answer>{json.dumps([GOOD])}</answer>"
    assert score(text, ONE).terms.accuracy == 0


# repetition


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 1), ("a. a. b", 1), ("a. a. a", 0), ("a. b. a.b", 0), ("A. a. a", 1), ("...", 1), ("a . a.\na. ", 0), ("a a a a", 1)],
)
def test_two_repeats_between_full_stops_are_repetition(text: str, expected: int) -> None:
    assert non_repeat(text) == expected


# objects that are not as they should be


@pytest.mark.parametrize(
    "box", [[299, 100, 100, 299], [100, 299, 299, 100], [100, 100, 100, 299], [float("nan"), 100, 299, 299], ["100", 100, 299, 299]]
)
def test_an_unusable_box_scores_nothing_and_counts(box: list[object]) -> None:
    bad = answered(box, LEFT_POINT)
    assert accuracy_of(bad) == 0
    assert accuracy_of(bad, GOOD) == 1.5


@pytest.mark.parametrize(
    "bad", [{}, 3, None, answered([*LEFT], None), answered(None, LEFT_POINT), answered([*LEFT[:3]], [1, 2]), answered([*LEFT], [True, 2])]
)
def test_one_malformed_object_voids_the_others_only_in_strict_mode(bad: object) -> None:
    assert accuracy_of(GOOD_RIGHT, bad, against=truth_with(RIGHT)) == 1.5
    assert accuracy_of(GOOD_RIGHT, bad, against=truth_with(RIGHT), strict_parse=True) == 0
    assert accuracy_of(GOOD_RIGHT, against=truth_with(RIGHT), strict_parse=True) == 3


def test_a_box_without_a_usable_point_keeps_what_the_box_earns() -> None:
    assert accuracy_of(answered([*LEFT], None)) == 2
    assert accuracy_of(answered([*LEFT], [float("inf"), 200])) == 2


def test_a_point_outside_its_own_box_earns_nothing_and_on_its_edge_it_does() -> None:
    assert accuracy_of(answered([200, 200, 299, 299], LEFT_POINT)) == 1
    assert accuracy_of(answered([201, 200, 299, 299], LEFT_POINT)) == 0
    assert accuracy_of(answered([100, 100, 200, 200], LEFT_POINT)) == 1
    assert accuracy_of(answered([100, 201, 299, 299], LEFT_POINT)) == 0
    assert accuracy_of(answered([100, 100, 199, 210], LEFT_POINT)) == 0
    assert accuracy_of(answered([100, 100, 210, 199], LEFT_POINT)) == 0


def test_of_several_points_the_first_one_counts() -> None:
    assert accuracy_of(answered([*LEFT], [LEFT_POINT, [110, 110]])) == 3
    assert accuracy_of(answered([*LEFT], [[110, 110], LEFT_POINT])) == 2


def test_coordinates_outside_the_frame_are_taken_as_they_are() -> None:
    corner = truth_with((0, 0, 99, 99))
    assert accuracy_of(answered([-10, -9, 109, 109], [-2, 50]), against=corner) == 1 + 1
    assert accuracy_of(answered([-10, -10, 109, 109], [49, 49]), against=corner) == 1 + 1


def test_objects_beyond_the_limit_are_cut() -> None:
    assert accuracy_of(*[FAR] * 120, GOOD) == 0
    assert accuracy_of(*[FAR] * 119, GOOD, FAR, FAR) == pytest.approx(3 / 120)
    assert len(truth_of(np.ones((121, 4, 4), bool)).boxes) == 120


@pytest.mark.parametrize(("allow", "right", "wrong"), [(False, (1, 0, 0, 1, 0, 0, 0), 2), (True, (1, 2, 3, 1, 1, 0, 0), 4)])
def test_no_object_where_none_is(allow: bool, right: tuple[float, ...], wrong: float) -> None:
    settings = RewardConfig(allow_empty=allow)
    assert score(reply_with(), NONE, settings).terms == right
    assert score(reply_with(), ONE, settings).total == wrong
    assert score(reply_with(GOOD), NONE, settings).terms == (1, 2, 0, 1, 0, 0, 0)
    assert score("", NONE, settings).terms == (0, 0, 0, 1, 0, 0, 0)


def test_saying_nothing_pays_as_much_as_a_wrong_box_and_no_less() -> None:
    settings = RewardConfig(allow_empty=True)
    guess = reply_with(answered([600, 600, 700, 700], [650, 650], [800, 800]))
    assert score(guess, ONE, settings).total == score(reply_with(), ONE, settings).total == 4
    assert score(guess, NONE, settings).total == 4
    assert score(reply_with(), NONE, settings).total == score(reply_with(GOOD), ONE, settings).total == 8


# negative points


def test_every_named_negative_point_counts_whether_it_is_of_use_or_not() -> None:
    near, far = [304, 200], [800, 800]
    assert negative_of(near, far) == 0.5
    assert negative_of(near, near) == 1
    assert negative_of(near, [304]) == 0.5
    assert negative_of(near, [float("nan"), 200], [304, 200, 1], "x") == 0.25
    assert negative_of() == 0
    assert score(reply_with(answered([*LEFT], LEFT_POINT)), ONE).terms.negative_point == 0
    assert score(reply_with(GOOD, answered([*LEFT], LEFT_POINT, []), 3), ONE).terms.negative_point == 0.5


def test_labelled_points_count_as_what_they_are_labelled() -> None:
    labelled = answered([*LEFT], None, points=[[200, 200, 1], [304, 200, 0], [800, 800, 0], [304, 200], [], 0])
    result = score(reply_with(labelled), ONE).terms
    assert (result.accuracy, result.negative_point) == (3, 0.5)
    assert score(reply_with(answered([*LEFT], None, [304, 200], points=[[800, 800, 0]])), ONE).terms.negative_point == 0.5
    assert score(reply_with(answered([*LEFT], None, [304, 200], points=5)), ONE).terms.negative_point == 1


def test_negative_points_are_measured_from_all_targets_together() -> None:
    apart = truth_with((100, 100, 199, 199), (210, 100, 299, 199))
    assert negative_of([205, 150], [215, 150], against=apart) == 0.5


def test_without_a_target_no_point_is_beside_it() -> None:
    assert negative_of([304, 200], against=NONE) == 0


# switches


@pytest.mark.parametrize(
    ("name", "value"), [("thinking_format", 1), ("answer_format", 2), ("accuracy", 3), ("non_repeat", 1), ("negative_point", 1)]
)
def test_every_part_can_be_weighted_and_turned_off(name: str, value: int) -> None:
    assert score(reply_with(GOOD), ONE, RewardConfig(weights=Terms(**{name: 0}))).total == 8 - value
    assert score(reply_with(GOOD), ONE, RewardConfig(weights=Terms(**{name: 3}))).total == 8 + 2 * value


def test_the_defaults_are_the_ones_that_are_documented() -> None:
    assert RewardConfig(Terms(1, 1, 1, 1, 1, 0, 0), True, 0.005, 0.1, 72, 0, "euclidean", False, False) == DEFAULT
    assert RewardConfig(Terms(1, 1, 1, 1, 0, 0, 0), True, 0, 0.1, 72, 0, "euclidean", True, False) == VISION_REASONER


@pytest.mark.parametrize(
    "setting",
    [
        {"weights": Terms(accuracy=-1)},
        {"weights": Terms(mask_iou=float("nan"))},
        {"weights": Terms(non_repeat=float("inf"))},
        {"beta": -0.1},
        {"beta": float("inf")},
        {"floor": 0},
        {"floor": 1.1},
        {"budget": -1},
        {"min_think_tokens": -1},
        {"point_distance": "l2"},
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig) as error:
        RewardConfig(**setting)
    assert error.value.where == next(iter(setting))


def test_settings_at_the_edge_of_their_range_are_not() -> None:
    nothing_counts = RewardConfig(weights=Terms(0, 0, 0, 0, 0), beta=0, floor=1, budget=0, min_think_tokens=0)
    result = score(reply_with(GOOD), ONE, nothing_counts, num_think_tokens=9999)
    assert (result.terms.accuracy, result.length_factor, result.budget, result.total) == (3, 1, 0, 0)


# coordinates


def test_coordinates_of_another_grid_are_converted_before_scoring() -> None:
    """F.6: the same answer, written for a model that counts both sides in thousandths, and for one that saw 420 x 280 pixels."""
    for width, height in ((1000, 1000), (420, 280)):
        x, y = width / GRID, height / GRID
        item = answered([100 * x, 100 * y, 299 * x, 299 * y], [200 * x, 200 * y], [304 * x, 200 * y])
        assert score(reply_with(item), ONE, coord_size=(width, height)).total == 8
        assert score(reply_with(item), ONE).total < 8


# beyond the paper


def test_the_continuous_iou_has_its_own_assignment_and_no_threshold() -> None:
    settings = RewardConfig(weights=Terms(box_iou=2))
    quarter = answered([100, 100, 199, 199], LEFT_POINT)
    result = score(reply_with(quarter, answered(None, LEFT_POINT)), TWO, settings)
    assert result.terms.box_iou == 0.125
    assert result.original == pytest.approx(sum(result.terms) + 0.125)
    assert score(reply_with(quarter), ONE, DEFAULT).terms.box_iou == 0


def test_the_mask_iou_unites_what_a_segmenter_makes_of_the_usable_objects() -> None:
    shown: list[list[Cue]] = []

    def segment(cues: Any) -> BoolMask:
        shown.append(list(cues))
        return np.stack([corner_mask(*LEFT), corner_mask(100, 300, 299, 499)])

    settings = RewardConfig(weights=Terms(mask_iou=1))
    result = score(reply_with(GOOD, {}), ONE, settings, segment=segment)
    assert result.terms.mask_iou == 0.5
    assert shown == [[Cue(Box(*LEFT), (Point(200, 200),), (Point(304, 200),))]]
    assert score(reply_with({}), ONE, settings, segment=segment).terms.mask_iou == 0
    assert score(reply_with(GOOD), ONE, segment=segment).terms.mask_iou == 0
    assert len(shown) == 1
