"""Truths made from masks, what lies beside them, how boxes overlap, and the rewards for the sampler's votes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from helpers.replies import GRID, corner_mask, truth_with
from videoseg_r1.errors import InvalidDocument, ShapeMismatch
from videoseg_r1.masks import decode, encode
from videoseg_r1.masks.geometry import iou
from videoseg_r1.rewards import Truth, keyframe_quality, temporal_iou, truth_of
from videoseg_r1.types import Box, Point

LEFT, RIGHT = corner_mask(100, 100, 299, 299), corner_mask(500, 400, 699, 599)
ONE, TWO, NONE = truth_with((100, 100, 299, 299)), truth_with((100, 100, 299, 299), (500, 400, 699, 599)), truth_with()


def test_boxes_and_points_of_a_mask_are_scaled_and_rounded_half_up() -> None:
    masks = np.zeros((2, 60, 160), bool)
    masks[0, 10:31, 20:53] = True
    masks[1, 59, 159] = True
    made = truth_of(masks, budget=48)
    # 840 / 160 = 5.25 and 840 / 60 = 14: 20, 52 -> 105, 273; 10, 30 -> 140, 420; 159 -> 834.75; 59 -> 826
    assert made.boxes == (Box(105, 140, 273, 420), Box(835, 826, 835, 826))
    assert made.points[0].y == 280
    assert made.points[1] == Point(835, 826)
    assert made.budget == 48
    union = decode(made.mask)
    assert union.shape == (GRID, GRID)
    assert union[140:434, 105:278].sum() == 294 * 173 == union.sum() - union[826:, 834:].sum()


def test_the_peak_lies_on_a_concave_mask_and_the_centroid_need_not() -> None:
    ring = corner_mask(100, 100, 500, 500) & ~corner_mask(150, 150, 500, 450)
    peak, centroid = (truth_of(ring[None], point=kind).points[0] for kind in ("peak", "centroid"))
    rows, columns = np.nonzero(ring)
    assert ring[int(peak.y), int(peak.x)]
    assert truth_of(ring[None]).points[0] == peak
    assert not ring[int(centroid.y), int(centroid.x)]
    assert centroid == Point(np.floor(columns.mean() + 0.5), np.floor(rows.mean() + 0.5))


def test_a_target_that_is_not_to_be_seen_is_left_out() -> None:
    made = truth_of(np.stack([np.zeros((GRID, GRID), bool), LEFT]))
    assert made == ONE
    assert NONE.boxes == NONE.points == ()
    assert not decode(NONE.mask).any()


def test_a_truth_survives_the_column_of_a_data_set() -> None:
    row = json.loads(json.dumps(TWO.to_dict()))
    assert row == TWO.to_dict()
    assert Truth.from_dict(row) == TWO
    assert Truth.from_dict(truth_of(LEFT[None], budget=48).to_dict()).budget == 48


@pytest.mark.parametrize(
    "change",
    [
        {"points": ()},
        {"boxes": (Box(0, 0, float("inf"), 1),)},
        {"points": (Point(0, float("nan")),)},
        {"mask": encode(np.zeros((840, 839), bool))},
        {"mask": {"size": [840, 840], "counts": "x"}},
        {"budget": -1},
        {"boxes": ONE.boxes * 121, "points": ONE.points * 121},
    ],
)
def test_a_truth_that_cannot_be_scored_against_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidDocument):
        Truth(**{"boxes": ONE.boxes, "points": ONE.points, "mask": ONE.mask, "budget": None} | change)
    Truth(ONE.boxes * 120, ONE.points * 120, ONE.mask, 0)


@pytest.mark.parametrize("shape", [(4, 4), (1, 0, 4), (1, 4, 0)])
def test_masks_of_another_shape_make_no_truth(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch, match="height, width"):
        truth_of(np.ones(shape, bool))


def beside(x: float, y: float, *corners: int) -> bool:
    return truth_of(corner_mask(*corners)[None]).is_beside(Point(x, y))


def test_a_point_is_rounded_half_up_and_must_be_in_the_frame() -> None:
    strip = 800, 0, 829, 839
    assert not beside(829.49, 5, *strip)
    assert beside(829.5, 5, *strip)
    assert beside(839.49, 839.49, *strip)
    assert not beside(839.5, 5, *strip)
    assert not beside(835, 839.5, *strip)
    assert beside(835, -0.5, *strip)
    assert not beside(835, -0.6, *strip)
    assert not beside(-0.6, 5, 0, 10, 5, 20)
    assert beside(0, 9, 0, 10, 5, 20)
    assert not beside(0, 0, 0, 0, 0, 0)
    assert beside(0, 1, 0, 0, 0, 0)


def test_nearness_does_not_reach_round_the_edge_of_the_frame() -> None:
    """Pixels are counted down the columns, so the foot of one column is followed by the head of the next."""
    assert not beside(400, 838, 401, 0, 402, 1)
    assert not beside(401, 1, 400, 838, 400, 839)
    assert not beside(839, 400, 0, 390, 3, 410)


def test_nothing_is_beside_a_target_that_is_not_there_or_fills_the_frame() -> None:
    assert not NONE.is_beside(Point(0, 0))
    assert not beside(400, 400, 0, 0, 839, 839)


def test_boxes_count_their_last_pixels() -> None:
    assert iou(Box(0, 0, 9, 9), Box(0, 0, 9, 9)) == 1
    assert iou(Box(0, 0, 9, 9), Box(9, 9, 18, 18)) == 1 / 199
    assert iou(Box(0, 0, 9, 9), Box(10, 0, 18, 9)) == 0
    assert iou(Box(0, 0, 9, 9), Box(0, 12, 9, 18)) == 0
    assert iou(Box(0, 0, 9, 9), Box(20, 20, 30, 30)) == 0


def test_the_temporal_iou_divides_by_the_union() -> None:
    present = np.zeros(10, bool)
    present[4:8] = True
    assert temporal_iou((4, 7), present) == 1
    assert temporal_iou((6, 9), present) == 2 / 6
    assert temporal_iou((5, 5), present) == 1 / 4
    assert temporal_iou((0, 99), present) == 4 / 10
    assert temporal_iou((-3, 0), present) == 0
    assert temporal_iou(None, present) == 0
    assert temporal_iou((0, 3), np.zeros(10, bool)) == 0
    assert temporal_iou((12, 15), np.zeros(10, bool)) == 0


def test_the_keyframe_is_measured_by_the_frame_that_shows_most() -> None:
    areas = np.array([10, 5, 20, 0])
    assert [keyframe_quality(frame, areas) for frame in (-1, 0, 1, 2, 3, 4, None)] == [0, 0.5, 0.25, 1, 0, 0, 0]
    assert keyframe_quality(0, np.zeros(3, int)) == 0
