"""The consequences of the definitions that users trip over, worked out by hand, and the errors."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.shapes import square
from videoseg_r1.errors import InputError, InvalidConfig, ShapeMismatch
from videoseg_r1.metrics import PackedMask, boundary_f, compare, giou_ciou, jf, region_similarity, robustness, tolerance

SIZE = (854, 480)
SHAPE = SIZE[::-1]
FULL, EMPTY = np.ones(SHAPE, bool), np.zeros(SHAPE, bool)
SQUARE = square(SIZE, 200, 100, 120)


def test_two_empty_masks_agree() -> None:
    assert jf(EMPTY, EMPTY) == (1.0, 1.0)


def test_one_empty_mask_scores_nothing() -> None:
    assert jf(EMPTY, SQUARE) == (0.0, 0.0)
    assert jf(SQUARE, EMPTY) == (0.0, 0.0)


def test_a_full_frame_has_no_contour_so_against_nothing_only_j_is_zero() -> None:
    assert jf(FULL, EMPTY) == (0.0, 1.0)


def test_an_inverted_mask_keeps_its_contour() -> None:
    assert jf(~SQUARE, SQUARE) == (0.0, 1.0)


def test_a_missing_pixel_in_a_full_frame_costs_all_of_f() -> None:
    almost = FULL.copy()
    almost[200, 300] = False
    assert jf(almost, FULL) == (1 - 1 / FULL.size, 0.0)


def test_a_shift_by_one_pixel_stays_within_the_tolerance() -> None:
    assert boundary_f(SQUARE, square(SIZE, 201, 100, 120)) == 1.0


@pytest.mark.parametrize(("shift", "expected"), [(8, 1.0), (9, 2 / 4)])
def test_the_tolerance_is_the_disk_of_eight_pixels_at_480p(shift: int, expected: float) -> None:
    """Two half planes: their contours are straight lines `shift` apart, the second one is matched from one line only."""
    pred, gold = EMPTY.copy(), EMPTY.copy()
    pred[:, :300], gold[:, : 300 + shift] = True, True
    pred[:, 600:], gold[:, 600:] = True, True
    assert boundary_f(pred, gold) == expected


def test_diagonal_offsets_are_measured_by_the_disk_and_not_by_a_square() -> None:
    pixel = np.zeros((64, 64), bool)
    pixel[20, 20] = True
    inside, outside = np.roll(pixel, (3, 4), (0, 1)), np.roll(pixel, (8, 8), (0, 1))
    assert boundary_f(pixel, inside, 5) == 1.0
    assert boundary_f(pixel, outside, 5) == 0.0


def test_an_object_at_the_edge_of_the_frame_has_an_open_contour() -> None:
    mask = np.zeros((50, 70), bool)
    mask[:, :30] = True
    assert PackedMask(mask).length == 50


@pytest.mark.parametrize("width", [63, 64, 65, 128])
def test_contours_at_word_borders_and_in_the_last_column(width: int) -> None:
    mask = np.zeros((3, width), bool)
    mask[1, -1] = True
    # the pixel, the one above it, and the left neighbours of both
    assert PackedMask(mask).length == 4
    assert PackedMask(mask).area == 1


@pytest.mark.parametrize(("shape", "pixels"), [((480, 854), 8), ((720, 1280), 12), ((360, 640), 6), ((1080, 1920), 18)])
def test_tolerance_follows_the_image_diagonal(shape: tuple[int, int], pixels: int) -> None:
    assert tolerance(shape, 0.008) == pixels
    assert tolerance(shape, 3) == 3


def test_a_tolerance_beyond_the_diagonal_is_cut_to_it() -> None:
    assert tolerance((30, 40), 10**9) == 50
    assert boundary_f(SQUARE, square(SIZE, 700, 300, 120), 10**9) == 1.0


@pytest.mark.parametrize("bound", [0, -1, 1.5, float("nan"), float("inf")])
def test_unusable_tolerances_are_refused(bound: float) -> None:
    with pytest.raises(InvalidConfig, match="tolerance"):
        boundary_f(EMPTY, EMPTY, bound)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 1)])
def test_tiny_frames(shape: tuple[int, int]) -> None:
    assert jf(np.zeros(shape, bool), np.zeros(shape, bool)) == (1.0, 1.0)


@pytest.mark.parametrize(
    "function", [region_similarity, boundary_f, jf, lambda p, g: giou_ciou([(p, g)]), lambda p, g: robustness(p, g, g)]
)
def test_other_shapes_are_refused(function) -> None:
    with pytest.raises(ShapeMismatch, match=r"\(480, 854\) and \(480, 853\)"):
        function(EMPTY, EMPTY[:, :-1])
    with pytest.raises(ShapeMismatch):
        function(np.zeros((4, 6), bool), np.zeros((6, 4), bool))


def test_masks_packed_for_different_tolerances_are_refused() -> None:
    with pytest.raises(ShapeMismatch, match="8 and 3 pixels"):
        compare(PackedMask(SQUARE), PackedMask(square(SIZE, 210, 100, 120), 3))


@pytest.mark.parametrize("array", [np.zeros((4, 4), np.float32), np.zeros((1, 4, 4), bool)])
def test_probabilities_and_stacks_are_refused(array: np.ndarray) -> None:
    with pytest.raises(InputError, match="two-dimensional"):
        region_similarity(array, array)


def test_giou_counts_a_right_no_target_and_ciou_does_not() -> None:
    half = SQUARE.astype(np.uint8)
    assert giou_ciou([(EMPTY, EMPTY)]) == (1.0, 0.0)
    giou, ciou = giou_ciou([(EMPTY, EMPTY), (EMPTY, half), (SQUARE, half)])
    assert giou == pytest.approx(2 / 3, abs=1e-6)
    assert ciou == pytest.approx(1 / 2)


def test_ignored_pixels_leave_both_sums() -> None:
    pred, target = np.array([[1, 1, 1, 0]], bool), np.array([[1, 255, 0, 255]], np.uint8)
    giou, ciou = giou_ciou([(pred, target)])
    assert giou == pytest.approx(1 / 2, abs=1e-5)
    assert ciou == pytest.approx(1 / 2)
    assert giou_ciou([(pred, np.full((1, 4), 255, np.uint8))]) == (1.0, 0.0)


def test_targets_that_were_not_binarised_are_refused() -> None:
    with pytest.raises(InputError, match="0, 1 and 255"):
        giou_ciou([(EMPTY, np.full(SHAPE, 128, np.uint8))])


def test_no_pairs_have_no_mean() -> None:
    with pytest.raises(InputError, match="no masks"):
        giou_ciou([])


def test_robustness_by_hand() -> None:
    gold, foreground = square(SIZE, 200, 100, 10), square(SIZE, 200, 100, 20)
    assert robustness(square(SIZE, 200, 100, 20), gold, foreground) == pytest.approx(1 - 300 / 400, abs=1e-6)
    assert robustness(FULL, gold, foreground) == 0.0
    assert robustness(EMPTY, EMPTY, EMPTY) == 1.0
    assert robustness(SQUARE, EMPTY, EMPTY) == 0.0
