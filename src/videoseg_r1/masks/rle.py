"""Masks as COCO's compressed run lengths.

pycocotools encodes. It does not decode here: it trusts its input, reads and writes past its buffers when the runs are wrong, and warns
on every call under numpy 2. Instead the runs are decoded with numpy, and those of a document are checked before they are used.
Not here: COCO's uncompressed lists and polygons.
"""

from __future__ import annotations

from typing import TypedDict, cast

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from videoseg_r1.errors import InvalidDocument, ShapeMismatch
from videoseg_r1.types import BoolMask

MAX_PIXELS = 2**26
"""Largest mask that is read from a document or a picture: 8192 x 8192."""
_MAX_LETTERS = 6
"""Letters of one run: 30 bits are more than MAX_PIXELS needs, and no shift leaves its integer."""


class Rle(TypedDict):
    """A mask as COCO's compressed run lengths: `size` is [height, width]."""

    size: list[int]
    counts: str


def encode(mask: BoolMask) -> Rle:
    """Return the (H, W) mask as run lengths. Raises ShapeMismatch: not two-dimensional."""
    if mask.ndim != 2:
        raise ShapeMismatch("a mask must be (height, width)", why=f"its shape is {mask.shape}")
    return {"size": [int(n) for n in mask.shape], "counts": to_counts(mask).decode("ascii")}


def decode(rle: object, where: str = "") -> BoolMask:
    """Return the (H, W) bool mask of untrusted run lengths. Raises InvalidDocument, as `check_rle` does."""
    checked = check_rle(rle, where)
    height, width = checked["size"]
    return from_counts(checked["counts"].encode("ascii"), height, width)


def check_rle(value: object, where: str = "") -> Rle:
    """Return `value` as run lengths that are safe to decode.

    `where` names the place in the document; counts may be text or bytes.
    Raises: InvalidDocument: a part is missing, the size is below 1 x 1 or above MAX_PIXELS, or the runs do not fill that size.
    """
    match value:
        case {"size": [int(height), int(width)], "counts": str() | bytes() as counts}:
            text = counts.decode("latin-1") if isinstance(counts, bytes) else counts
            why = _fault(text, height, width)
            if not why:
                return {"size": [height, width], "counts": text}
        case _:
            why = "a mask is written as size: [height, width] and counts: text"
    raise InvalidDocument("not a run-length mask", where=where, why=why, fix="write masks as COCO's compressed run lengths")


def to_counts(mask: BoolMask) -> bytes:
    """Return the compressed runs of a (H, W) mask."""
    return cast("bytes", coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"])


def from_counts(counts: bytes, height: int, width: int) -> BoolMask:
    """Return the (H, W) mask of compressed runs that are known to fill it: from `to_counts`, or checked."""
    runs = _runs(np.frombuffer(counts, np.uint8).astype(np.int64) - 48)
    columns = np.repeat(np.arange(runs.size) % 2 == 1, runs)
    return np.ascontiguousarray(columns.reshape(width, height).T)


def run_ends(rle: Rle) -> npt.NDArray[np.int64]:
    """Return where each run of checked run lengths ends, background first, in pixels counted down the columns; (R,) int64."""
    return np.cumsum(_runs(np.frombuffer(rle["counts"].encode("ascii"), np.uint8).astype(np.int64) - 48))


def _fault(counts: str, height: int, width: int) -> str:
    """Return what is wrong with the runs, "" when they can be decoded."""
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        return f"its size is {height} x {width}, allowed are 1 to {MAX_PIXELS} pixels"
    letters = np.frombuffer(counts.encode("utf-8", "replace"), np.uint8).astype(np.int64) - 48
    if letters.size == 0 or letters.min() < 0 or letters.max() > 63 or letters[-1] & 32:
        return "its counts are empty, cut off, or hold characters of another code"
    if np.diff(np.flatnonzero(letters & 32 == 0), prepend=-1).max() > _MAX_LETTERS:
        return "a run is too long"
    runs = _runs(letters)
    if runs.min() < 0:
        return "a run is negative"
    return "" if runs.sum() == height * width else f"its runs fill {runs.sum()} pixels of {height * width}"


def _runs(letters: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the lengths of the runs, background first, down the columns.

    Letters 0..63 carry five bits each, lowest first; bit 32 says that more follow, bit 16 of the last one is the sign. From the
    fourth run on, the number is the difference from the run two places before.
    """
    ends = np.flatnonzero(letters & 32 == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    places = np.arange(letters.size) - np.repeat(starts, lengths)
    runs = np.add.reduceat((letters & 31) << 5 * places, starts)
    runs -= np.where(letters[ends] & 16, np.int64(1) << 5 * lengths, 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
