"""In which frames masks are made of what is meant: where it is seen best, and the segmenter sees what perception tracked.

A view that looks good can be bad: what was tracked may be a part of the thing, or have some of the background in it. The segmenter
looks at the same box closely and anew; where the two masks are one, both are right more often. Not here: what is meant (`matcher`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from videoseg_r1.lite.perception.regions import Region
from videoseg_r1.lite.perception.scene import Scene
from videoseg_r1.lite.perception.tracks import Track
from videoseg_r1.masks import center_of, iou_matrix, negative_point_of, resize_mask
from videoseg_r1.stages.protocols import Segmenter
from videoseg_r1.types import Cue
from videoseg_r1.video import Video

_TRIED = 2  # of each part: a mask takes about as long as a look
_LEAST = 0.5  # of the worth of the best view: a bad mask spoils more than it carries


def best_views(
    video: Video,
    scene: Scene,
    scans: Mapping[int, Sequence[Region]],
    things: Sequence[Track],
    parts: Sequence[tuple[int, int]],
    segmenter: Segmenter,
) -> dict[int, tuple[Cue, ...]]:
    """Return the cues for all things in the best frame of each part (first, last) of the video, by frame.

    No frame where one of them is not seen, and none that is much worse than the best one.

    Args:
        scene: what is known of the video.
        scans: the frames that were looked at.
        things: at least one.
        segmenter: what makes masks of the cues.
    """
    size = video.info.width, video.info.height

    def quality(index: int) -> float:
        return min(view_quality(thing.regions[index], 0.5, scene.unchanged(thing.regions[index], scans)) for thing in things)

    def worth(index: int) -> float:
        tracked = np.stack([thing.regions[index].mask for thing in things])
        masks = segmenter.segment(video.read([index])[0], cues(index))
        agreement = iou_matrix(resize_mask(masks, (tracked.shape[2], tracked.shape[1])), tracked).diagonal().min()
        return quality(index) * float(agreement) ** 2

    def cues(index: int) -> tuple[Cue, ...]:
        return tuple(cue_of(thing.regions[index], size) for thing in things)

    seen = [index for index in scans if all(index in thing.regions for thing in things)]
    found: dict[int, float] = {}
    for first, last in parts:
        tried = sorted((index for index in seen if first <= index <= last), key=quality, reverse=True)[:_TRIED]
        worths = {index: worth(index) for index in tried}
        if worths:
            best = max(worths, key=lambda index: worths[index])
            found[best] = worths[best]
    return {index: cues(index) for index, value in found.items() if value >= _LEAST * max(found.values())}


def view_quality(region: Region, size_power: float, unchanged: float) -> float:
    """Return how good a view of a thing is: large, clear, not cut off by the border, without background that was taken along."""
    return region.area**size_power * region.confidence**4 * (0.6 if region.cut else 1.0) * (1 - unchanged) ** 2


def cue_of(region: Region, size: tuple[int, int]) -> Cue:
    """Return box, a point deep inside and a point beside a region, in pixels of a frame of this size (width, height)."""
    mask = resize_mask(region.mask, size)
    point = center_of(mask)
    negative = negative_point_of(mask)
    return Cue(region.box, (point,), (negative,) if negative else ())
