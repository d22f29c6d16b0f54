"""Behind a cut: what looks like the object is taken for it, wherever it is; anything else is not, and the object is absent."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.discs import BLUE, GREEN, RED, Disc, film, light_cuts, scene
from helpers.shapes import square
from videoseg_r1.stages.propagation import both_ways
from videoseg_r1.stages.propagation.both_ways import BothWays, Tracked
from videoseg_r1.stages.propagation.recognition import Recogniser
from videoseg_r1.video import open_video


@pytest.fixture(autouse=True)
def _cuts_are_told(monkeypatch):
    """Detection of cuts has its own tests."""
    monkeypatch.setattr(both_ways, "with_cuts", light_cuts)


def mean_colour(rgb, mask):
    """What things look like, for tests: their colour."""
    colour = rgb[mask].astype(np.float32).mean(0)
    return (colour - colour.mean()) / np.linalg.norm(colour - colour.mean())


class Vivid:
    """Finds the vivid thing that is nearest to where an object was, whatever its colour; behind a cut the largest one.

    It remembers where things were, and `remembered` says of each frame which objects it was let to keep.
    """

    def __init__(self, remembered):
        self.remembered, self.masks = remembered, None

    def step(self, rgb, given=None, search=None):
        if given is None:
            vivid = np.ptp(rgb.astype(int), axis=2) > 150
            hue = rgb.argmax(2)
            things = [vivid & (hue == channel) for channel in range(3)]
            found = np.stack(
                [self._nearest(things, mask if search is None or not search.sought[k] else None, k) for k, mask in enumerate(self.masks)]
            )
            self.masks = found if search is None else search.verify(found)
        else:
            self.masks = given.masks
        self.remembered.append(tuple(bool(mask.any()) for mask in self.masks))
        return Tracked(self.masks, tuple(0.9 * float(mask.any()) for mask in self.masks))

    @staticmethod
    def _nearest(things, mask, number):
        if mask is None:
            return sorted(things, key=lambda thing: -thing.sum())[number]
        return max(things, key=lambda thing: (thing & mask).sum()) if mask.any() else mask


def _run(frames, seeds, describe=mean_colour):
    remembered = []
    with open_video(frames) as video:
        found = {one.index: one for one in BothWays(lambda: Vivid(remembered), describe=describe).run(video, seeds)}
    events = sorted((e.frame_index, e.kind, e.object_index, e.detail) for one in found.values() for e in one.events)
    return found, events, remembered


def _told(events):
    return [(index, kind) for index, kind, _, _ in events]


def test_a_thing_of_another_kind_at_the_same_place_is_refused():
    frames, masks = film(scene(1, [Disc(RED, 20, 20)], 4), scene(2, [Disc(BLUE, 24, 20, None)], 4))
    found, events, remembered = _run(frames, {0: masks[0]})
    assert all((found[t].masks == masks[t]).all() for t in range(8))
    assert all(found[t].confidence == (0.0,) for t in range(4, 8))
    assert [(index, kind) for index, kind, _, _ in events] == [(4, "cut"), (4, "lost")]
    assert events[1][3] == "after a cut"
    assert remembered == [(True,)] * 4 + [(False,)] * 4


def test_the_same_object_elsewhere_in_the_frame_is_found_at_once():
    frames, masks = film(scene(1, [Disc(RED, 14, 14)], 4), scene(2, [Disc(RED, 44, 34), Disc(BLUE, 14, 14, None, radius=6)], 4))
    found, events, _ = _run(frames, {0: masks[0]})
    assert all((found[t].masks == masks[t]).all() for t in range(8))
    assert all(found[t].confidence[0] > 0 for t in range(8))
    assert _told(events) == [(4, "cut")]


def test_after_shot_and_reverse_shot_the_object_is_back():
    first, other = scene(1, [Disc(RED, 20, 20)], 4), scene(2, [Disc(BLUE, 20, 20, None)], 3)
    frames, masks = film(first, other, first)
    found, events, _ = _run(frames, {0: masks[0]})
    assert all((found[t].masks == masks[t]).all() for t in range(11))
    assert _told(events) == [(4, "cut"), (4, "lost"), (7, "cut"), (7, "found")]


def test_an_object_that_comes_later_in_the_scene_is_found_then():
    frames, masks = film(scene(1, [Disc(RED, 20, 20)], 4), scene(2, [Disc(BLUE, 40, 30, None)], 2), scene(2, [Disc(RED, 40, 30)], 2))
    found, events, _ = _run(frames, {0: masks[0]})
    assert [bool(found[t].masks.any()) for t in range(8)] == [True] * 4 + [False] * 2 + [True] * 2
    assert _told(events)[-1] == (6, "found")


def test_backwards_in_time_it_is_the_same():
    frames, masks = film(scene(2, [Disc(BLUE, 24, 20, None)], 4), scene(1, [Disc(RED, 20, 20)], 4))
    found, events, _ = _run(frames, {7: masks[7]})
    assert all((found[t].masks == masks[t]).all() for t in range(8))
    assert _told(events) == [(3, "lost"), (4, "cut")]


def test_of_two_objects_the_one_that_is_in_the_new_scene_goes_on():
    both = [Disc(RED, 14, 14), Disc(GREEN, 44, 34, 1)]
    frames, masks = film(
        scene(1, both, 4, num_objects=2), scene(2, [Disc(GREEN, 20, 34, 1, radius=7), Disc(BLUE, 44, 14, None)], 4, num_objects=2)
    )
    found, events, remembered = _run(frames, {0: masks[0]})
    assert all(not found[t].masks[0].any() and found[t].confidence[0] == 0 for t in range(4, 8))
    assert all((found[t].masks[1] == masks[t][1]).all() and found[t].confidence[1] > 0 for t in range(4, 8))
    assert [event[:3] for event in events] == [(4, "cut", None), (4, "lost", 0)]
    assert remembered[-1] == (False, True)


@pytest.mark.parametrize("given", [3, 4])
def test_a_given_frame_right_before_or_behind_a_cut_begins_its_scene(given):
    frames, masks = film(scene(1, [Disc(RED, 20, 20)], 4), scene(2, [Disc(BLUE, 24, 20, 0)], 4))
    found, _, _ = _run(frames, {given: masks[given]})
    shown = range(4) if given == 3 else range(4, 8)
    assert all((found[t].masks == (masks[t] if t in shown else 0)).all() for t in range(8))
    assert all((found[t].confidence[0] > 0) == (t in shown) for t in range(8))


def test_between_two_given_frames_each_scene_has_what_its_own_run_says_and_nothing_is_lost():
    frames, masks = film(scene(1, [Disc(RED, 20, 20)], 4), scene(2, [Disc(BLUE, 24, 20, 0)], 4))
    found, events, _ = _run(frames, {0: masks[0], 7: masks[7]})
    assert all((found[t].masks == masks[t]).all() for t in range(8))
    assert all(found[t].confidence[0] > 0 for t in range(8))
    assert _told(events) == [(4, "cut")]


def test_what_both_runs_lack_between_two_given_frames_is_lost_and_found():
    first = scene(1, [Disc(RED, 20, 20)], 3)
    frames, masks = film(first, scene(2, [Disc(BLUE, 24, 20, None)], 3), first)
    found, events, _ = _run(frames, {0: masks[0], 8: masks[8]})
    assert [bool(found[t].masks.any()) for t in range(9)] == [True] * 3 + [False] * 3 + [True] * 3
    assert [found[t].confidence[0] > 0 for t in range(9)] == [True] * 3 + [False] * 3 + [True] * 3
    assert [(index, kind) for index, kind, _, _ in events if kind != "cut"] == [(2, "found"), (5, "lost")]


def test_a_stepper_that_cannot_be_verified_finds_nothing():
    frames, masks = film(scene(1, [Disc(RED, 20, 20)], 4), scene(2, [Disc(RED, 24, 20, None)], 4))
    found, _, _ = _run(frames, {0: masks[0]}, describe=None)
    assert not any(found[t].masks.any() for t in range(4, 8))


def test_without_a_cut_nothing_is_described():
    def never(rgb, mask):
        raise AssertionError("described without need")

    frames, masks = scene(1, [Disc(RED, 14, 20)], 12)
    found, events, _ = _run(frames, {0: masks[0]}, describe=never)
    assert all((found[t].masks == masks[t]).all() for t in range(12))
    assert events == []


def test_the_looks_that_are_kept_are_bounded_and_the_first_given_one_stays():
    recogniser, seen = Recogniser(lambda rgb, mask: seen.append(rgb.shape) or mean_colour(rgb, mask)), []
    size = (64, 48)
    for t in range(200):
        colour = RED if t == 0 else BLUE
        rgb = np.zeros((48, 64, 3), np.uint8)
        rgb[...] = colour
        recogniser.learn(rgb, square(size, 10, 10, 20)[None], (1.0,), given=np.array([t % 20 == 0]))
    recogniser.begin_scene()
    search = recogniser.search(np.full((48, 64, 3), RED, np.uint8))
    assert search.is_first
    assert search.verify(square(size, 30, 20, 10)[None]).any()
    assert len(seen) <= 12
    assert max(max(shape) for shape in seen) <= 160


def test_masks_of_one_pixel_and_of_the_whole_frame_have_looks():
    for mask in (square((64, 48), 63, 47, 1), np.ones((48, 64), bool)):
        recogniser = Recogniser(mean_colour)
        rgb = np.full((48, 64, 3), RED, np.uint8)
        recogniser.learn(rgb, mask[None], (1.0,), given=np.array([True]))
        recogniser.begin_scene()
        assert recogniser.search(rgb).verify(mask[None]).any()


def test_behind_a_cut_only_objects_that_are_known_are_sought():
    recogniser, rgb = Recogniser(mean_colour), np.full((48, 64, 3), RED, np.uint8)
    masks = np.zeros((3, 48, 64), bool)
    masks[0, 9:20, 9:20] = True
    recogniser.learn(rgb, masks, (1.0, 0.0, 0.0), given=np.array([True, True, False]))  # there, absent, not known
    recogniser.begin_scene()
    search = recogniser.search(rgb)
    assert search is not None
    assert search.sought.tolist() == [True, True, False]
    recogniser.learn(rgb, masks, (1.0, 0.0, 0.0), given=np.zeros(3, bool))
    assert recogniser.search(rgb).sought.tolist() == [False, True, False]
