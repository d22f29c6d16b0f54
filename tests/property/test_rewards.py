"""What holds of every reward: the assignment is the best there is, order and grid do not matter, length never reverses two answers."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_cdt

from videoseg_r1.masks import encode
from videoseg_r1.rewards import DEFAULT, VISION_REASONER, RewardConfig, Terms, Truth, score, truth_of
from videoseg_r1.rewards.matching import accuracy, box_iou
from videoseg_r1.rewards.scoring import length_factor
from videoseg_r1.types import BoolMask, Box, Cue, Point

SIDE = 840
EMPTY = encode(np.zeros((SIDE, SIDE), bool))
# few places and small steps between them, so that thresholds are met, missed and hit exactly
place = st.sampled_from([0, 60, 400])
step = st.sampled_from([0, 4, 9, 10, 11, 20, 30])


@st.composite
def boxes(draw: st.DrawFn) -> tuple[Box, Point]:
    x, y = draw(place) + draw(step), draw(place) + draw(step)
    width, height = draw(st.sampled_from([19, 59, 60, 119])), draw(st.sampled_from([19, 59, 119]))
    point = Point(x + draw(step), y + draw(step))
    return Box(x, y, x + width, y + height), point


objects = st.lists(boxes(), min_size=1, max_size=5)
any_text = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", ".", "a. ", "[", "]", "{}", ","]), max_size=12).map("".join),
)
number = st.one_of(st.integers(-50, 900), st.floats(), st.none(), st.text(max_size=2), st.booleans())
loose = st.one_of(st.lists(number, max_size=5), st.lists(st.lists(number, max_size=3), max_size=3), number)
item = st.one_of(st.fixed_dictionaries({}, optional=dict.fromkeys(("bbox_2d", "point_2d", "neg_point_2d", "points"), loose)), loose)
structured = st.lists(item, max_size=4).map(lambda items: f"<think>a</think><answer>{json.dumps(items)}</answer>")
configs = st.builds(
    RewardConfig,
    weights=st.tuples(*[st.floats(0, 3)] * 6).map(lambda weights: Terms(*weights)),
    thinking=st.booleans(),
    min_think_tokens=st.integers(0, 3),
    point_distance=st.sampled_from(["euclidean", "l1"]),
    strict_parse=st.booleans(),
    allow_empty=st.booleans(),
)


def truth_from(things: list[tuple[Box, Point]]) -> Truth:
    return Truth(tuple(box for box, _ in things), tuple(point for _, point in things), EMPTY)


def cues_from(things: list[tuple[Box, Point]]) -> list[Cue]:
    return [Cue(box, (point,)) for box, point in things]


def written_items(things: list[tuple[Box, Point]], scale: int = 1) -> list[dict[str, list[int]]]:
    """Return the objects in whole numbers: the points of decimals would count as full stops in `non_repeat`."""
    return [
        {
            "bbox_2d": [int(value) * scale for value in (box.x1, box.y1, box.x2, box.y2)],
            "point_2d": [int(point.x) * scale, int(point.y) * scale],
            "neg_point_2d": [int(box.x1) * scale, 0],
        }
        for box, point in things
    ]


def written(things: list[tuple[Box, Point]], scale: int = 1) -> str:
    return f"<think>a</think><answer>{json.dumps(written_items(things, scale))}</answer>"


def plain_agreement(pred: tuple[Box, Point], gold: tuple[Box, Point], l1: bool) -> tuple[int, float]:
    """Return the terms a pair earns and its IoU, from masks and arrays."""
    (a, p), (b, q) = pred, gold
    masks = []
    for box in (a, b):
        mask = np.zeros((700, 700), bool)
        mask[int(box.y1) : int(box.y2) + 1, int(box.x1) : int(box.x2) + 1] = True
        masks.append(mask)
    overlap = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
    corners = np.abs(np.array([a.x1, a.y1, a.x2, a.y2]) - np.array([b.x1, b.y1, b.x2, b.y2])).mean()
    off = np.array([p.x - q.x, p.y - q.y])
    distance = np.abs(off).sum() if l1 else np.sqrt((off**2).sum())
    inside = a.x1 <= p.x <= a.x2 and a.y1 <= p.y <= a.y2
    return int(overlap > 0.5) + int(corners < 10) + int(inside and distance < 30), float(overlap)


def best_sum(table: list[list[float]]) -> float:
    """Return the largest sum of one-to-one pairs, by trying them all."""
    if len(table) > len(table[0]):
        table = [list(column) for column in zip(*table, strict=True)]
    choices = itertools.permutations(range(len(table[0])), len(table))
    return max(sum(row[column] for row, column in zip(table, choice, strict=True)) for choice in choices)


def plain_visionreasoner(text: str, truth: Truth) -> tuple[float, float, float, float]:
    """Return its four terms: arrays, and no reward from where an exception is raised. Source: docs/algorithm.md, "Form" and "Accuracy"."""
    thinking = float(re.fullmatch(r"<think>.*?</think>\s*<answer>.*?</answer>", text, re.DOTALL) is not None)
    seen, repeats = set(), 0
    for piece in filter(None, (part.strip() for part in text.split("."))):
        repeats += piece in seen
        seen.add(piece)
    form = right = 0.0
    answer = re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)
    with contextlib.suppress(Exception):
        items = json.loads(answer[1]) if answer else None
        for item in items:  # type: ignore[union-attr]
            for key, length in (("bbox_2d", 4), ("point_2d", 2)):
                if key in item and isinstance(item[key], list) and len(item[key]) == length:
                    form += 1 / len(items)  # type: ignore[arg-type]
    with contextlib.suppress(Exception):
        items = json.loads(answer[1]) if answer else None
        boxes = np.array([item["bbox_2d"] for item in items]) * 1.0  # type: ignore[union-attr]
        points = np.array([item["point_2d"] for item in items]) * 1.0  # type: ignore[union-attr]
        if boxes.shape != (len(items), 4) or points.shape != (len(items), 2):  # type: ignore[arg-type]
            raise ValueError
        table = [[plain_pair(box, point, *gold) for gold in arrays_of(truth)] for box, point in zip(boxes, points, strict=True)]
        right = best_sum(table) / max(len(table), len(table[0]))
    return thinking, form, right, float(repeats < 2)


def arrays_of(truth: Truth) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.array([b.x1, b.y1, b.x2, b.y2]), np.array([p.x, p.y])) for b, p in zip(truth.boxes, truth.points, strict=True)]


def plain_pair(a: np.ndarray, p: np.ndarray, b: np.ndarray, q: np.ndarray) -> float:
    if a[0] >= a[2] or a[1] >= a[3]:
        return 0.0
    inter = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]) + 1, 0))
    overlap = inter / (np.prod(a[2:] - a[:2] + 1) + np.prod(b[2:] - b[:2] + 1) - inter)
    inside = np.all(a[:2] <= p) and np.all(p <= a[2:])
    return float(overlap > 0.5) + float(np.abs(a - b).mean() < 10) + float(inside and np.sqrt(((p - q) ** 2).sum()) < 30)


@settings(max_examples=120, deadline=None)
@given(st.data(), objects)
def test_visionreasoners_reward_is_what_its_rules_give(data: st.DataObject, golds: list[tuple[Box, Point]]) -> None:
    """Boxes that are inverted or flat are the one departure, and left out of the plain rules as well."""
    near = st.lists(boxes(), min_size=1, max_size=4).map(lambda things: written_items([*things, golds[0]]))
    value = st.one_of(st.integers(-50, 900), st.none(), st.text(max_size=2), st.just(float("nan")))
    part = st.one_of(st.lists(value, max_size=5), st.just([1, 2]), st.just([1, 2, 30, 40]), value)
    odd = st.one_of(
        st.fixed_dictionaries({}, optional={"bbox_2d": part, "point_2d": part}),
        st.sampled_from(["bbox_2d", ["point_2d"], 3, None, "x"]),
    )
    mixed = st.tuples(near, odd).map(lambda both: [*both[0], both[1]])
    items = data.draw(st.one_of(near, st.lists(odd, max_size=3), mixed))
    around = [("<think>a</think>", ""), ("<think>a. a. a</think> ", ""), ("", ""), ("<think></think>", "."), ("<think>a", "")]
    head, tail = data.draw(st.sampled_from(around))
    text = f"{head}<answer>{json.dumps(items)}</answer>{tail}"
    assert score(text, truth_from(golds), VISION_REASONER).terms[:4] == pytest.approx(plain_visionreasoner(text, truth_from(golds)))


@settings(max_examples=60, deadline=None)
@given(objects, objects, st.booleans())
def test_accuracy_and_iou_are_the_best_of_all_assignments(preds: list[tuple[Box, Point]], golds: list[tuple[Box, Point]], l1: bool) -> None:
    table = [[plain_agreement(pred, gold, l1) for gold in golds] for pred in preds]
    most = max(len(preds), len(golds))
    value, pairs = accuracy(cues_from(preds), truth_from(golds), "l1" if l1 else "euclidean")
    assert value == pytest.approx(best_sum([[float(terms) for terms, _ in row] for row in table]) / most)
    assert value == pytest.approx(sum(table[i][j][0] for i, j in pairs) / most)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs) == min(len(preds), len(golds))
    assert box_iou(cues_from(preds), truth_from(golds)) == pytest.approx(
        best_sum([[overlap for _, overlap in row] for row in table]) / most
    )


@settings(max_examples=60, deadline=None)
@given(objects, objects, st.randoms(use_true_random=False))
def test_the_order_of_objects_does_not_matter(preds: list[tuple[Box, Point]], golds: list[tuple[Box, Point]], rng: object) -> None:
    weights = RewardConfig(weights=Terms(box_iou=1))
    shuffled = [rng.sample(things, len(things)) for things in (preds, golds)]  # type: ignore[attr-defined]
    before = score(written(preds), truth_from(golds), weights)
    after = score(written(shuffled[0]), truth_from(shuffled[1]), weights)
    assert after.terms == pytest.approx(before.terms)


@settings(max_examples=60, deadline=None)
@given(objects, objects)
def test_the_grid_of_a_model_family_does_not_matter(preds: list[tuple[Box, Point]], golds: list[tuple[Box, Point]]) -> None:
    """Scaled by a power of two, so that no rounding moves a coordinate over a threshold."""
    large = score(written(preds, 2), truth_from(golds), coord_size=(1680, 1680))
    assert large == score(written(preds), truth_from(golds))


@st.composite
def masks(draw: st.DrawFn) -> BoolMask:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = np.zeros((SIDE, SIDE), bool)
    for _ in range(draw(st.integers(0, 3))):
        x, y, width, height = rng.integers(0, SIDE, 2).tolist() + rng.integers(1, 200, 2).tolist()
        mask[y : y + height, x : x + width] = True
    return mask


@settings(max_examples=25, deadline=None)
@given(masks(), st.integers(0, 2**32 - 1))
def test_beside_is_what_the_taxicab_distance_says(mask: BoolMask, seed: int) -> None:
    truth = Truth((), (), encode(mask))
    distance = distance_transform_cdt(~mask, "taxicab") if mask.any() else np.full(mask.shape, 10**6)
    rng = np.random.default_rng(seed)
    edge = np.argwhere((distance >= 38) & (distance <= 43))
    chosen = [*rng.integers(0, SIDE, (40, 2)), *(rng.choice(edge, 40) if len(edge) else [])]
    for row, column in chosen:
        assert truth.is_beside(Point(column, row)) == (0 < distance[row, column] <= 40)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 200), st.floats(0, 0.1), st.floats(0.01, 1))
def test_more_thinking_never_pays(shorter: int, more: int, budget: int, beta: float, floor: float) -> None:
    before, after = (length_factor(n, budget, beta, floor) for n in (shorter, shorter + more))
    assert floor <= after <= before <= 1


@settings(max_examples=100, deadline=None)
@given(structured, structured, st.integers(0, 10_000))
def test_length_never_reverses_two_answers_of_equal_length(one: str, other: str, tokens: int) -> None:
    truth = truth_of(np.pad(np.ones((1, 200, 200), bool), ((0, 0), (100, 540), (100, 540))))
    a, b = (score(text, truth, num_think_tokens=tokens) for text in (one, other))
    assert (a.original > b.original) == (a.total > b.total)


@settings(max_examples=120, deadline=None)
@given(st.one_of(any_text, structured), configs, st.lists(boxes(), max_size=3), st.sampled_from([None, 0, 7, 10**6]))
@example("<think></think><answer>[]</answer>", DEFAULT, [], None)
@example('<think>a</think><answer>[{"bbox_2d":[-1e308,-1e308,1e308,1e308],"point_2d":[1e308,1e308]}]</answer>', VISION_REASONER, [], 0)
def test_any_text_has_a_reward_in_range(text: str, config: RewardConfig, golds: list[tuple[Box, Point]], tokens: int | None) -> None:
    result = score(text, truth_from(golds), config, num_think_tokens=tokens)
    assert math.isfinite(result.total)
    assert all(0 <= value <= most for value, most in zip(result.terms, (1, 2, 3, 1, 1, 1, 1), strict=True))
    assert 0 <= result.total <= result.original == pytest.approx(sum(w * v for w, v in zip(config.weights, result.terms, strict=True)))
    assert config.floor <= result.length_factor <= 1
