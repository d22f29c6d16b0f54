"""Both directions of time around one or several given frames, and what happens where they meet."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from helpers.discs import light_cuts
from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.stages.propagation import both_ways
from videoseg_r1.stages.propagation.both_ways import BothWays, Tracked
from videoseg_r1.types import Given
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


def _given(*masks):
    """Masks (1, H, W) of all objects, None where nothing is given of one."""
    which = np.array([mask is not None for mask in masks])
    return Given(np.concatenate([np.zeros((1, _H, _W), bool) if mask is None else mask for mask in masks]), which)


def _events(found):
    return sorted((e.frame_index, e.kind, e.object_index, e.direction) for one in found.values() for e in one.events)


def test_an_object_that_comes_late_is_carried_back_from_where_it_was_given():
    found, order, seen = _run((1, -1), {0: _given(_bar(2, 8), None), 6: _given(None, _bar(50))})
    assert order == [*range(6, 12), *range(5, -1, -1)]
    assert seen == [list(range(12)), list(range(6, -1, -1))]
    for index, one in found.items():
        np.testing.assert_array_equal(one.masks, np.concatenate([_bar(2 + index, 8), _bar(44 + index)]))
        assert one.confidence == pytest.approx((1.0 if index == 0 else 0.9, 1.0 if index == 6 else 0.9))
    assert _events(found) == []


def test_after_its_last_given_frame_an_object_is_where_the_forward_run_says_and_before_its_first_where_the_backward_run_does():
    found, _, _ = _run((0, 0), {0: _given(_bar(0), None), 4: _given(_bar(5), _bar(40)), 8: _given(None, _bar(70))})
    assert all((found[t].masks[0] == _bar(5)[0]).all() for t in range(4, 12))
    assert all((found[t].masks[1] == _bar(40)[0]).all() for t in range(5))
    assert all((found[t].masks[1] == _bar(70)[0]).all() for t in range(8, 12))
    assert (found[5].masks[1] == _bar(40)[0]).all()  # the nearer given frame is believed
    assert (found[7].masks[1] == _bar(70)[0]).all()


def test_without_a_given_frame_behind_the_first_of_the_video_there_is_no_way_back():
    _, order, seen = _run((0, 0), {0: _given(_bar(0), None), 5: _given(None, None)})
    assert order == list(range(12))
    assert seen[1] == []


def test_the_way_back_begins_at_the_last_frame_in_which_anything_is_given():
    _, _, seen = _run((0, 0), {0: _given(_bar(0), None), 3: _given(None, _bar(40)), 9: _given(None, None)})
    assert seen[1] == [3, 2, 1, 0]


def test_what_covered_a_late_object_before_it_was_given_gives_way_where_both_were_followed():
    wide = _bar(20, 40)
    found, _, _ = _run((0, 0), {0: _given(wide, None), 6: _given(None, _bar(30))})
    for index in range(1, 12):
        np.testing.assert_array_equal(found[index].masks[1], _bar(30)[0])
        assert (found[index].masks[0] == (wide & ~_bar(30))[0]).all()
    np.testing.assert_array_equal(found[0].masks[0], wide[0])
    assert not (found[0].masks[1] & wide[0]).any()


def test_a_correction_of_one_object_wins_pixels_and_the_other_goes_on_without_them():
    found, _, _ = _run((0, 0), {0: _given(_bar(10, 20), _bar(40)), 5: _given(None, _bar(20, 20))})
    np.testing.assert_array_equal(found[5].masks[1], _bar(20, 20)[0])
    assert all((found[t].masks[0] == _bar(10)[0]).all() for t in range(5, 12))
    assert found[5].confidence == (0.9, 1.0)


def test_an_object_that_is_given_as_absent_is_absent_in_that_frame():
    nothing = np.zeros((1, _H, _W), bool)
    found, _, _ = _run((1, -1), {0: _given(_bar(10), _bar(40)), 6: _given(None, nothing)})
    assert not found[6].masks[1].any()
    assert found[6].confidence == (0.9, 0.0)
    assert (found[1].masks[1] == _bar(41)[0]).all()
    assert not found[11].masks[1].any()
    assert [(index, kind, k) for index, kind, k, _ in _events(found)] == [(5, "found", 1)]  # seen backwards


class Leaving(Sliding):
    """Slides, but what leaves on a side is gone."""

    def step(self, rgb, given=None, search=None):
        if self.masks is not None:
            edge = np.zeros_like(self.masks)
            edge[..., :: self.masks.shape[2] - 1] = True
            gone = (self.masks & edge).any((1, 2))
            self.masks = self.masks & ~gone[:, None, None]
        return super().step(rgb, given, search)


def test_losses_are_told_of_each_object_by_the_run_that_counts_and_nothing_of_an_object_before_it_is_known():
    ways = iter([1, -1])
    with open_video(_FRAMES) as video:
        new_stepper = lambda: Leaving(next(ways), [])  # noqa: E731
        run = BothWays(new_stepper).run(video, {0: _given(_bar(66), None), 7: _given(None, _bar(2, 8))})
        found = {one.index: one for one in run}
    assert _events(found) == [(4, "lost", 1, "backwards"), (5, "lost", 0, "forwards")]
    assert all(found[t].masks[0].any() == (t < 5) for t in range(12))
    assert all(found[t].masks[1].any() == (t > 4) for t in range(12))


def test_given_masks_that_overlap_come_out_apart_and_the_first_keeps_the_pixel():
    found, _, _ = _run((0, 0), {3: np.concatenate([_bar(10, 20), _bar(20, 20)])})
    for one in found.values():
        np.testing.assert_array_equal(one.masks, np.concatenate([_bar(10, 20), _bar(30)]))


def test_plain_masks_and_masks_that_give_every_object_are_the_same():
    plain, _, _ = _run((1, -1), {2: _bar(10), 8: _bar(30)})
    given, _, _ = _run((1, -1), {2: Given.of(_bar(10)), 8: Given.of(_bar(30))})
    assert all((plain[t].masks == given[t].masks).all() and plain[t].confidence == given[t].confidence for t in range(12))


@pytest.mark.parametrize("seeds", [{}, {0: _given(None, None)}, {0: _bar(3), 2: _given(_bar(3), None)}, {1: _bar(3)[:, :9]}])
def test_seeds_that_give_nothing_or_do_not_fit_are_refused(seeds):
    with open_video(_FRAMES) as video, pytest.raises(InvalidPrompt):
        list(BothWays(lambda: Sliding(0, [])).run(video, seeds))


def test_a_cut_right_at_the_last_given_frame_is_told_once(monkeypatch):
    dark, light = np.zeros((4, _H, _W, 3), np.uint8), np.full((4, _H, _W, 3), 200, np.uint8)
    monkeypatch.setattr(both_ways, "with_cuts", light_cuts)
    with open_video(np.concatenate([dark, light])) as video:
        found = {one.index: one for one in BothWays(lambda: Sliding(0, [])).run(video, {0: _bar(10), 4: _bar(10)})}
    assert [event[:2] for event in _events(found)] == [(4, "cut")]


def test_a_run_that_is_given_up_leaves_no_thread_behind():
    before = threading.active_count()
    with open_video(_FRAMES) as video:
        run = BothWays(lambda: Sliding(0, [])).run(video, {3: _bar(10)})
        assert next(run).index == 3
        assert threading.active_count() == before + 1
        run.close()
        assert threading.active_count() == before
        assert len(list(video)) == _T
