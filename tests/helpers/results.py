"""Finished results without a run: a trace and masks that a test made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from videoseg_r1.masks import MaskSpool
from videoseg_r1.output.result import SegmentationResult, Track
from videoseg_r1.output.trace import Trace
from videoseg_r1.types import BoolMask, VideoInfo


def result_of(
    trace: Trace,
    masks: Mapping[int, BoolMask],
    *,
    confidence: Mapping[int, Sequence[float]] | None = None,
    object_ids: Sequence[int] | None = None,
    times: Sequence[float] | None = None,
    info: VideoInfo | None = None,
    source: str | Path | npt.NDArray[np.uint8] | None = None,
    timings_s: Mapping[str, float] | None = None,
) -> SegmentationResult:
    """Return the result that a run with this trace would give.

    Args:
        trace: names the video, its size and length, the query, and what stages 1 and 2 found.
        masks: frame -> (objects, height, width) bool; frames that are left out are empty.
        confidence: frame -> one value per object; None for the spool's own.
        object_ids: one per object; None for 1, 2, ...
        times: seconds; None for 24 frames a second.
        info, source: where the video came from; None for a file of the trace's name that cannot be opened again.
        timings_s: seconds per stage; None for none.
    """
    video = trace.video
    num_objects = len(next(iter(masks.values()))) if masks else 0
    spool = MaskSpool(num_objects, video.size)
    for frame, planes in masks.items():
        spool.put(frame, planes, None if confidence is None else confidence[frame])
    return SegmentationResult(
        info=info or VideoInfo(str(source or video.name), "file", *video.size, 24.0),
        query=trace.query,
        num_frames=video.num_frames,
        size=video.size,
        keyframes=trace.keyframes,
        reasoning=trace.reasoning,
        tracks=Track.all_of(spool, object_ids),
        times=tuple(frame / 24 for frame in range(video.num_frames)) if times is None else times,
        trace=trace,
        timings_s=timings_s or {},
        source=source,
    )
