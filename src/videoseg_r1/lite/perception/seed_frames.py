"""In which frames seed masks are made: where a thing is seen best and the segmenter agrees with what perception tracked.

A view that looks good can be bad: the tracked region may be a part of the thing, or include some of the background. The segmenter looks at
the same box anew and at full resolution; where the two masks agree, both are more often right. Not here: which things are meant
(`lite.language.best_frames`), the masks themselves (`lite.segmenter`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from videoseg_r1.lite.perception.perceived_video import PerceivedVideo
from videoseg_r1.lite.perception.regions import FrameScan, Region
from videoseg_r1.lite.perception.tracks import ThingTrack
from videoseg_r1.masks import center_of, iou_matrix, negative_point_of, resize_mask
from videoseg_r1.stages.protocols import Segmenter
from videoseg_r1.types import Cue
from videoseg_r1.video import Video

_TRIED = 2  # frames of each part that are segmented: a mask takes about as long as a look
_LEAST = 0.5  # of the worth of the best frame: a bad seed mask spoils more frames than it helps


def best_frames(
    video: Video,
    perceived: PerceivedVideo,
    scans: Mapping[int, FrameScan],
    things: Sequence[ThingTrack],
    parts: Sequence[tuple[int, int]],
    segmenter: Segmenter,
) -> dict[int, tuple[Cue, ...]]:
    """Return the cues of all things, in their order, in the best frame of each part of the video, by frame.

    A part has no frame where no frame shows all things, or where its best frame is much worse than that of the other parts.

    Args:
        video: the video.
        perceived: what is known of it.
        scans: the frames that were looked at.
        things: what was followed through them; at least one.
        parts: (first, last) frame of each part, inclusive.
        segmenter: makes masks of the cues.
    """
    size = video.info.width, video.info.height

    def quality(index: int) -> float:
        return min(view_quality(thing.regions[index], 0.5, perceived.unchanged(thing.regions[index], scans)) for thing in things)

    def worth(index: int) -> float:
        tracked = np.stack([thing.regions[index].mask for thing in things])
        masks = segmenter.segment(video.read([index])[0], cues(index))
        agreement = iou_matrix(resize_mask(masks, (tracked.shape[2], tracked.shape[1])), tracked).diagonal().min()
        return quality(index) * float(agreement) ** 2

    def cues(index: int) -> tuple[Cue, ...]:
        return tuple(cue_of(thing, index, size) for thing in things)

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
    """Return how good a view of a thing is, comparable within one video: large, clear, whole, and without background in it.

    Args:
        region: the view.
        size_power: exponent of its area; the larger it is, the more size counts against clarity.
        unchanged: part of the region that is background, 0..1 (`PerceivedVideo.unchanged`).
    """
    return region.area**size_power * region.confidence**4 * (0.6 if region.cut else 1.0) * (1 - unchanged) ** 2


def cue_of(thing: ThingTrack, index: int, size: tuple[int, int]) -> Cue:
    """Return box, a point deep inside and a point beside a thing in frame `index`, in pixels of a frame of this size (width, height)."""
    region = thing.regions[index]
    mask = resize_mask(region.mask, size)
    point = center_of(mask)
    negative = negative_point_of(mask)
    return Cue(region.box, (point,), (negative,) if negative else (), thing.track_id)
