"""What must hold of cuts for any film."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.scenes import places, scene

_WIDE = scene(11, (80, 64))


@given(
    picture=hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))),
    length=st.integers(0, 40),
)
@settings(max_examples=30, deadline=None)
def test_a_film_of_one_picture_has_no_cut(picture, length):
    assert places([picture] * length) == []


@given(moves=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=20))
@settings(max_examples=30, deadline=None)
def test_a_camera_that_shakes_makes_no_cut(moves):
    assert places([_WIDE[dy : dy + 48, dx : dx + 64] for dx, dy in moves]) == []


@given(before=st.integers(1, 6), after=st.integers(1, 6), seeds=st.sampled_from([(21, 22), (23, 24), (25, 26)]))
@settings(max_examples=8, deadline=None)
def test_two_scenes_of_any_length_have_one_cut_at_the_same_place_both_ways(before, after, seeds):
    one, other = (scene(seed, (64, 48)) for seed in seeds)
    assert places([one] * before + [other] * after) == [before]
