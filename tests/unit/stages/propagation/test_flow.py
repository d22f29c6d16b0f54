"""The optical-flow baseline: what its confidence says, and that it stops at a cut."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.discs import RED, Disc, scene
from helpers.shapes import rectangle
from videoseg_r1.stages.propagation.flow import FlowStepper
from videoseg_r1.stages.propagation.recognition import Search
from videoseg_r1.types import Given

_SIZE = (64, 48)


def _followed(frames, mask):
    stepper = FlowStepper()
    stepper.step(frames[0], Given.of(mask))
    return [stepper.step(rgb) for rgb in frames[1:]]


def test_a_still_picture_keeps_masks_and_confidence():
    frames, masks = scene(1, [Disc(RED, 30, 24, speed=0)], 8)
    for found in _followed(frames, masks[0]):
        np.testing.assert_array_equal(found.masks, masks[0])
        assert found.confidence == pytest.approx((1.0,))


def test_confidence_falls_as_time_passes_and_never_rises():
    frames, masks = scene(1, [Disc(RED, 14, 24, speed=2)], 14)
    sure = [found.confidence[0] for found in _followed(frames, masks[0])]
    assert sure == sorted(sure, reverse=True)
    assert 0.9 > sure[-1] > 0.05


def test_confidence_falls_when_something_passes_before_the_object():
    frames, masks = scene(1, [Disc(RED, 30, 24, speed=0)], 9)
    still = _followed(frames, masks[0])[-1].confidence[0]
    hidden = frames.copy()
    for t in range(1, 9):
        hidden[t, :, 6 * t - 12 : 6 * t + 6] = (250, 250, 250)  # a white post that crosses the picture
    covered = _followed(hidden, masks[0])[-1].confidence[0]
    assert still > 0.99
    assert covered < 0.5


def test_behind_a_cut_that_nobody_noticed_it_does_not_go_on_sure():
    first, masks = scene(1, [Disc(RED, 30, 24, speed=0)], 3)
    second, _ = scene(2, [], 3)
    found = _followed(np.concatenate([first, second]), masks[0])
    assert found[1].confidence[0] > 0.9
    assert all(one.confidence[0] < 0.3 for one in found[2:])


def test_what_is_sought_is_absent_until_it_is_given_and_the_rest_goes_on():
    frames, masks = scene(1, [Disc(RED, 20, 14, 0, 7, 0), Disc((40, 210, 60), 44, 34, 1, 7, 0)], 4, num_objects=2)
    stepper = FlowStepper()
    stepper.step(frames[0], Given.of(masks[0]))
    found = stepper.step(frames[1], None, Search(True, np.array([True, False]), lambda found: found))
    assert found.masks.any((1, 2)).tolist() == [False, True]
    assert found.confidence[0] == 0
    assert not stepper.step(frames[2]).masks[0].any()
    assert stepper.step(frames[3], Given.of(masks[3])).confidence == (1.0, 1.0)


def test_a_mask_that_fills_the_frame_has_a_confidence_too():
    frames, _ = scene(1, [Disc(RED, 20, 14)], 3)
    full = rectangle(_SIZE, 0, 0, *_SIZE)[None]
    assert all(0 < found.confidence[0] <= 1 for found in _followed(frames, full))
