"""Both directions of time around one or several given frames, and what happens where they meet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from videoseg_r1.stages.propagation.both_ways import BothWays, Tracked
from videoseg_r1.video import open_video

_H, _W, _T = 30, 80, 12
_FRAMES = np.broadcast_to(np.arange(_T, dtype=np.uint8)[:, None, None, None], (_T, _H, _W, 3)).copy()


def _bar(x, width=10):
    mask = np.zeros((1, _H, _W), bool)
    mask[0, 5:25, x : x + width] = True
    return mask


class Sliding:
    """Moves its masks by some pixels a step, whatever it is shown; `seen` are the frames that came, by their grey value."""

    def __init__(self, pixels, seen, confidence=0.9):
        self.pixels, self.seen, self.confidence = pixels, seen, confidence
        self.masks = None

    def step(self, rgb, given=None, search=None):
        self.seen.append(int(rgb[0, 0, 0]))
        if self.masks is None:
            self.masks = given.masks
        masks = np.roll(self.masks, self.pixels, 2)
        tracked = Tracked(masks, tuple(self.confidence * masks.any((1, 2)))).corrected(given)
        self.masks = tracked.masks
        return tracked


def _run(pixels, seeds):
    """The forward run slides by the first number of pixels, the backward one by the second."""
    seen, ways = [[], []], iter(zip(pixels, (0, 1), strict=True))

    def new_stepper():
        pixel, way = next(ways)
        return Sliding(pixel, seen[way])

    with open_video(_FRAMES) as video:
        found = list(BothWays(new_stepper).run(video, seeds))
    return {one.index: one for one in found}, [one.index for one in found], seen


def test_from_one_given_frame_time_runs_both_ways():
    found, order, seen = _run((1, -1), {4: _bar(20)})
    assert order == [*range(4, 12), 3, 2, 1, 0]
    assert seen == [list(range(4, 12)), [4, 3, 2, 1, 0]]
    assert all((one.masks == _bar(20 + index - 4)).all() for index, one in found.items())


def test_between_two_given_frames_both_runs_pass_and_agree():
    found, order, seen = _run((1, -1), {3: _bar(20), 8: _bar(25)})
    assert sorted(order) == list(range(12))
    assert seen == [list(range(3, 12)), list(range(8, -1, -1))]
    assert all((one.masks == _bar(17 + index)).all() for index, one in found.items())
    assert all(event.kind != "drift" for one in found.values() for event in one.events)


def test_where_they_differ_a_little_the_outline_lies_between_and_moves_from_one_to_the_other():
    found, _, _ = _run((0, 0), {2: _bar(20, 20), 8: _bar(24, 20)})
    left = [int(found[index].masks[0].any(0).argmax()) for index in range(2, 9)]
    assert left[0] == 20
    assert left[-1] == 24
    assert left == sorted(left)
    assert len(set(left)) > 2


def test_where_they_contradict_each_other_the_nearer_given_frame_is_believed_and_it_is_told():
    found, _, _ = _run((0, 0), {2: _bar(10), 8: _bar(60)})
    assert (found[4].masks == _bar(10)).all()
    assert (found[6].masks == _bar(60)).all()
    torn = [event for index in range(3, 8) for event in found[index].events if "disagree" in event.detail]
    assert [(event.frame_index, event.kind) for event in torn] == [(7, "drift")]


def test_given_frames_come_back_as_they_were_given():
    found, _, _ = _run((3, 3), {0: _bar(10), 5: _bar(50), 11: _bar(30)})
    for index, x in ((0, 10), (5, 50), (11, 30)):
        np.testing.assert_array_equal(found[index].masks, _bar(x))
        assert found[index].confidence == (1.0,)


def test_a_video_seeded_on_its_first_frame_is_read_once():
    _, order, seen = _run((0, 0), {0: _bar(10)})
    assert order == list(range(12))
    assert seen == [list(range(12)), []]


def test_over_damaged_frames_masks_are_carried_and_the_stepper_does_not_see_them():
    seen = [[], []]
    ways = iter([(1, 0), (-1, 1)])

    def new_stepper():
        pixel, way = next(ways)
        return Sliding(pixel, seen[way])

    with open_video(_FRAMES) as video:
        video._info = replace(video.info, damaged_frames=(1, 4, 6, 7))
        found = {one.index: one for one in BothWays(new_stepper).run(video, {4: _bar(20)})}
    assert seen == [[4, 5, 8, 9, 10, 11], [4, 3, 2, 0]]  # frame 4 is damaged, but given
    assert all((found[index].masks == _bar(21)).all() for index in (5, 6, 7))
    assert [found[index].confidence[0] for index in (5, 6, 7)] == pytest.approx([0.9, 0.81, 0.729])
    assert (found[8].masks == _bar(22)).all()
    assert (found[1].masks == found[2].masks).all()
