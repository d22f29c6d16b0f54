"""Rewards for the sampler's votes, an interval and a frame. They go beyond the paper.

Not here: reading a vote (`prompts`, `stages.sampling`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def temporal_iou(interval: tuple[int, int] | None, present: npt.NDArray[np.bool_]) -> float:
    """Return the intersection over union of a voted interval and the frames where the target is.

    Args:
        interval: first and last frame, inclusive; None for a vote that could not be read.
        present: (T,) bool, whether the target is there.
    Returns: 0..1; 0.0 for no vote and for a target that never appears.
    Source: VideoSEG-O3's temporal reward, docs/algorithm.md, "Rewards beyond the paper", with the true union below the line.
    """
    if interval is None:
        return 0.0
    voted = np.zeros_like(present)
    voted[max(interval[0], 0) : interval[1] + 1] = True
    union = np.count_nonzero(voted | present)
    return np.count_nonzero(voted & present) / union if union else 0.0


def keyframe_quality(frame_index: int | None, areas: npt.NDArray[np.integer]) -> float:
    """Return how much of the target a voted frame shows, measured by the frame that shows most.

    Args:
        frame_index: the vote; None for one that could not be read.
        areas: (T,) pixels of the target per frame.
    Returns: 0..1; 0.0 for a frame that is not in the video and for a target that never appears.
    Source: Veason-R1, docs/algorithm.md, "Rewards beyond the paper".
    """
    if frame_index is None or not 0 <= frame_index < areas.size or not areas.any():
        return 0.0
    return float(areas[frame_index] / areas.max())
