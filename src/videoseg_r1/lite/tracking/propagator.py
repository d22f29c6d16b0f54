"""Stage 3b of `lite`: the tracker run both ways from the given frames.

Not here: the order in which frames are visited (`videoseg_r1.stages.propagation.both_ways`).
"""

from __future__ import annotations

from videoseg_r1.lite.tracking.tracker import Tracker, TrackerConfig
from videoseg_r1.stages.propagation.both_ways import BothWays


def lite_propagator(config: TrackerConfig | None = None) -> BothWays:
    """Return the default propagator of `lite`: window read and appearance model on frozen features."""
    return BothWays(lambda: Tracker(config))
