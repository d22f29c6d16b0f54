"""The geometry of a mask: its box, a point on it, a point beside it, its contour, its overlap with others; all in pixels of the mask.

A point names a pixel by its column and row, so `mask[int(point.y), int(point.x)]` is that pixel.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.masks.labels import nearest, resize_mask, union_of
from videoseg_r1.types import CANONICAL, BoolMask, Box, Point

RING_PX = 40
"""Farthest a negative point may lie from the mask, in L1 pixels of the canonical frame (docs/algorithm.md, "Negative points")."""


def extent_of(mask: BoolMask) -> tuple[slice, slice] | None:
    """Return the rows and the columns of a (H, W) mask from the first to the last, None if it is empty."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)) if len(rows) else None


def box_of(mask: BoolMask) -> Box:
    """Return the tightest box around a (H, W) mask, outer edges. Raises InvalidPrompt: the mask is empty."""
    extent = extent_of(mask)
    if extent is None:
        raise InvalidPrompt("an empty mask has no box and no centre")
    rows, columns = extent
    return Box(float(columns.start), float(rows.start), float(columns.stop), float(rows.stop))


def center_of(mask: BoolMask) -> Point:
    """Return the pixel of a (H, W) mask that lies deepest inside; of several, the one nearest to their mean, in reading order.

    The edge of the picture counts as an edge of the mask, so an object that is cut off gets a point in its visible middle.
    Raises: InvalidPrompt: the mask is empty.
    Source: peak of the Euclidean distance transform; docs/algorithm.md, "The canonical frame".
    """
    import cv2

    box = box_of(mask)
    left, top = int(box.x1), int(box.y1)
    crop = np.pad(mask[top : int(box.y2), left : int(box.x2)], 1).astype(np.uint8)
    depth = cv2.distanceTransform(crop, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    rows, columns = np.nonzero(depth >= depth.max() - 1e-3)
    best = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return Point(float(columns[best] - 1 + left), float(rows[best] - 1 + top))


def negative_point_of(mask: BoolMask, others: BoolMask | None = None) -> Point | None:
    """Return a pixel beside the (H, W) mask, 1..RING_PX away from it in L1 pixels of the canonical frame.

    The middle of that ring is preferred, and a pixel inside the mask's own box counts as ten pixels nearer to it, because there the
    box alone is wrong. Of equally good pixels the nearest to the centre of the box is taken. `others`, (H, W) or (N, H, W), is
    avoided as well: the other targets. None when the mask is empty or nothing around it is free.
    Source: the region of the negative-point reward, docs/algorithm.md, "Negative points"; the choice inside it is ours.
    """
    import cv2

    if not mask.any():
        return None
    taken = mask if others is None else mask | union_of(others.reshape(-1, *mask.shape))
    height, width = mask.shape
    rows, columns = nearest(height, CANONICAL[1]), nearest(width, CANONICAL[0])
    free = ~resize_mask(taken, CANONICAL)
    distance = cv2.distanceTransform(free.astype(np.uint8), cv2.DIST_L1, 3)
    box = box_of(mask)
    in_box = ((rows >= box.y1) & (rows < box.y2))[:, None] & ((columns >= box.x1) & (columns < box.x2))
    cost = np.abs(distance - RING_PX / 2) + np.where(in_box, 0, 10)
    cost[(distance < 1) | (distance > RING_PX)] = np.inf
    best = np.argwhere(cost == cost.min())
    if np.isinf(cost.min()):
        return None
    ys, xs = rows[best[:, 0]], columns[best[:, 1]]
    middle = box.center
    nearest_one = np.argmin((xs - middle.x) ** 2 + (ys - middle.y) ** 2)
    return Point(float(xs[nearest_one]), float(ys[nearest_one]))


def boundary(mask: BoolMask) -> BoolMask:
    """Return the (H, W) pixels that differ from their right, lower or lower-right neighbour; the picture's edge is no boundary.

    Source: Perazzi et al. 2016, contour accuracy F; docs/metrics.md, "F, contour accuracy".
    """
    edge = np.zeros(mask.shape, np.bool_)
    edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edge[:-1] |= mask[:-1] != mask[1:]
    edge[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return edge


def iou_matrix(ones: BoolMask, others: BoolMask) -> npt.NDArray[np.float64]:
    """Return the IoU of every mask of (M, H, W) with every one of (N, H, W), (M, N) in 0..1; 0 where both are empty."""
    a, b = (masks.reshape(len(masks), -1).astype(np.float32) for masks in (ones, others))
    both = a @ b.T
    either = a.sum(1)[:, None] + b.sum(1)[None] - both
    return (both / np.maximum(either, 1)).astype(np.float64)


def iou(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes as replies write them, 0..1: corners are pixels, and belong to the box."""
    width = min(one.x2, other.x2) - max(one.x1, other.x1) + 1
    height = min(one.y2, other.y2) - max(one.y1, other.y1) + 1
    both = max(width, 0.0) * max(height, 0.0)
    return both / (_num_pixels(one) + _num_pixels(other) - both)


def _num_pixels(box: Box) -> float:
    return (box.x2 - box.x1 + 1) * (box.y2 - box.y1 + 1)
