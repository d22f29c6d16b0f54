"""How unlike pictures are: between 0 and 1, the same both ways, whatever moved and however bright it is."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.scenes import mixed, pan, scene
from videoseg_r1.stages.propagation.thumbnail import Thumbnail

_A, _B = Thumbnail.of(scene(1)), Thumbnail.of(scene(2))


def test_a_picture_is_like_itself_and_unlike_another_both_ways_alike():
    assert _A.unlike(_A) == pytest.approx(0, abs=1e-5)
    assert 0.32 < _A.unlike(_B) <= 1
    assert _A.unlike(_B) == _B.unlike(_A)


def test_what_moves_is_found_again_only_by_search():
    here, there = (Thumbnail.of(view) for view in pan(scene(3, (200, 54)), 9, 2))
    assert here.unlike(there) < 0.2 < 0.5 < here.unlike_in_place(there)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_brightness_does_not_matter(share):
    dark = Thumbnail.of(mixed(scene(1), np.zeros_like(scene(1)), share))
    assert _A.unlike(dark) < 0.1


def test_blocks_in_place_are_never_more_alike_than_blocks_that_are_searched():
    views = [Thumbnail.of(scene(seed, soft=soft)) for seed in range(4) for soft in (1.0, 4.0)]
    assert all(one.unlike(other) <= one.unlike_in_place(other) + 1e-4 for one in views for other in views)


def test_only_pictures_with_nothing_in_them_are_plain():
    assert Thumbnail.of(np.full((5, 7, 3), 200, np.uint8)).plain
    assert Thumbnail.of(np.zeros((1, 1, 3), np.uint8)).plain
    assert not _A.plain
    assert _A.unlike(Thumbnail.of(np.zeros((5, 7, 3), np.uint8))) == pytest.approx(0.5, abs=0.01)
