"""Stage 3b of `lite`: the tracker, run forwards and backwards from the given frames.

Not here: the order in which frames are visited (`videoseg_r1.stages.propagation.both_ways`).
"""

from __future__ import annotations

import torch

from videoseg_r1.lite.tracking.likeness import describer
from videoseg_r1.lite.tracking.tracker import Tracker, TrackerConfig
from videoseg_r1.stages.propagation.both_ways import BothWays


def lite_propagator(device: torch.device, config: TrackerConfig | None = None) -> BothWays:
    """Return the default propagator of `lite`, which computes on a device; it has not been run on a GPU."""
    return BothWays(lambda: Tracker(device, config), describe=describer(device))
