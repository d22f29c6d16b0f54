"""Masks, whatever they look like: coding loses nothing, untrusted runs never get past the check, points lie where they must."""

from __future__ import annotations

import tempfile

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as coco

from videoseg_r1.errors import InvalidDocument
from videoseg_r1.masks import (
    DAVIS_PALETTE,
    boundary,
    box_of,
    center_of,
    check_rle,
    decode,
    encode,
    from_label_map,
    label_map,
    negative_point_of,
    read_mask_picture,
    resize_mask,
    union_of,
)

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=24)
MASKS = hnp.arrays(bool, SHAPES)


@given(MASKS)
def test_coding_loses_nothing(mask: np.ndarray) -> None:
    rle = encode(mask)
    assert (decode(rle) == mask).all()
    assert check_rle(rle) == rle
    assert coco.area(rle) == mask.sum()


@settings(max_examples=1000, deadline=None)
@given(st.tuples(st.integers(-1, 40), st.integers(-1, 40)), st.text(st.characters(min_codepoint=40, max_codepoint=115), max_size=30))
def test_untrusted_runs_are_refused_or_decode_to_their_size(size: tuple[int, int], counts: str) -> None:
    try:
        mask = decode({"size": list(size), "counts": counts})
    except InvalidDocument:
        return
    assert mask.shape == size
    # what got through means the same to us as to pycocotools
    assert coco.area({"size": list(size), "counts": counts.encode()}) == mask.sum()


@settings(deadline=None)
@given(MASKS, st.data())
def test_damaged_runs_are_refused_or_still_sound(mask: np.ndarray, data: st.DataObject) -> None:
    rle = encode(mask)
    place = data.draw(st.integers(0, len(rle["counts"]) - 1))
    letter = chr(data.draw(st.integers(48, 111)))
    damaged = rle["counts"][:place] + letter + rle["counts"][place + 1 :]
    try:
        found = decode({"size": rle["size"], "counts": damaged})
    except InvalidDocument:
        return
    assert found.shape == mask.shape
    assert (decode(encode(found)) == found).all()


@given(hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 254)))
def test_label_maps_come_apart_and_together(labels: np.ndarray) -> None:
    ids, masks = from_label_map(labels)
    assert (masks.sum(axis=0) <= 1).all()
    assert (label_map(masks, ids) == labels).all()
    assert (union_of(masks) == (labels > 0)).all()


@given(MASKS, st.integers(1, 3), st.integers(1, 3))
def test_whole_multiples_come_back(mask: np.ndarray, across: int, down: int) -> None:
    height, width = mask.shape
    larger = resize_mask(mask, (width * across, height * down))
    assert (larger == np.kron(mask, np.ones((down, across), bool))).all()
    assert (resize_mask(larger, (width, height)) == mask).all()


@settings(deadline=None)
@given(MASKS)
def test_the_center_is_inside_and_deepest(mask: np.ndarray) -> None:
    assume(mask.any())
    point, box = center_of(mask), box_of(mask)
    assert mask[int(point.y), int(point.x)]
    assert box.x1 <= point.x < box.x2
    assert box.y1 <= point.y < box.y2
    outside = np.argwhere(~np.pad(mask, 1)) - 1

    def depth(row: float, column: float) -> float:
        return float(((outside - (row, column)) ** 2).sum(axis=1).min())

    assert depth(point.y, point.x) == max(depth(*place) for place in np.argwhere(mask))


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=8, max_side=40)), st.booleans())
def test_the_negative_point_earns_its_reward(mask: np.ndarray, crowded: bool) -> None:
    assume(mask.any())
    others = np.roll(mask, 3, axis=1) if crowded else None
    taken = mask if others is None else mask | others
    point = negative_point_of(mask, others)
    if point is None:
        assert taken.all()
        return
    height, width = mask.shape
    assert not taken[int(point.y), int(point.x)]
    # the point's pixel covers a patch of the canonical frame, and some of it lies on the ring that the reward pays for
    rows, columns = np.nonzero(resize_mask(taken, (840, 840)))
    patch = resize_mask(np.arange(height * width).reshape(height, width), (840, 840)) == int(point.y) * width + int(point.x)
    patch_rows, patch_columns = np.nonzero(patch)
    top, left, bottom, right = patch_rows.min(), patch_columns.min(), patch_rows.max(), patch_columns.max()
    gap = np.maximum(0, np.maximum(top - rows, rows - bottom)) + np.maximum(0, np.maximum(left - columns, columns - right))
    assert 0 < gap.min() <= 40


@given(MASKS)
def test_boundary_is_the_padded_exclusive_or(mask: np.ndarray) -> None:
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    expected = (padded[:-1, :-1] ^ padded[:-1, 1:]) | (padded[:-1, :-1] ^ padded[1:, :-1]) | (padded[:-1, :-1] ^ padded[1:, 1:])
    assert (boundary(mask) == expected).all()


@st.composite
def _label_maps(draw: st.DrawFn) -> np.ndarray:
    """Label maps of any size: rectangles of any values, or pixels of any values."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = rng.permutation(np.arange(1, 255, dtype=np.uint8))[: draw(st.integers(1, 254))]
    if draw(st.booleans()):
        return rng.choice(np.append(values, np.uint8(0)), (height, width))
    labels = np.zeros((height, width), np.uint8)
    for value in values:
        top, left = rng.integers(0, height), rng.integers(0, width)
        labels[top : top + rng.integers(1, 12), left : left + rng.integers(1, 12)] = value
    return labels


@given(_label_maps(), st.sampled_from(["grey", "grey as colours", "16 bits", "indexed", "colours"]))
def test_objects_come_back_from_a_picture_exactly_one_per_value(labels: np.ndarray, kind: str) -> None:
    picture = Image.fromarray(labels)
    if kind == "indexed":
        picture.putpalette(DAVIS_PALETTE.tobytes())
    elif kind == "colours":
        colors = DAVIS_PALETTE[labels]
        assume((colors.max(2) > colors.min(2)).any())  # where all colours are grey, they are numbers
        picture = Image.fromarray(colors)
    elif kind == "grey as colours":
        picture = picture.convert("RGB")
    elif kind == "16 bits":
        picture = Image.fromarray(labels.astype(np.uint16))
    with tempfile.TemporaryDirectory() as folder:
        picture.save(f"{folder}/m.png")
        found = read_mask_picture(f"{folder}/m.png")
    assert (found.labels == labels).all()
    assert found.notes == ()
