"""Stage 3b, the direction of time: a stepper run forwards and backwards from the given frames makes a `Propagator`.

Frames are read one at a time, forwards to the end and then backwards to the start, so memory does not grow with the video.
Not here: how a stepper follows its objects, several sources for one mask, detection of cuts and losses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.types import BoolMask, RgbImage
from videoseg_r1.video import Video


@dataclass(frozen=True, slots=True)
class Tracked:
    """Masks of one frame, bool (N, H, W), no two overlapping, and a confidence in 0..1 for each object."""

    masks: BoolMask
    confidence: tuple[float, ...]


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
