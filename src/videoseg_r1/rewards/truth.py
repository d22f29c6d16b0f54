"""The ground truth for a completion: boxes, points and the mask of the targets on the target frame, in the canonical frame.

Not here: the choice of the target frame, and the budget's derivation from the difficulty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from videoseg_r1.documents import build, to_plain
from videoseg_r1.errors import InvalidDocument, ShapeMismatch
from videoseg_r1.masks import Rle, box_of, center_of, check_rle, encode, resize_mask, union_of
from videoseg_r1.masks.geometry import RING_PX
from videoseg_r1.masks.rle import run_ends
from videoseg_r1.prompts import CANONICAL, MAX_OBJECTS
from videoseg_r1.types import BoolMask, Box, Point

PointOf: TypeAlias = Literal["peak", "centroid"]
# the diamond: its columns, and how many rows up and down it reaches in each; a pixel alone
_COLUMNS = np.arange(-RING_PX, RING_PX + 1)
_ROWS = RING_PX - np.abs(_COLUMNS)
_PIXEL = np.arange(2)


@dataclass(frozen=True)
class Truth:
    """The targets on the target frame, in pixels of the canonical 840 x 840 frame.

    Attributes:
        boxes: one per target; x2 and y2 are the last pixels inside, as replies write them.
        points: one per target, on it.
        mask: union of all targets, 840 x 840.
        budget: thinking tokens that are free of charge; None leaves it to the configuration.
    Raises: InvalidDocument: not one finite point per finite box, no such mask, or a negative budget.
    """

    boxes: tuple[Box, ...]
    points: tuple[Point, ...]
    mask: Rle
    budget: int | None = None

    def __post_init__(self) -> None:
        why = ""
        if len(self.boxes) != len(self.points) or len(self.boxes) > MAX_OBJECTS:
            why = f"{len(self.boxes)} boxes and {len(self.points)} points; as many of each are needed, at most {MAX_OBJECTS}"
        elif not all(map(math.isfinite, self._coordinates())):
            why = "a coordinate is not finite"
        elif check_rle(self.mask)["size"] != [*reversed(CANONICAL)]:
            why = f"the mask is {self.mask['size']}, not 840 x 840"
        elif self.budget is not None and self.budget < 0:
            why = f"the budget is {self.budget}"
        if why:
            raise InvalidDocument("this is not a ground truth to score against", why=why, fix="make it with truth_of")

    def to_dict(self) -> dict[str, object]:
        """Return plain lists, numbers and text, for a column of a data set."""
        return cast("dict[str, object]", to_plain(self))

    @classmethod
    def from_dict(cls, value: object, where: str = "") -> Truth:
        """Return the truth that `to_dict` wrote; `where` names its place. Raises InvalidDocument."""
        return build(cls, value, where)

    def is_beside(self, point: Point) -> bool:
        """Return whether a point, rounded half up, is in the frame, off the mask, and within `RING_PX` of it in L1 pixels.

        Exact: a pixel is that near iff the diamond of this radius around it holds a pixel of the mask. The diamond is looked up
        column by column in the mask's runs, which is cheaper than a picture of distances for every truth.
        Source: the paper's negative-point reward; docs/algorithm.md, "Negative points".
        """
        column, row = _half_up(point.x), _half_up(point.y)
        width, height = CANONICAL
        if not (0 <= column < width and 0 <= row < height):
            return False
        tops = (column + _COLUMNS) * height
        spans = np.stack((tops + np.maximum(row - _ROWS, 0), tops + np.minimum(row + _ROWS, height - 1) + 1))
        first, after = self._num_before(spans)
        own, following = self._num_before(column * height + row + _PIXEL)
        return bool(own == following and (first < after).any())

    def _num_before(self, pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return how many pixels of the mask come before each of these, counted down the columns; none before the frame."""
        return np.interp(pixels, *self._counts)

    @cached_property
    def _counts(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The ends of the mask's runs, and how many of its pixels come before each: between two ends, linear."""
        ends = np.concatenate(([0], run_ends(self.mask)))
        lengths = np.diff(ends, prepend=0)
        lengths[1::2] = 0  # background
        return ends, np.cumsum(lengths)

    def _coordinates(self) -> list[float]:
        boxes = [value for box in self.boxes for value in (box.x1, box.y1, box.x2, box.y2)]
        return boxes + [value for point in self.points for value in (point.x, point.y)]


def truth_of(masks: BoolMask, *, point: PointOf = "peak", budget: int | None = None) -> Truth:
    """Return the truth of the masks of one frame.

    Args:
        masks: (N, H, W) bool, one per target; one without a pixel is not there and left out. At most `MAX_OBJECTS` are taken.
        point: "peak" is the pixel deepest inside, "centroid" the mean of the pixels, which may lie outside.
        budget: see `Truth`.
    Raises: ShapeMismatch: not three-dimensional.
    Source: VisionReasoner's scaling, docs/algorithm.md, "The canonical frame"; a centroid is our reading of the paper's "central point".
    """
    if masks.ndim != 3 or 0 in masks.shape[1:]:
        raise ShapeMismatch("the masks of a truth must be (number, height, width)", why=f"their shape is {masks.shape}")
    height, width = masks.shape[1:]
    scale = CANONICAL[0] / width, CANONICAL[1] / height
    seen = [mask for mask in masks if mask.any()][:MAX_OBJECTS]
    boxes = [box_of(mask) for mask in seen]
    points = [center_of(mask) if point == "peak" else _centroid(mask) for mask in seen]
    return Truth(
        tuple(Box(*_scaled(box.x1, box.y1, scale), *_scaled(box.x2 - 1, box.y2 - 1, scale)) for box in boxes),
        tuple(Point(*_scaled(at.x, at.y, scale)) for at in points),
        encode(resize_mask(union_of(masks), CANONICAL)),
        budget,
    )


def _centroid(mask: BoolMask) -> Point:
    rows, columns = np.nonzero(mask)
    return Point(float(columns.mean()), float(rows.mean()))


def _scaled(x: float, y: float, scale: tuple[float, float]) -> tuple[float, float]:
    return float(_half_up(x * scale[0])), float(_half_up(y * scale[1]))


def _half_up(value: float) -> int:
    return math.floor(value + 0.5)
