"""Reasoning video object segmentation: a video and a sentence in, a mask in every frame and the reasoning out.

    import videoseg_r1 as vs

    seg = vs.load("lite")
    result = seg.segment("race.mp4", "the runner who overtakes last")
    result.save("out/")

Names that need torch are imported when they are first used, so that `import videoseg_r1` stays fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from videoseg_r1._version import __version__
from videoseg_r1.errors import VideosegError

if TYPE_CHECKING:
    from videoseg_r1.output.result import SegmentationResult
    from videoseg_r1.output.trace import Trace
    from videoseg_r1.pipeline.segmenter import StreamItem, VideoSegmenter
    from videoseg_r1.presets.table import load
    from videoseg_r1.types import Box, Cue, Point
    from videoseg_r1.video import open_video

_LAZY = {
    "Box": "types",
    "Cue": "types",
    "Point": "types",
    "SegmentationResult": "output.result",
    "StreamItem": "pipeline.segmenter",
    "Trace": "output.trace",
    "VideoSegmenter": "pipeline.segmenter",
    "load": "presets.table",
    "open_video": "video",
}

__all__ = [
    "Box",
    "Cue",
    "Point",
    "SegmentationResult",
    "StreamItem",
    "Trace",
    "VideoSegmenter",
    "VideosegError",
    "__version__",
    "load",
    "open_video",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
