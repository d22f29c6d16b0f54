"""Matches predicted objects to true ones and measures how well they agree.

Boxes here are as replies write them: corners are pixels and belong to the box, so a width is x2 - x1 + 1.
Not here: reading an answer (`prompts`), points beside the objects (`truth`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from scipy.optimize import linear_sum_assignment

from videoseg_r1.masks.geometry import iou
from videoseg_r1.rewards.config import PointDistance
from videoseg_r1.rewards.truth import Truth
from videoseg_r1.types import Box, Cue, Point

MIN_IOU = 0.5
MAX_BOX_PX = 10
MAX_POINT_PX = 30
Pairs: TypeAlias = tuple[tuple[int, int], ...]
"""(index of a predicted object, index of the true one), ascending."""


def accuracy(cues: Sequence[Cue], truth: Truth, distance: PointDistance) -> tuple[float, Pairs]:
    """Return the accuracy and the assignment it rests on.

    Each pair earns a point for an IoU above `MIN_IOU`, one for corners less than `MAX_BOX_PX` off on average, and one for a point in
    its own box less than `MAX_POINT_PX` off. One assignment maximises the sum, which is divided by the larger number of objects.

    Args:
        cues: predicted objects; one without a usable box earns nothing and counts. Of several points the first one counts.
    Returns: accuracy in 0..3, 0.0 where either side has no object.
    Source: VisionReasoner's code, docs/algorithm.md, "Accuracy".
    """
    truths = list(zip(truth.boxes, truth.points, strict=True))
    return _best([[float(_agreement(cue, box, point, distance)) for box, point in truths] for cue in cues])


def box_iou(cues: Sequence[Cue], truth: Truth) -> float:
    """Return the sum of box IoUs under the assignment that maximises it, over the larger number of objects: 0..1.

    Source: Veason-R1, docs/algorithm.md, "Rewards beyond the paper".
    """
    return _best([[iou(cue.box, box) if cue.box else 0.0 for box in truth.boxes] for cue in cues])[0]


def _best(gains: list[list[float]]) -> tuple[float, Pairs]:
    """Return the largest sum that one-to-one pairs can gain, over the larger number of objects, and these pairs."""
    if not gains or not gains[0]:
        return 0.0, ()
    rows, columns = linear_sum_assignment(np.array(gains), maximize=True)
    pairs = tuple(zip(rows.tolist(), columns.tolist(), strict=True))
    return sum(gains[row][column] for row, column in pairs) / max(len(gains), len(gains[0])), pairs


def _agreement(cue: Cue, box: Box, point: Point, distance: PointDistance) -> int:
    own = cue.box
    if own is None:
        return 0
    off = abs(own.x1 - box.x1) + abs(own.y1 - box.y1) + abs(own.x2 - box.x2) + abs(own.y2 - box.y2)
    return (iou(own, box) > MIN_IOU) + (off < 4 * MAX_BOX_PX) + _point_agrees(own, cue.points, point, distance)


def _point_agrees(box: Box, points: Sequence[Point], gold: Point, distance: PointDistance) -> bool:
    if not points or not (box.x1 <= points[0].x <= box.x2 and box.y1 <= points[0].y <= box.y2):
        return False
    dx, dy = abs(points[0].x - gold.x), abs(points[0].y - gold.y)
    return (math.hypot(dx, dy) if distance == "euclidean" else dx + dy) < MAX_POINT_PX
