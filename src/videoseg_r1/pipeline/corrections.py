"""Further frames that are answered for, beyond the paper: what they correct, and which frames to show for a self-check.

An anchor's answer is about the same objects as the target frame's, but nothing says which is which: they are told apart by where
the carried masks already are. Not here: asking (`segmenter`), carrying (`stages.propagation.both_ways`).
"""

from __future__ import annotations

from collections.abc import Sequence

from scipy.optimize import linear_sum_assignment

from videoseg_r1.masks import iou_matrix
from videoseg_r1.types import BoolMask

AGREES = 0.9
"""An anchor whose masks overlap the carried ones this much (IoU) brings nothing new."""
NUM_CHECKED = 6
"""Frames that a self-check shows."""


def corrected(answered: BoolMask, carried: BoolMask) -> BoolMask | None:
    """Return what is to be carried from an anchor: one mask per carried object, or None where the anchor brings nothing new.

    One object answered by one mask is that object, wherever it is. Of several, each answer goes to the object it overlaps most, one
    to one and best in sum; an object that none overlaps keeps its carried mask, without the pixels that others got.

    Args:
        answered: bool (M, H, W), masks of the answer for this frame.
        carried: bool (N, H, W), masks that were carried there.
    """
    if len(answered) == 0 or not answered.any():
        return None
    overlap = iou_matrix(answered, carried)
    rows, columns = linear_sum_assignment(-overlap)
    one_each = len(answered) == len(carried) == 1
    pairs = [(row, column) for row, column in zip(rows, columns, strict=True) if one_each or overlap[row, column] > 0]
    if not pairs or all(overlap[pair] >= AGREES for pair in pairs):
        return None
    result = carried.copy()
    for row, column in pairs:
        result[:, answered[row]] = False
        result[column] = answered[row]
    return result


def checked_frames(num_frames: int, known: Sequence[int]) -> tuple[int, ...]:
    """Return the frames to show for a self-check: the middles of `NUM_CHECKED` equal parts of the video, known frames left out."""
    count = min(NUM_CHECKED, num_frames)
    middles = ((2 * part + 1) * num_frames // (2 * count) for part in range(count))
    return tuple(index for index in dict.fromkeys(middles) if index not in known)


def worst_frame(shown: Sequence[int], wrong: Sequence[int]) -> int | None:
    """Return the frame to ask about again: the middle one of the longest row of neighbours that are wrong; None if none is.

    Args:
        shown: frames that were shown, in order.
        wrong: those on which the mask is not what was asked for.
    """
    best: list[int] = []
    row: list[int] = []
    for index in shown:
        row = [*row, index] if index in wrong else []
        best = max(best, row, key=len)
    return best[len(best) // 2] if best else None
