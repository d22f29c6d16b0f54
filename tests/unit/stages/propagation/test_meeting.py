"""Two opinions on a frame become one: no two objects overlap, whoever says what."""

from __future__ import annotations

import numpy as np
import pytest

from videoseg_r1.stages.propagation.meeting import fuse

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
