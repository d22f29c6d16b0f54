"""What is noticed while masks are carried: losses, returns and drift; and what is not taken for one."""

from __future__ import annotations

import numpy as np

from helpers.shapes import square
from videoseg_r1.stages.propagation.watch import Watch

_SIZE = (72, 128)


def _object(x=40, y=20, side=20):
    return square(_SIZE[::-1], x, y, side)[None]


def _watch(masks, confidence=None, given=(), after_cut=()):
    """Return (kind, frame, object) of every event."""
    watch, events = Watch("forwards"), []
    for t, mask in enumerate(masks):
        sure = (1.0 if confidence is None else confidence[t],)
        events += watch.observe(t, mask, sure, given=np.array([t in given]), after_cut=t in after_cut)
    return [(event.kind, event.frame_index, event.object_index) for event in events]


def test_a_lost_object_and_its_return_are_told_once_each():
    gone = np.zeros((1, *_SIZE), bool)
    masks = [_object(), _object(42), gone, gone, gone, _object(50), _object(52)]
    assert _watch(masks) == [("lost", 2, 0), ("found", 5, 0)]


def test_a_mask_that_jumps_or_bursts_is_a_drift():
    still = [_object(10)] * 3
    assert _watch([*still, _object(100)]) == [("drift", 3, 0)]
    assert _watch([*still, _object(10, 5, 60)]) == [("drift", 3, 0)]
    assert _watch([*still, _object(22)]) == []


def test_low_confidence_is_a_drift_told_once_in_a_while():
    events = _watch([_object()] * 20, confidence=[1.0] * 3 + [0.3] * 17)
    assert events == [("drift", 3, 0), ("drift", 15, 0)]


def test_a_correction_by_the_user_is_no_drift():
    assert _watch([_object(10), _object(10), _object(100), _object(100)], given=(2,)) == []


def test_behind_a_cut_an_object_may_be_elsewhere():
    masks = [_object(10)] * 4 + [_object(100)] * 4
    assert _watch(masks, after_cut=[4]) == []
    assert _watch(masks) == [("drift", 4, 0)]


def test_the_first_frame_is_not_judged():
    assert _watch([_object(10)] * 3, confidence=[0.3, 0.9, 0.9]) == []


def test_an_object_that_is_given_late_is_neither_lost_before_nor_found_then():
    nothing = np.zeros((1, *_SIZE), bool)
    assert _watch([nothing, nothing, _object(), _object(), nothing], given=(2,)) == [("lost", 4, 0)]
