"""J, F and the image metrics against the definitions written down plainly, on masks of every kind."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.morphology import dilation, disk

from videoseg_r1.errors import InputError
from videoseg_r1.metrics import PackedMask, boundary_f, compare, decay, giou_ciou, jf, region_similarity, robustness

Mask = np.ndarray


def plain_boundary(mask: Mask) -> Mask:
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    here = padded[:-1, :-1]
    return (here ^ padded[:-1, 1:]) | (here ^ padded[1:, :-1]) | (here ^ padded[1:, 1:])


def plain_dilation(mask: Mask, radius: int) -> Mask:
    """Dilate by a disk. Padded, because scikit-image goes wrong where the disk is larger than the picture."""
    if radius <= 20:
        return dilation(np.pad(mask, radius), disk(radius)).astype(bool)[radius:-radius, radius:-radius]
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    near = np.zeros(mask.shape, bool)
    for row, column in np.argwhere(mask):
        near |= (y - row) ** 2 + (x - column) ** 2 <= radius**2
    return near


def plain_f(pred: Mask, gold: Mask, bound: float) -> float:
    radius = int(bound) if bound >= 1 else math.ceil(bound * math.sqrt(pred.shape[0] ** 2 + pred.shape[1] ** 2))
    contour_p, contour_g = plain_boundary(pred), plain_boundary(gold)
    if not contour_p.any() and not contour_g.any():
        return 1.0
    if not contour_p.any() or not contour_g.any():
        return 0.0
    precision = (contour_p & plain_dilation(contour_g, radius)).sum() / contour_p.sum()
    recall = (contour_g & plain_dilation(contour_p, radius)).sum() / contour_g.sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def plain_j(pred: Mask, gold: Mask) -> float:
    return (pred & gold).sum() / (pred | gold).sum() if (pred | gold).any() else 1.0


@st.composite
def masks(draw: st.DrawFn, shape: tuple[int, int]) -> Mask:
    """Draw an empty, full, edge-hugging, speckled, single-pixel or blob mask, or one of these inverted."""
    height, width = shape
    kind = draw(st.sampled_from(["empty", "edge", "specks", "pixel", "blob", "ring"]))
    mask = np.zeros(shape, bool)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind == "edge":
        side, thickness = draw(st.integers(0, 3)), draw(st.integers(1, 3))
        [mask[:thickness], mask[-thickness:], mask[:, :thickness], mask[:, -thickness:]][side][...] = True
    elif kind == "specks":
        mask = rng.random(shape) < draw(st.sampled_from([0.002, 0.02, 0.5]))
    elif kind == "pixel":
        mask[rng.integers(height), rng.integers(width)] = True
    elif kind in ("blob", "ring"):
        y, x = np.ogrid[:height, :width]
        distance = np.hypot((y - rng.integers(height)) * draw(st.sampled_from([0.5, 1, 2])), x - rng.integers(width))
        size = rng.uniform(0, max(shape))
        mask = (distance < size) & (distance > (size * 0.7 if kind == "ring" else -1))
    return ~mask if draw(st.booleans()) else mask


WIDTHS = st.one_of(st.integers(1, 140), st.sampled_from([63, 64, 65, 127, 128, 129, 192]))
SHAPES = st.tuples(st.integers(1, 90), WIDTHS)
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(masks(shape), masks(shape)))
BOUNDS = st.one_of(st.sampled_from([0.008, 0.03, 0.2, 1, 2, 5, 8, 18, 63, 70]), st.floats(0.001, 0.15))


@settings(max_examples=250, deadline=None)
@given(PAIRS, BOUNDS)
def test_equals_the_plain_definition(pair: tuple[Mask, Mask], bound: float) -> None:
    pred, gold = pair
    assert region_similarity(pred, gold) == pytest.approx(plain_j(pred, gold), abs=1e-9)
    assert boundary_f(pred, gold, bound) == pytest.approx(plain_f(pred, gold, bound), abs=1e-9)
    assert jf(pred, gold, bound) == (region_similarity(pred, gold), boundary_f(pred, gold, bound))


@settings(max_examples=60, deadline=None)
@given(SHAPES.flatmap(lambda shape: st.tuples(masks(shape), masks(shape), masks(shape))), BOUNDS)
def test_a_mask_packed_once_serves_many_comparisons(three: tuple[Mask, Mask, Mask], bound: float) -> None:
    gold = PackedMask(three[0], bound)
    for pred in (*three[1:], three[0], three[1]):
        assert compare(PackedMask(pred, bound), gold) == jf(pred, three[0], bound)


@settings(max_examples=100, deadline=None)
@given(PAIRS, BOUNDS)
def test_range_symmetry_and_identity(pair: tuple[Mask, Mask], bound: float) -> None:
    pred, gold = pair
    score = jf(pred, gold, bound)
    assert 0 <= score.j <= 1
    assert 0 <= score.f <= 1
    assert score == pytest.approx(jf(gold, pred, bound), abs=1e-12)
    assert jf(gold, gold, bound) == (1.0, 1.0)
    assert boundary_f(pred, ~pred, bound) == 1.0


@settings(max_examples=100, deadline=None)
@given(PAIRS, BOUNDS, st.booleans())
def test_integers_and_strided_arrays_count_like_bools(pair: tuple[Mask, Mask], bound: float, turned: bool) -> None:
    pred, gold = pair
    grey = np.asfortranarray(gold.astype(np.uint8) * 255)
    assert jf(pred, grey, bound) == jf(pred, gold, bound)
    if turned:
        assert jf(pred[::-1, ::-1], gold[::-1, ::-1]).j == jf(pred, gold).j


@settings(max_examples=60, deadline=None)
@given(st.lists(SHAPES.flatmap(lambda shape: st.tuples(masks(shape), masks(shape), masks(shape))), min_size=1, max_size=4))
def test_giou_ciou_follow_the_formulas_and_ignore_void(samples: list[tuple[Mask, Mask, Mask]]) -> None:
    pairs, ious, total = [], [], np.zeros(2)
    for pred, gold, void in samples:
        pairs.append((pred, np.where(void, 255, gold).astype(np.uint8)))
        inter, union = (pred & gold & ~void).sum(), ((pred | gold) & ~void).sum()
        ious.append(inter / (union + 1e-5) if union else 1.0)
        total += inter, union
    giou, ciou = giou_ciou(pairs)
    assert giou == pytest.approx(np.mean(ious), abs=1e-12)
    assert ciou == pytest.approx(total[0] / (total[1] + 1e-10), abs=1e-12)
    assert giou_ciou([(pred ^ void, gold) for (pred, gold), (_, _, void) in zip(pairs, samples, strict=True)]) == (giou, ciou)


@settings(max_examples=60, deadline=None)
@given(SHAPES.flatmap(lambda shape: st.tuples(masks(shape), masks(shape), masks(shape))))
def test_robustness_follows_the_formula(three: tuple[Mask, Mask, Mask]) -> None:
    pred, gold, foreground = three
    expected = max(1 - (pred & ~gold).sum() / (foreground.sum() + 1e-6), 0)
    assert robustness(pred, gold, foreground) == pytest.approx(expected, abs=1e-12)
    assert robustness(pred & gold, gold, foreground) == 1.0


def davis_decay(values: np.ndarray) -> float:
    """The statistics of the official code of DAVIS-2017, with bounds that do not overflow beyond 256 frames."""
    bounds = (np.round(np.linspace(1, len(values), 5) + 1e-10) - 1).astype(int)
    quarters = [values[bounds[i] : bounds[i + 1] + 1] for i in range(4)]
    return float(quarters[0].mean() - quarters[3].mean())


SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=400)


@given(SCORES)
def test_decay_is_that_of_davis(values: list[float]) -> None:
    assert decay(values) == pytest.approx(davis_decay(np.array(values)), abs=1e-9)


@given(SCORES)
def test_decay_turns_round_with_time_and_lies_between_minus_one_and_one(values: list[float]) -> None:
    if (len(values) - 1) % 4 != 2:  # there the quarters are not of one length at both ends
        assert decay(values[::-1]) == pytest.approx(-decay(values), abs=1e-9)
    assert -1 <= decay(values) <= 1
    assert decay(sorted(values, reverse=True)) >= 0
    assert decay([values[0]] * len(values)) == pytest.approx(0)


def test_decay_of_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="decay"):
        decay([])
