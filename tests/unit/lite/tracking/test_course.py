"""Where objects are expected by their motion: those that meet others, and fast ones."""

from __future__ import annotations

import numpy as np

from videoseg_r1.lite.tracking.course import Course, centre, leap, shifted
from videoseg_r1.lite.tracking.crop import Crop
from videoseg_r1.lite.tracking.nearness import out_of_reach

_FRAME = (80, 160)
_WHOLE = Crop(0, 0, 160, 80, 160, 96)


def _square(x: float, y: float = 40, half: int = 10) -> np.ndarray:
    mask = np.zeros(_FRAME, np.bool_)
    mask[max(0, round(y) - half) : round(y) + half, max(0, round(x) - half) : round(x) + half] = True
    return mask


def _met(course: Course, frames: int = 12) -> None:
    """The first goes to the right behind the second, which stands; from frame 6 on the first is not to be seen."""
    for t in range(frames):
        first = _square(20 + 12 * t) & ~_square(100)
        if t >= 6:
            first = np.zeros(_FRAME, np.bool_)
        course.keep(np.stack([first, _square(100)]))
        course.go_on([np.array([12.0, 0.0]), np.zeros(2)])


def test_what_is_by_itself_is_not_expected_anywhere():
    course = Course()
    course.keep(np.stack([_square(20), _square(120)]))
    course.go_on([np.array([5.0, 0.0]), None])
    assert course.expected(0, _WHOLE, _FRAME) is None
    assert course.expected(1, _WHOLE, _FRAME) is None


def test_what_meets_another_is_expected_whole_where_its_motion_takes_it():
    course = Course()
    for t in range(8):  # in frame 7 they are 4 pixels apart
        course.keep(np.stack([_square(20 + 8 * t), _square(100)]))
        course.go_on([np.array([8.0, 0.0]), np.zeros(2)])
    expected = course.expected(0, _WHOLE, _FRAME)
    assert expected is not None
    truth = _square(84)
    assert (expected & truth).sum() / (expected | truth).sum() > 0.75
    still = course.expected(1, _WHOLE, _FRAME)
    assert still is not None
    assert (still == _square(100)).mean() > 0.99


def test_what_is_hidden_by_another_goes_on_until_it_is_forgotten():
    course = Course()
    _met(course, frames=10)
    expected = course.expected(0, _WHOLE, _FRAME)
    assert expected is not None
    found = centre(expected)
    assert found is not None
    assert abs(found[0] - (20 + 12 * 10)) < 10
    for _ in range(40):
        course.keep(np.stack([np.zeros(_FRAME, np.bool_), _square(100)]))
        course.go_on([None, None])
    assert course.expected(0, _WHOLE, _FRAME) is None


def test_what_leaves_without_meeting_anything_is_expected_nowhere():
    course = Course()
    course.keep(np.stack([_square(20), _square(120)]))
    course.keep(np.stack([np.zeros(_FRAME, np.bool_), _square(120)]))
    assert course.expected(0, _WHOLE, _FRAME) is None


def test_expectations_are_given_over_the_crop_that_is_asked_for():
    course = Course()
    course.keep(np.stack([_square(60), _square(120)]))
    course.keep(np.stack([_square(60), _square(75)]))
    course.go_on([np.zeros(2), np.zeros(2)])
    expected = course.expected(0, Crop(40, 20, 80, 60, 160, 160), (80, 80))
    assert expected is not None
    assert np.argwhere(expected).min(0).tolist() == [19, 19]  # four times as large as in the frame, and a little wider: doubt grows
    assert np.argwhere(expected).max(0).tolist() == [60, 60]


def test_centre_leap_and_shift_agree():
    before, now = _square(30, 30), _square(90, 50)
    assert centre(np.zeros(_FRAME, np.bool_)) is None
    np.testing.assert_allclose(centre(before), [29.5, 29.5])
    gone = leap(before, now, 24)
    np.testing.assert_allclose(gone, [60, 20])
    np.testing.assert_array_equal(shifted(before[None], gone)[0], now)
    assert not leap(before, now, 80).any()
    assert not leap(before, np.zeros(_FRAME, np.bool_), 1).any()


def test_separate_parts_out_of_reach_are_told_but_never_all_of_an_object():
    labels = np.zeros((10, 20), np.int64)
    labels[2:4, 2:4], labels[2:4, 15:17], labels[8, 2] = 1, 1, 2
    before = np.zeros((2, 10, 20), np.bool_)
    before[0, 3, 3], before[1, 0, 19] = True, True
    far = out_of_reach(labels, before, (2, 3))
    assert far[0].sum() == 4
    assert far[0, 2:4, 15:17].all()
    assert not far[1].any()  # all of the second is far away: it leapt
