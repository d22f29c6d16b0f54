"""Two opinions on a frame become one: no two objects overlap, whoever says what."""

from __future__ import annotations

import numpy as np
import pytest

from videoseg_r1.stages.propagation.meeting import Meeting, fuse
from videoseg_r1.types import Given, TrackedFrame, TrackEvent

_H, _W = 30, 80


def _bar(x, width=10):
    mask = np.zeros((1, _H, _W), bool)
    mask[0, 5:25, x : x + width] = True
    return mask


def test_two_objects_never_overlap_after_fusion():
    early, late = np.concatenate([_bar(10), _bar(20)]), np.concatenate([_bar(15), _bar(25)])
    fused = fuse(early, late, [(0.5, 0.5), (0.5, 0.5)])
    assert fused.any((1, 2)).all()
    assert fused.sum(0).max() == 1


def test_permuting_the_objects_permutes_the_fusion():
    early, late = np.concatenate([_bar(10), _bar(40)]), np.concatenate([_bar(14), _bar(43)])
    weights = [(0.7, 0.2), (0.4, 0.4)]
    np.testing.assert_array_equal(fuse(early, late, weights)[::-1], fuse(early[::-1], late[::-1], weights[::-1]))


@pytest.mark.parametrize(("early", "late", "expected"), [(10, None, 10), (None, 10, 10), (None, None, None)])
def test_an_object_that_only_one_run_sees_is_as_that_run_sees_it(early, late, expected):
    nothing = np.zeros((1, _H, _W), bool)
    masks = [nothing if x is None else _bar(x) for x in (early, late, expected)]
    weights = [(0.0 if early is None else 0.5, 0.0 if late is None else 0.5)]
    np.testing.assert_array_equal(fuse(masks[0], masks[1], weights), masks[2])


def test_a_mask_that_fills_the_frame_stays_full():
    full = np.ones((1, _H, _W), bool)
    np.testing.assert_array_equal(fuse(full, full, [(0.3, 0.6)]), full)


_NOTHING = np.zeros((1, _H, _W), bool)


def _late_second(early, late, events=(), sure=0.4):
    """What both say of frame 2, where the first object was given in frame 0 and the second one is given in frame 6."""
    first = Given(np.concatenate([_bar(0), _NOTHING]), np.array([True, False]))
    second = Given(np.concatenate([_NOTHING, _bar(40)]), np.array([False, True]))
    meeting = Meeting({0: first, 6: second}, (_W, _H))
    before = [event for event in events if event.direction == "forwards"]
    meeting.wait(TrackedFrame(2, np.concatenate([early, _NOTHING]), (sure * early.any(), 0.0), tuple(before)))
    behind = tuple(event for event in events if event.direction == "backwards")
    return meeting.join(TrackedFrame(2, np.concatenate(late), tuple(0.8 * one.any() for one in late), behind))


def test_who_knew_both_objects_says_whose_a_pixel_is():
    found = _late_second(_bar(10, 40), (_bar(10), _bar(20, 12)))
    np.testing.assert_array_equal(found.masks, np.concatenate([_bar(10, 40) & ~_bar(20, 12), _bar(20, 12)]))


def test_where_the_run_that_knew_only_one_is_surer_the_deeper_one_keeps_the_pixel():
    found = _late_second(_bar(10, 40), (_bar(10), _bar(20, 12)), sure=0.95)
    np.testing.assert_array_equal(found.masks, np.concatenate([_bar(10, 40), _NOTHING]))


def test_who_lost_sight_of_an_object_does_not_say_so_and_the_deeper_one_keeps_the_pixel():
    found = _late_second(_bar(10, 40), (_NOTHING, _bar(40, 30)))
    assert found.masks.sum(0).max() == 1
    assert found.masks[0, 15, 41]
    assert found.masks[1, 15, 48]


def test_the_confidence_is_that_of_the_run_that_counts():
    assert _late_second(_bar(10), (_bar(10), _bar(40))).confidence == pytest.approx((0.4, 0.8))


def test_what_a_run_notices_of_an_object_holds_where_it_counts():
    events = [TrackEvent(2, kind, k, way, "") for kind in ("lost", "drift") for k in (0, 1) for way in ("forwards", "backwards")]
    cuts = [TrackEvent(2, "cut", None, way, "") for way in ("forwards", "backwards")]
    told = _late_second(_bar(10), (_bar(10), _bar(40)), (*events, *cuts)).events
    assert [(event.kind, event.object_index, event.direction) for event in told] == [
        ("lost", 0, "forwards"),
        ("drift", 0, "forwards"),
        ("lost", 1, "backwards"),
        ("drift", 1, "backwards"),
        ("cut", None, "backwards"),
    ]
