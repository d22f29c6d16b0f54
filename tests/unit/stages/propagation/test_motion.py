"""Motion between pictures: what was moved is found where it was, at any size, and comes back when it is moved along."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from videoseg_r1.stages.propagation.motion import MotionEstimator, grey, moved


def textured(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(3).integers(0, 255, (height + 20, width + 20)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -2), (-4, 3)])
def test_a_picture_that_moves_is_found_where_it_was(right: int, down: int) -> None:
    whole = textured(60, 80)
    before, now = whole[10:70, 10:90], whole[10 - down : 70 - down, 10 - right : 90 - right]
    inner = MotionEstimator().since(before, now)[12:-12, 12:-12]
    np.testing.assert_allclose(np.median(inner, axis=(0, 1)), (-right, -down), atol=0.2)


def test_nothing_moves_in_a_picture_that_stands_still() -> None:
    still = textured(30, 40)
    assert np.abs(MotionEstimator().since(still, still)).max() < 0.05


@pytest.mark.parametrize("shape", [(1, 1), (5, 70), (15, 16)])
def test_pictures_may_be_tiny(shape: tuple[int, int]) -> None:
    assert MotionEstimator().since(np.zeros(shape, np.uint8), np.ones(shape, np.uint8)).shape == (*shape, 2)


def test_pictures_are_moved_along_and_nothing_comes_from_outside() -> None:
    picture = np.arange(12, dtype=np.float32).reshape(3, 4) + 1
    motion = np.zeros((3, 4, 2), np.float32)
    motion[..., 0] = -1  # everything was a pixel further to the left
    np.testing.assert_array_equal(moved(picture, motion), np.pad(picture[:, :-1], ((0, 0), (1, 0))))


def test_grey_weighs_the_colours() -> None:
    assert grey(np.full((2, 3, 3), 200, np.uint8)).tolist() == [[200] * 3] * 2
