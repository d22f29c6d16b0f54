"""Confidence as expected IoU: what probabilities promise, and the line that corrects it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.shapes import square
from videoseg_r1.stages.propagation.calibration import Calibration, expected_iou, given_confidence

_SIZE = (20, 16)


def test_given_masks_are_certain_and_absent_objects_have_none():
    masks = np.stack([square(_SIZE, 2, 2, 5), np.zeros(_SIZE[::-1], bool)])
    assert given_confidence(masks) == (1.0, 0.0)


def test_certain_probabilities_promise_a_perfect_mask_and_half_the_mask_half_of_it():
    mask = square(_SIZE, 2, 2, 8)
    half = mask.copy()
    half[:, 6:] = False
    assert expected_iou(mask[None].astype(np.float32), mask[None]) == pytest.approx((1.0,))
    assert expected_iou(mask[None].astype(np.float32), half[None]) == pytest.approx((0.5,))
    assert expected_iou(mask[None].astype(np.float32), np.zeros_like(mask)[None]) == (0.0,)


def test_what_another_object_has_is_not_promised_to_this_one():
    one, other = square(_SIZE, 2, 2, 6), square(_SIZE, 10, 2, 6)
    sure = np.stack([one * 0.9, one * 0.8 + other * 0.9]).astype(np.float32)
    first, second = expected_iou(sure, np.stack([one, other]))
    assert first == pytest.approx(0.9)
    assert second == pytest.approx(0.9 * 36 / (36 + 0.1 * 36))


def test_it_is_near_the_mean_iou_of_truths_drawn_from_the_probabilities():
    rng = np.random.default_rng(0)
    probabilities = np.clip(square(_SIZE, 3, 3, 9) * 0.8 + rng.uniform(0, 0.2, _SIZE[::-1]), 0, 1).astype(np.float32)
    mask = probabilities > 0.5
    truths = rng.random((400, *mask.shape)) < probabilities
    ious = (truths & mask).sum((1, 2)) / (truths | mask).sum((1, 2))
    assert expected_iou(probabilities[None], mask[None])[0] == pytest.approx(ious.mean(), abs=0.02)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.2, 3), st.floats(-3, 3))
def test_a_calibration_keeps_order_and_range_and_can_be_undone(one, other, slope, offset):
    calibration = Calibration(slope, offset)
    low, high = sorted((one, other))
    assert 0 <= calibration(low) <= calibration(high) <= 1
    assert (calibration(0), calibration(1)) == (0, 1)
    if 0.01 < one < 0.99:
        assert calibration.inverse()(calibration(one)) == pytest.approx(one, abs=1e-4)
