"""Stage 3b of `lite`: masks carried both ways from the given frames, on the tracker; and the plain optical-flow baseline.

Frames are read one at a time, forwards to the end and then backwards to the start, so memory does not grow with the video.
Not here: several sources for one mask, detection of cuts and losses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import cv2
import numpy as np

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.lite.tracker import Tracked, Tracker, TrackerConfig
from videoseg_r1.types import BoolMask, RgbImage
from videoseg_r1.video import Video


class Stepper(Protocol):
    """Follows objects from one frame to the next; the first frame comes with masks, bool (N, H, W)."""

    def step(self, rgb: RgbImage, masks: BoolMask | None = None) -> Tracked: ...


class BothWays:
    """A `Propagator`: runs a fresh stepper forwards from the first given frame, and another one backwards from it.

    Every further given frame corrects the forward run where it is passed.
    """

    def __init__(self, new_stepper: Callable[[], Stepper]) -> None:
        self._new_stepper = new_stepper

    def run(self, frames: Video, seeds: Mapping[int, BoolMask]) -> Iterator[tuple[int, BoolMask, tuple[float, ...]]]:
        """Yield (frame index, masks (N, H, W) bool, confidence per object in 0..1), each frame once.

        Raises: InvalidPrompt: no seeds, or seeds of different sizes or object counts.
        """
        _check(seeds, frames)
        first = min(seeds)
        for reverse in (False, True):
            if reverse and first == 0:
                return
            stepper = self._new_stepper()
            if reverse:
                stepper.step(frames.read([first])[0].rgb, seeds[first])
            span = frames.frames(0, first, reverse=True) if reverse else frames.frames(first)
            for frame in span:
                tracked = stepper.step(frame.rgb, seeds.get(frame.index))
                yield frame.index, tracked.masks, tracked.confidence


class FlowStepper:
    """Warps the masks along DIS optical flow. What a user would write first, and the baseline that memory must beat.

    Source: Kroeger et al. 2016 (DIS), as implemented by OpenCV.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._gray: np.ndarray | None = None
        self._soft: np.ndarray | None = None

    def step(self, rgb: RgbImage, masks: BoolMask | None = None) -> Tracked:
        """Follow the masks into the next frame. Raises: ValueError: the first frame came without masks."""
        gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        if masks is not None:
            self._soft = masks.astype(np.float32)
        elif self._gray is None or self._soft is None:
            raise ValueError("the first frame needs masks")
        else:
            flow = self._flow.calc(gray, self._gray, None)  # type: ignore[call-overload]  # None asks OpenCV for a new array
            height, width = gray.shape
            x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
            where = x + flow[..., 0], y + flow[..., 1]
            self._soft = np.stack([cv2.remap(soft, *where, cv2.INTER_LINEAR) for soft in self._soft])
        self._gray = gray
        return Tracked(self._soft > 0.5, (1.0,) * len(self._soft))


def lite_propagator(config: TrackerConfig | None = None) -> BothWays:
    """Return the default propagator of `lite`: window read and appearance model on frozen features."""
    return BothWays(lambda: Tracker(config))


def flow_propagator() -> BothWays:
    """Return the optical-flow baseline."""
    return BothWays(FlowStepper)


def _check(seeds: Mapping[int, BoolMask], frames: Video) -> None:
    if not seeds:
        raise InvalidPrompt("nothing to propagate", why="no mask was given for any frame", fix="give at least one frame with a mask")
    shapes = {masks.shape for masks in seeds.values()}
    wanted = (frames.info.height, frames.info.width)
    if len(shapes) > 1 or next(iter(shapes))[1:] != wanted:
        raise InvalidPrompt(
            "the masks do not fit the video",
            where=frames.info.source,
            why=f"masks are {sorted(shapes)}, frames are {wanted} (height, width)",
            fix="give masks of the displayed size, with the same objects in the same order on every frame",
        )
