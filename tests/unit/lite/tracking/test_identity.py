"""Things that `lite` follows stay themselves: drawn clips with exact truth, small and short; `benchmarks/identity.py` has the long ones."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.encounters import drawn
from helpers.identity import encounters, follow, is_switched, recognised_after
from helpers.lite_things import CPU
from videoseg_r1.lite.tracking.propagator import lite_propagator

_SIZE = (256, 144)
_FRAMES = 24


def _followed(kind, seed, num_frames=_FRAMES):
    return follow(drawn(kind, seed, _SIZE, num_frames), lite_propagator(CPU))


@pytest.mark.parametrize(("kind", "seed"), [("colour", 0), ("colour", 1), ("size", 0), ("touch", 0)])
def test_two_that_differ_in_colour_or_size_are_not_switched_where_they_meet(kind, seed):
    followed = _followed(kind, seed)
    (crossing,) = (one for one in encounters(followed) if one.kind == "crossing")
    assert not crossing.alike
    assert not is_switched(followed, crossing)
    assert not followed.lost
    assert min(followed.j) > 0.6


@pytest.mark.parametrize("seed", [0, 1], ids=["past the border", "behind a bar"])
def test_a_thing_that_leaves_is_lost_and_is_found_where_it_comes_back(seed):
    followed = _followed("away-5", seed, _FRAMES + 5)
    stays, leaves = 0, 1
    (comes_back,) = (one for one in encounters(followed) if one.kind == "return")
    after = recognised_after(followed, comes_back)
    assert not is_switched(followed, comes_back)
    assert after is not None
    assert after <= 6
    false, absent = followed.false_masks
    assert false <= 1 < absent
    gone = int(np.flatnonzero(~followed.seen[:, leaves])[0])
    told = {(event.kind, event.object_index): event.frame_index for event in followed.events if event.kind in {"lost", "found"}}
    assert told.keys() == {("lost", leaves), ("found", leaves)}
    assert gone - 1 <= told["lost", leaves] <= gone + 1
    assert comes_back.end <= told["found", leaves] <= comes_back.end + 6
    assert followed.j[stays] > 0.8


def test_ten_things_at_once_keep_their_masks():
    followed = _followed("ten", 0)
    assert len(followed.clip.objects) == 10
    assert not followed.lost
    assert not any(is_switched(followed, one) for one in encounters(followed) if not one.alike)
    assert np.mean(followed.j) > 0.6


def test_a_thing_of_twelve_pixels_is_followed():
    followed = _followed("small-12", 0)
    assert not followed.lost
    assert followed.j[0] > 0.6


@pytest.mark.parametrize("seed", [1, 7])
def test_twins_that_pass_each_other_stay_themselves(seed):
    followed = _followed("twins", seed)
    (crossing,) = (one for one in encounters(followed) if one.kind == "crossing")
    assert crossing.alike
    assert not is_switched(followed, crossing)
    assert not followed.lost


def test_a_thing_that_moves_more_than_its_width_in_a_frame_is_followed():
    followed = _followed("fast", 0)
    assert not followed.lost
    assert followed.j[0] > 0.6


def test_a_thing_thinner_than_a_cell_is_followed():
    followed = _followed("stick", 0)
    assert not followed.lost
    assert followed.j[0] > 0.5
