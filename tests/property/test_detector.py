"""What must hold for any input of the detector: sizes, the boxes of cells, and what is kept of many cells for one thing."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from videoseg_r1.lite.perception.detected_names import DETECTED_NAMES
from videoseg_r1.lite.perception.detector import detect, input_size, merged
from videoseg_r1.lite.perception.nanodet import STRIDES

SIDES = st.integers(1, 20_000)


@given(SIDES, SIDES)
def test_input_sizes_are_multiples_of_32_of_about_the_same_area(width, height):
    size = input_size(width, height)
    assert size[::-1] == input_size(height, width)
    assert all(side % 32 == 0 and side > 0 for side in size)
    assert 0.6 * 256 * 448 < size[0] * size[1] < 1.4 * 256 * 448


@given(st.floats(1, 10), st.integers(200, 2000))
def test_aspects_are_kept_but_for_rounding(aspect, height):
    width = round(aspect * height)
    size = input_size(width, height)
    assert 0.8 < (size[0] / size[1]) / (width / height) < 1.25


class Told(nn.Module):
    """Stands in for the network: one cell says what it is told, the others nothing."""

    def __init__(self, cell: int, name: int, distances: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.cell, self.name, self.distances = cell, name, distances

    def forward(self, pictures):
        cells = sum(pictures.shape[2] * pictures.shape[3] // stride**2 for stride in STRIDES)
        names, bins = torch.full((1, cells, 80), -9.0), torch.zeros(1, cells, 4, 11)
        names[0, self.cell, self.name] = 2.0
        for side, distance in enumerate(self.distances):
            low = min(int(distance), 9)
            share = torch.zeros(11)
            share[low], share[low + 1] = low + 1 - distance, distance - low
            bins[0, self.cell, side] = torch.log(share + 1e-9)
        return names, bins


@settings(deadline=None, max_examples=50)
@given(
    st.data(),
    st.integers(1, 700),
    st.integers(1, 700),
    st.integers(0, 79),
    st.lists(st.floats(0.125, 10, width=16), min_size=4, max_size=4),
)
def test_a_cell_has_the_box_that_its_distances_tell(data, width, height, name, distances):
    size = input_size(width, height)
    level = data.draw(st.integers(0, 2))
    stride = STRIDES[level]
    column, row = (data.draw(st.integers(0, side // stride - 1)) for side in size)
    cell = sum(size[0] * size[1] // step**2 for step in STRIDES[:level]) + row * (size[0] // stride) + column
    (thing,) = detect(np.zeros((height, width, 3), np.uint8), Told(cell, name, distances))
    assert thing.name == DETECTED_NAMES[name]
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    left, up, right, down = (distance * stride for distance in distances)
    expected = np.array([x - left, y - up, x + right, y + down]) * ([width / size[0], height / size[1]] * 2)
    expected = np.clip(expected, 0, [width, height] * 2)
    box = thing.box
    np.testing.assert_allclose([box.x1, box.y1, box.x2, box.y2], expected, atol=1e-3 * max(width, height))
    assert box.x1 < box.x2
    assert box.y1 < box.y2


@st.composite
def cells(draw):
    """Boxes (N, 4) in a frame of 100 x 100, many of them alike, and scores (N, 80) of five names, the surest first."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, things = draw(st.integers(0, 30)), draw(st.integers(1, 5))
    corners = rng.uniform(0, 60, (things, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 40, (things, 2))], 1)[rng.integers(0, things, count)]
    boxes = boxes + rng.normal(0, draw(st.sampled_from([0.0, 0.5, 3.0])), boxes.shape)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    scores = np.zeros((count, 80))
    scores[:, :5] = rng.uniform(0, 1, (count, 5))
    order = np.argsort(-scores.max(1))
    return boxes[order].astype(np.float32), scores[order].astype(np.float32)


def overlap(one, other) -> float:
    """The IoU of two boxes (x1, y1, x2, y2)."""
    width, height = (max(0.0, min(one[k + 2], other[k + 2]) - max(one[k], other[k])) for k in (0, 1))
    both = width * height
    return both / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - both)


def corners_of(thing):
    return (thing.box.x1, thing.box.y1, thing.box.x2, thing.box.y2)


@settings(deadline=None)
@given(cells())
def test_of_many_cells_one_box_is_kept_for_each_thing(drawn):
    boxes, scores = drawn
    things = merged(boxes, scores)
    assert [thing.score for thing in things] == sorted((thing.score for thing in things), reverse=True)
    for number, thing in enumerate(things):
        assert corners_of(thing) in {tuple(map(float, box)) for box in boxes}
        for other in things[:number]:  # what is kept is apart
            assert overlap(corners_of(thing), corners_of(other)) < (0.5 if thing.name == other.name else 0.75) + 1e-4
    for box, score in zip(boxes, scores, strict=True):  # and what is not kept lies on something surer
        name, surest = DETECTED_NAMES[score.argmax()], float(score.max())
        assert any(
            overlap(box, corners_of(thing)) >= (0.5 if thing.name == name else 0.75) - 1e-4 and thing.score >= surest for thing in things
        )


@settings(deadline=None)
@given(cells())
def test_names_keep_their_best_score_and_weak_ones_are_left_out(drawn):
    boxes, scores = drawn
    things = merged(np.tile(boxes[:1], (len(boxes), 1)), scores)
    assert len(things) == min(1, len(boxes))
    for thing in things:
        best = dict(zip(DETECTED_NAMES, scores.max(0), strict=True))
        assert dict(thing.names) == {name: float(score) for name, score in best.items() if score >= min(0.1, scores.max())}
        assert [score for _, score in thing.names] == sorted((score for _, score in thing.names), reverse=True)
