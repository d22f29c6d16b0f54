"""Choices of frame indices: frames spread evenly, equal parts of a segment, and the reference frames for a target frame.

Frames are counted from 0 and segments are inclusive. Source: the paper names the rules, the numbers are ours
(docs/algorithm.md, "Stage 1: the frame sampler").
"""

from __future__ import annotations

import itertools
import math


def uniform(start: int, end: int, n: int) -> tuple[int, ...]:
    """Return n different frames spread evenly over start..end, both ends among them; fewer when there are fewer.

    With n = 1 it is the middle frame. The paper does not say how frames are spread; this rule is ours.
    """
    last = end - start
    n = min(n, last + 1)
    if n == 1:
        return ((start + end) // 2,)
    return tuple(start + (2 * index * last + n - 1) // (2 * (n - 1)) for index in range(n))  # rounded half up


def split(segment: tuple[int, int], n: int) -> list[tuple[int, int]]:
    """Return n parts of a segment in order, as equal as can be; fewer where it has fewer frames."""
    start, length = segment[0], segment[1] - segment[0] + 1
    n = min(n, length)
    edges = [start + part * length // n for part in range(n + 1)]
    return [(first, after - 1) for first, after in itertools.pairwise(edges)]


def reference_frames(num_frames: int, target: int) -> tuple[int, ...]:
    """Return frames that stand for the whole video: the midpoints of equal bins, without the target frame.

    Source: the paper names "adaptive global sampling" only. Ours: round(sqrt(num_frames)) bins, within 4..12 and below num_frames,
    so the number grows slowly and a prompt stays bounded.
    """
    count = min(num_frames - 1, max(4, min(12, round(math.sqrt(num_frames)))))
    middles = ((2 * index + 1) * num_frames // (2 * count) for index in range(count))
    return tuple(frame for frame in middles if frame != target)
