"""Further anchors: which answers correct the carried masks, and what a self-check asks about again."""

from __future__ import annotations

import numpy as np
import pytest

from videoseg_r1.masks import iou_matrix
from videoseg_r1.pipeline.corrections import checked_frames, corrected, worst_frame


def _masks(*columns: tuple[int, int], width: int = 12) -> np.ndarray:
    masks = np.zeros((len(columns), 4, width), bool)
    for mask, (first, after) in zip(masks, columns, strict=True):
        mask[:, first:after] = True
    return masks


def test_iou_of_each_pair():
    overlap = iou_matrix(_masks((0, 4), (0, 0)), _masks((0, 4), (2, 6), (0, 0)))
    assert overlap == pytest.approx(np.array([[1, 2 / 6, 0], [0, 0, 0]]))


def test_one_object_is_corrected_wherever_it_is_answered():
    given = corrected(_masks((8, 12)), _masks((0, 4)))
    assert given is not None
    assert given.which.tolist() == [True]
    assert (given.masks == _masks((8, 12))).all()


def test_an_answer_that_agrees_or_says_nothing_brings_nothing():
    assert corrected(_masks((0, 4)), _masks((0, 4))) is None
    assert corrected(_masks((0, 0)), _masks((0, 4))) is None
    assert corrected(np.zeros((0, 4, 12), bool), _masks((0, 4))) is None


def test_of_several_objects_each_answer_goes_to_the_one_it_overlaps():
    given = corrected(_masks((6, 9), (1, 5)), _masks((0, 4), (5, 8)))
    assert given is not None
    assert given.which.tolist() == [True, True]
    assert (given.masks == _masks((1, 5), (6, 9))).all()


def test_of_an_object_without_an_answer_nothing_is_given():
    given = corrected(_masks((3, 7)), _masks((0, 4), (4, 8)))
    assert given is not None
    assert given.which.tolist() == [False, True]
    assert (given.masks == _masks((0, 0), (3, 7))).all()


def test_answers_that_overlap_none_of_several_objects_are_left_out():
    assert corrected(_masks((9, 12)), _masks((0, 4), (4, 8))) is None


def test_masks_never_overlap_after_a_correction():
    result = corrected(_masks((2, 6), (5, 9)), _masks((0, 4), (6, 10)))
    assert result is not None
    assert (result.masks == _masks((2, 6), (6, 9))).all()


@pytest.mark.parametrize(
    ("num_frames", "known", "expected"), [(12, [], (1, 3, 5, 7, 9, 11)), (12, [3, 9], (1, 5, 7, 11)), (2, [], (0, 1)), (1, [0], ())]
)
def test_frames_for_a_check_are_spread_over_the_video(num_frames, known, expected):
    assert checked_frames(num_frames, known) == expected


@pytest.mark.parametrize(
    ("wrong", "expected"), [((), None), ((5,), 5), ((1, 5, 7, 9), 7), ((1, 3, 7), 3), ((99,), None), ((1, 3, 5, 7, 9, 11), 7)]
)
def test_the_middle_of_the_longest_wrong_stretch_is_asked_about(wrong, expected):
    assert worst_frame((1, 3, 5, 7, 9, 11), wrong) == expected
