"""How well predicted masks agree with true ones: J, F and their decay, gIoU, cIoU and R, exactly as defined in docs/metrics.md.

J and F work on masks packed to 64 pixels per word and cropped to their content, so that a comparison costs a few dozen
passes over some kilobytes; the results equal those of the plain definition, without approximation. A true mask that is compared
with several predictions is packed once (`PackedMask`).

Not here: matching of predicted to true objects (every mask is one object here), void areas in J and F, averages over frames
and expressions (see `evaluation`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from videoseg_r1.errors import InputError, InvalidConfig, ShapeMismatch
from videoseg_r1.types import BoolMask

MaskLike: TypeAlias = npt.NDArray[np.bool_] | npt.NDArray[np.integer]
"""(H, W) bool or integer; whatever is not zero belongs to the object."""
_Words: TypeAlias = npt.NDArray[np.uint64]

BOUND = 0.008
IGNORED = 255


class Score(NamedTuple):
    """Region similarity and contour accuracy of one frame, both in 0..1."""

    j: float
    f: float


def region_similarity(pred: MaskLike, gold: MaskLike) -> float:
    """Return J, the intersection over union of two masks.

    Args:
        pred: (H, W) bool; integers count as set where they are not zero.
        gold: (H, W), same shape.
    Returns: J in [0, 1]; 1.0 when both masks are empty.
    Raises: ShapeMismatch: the shapes differ. InputError: not a bool or integer array.
    Source: Perazzi et al. 2016, region similarity.
    """
    return _region(PackedMask(pred), PackedMask(gold))


def boundary_f(pred: MaskLike, gold: MaskLike, bound: float = BOUND) -> float:
    """Return F, how well two contours agree within a tolerance.

    Args:
        pred: (H, W) bool; integers count as set where they are not zero.
        gold: (H, W), same shape.
        bound: tolerance as a fraction of the image diagonal, or in whole pixels when >= 1.
    Returns: F in [0, 1]; 1.0 when neither mask has a contour. A mask that fills the frame has none.
    Raises: ShapeMismatch: the shapes differ. InputError: not a bool or integer array. InvalidConfig: no such tolerance.
    Source: Perazzi et al. 2016, contour accuracy F; definition in docs/metrics.md.
    """
    return _contour(PackedMask(pred, bound), PackedMask(gold, bound))


def jf(pred: MaskLike, gold: MaskLike, bound: float = BOUND) -> Score:
    """Return (J, F) of one frame; arguments and errors as for `region_similarity` and `boundary_f`."""
    return compare(PackedMask(pred, bound), PackedMask(gold, bound))


def compare(pred: PackedMask, gold: PackedMask) -> Score:
    """Return (J, F) of two packed masks. Raises ShapeMismatch when their shapes or tolerances differ."""
    j = _region(pred, gold)
    return Score(j, 1.0 if j == 1.0 else _contour(pred, gold))


def decay(values: Sequence[float]) -> float:
    """Return how much a score falls over a clip: its mean over the first quarter of the frames, less that over the last one.

    Args:
        values: the score of each scored frame, in order; quarters share the frame between them.
    Returns: in -1..1 for scores in 0..1; 0.0 for a single frame.
    Raises: InputError: no values.
    Source: Perazzi et al. 2016, performance decay; the bounds of the quarters are those of the official code of DAVIS-2017.
    """
    if not values:
        raise InputError("no scores to compare", where="decay", fix="give the score of at least one frame")
    bounds = [math.floor((len(values) - 1) * part / 4 + 0.5) for part in range(5)]
    first, last = values[: bounds[1] + 1], values[bounds[3] :]
    return sum(first) / len(first) - sum(last) / len(last)


def giou_ciou(pairs: Iterable[tuple[MaskLike, MaskLike]]) -> tuple[float, float]:
    """Return gIoU and cIoU over images.

    Args:
        pairs: (prediction, target) per sample, both (H, W). The prediction is set where it is not zero; the target is 0 or 1,
            and 255 where nothing counts.
    Returns: (gIoU, cIoU) in [0, 1]: the mean of the IoUs, where an empty target met by an empty prediction is 1, and the IoU
        of the sums, to which such a pair adds nothing.
    Raises: ShapeMismatch: shapes differ. InputError: no pairs, or a target value other than 0, 1 and 255.
    Source: Lai et al. 2024 (LISA), with their small constants in the denominators.
    """
    ious: list[float] = []
    total_inter = total_union = 0
    for pred, gold in pairs:
        _same_shape(pred.shape, gold.shape)
        inter, union = _valid_counts(pred != 0, gold)
        ious.append(inter / (union + 1e-5) if union else 1.0)
        total_inter, total_union = total_inter + inter, total_union + union
    if not ious:
        raise InputError("no masks to compare", where="giou_ciou", fix="give at least one (prediction, target) pair")
    return sum(ious) / len(ious), total_inter / (total_union + 1e-10)


def robustness(pred: MaskLike, gold: MaskLike, foreground: MaskLike) -> float:
    """Return R of one frame: how little is marked beside the target, measured by the size of all that could be marked.

    Args:
        pred: (H, W), set where not zero.
        gold: (H, W), same shape.
        foreground: (H, W), every annotated object of this frame together.
    Returns: R in [0, 1]. With an empty foreground 1.0 if nothing is marked wrongly, else 0.0.
    Raises: ShapeMismatch: the shapes differ.
    Source: Yan et al. 2024 (VISA), robustness score, on 0/1 masks; see docs/metrics.md for the scale of published numbers.
    """
    _same_shape(pred.shape, gold.shape)
    _same_shape(pred.shape, foreground.shape)
    wrong = np.count_nonzero((pred != 0) & (gold == 0))
    return max(0.0, 1.0 - wrong / (np.count_nonzero(foreground) + 1e-6))


class PackedMask:
    """A mask packed for comparison, with its contour and the area near it, which are computed on first use.

    Args:
        mask: (H, W) bool; integers count as set where they are not zero.
        bound: tolerance of F as a fraction of the image diagonal, or in whole pixels when >= 1.
    Raises: InputError: not a two-dimensional bool or integer array. InvalidConfig: no such tolerance.
    """

    def __init__(self, mask: MaskLike, bound: float = BOUND) -> None:
        if mask.ndim != 2 or mask.dtype.kind not in "biu":
            why = f"got shape {mask.shape} of {mask.dtype}"
            raise InputError("a mask must be a two-dimensional bool or integer array", why=why, fix="threshold probabilities first")
        self.shape: tuple[int, int] = mask.shape
        self.radius = tolerance(self.shape, bound)
        self.bits = _crop(_pack(mask), self.shape)

    @cached_property
    def area(self) -> int:
        """Pixels of the mask."""
        return _popcount(self.bits.words)

    @cached_property
    def contour(self) -> _Window:
        """The pixels that differ from their right, lower or lower-right neighbour."""
        return _contour_of(self.bits, self.shape)

    @cached_property
    def length(self) -> int:
        """Pixels of the contour."""
        return _popcount(self.contour.words)

    @cached_property
    def reach(self) -> _Window:
        """The pixels within `radius` of the contour."""
        return _dilate(self.contour, self.radius)

    @property
    def nbytes(self) -> int:
        """Bytes held once contour and reach are known, for caches."""
        return self.bits.words.nbytes + self.contour.words.nbytes + self.reach.words.nbytes


def tolerance(shape: tuple[int, int], bound: float) -> int:
    """Return the tolerance of F in pixels for a frame of (height, width).

    Args:
        shape: (height, width).
        bound: a fraction of the diagonal below 1, whole pixels from 1 on. More than the diagonal counts as the diagonal.
    Raises: InvalidConfig: anything else.
    """
    if not 0 < bound < math.inf or (bound > 1 and bound != int(bound)):
        fix = "give a fraction of the image diagonal below 1, or whole pixels"
        raise InvalidConfig("this is not a contour tolerance", where=f"bound = {bound}", fix=fix)
    diagonal = math.hypot(*shape)
    return min(int(bound), math.ceil(diagonal)) if bound >= 1 else math.ceil(bound * diagonal)


def _region(pred: PackedMask, gold: PackedMask) -> float:
    _same_shape(pred.shape, gold.shape)
    inter = _popcount_both(pred.bits, gold.bits)
    union = pred.area + gold.area - inter
    return inter / union if union else 1.0


def _contour(pred: PackedMask, gold: PackedMask) -> float:
    _same_shape(pred.shape, gold.shape)
    if pred.radius != gold.radius:
        raise ShapeMismatch("masks were packed for different contour tolerances", why=f"{pred.radius} and {gold.radius} pixels")
    if not pred.length or not gold.length:
        return float(pred.length == gold.length)
    precision = _popcount_both(pred.contour, gold.reach) / pred.length
    recall = _popcount_both(gold.contour, pred.reach) / gold.length
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _valid_counts(pred: BoolMask, gold: MaskLike) -> tuple[int, int]:
    """Return pixels of intersection and union where the target is not `IGNORED`."""
    target, ignored = gold == 1, gold == IGNORED
    if np.any((gold != 0) & ~target & ~ignored):
        raise InputError("a target may hold 0, 1 and 255 only", where="giou_ciou", fix="binarise 0/255 masks first: 255 means ignored")
    pred = pred & ~ignored
    return int(np.count_nonzero(pred & target)), int(np.count_nonzero(pred | target))


def _same_shape(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    if one != other:
        fix = "bring the prediction to the size of the true mask"
        raise ShapeMismatch("masks of different shapes cannot be compared", why=f"{one} and {other}", fix=fix)


class _Window(NamedTuple):
    """A part of a packed frame: words (rows, columns of 64 pixels, lowest bit leftmost), the rest of the frame is empty."""

    words: _Words
    row: int
    column: int


def _pack(mask: MaskLike) -> _Words:
    height, width = mask.shape
    packed = np.packbits(mask, axis=1, bitorder="little")
    words = np.zeros((height, -(-width // 64) * 8), np.uint8)
    words[:, : packed.shape[1]] = packed
    return words.view("<u8")


def _crop(words: _Words, shape: tuple[int, int]) -> _Window:
    """Cut to what is set, with one more row and column on each side where the frame has them: there the contour may lie."""
    rows = np.flatnonzero(words.any(axis=1))
    if not rows.size:
        return _Window(words[:0, :0], 0, 0)
    top, bottom = max(int(rows[0]) - 1, 0), min(int(rows[-1]) + 2, shape[0])
    columns = np.flatnonzero(words[top:bottom].any(axis=0))
    left = max(int(columns[0]) - 1, 0)
    return _Window(np.ascontiguousarray(words[top:bottom, left : int(columns[-1]) + 1]), top, left)


def _contour_of(bits: _Window, shape: tuple[int, int]) -> _Window:
    here = bits.words
    if not here.size:
        return bits
    right = here >> np.uint64(1)
    right[:, :-1] |= here[:, 1:] << np.uint64(63)
    last_column = (shape[1] - 1) // 64 - bits.column
    if last_column < here.shape[1]:  # the frame ends here: its last pixel of a row is its own right neighbour
        right[:, last_column] |= here[:, last_column] & np.uint64(1 << (shape[1] - 1) % 64)
    edge = here ^ right
    # where the window ends above the frame's last row, its last row is empty and so is the row below
    edge[:-1] |= (here[:-1] ^ here[1:]) | (here[:-1] ^ right[1:])
    return _Window(edge, bits.row, bits.column)


def _dilate(window: _Window, radius: int) -> _Window:
    """Dilate by the disk dx^2 + dy^2 <= radius^2.

    The disk is a pile of centred rectangles. From the narrowest and tallest to the widest and flattest: widen the rows to the
    width of the rectangle, add them to what is there, and stretch all of it downwards and upwards by what the rectangle is
    taller than the next. At the end every rectangle has got its full height. Margins of the radius on each side keep the
    bits of one row out of the next, so the frame can be shifted as one long row.
    """
    margin = -(-radius // 64)
    rows, columns = window.words.shape
    stride = columns + 2 * margin
    padded = np.zeros((rows + 2 * radius, stride), np.uint64)
    padded[radius : radius + rows, margin : margin + columns] = window.words
    wide: _Words = padded.ravel()
    near = np.zeros_like(wide)
    for widen, stretch in _disk_steps(radius):
        for shift in widen:
            grown = _later(wide, shift)
            grown |= _earlier(wide, shift)
            grown |= wide
            wide = grown
        near |= wide
        for shift in stretch:
            before = near.copy()
            near[shift * stride :] |= before[: -shift * stride]
            near[: -shift * stride] |= before[shift * stride :]
    return _Window(near.reshape(padded.shape), window.row - radius, window.column - margin)


@cache
def _disk_steps(radius: int) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """Return per rectangle of the disk, narrowest first: shifts that widen, then shifts that stretch."""
    rectangles: list[tuple[int, int]] = []  # half width, half height
    for dy in range(radius, -1, -1):
        half_width = math.isqrt(radius * radius - dy * dy)
        if not rectangles or half_width > rectangles[-1][0]:
            rectangles.append((half_width, dy))
    widths = [0] + [width for width, _ in rectangles]
    heights = [height for _, height in rectangles] + [0]
    return tuple(
        (_shifts(widths[k + 1] - widths[k], 2 * widths[k] + 1), _shifts(heights[k] - heights[k + 1], 1)) for k in range(len(rectangles))
    )


def _shifts(distance: int, run: int) -> tuple[int, ...]:
    """Split growth by `distance` on both sides into shifts that leave no gap, given what is set comes in runs of `run` pixels."""
    shifts: list[int] = []
    while distance:
        step = min(distance, run, 63)
        shifts.append(step)
        distance, run = distance - step, run + 2 * step
    return tuple(shifts)


def _later(words: _Words, shift: int) -> _Words:
    moved = words << np.uint64(shift)
    moved[1:] |= words[:-1] >> np.uint64(64 - shift)
    return moved


def _earlier(words: _Words, shift: int) -> _Words:
    moved = words >> np.uint64(shift)
    moved[:-1] |= words[1:] << np.uint64(64 - shift)
    return moved


def _popcount(words: _Words) -> int:
    return int(np.bitwise_count(words).sum(dtype=np.int64))


def _popcount_both(one: _Window, other: _Window) -> int:
    """Count the pixels that are set in both windows of a frame."""
    top, left = max(one.row, other.row), max(one.column, other.column)
    bottom = min(one.row + one.words.shape[0], other.row + other.words.shape[0])
    right = min(one.column + one.words.shape[1], other.column + other.words.shape[1])
    if top >= bottom or left >= right:
        return 0
    a = one.words[top - one.row : bottom - one.row, left - one.column : right - one.column]
    b = other.words[top - other.row : bottom - other.row, left - other.column : right - other.column]
    return _popcount(a & b)
