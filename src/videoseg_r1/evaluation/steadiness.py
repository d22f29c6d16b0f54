"""How steady masks are: what of their change from frame to frame the motion of the pictures does not explain.

The mask of a frame is moved to the next one along the optical flow of the pictures, and compared with the mask there: their change is
1 - J of the two, over the pixels whose source lies in the picture. True masks change too, for flow is not exact, things are hidden and come
out again, and annotators have no steady hand; so the change of the true masks is measured in the same way, and **flicker** is what the
predicted ones change more. A perfect prediction has none. Flicker is below zero where a prediction is steadier than the truth, as masks
that are themselves moved along the flow are.

Source: the temporal consistency of Liu et al. 2020, *Efficient Semantic Video Segmentation with Per-frame Inference*, of which it is one
less, for single objects; the difference to the truth is ours. The temporal stability T of DAVIS-2016 is another measure: it matches the
outlines of two masks by their shapes and knows no pictures. Not here: right or wrong (`metrics`), how motion is estimated
(`stages.propagation.motion`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from videoseg_r1.datasets.sample import Sample
from videoseg_r1.evaluation.predictors import Predictor
from videoseg_r1.masks import MaskSpool
from videoseg_r1.metrics import region_similarity
from videoseg_r1.stages.propagation.motion import MotionEstimator, grey, moved
from videoseg_r1.types import BoolMask, RgbImage, Size


@dataclass(frozen=True)
class Steadiness:
    """The mean change of the masks of a target between neighbouring frames, each in 0..1, over `num_pairs` pairs of frames.

    Pairs count in which both frames are scored, and neither the prediction nor the truth is empty in both of them.
    """

    predicted: float
    true: float
    num_pairs: int

    @property
    def flicker(self) -> float:
        """What the predicted masks change more than the true ones, in -1..1."""
        return self.predicted - self.true


def steadiness(samples: Sequence[Sample], predict: Predictor) -> list[Steadiness | None]:
    """Return the steadiness of the masks predicted for samples, in their order; None where no pair of frames counts.

    Args:
        samples: with a target; those of one clip best one after the other: its pictures are looked at once then.
        predict: makes the masks; a frame that it leaves out is empty.
    Raises: what `predict` raises. SourceNotFound, InvalidDocument: the true masks are missing or damaged.
    """
    return [found for _, own in groupby(samples, key=lambda sample: sample.video_id) for found in _of_clip(list(own), predict)]


def changes(frames: Iterable[RgbImage], masks: Callable[[int], BoolMask]) -> npt.NDArray[np.float64]:
    """Return (T - 1, N), how much each mask changes from frame to frame beyond the motion of the pictures, 0 to 1.

    Args:
        frames: T pictures (H, W, 3) uint8, in order.
        masks: frame number -> bool (N, H, W).
    """
    motion, before, rows = MotionEstimator(), None, list[list[float]]()
    for index, rgb in enumerate(frames):
        now = grey(rgb), masks(index)
        if before is not None:
            field = motion.since(before[0], now[0])
            seen = moved(np.ones(now[0].shape, np.float32), field) > 0.5
            expected = (moved(mask.astype(np.float32), field) > 0.5 for mask in before[1])
            rows.append([1 - region_similarity(one & seen, mask & seen) for one, mask in zip(expected, now[1], strict=True)])
        before = now
    return np.asarray(rows, np.float64).reshape(len(rows), 0 if before is None else len(before[1]))


def _of_clip(samples: Sequence[Sample], predict: Predictor) -> list[Steadiness | None]:
    """Return the steadiness of the samples of one clip."""
    num, size = len(samples), samples[0].size
    spools = [_kept(predict(sample).masks, size) for sample in samples]
    scored = [frozenset(sample.scored_frames) for sample in samples]
    shown: list[list[bool]] = []

    def both(index: int) -> BoolMask:
        """Return the predicted masks of all samples, then the true ones."""
        masks = np.zeros((2 * num, *size[::-1]), np.bool_)
        for k, sample in enumerate(samples):
            masks[k] = spools[k].masks(index)[0]
            if index in scored[k]:
                masks[num + k] = sample.mask(index)
        shown.append([bool(mask.any()) for mask in masks])
        return masks

    with samples[0].open() as video:
        found = changes((frame.rgb for frame in video.frames(0, samples[0].num_frames)), both)
    for spool in spools:
        spool.close()
    is_scored = np.array([[index in frames for frames in scored] for index in range(len(shown))]).reshape(len(shown), num)
    there = np.array(shown)[:-1] | np.array(shown)[1:]
    counts = is_scored[:-1] & is_scored[1:] & there[:, :num] & there[:, num:]
    return [_mean_change(found[counts[:, k], k], found[counts[:, k], num + k]) for k in range(num)]


def _kept(masks: Iterable[tuple[int, BoolMask]], size: Size) -> MaskSpool:
    spool = MaskSpool(1, size)
    for index, mask in masks:
        spool.put(index, mask[None])
    return spool


def _mean_change(predicted: npt.NDArray[np.float64], true: npt.NDArray[np.float64]) -> Steadiness | None:
    return Steadiness(float(predicted.mean()), float(true.mean()), len(true)) if len(true) else None
