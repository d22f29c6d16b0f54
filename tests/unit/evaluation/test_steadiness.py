"""Steadiness: what moves with the picture is steady, what flickers is not, and the truth has no flicker of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videoseg_r1.datasets.clip import Clip, Expression, TrueMasks
from videoseg_r1.datasets.sample import Sample
from videoseg_r1.evaluation import Prediction
from videoseg_r1.evaluation.steadiness import changes, steadiness
from videoseg_r1.metrics import region_similarity
from videoseg_r1.video import open_video

HEIGHT, WIDTH, LENGTH = 48, 64, 5
SHOWN = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH + 40, 3)).astype(np.uint8), (0, 0), 2)


def panned(step: int) -> np.ndarray:
    """Return frames (T, H, W, 3) whose picture moves to the right by so many pixels a frame."""
    return np.stack([SHOWN[:, 20 - step * index : 20 - step * index + WIDTH] for index in range(LENGTH)])


def squares(step: int) -> np.ndarray:
    """Return masks (T, H, W) that move with the picture."""
    masks = np.zeros((LENGTH, HEIGHT, WIDTH), bool)
    for index, mask in enumerate(masks):
        mask[16:32, 16 + step * index : 36 + step * index] = True
    return masks


def flickering(masks: np.ndarray) -> np.ndarray:
    """Return masks that are larger in every other frame."""
    return np.stack([cv2.dilate(m.view(np.uint8), np.ones((7, 7))) > 0 if t % 2 else m for t, m in enumerate(masks)])


class Drawn(TrueMasks):
    """True masks in memory, known from a frame on."""

    def __init__(self, masks: np.ndarray, start: int = 0) -> None:
        self._masks, self._start = masks, start

    @property
    def size(self) -> tuple[int, int]:
        return WIDTH, HEIGHT

    def frames(self, object_ids: Sequence[str]) -> Sequence[int]:
        return range(self._start, len(self._masks))

    def read(self, object_ids: Sequence[str], index: int) -> np.ndarray:
        assert index >= self._start
        return np.repeat(self._masks[index][None], len(object_ids), axis=0)


def sample_of(step: int, start: int = 0, name: str = "ant", expression: str = "0", hidden: int = 0) -> Sample:
    """Return a sample whose target is hidden in its last so many frames."""
    masks = squares(step)
    masks[LENGTH - hidden :] = False
    asked = Expression(expression, "it", ("1",))
    names = tuple(map(str, range(LENGTH)))
    clip = Clip("drawn", "all", name, names, partial(open_video, panned(step)), (asked,), Drawn(masks, start))
    return Sample(clip, asked, (name,))


def test_what_moves_with_the_picture_is_steady() -> None:
    found = changes(panned(2), lambda index: squares(2)[index][None])
    assert found.shape == (LENGTH - 1, 1)
    assert found.max() < 0.12


def test_what_stands_still_in_a_moving_picture_is_not() -> None:
    found = changes(panned(4), lambda _: squares(0)[:1])
    assert found.min() > 0.25


def test_still_pictures_and_masks_do_not_change_at_all() -> None:
    assert changes(panned(0), lambda _: np.stack([squares(0)[0], ~squares(0)[0]])).max() == 0


@pytest.mark.parametrize("num_frames", [0, 1])
def test_without_a_pair_of_frames_there_is_no_change(num_frames: int) -> None:
    assert changes(panned(0)[:num_frames], lambda index: squares(0)[index][None]).shape == (0, num_frames)


def test_pixels_that_come_from_outside_do_not_count() -> None:
    """The mask fills the picture in every frame; what comes in at the left was not to be seen before."""
    assert changes(panned(5), lambda _: np.ones((1, HEIGHT, WIDTH), bool)).max() == 0


def test_the_truth_has_no_flicker_and_flicker_is_found() -> None:
    samples = [sample_of(2), sample_of(2, expression="1")]
    masks = {"0": squares(2), "1": flickering(squares(2))}
    perfect, restless = steadiness(samples, lambda s: Prediction(enumerate(masks[s.expression_id])))
    assert perfect is not None
    assert restless is not None
    assert perfect.flicker == 0
    assert perfect.num_pairs == restless.num_pairs == LENGTH - 1
    assert perfect.true == restless.true
    larger = 1 - region_similarity(masks["1"][1], masks["0"][1])
    assert restless.flicker == pytest.approx(larger, abs=0.1)


def test_only_pairs_of_scored_frames_with_something_in_both_count() -> None:
    (late,) = steadiness([sample_of(0, start=2)], lambda _: Prediction(enumerate(squares(0))))
    assert late is not None
    assert late.num_pairs == LENGTH - 1 - 2
    found = [(0, squares(0)[0])]  # and nothing later: missing frames are empty
    (lost,) = steadiness([sample_of(0)], lambda _: Prediction(found))
    assert lost is not None
    assert (lost.num_pairs, lost.predicted, lost.true) == (1, 1.0, 0.0)
    assert steadiness([sample_of(0)], lambda _: Prediction(())) == [None]
    (hidden,) = steadiness([sample_of(0, hidden=3)], lambda _: Prediction(enumerate(squares(0))))
    assert hidden is not None
    assert (hidden.num_pairs, hidden.predicted, hidden.true) == (2, 0.0, 0.5)


def test_samples_of_other_clips_do_not_mix() -> None:
    samples = [sample_of(0), sample_of(2, name="bee"), sample_of(0, expression="1")]
    found = steadiness(samples, lambda s: Prediction(reversed(list(enumerate(squares(2 if s.video_id == "bee" else 0))))))
    assert [one is not None and one.flicker for one in found] == [0, 0, 0]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 4))
def test_changes_lie_between_zero_and_one_and_do_not_depend_on_the_company(seed: int, step: int) -> None:
    draw = np.random.default_rng(seed)
    masks = draw.random((3, 2, HEIGHT, WIDTH)) < draw.random((3, 2, 1, 1))
    together = changes(panned(step)[:3], lambda index: masks[index])
    assert ((together >= 0) & (together <= 1)).all()
    alone = changes(panned(step)[:3], lambda index: masks[index][1:])
    np.testing.assert_array_equal(together[:, 1:], alone)
