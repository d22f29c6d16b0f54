"""Stage 3b, the direction of time: a `Propagator` that runs a stepper forwards and backwards from the given frames.

Frames are read one at a time, forwards to the end and then backwards to the start; memory does not grow with the video.
Not here: how a stepper follows its objects, how both runs are made one (`meeting`), where a film is cut (`cuts`), what else is noticed
(`watch`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.stages.propagation.cuts import with_cuts
from videoseg_r1.stages.propagation.frame_memo import FrameMemo, SharesFrames
from videoseg_r1.stages.propagation.meeting import Meeting
from videoseg_r1.stages.propagation.recognition import Describe, Recogniser, Search
from videoseg_r1.stages.propagation.watch import Watch
from videoseg_r1.types import BoolMask, Direction, Given, RgbImage, Seeds, TrackedFrame
from videoseg_r1.video import Video
from videoseg_r1.video.ahead import read_ahead

_FADING = 0.9
"""What is left of a confidence after each damaged frame that masks are carried over. Source: ours."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """Masks of one frame, bool (N, H, W), no two overlapping, and for each object a confidence, as in `TrackedFrame`."""

    masks: BoolMask
    confidence: tuple[float, ...]

    def corrected(self, given: Given | None) -> Tracked:
        """Return this with what is given in its place: given masks are certain, and others lose the pixels that are given away."""
        if given is None:
            return self
        masks = given.over(self.masks)
        sure = np.where(given.which, 1.0, self.confidence) * masks.any((1, 2))
        return Tracked(masks, tuple(sure.tolist()))


class Stepper(Protocol):
    """Follows N objects from one frame to the next."""

    def step(self, rgb: RgbImage, given: Given | None = None, search: Search | None = None) -> Tracked:
        """Return the masks of the next frame.

        What is given comes back as it is, is remembered as an anchor, and from here on the objects are followed from there. The other
        objects are carried and give way (`Tracked.corrected`). An object of which nothing was given yet is not known: it has no mask, and
        that frames before do not show it says nothing about it. One that was given as absent is known, and may be found later.

        Args:
            rgb: (H, W, 3) uint8, the same size every time.
            given: what is known of this frame; the first frame needs it. There, masks of objects that are not given are where another run
                carried them: they are followed from there too, but are no more certain than any carried mask.
            search: behind a cut: what is sought is not where it was, and what is found counts, and is remembered, only once verified.
        """
        ...


class BothWays:
    """A `Propagator`: a stepper from the first given frame to the end, and another from the last given frame to the start.

    Each follows all objects together and is corrected at every given frame it passes. An object that is not given in the last given frame
    starts its way back from where the first stepper carried it. A damaged frame (`VideoInfo.damaged_frames`) that is not given is not
    shown to a stepper: the masks of the last good frame are carried over it, with less confidence from frame to frame. Frames are read
    ahead on a thread of their own.

    Args:
        new_stepper: makes a stepper that has seen nothing; one that `SharesFrames` gets the memo of the run.
        notes: returns what its model gave up so far.
        describe: by what an object is known again behind a cut; None for a stepper that cannot find one.
    """

    def __init__(
        self,
        new_stepper: Callable[[], Stepper],
        notes: Callable[[], tuple[str, ...]] = tuple,
        describe: Describe | None = None,
    ) -> None:
        self._new_stepper = new_stepper
        self._notes = notes
        self._describe = describe

    @property
    def notes(self) -> tuple[str, ...]:
        """What was given up so far, for the result."""
        return self._notes()

    def run(self, frames: Video, seeds: Mapping[int, Given | BoolMask]) -> Iterator[TrackedFrame]:
        """Yield each frame once: those after the last given frame in order, then all before it, last to first.

        A given mask comes out as it was given; of given masks that overlap, the first keeps the pixel (`Given.of`).

        Raises: InvalidPrompt: no seeds, seeds outside the video, or of different sizes or object counts.
        """
        given = _checked(seeds, frames)
        _ = frames.num_frames  # which frames are damaged is known once all were decoded
        first, last = min(given), max(given)
        memo = FrameMemo(range(first, last + 1) if last > 0 else range(0))
        told: set[int] = set()
        start = given[last]
        with closing(Meeting(given, (frames.info.width, frames.info.height))) as meeting:
            for tracked in self._walk(frames, given, "forwards", memo):
                if tracked.index < last:
                    meeting.wait(tracked)
                    continue
                if tracked.index == last:
                    start = Given(tracked.masks, given[last].which)
                told |= {event.frame_index for event in tracked.events if event.kind == "cut"}
                yield tracked
            for tracked in self._walk(frames, {**given, last: start}, "backwards", memo) if last > 0 else ():
                if tracked.index < last:
                    joined = meeting.join(tracked) if tracked.index >= first else tracked
                    events = tuple(event for event in joined.events if event.kind != "cut" or event.frame_index not in told)
                    yield replace(joined, events=events)

    def _walk(self, frames: Video, seeds: Seeds, direction: Direction, memo: FrameMemo) -> Iterator[TrackedFrame]:
        """Yield every frame from the first given one on, seen in this direction, that one included."""
        source = frames.frames(0, max(seeds) + 1, reverse=True) if direction == "backwards" else frames.frames(min(seeds))
        stepper, watch, recogniser = self._new_stepper(), Watch(direction), Recogniser(self._describe)
        if isinstance(stepper, SharesFrames):
            stepper.share(memo)
        damaged = frozenset(frames.info.damaged_frames) - seeds.keys()
        nothing = np.zeros(len(next(iter(seeds.values())).which), np.bool_)
        carried: Tracked | None = None
        with closing(read_ahead(with_cuts(source, direction, unseen=damaged))) as shown:
            for frame, cut in shown:
                if carried is not None and frame.index in damaged:
                    carried = Tracked(carried.masks, tuple(_FADING * value for value in carried.confidence))
                    yield TrackedFrame(frame.index, carried.masks, carried.confidence)
                    continue
                given = seeds.get(frame.index)
                which = nothing if given is None else given.which
                if cut is not None:
                    recogniser.begin_scene()
                memo.turn_to(frame.index)
                tracked = carried = stepper.step(frame.rgb, given, recogniser.search(frame.rgb))
                recogniser.learn(frame.rgb, tracked.masks, tracked.confidence, given=which)
                events = watch.observe(frame.index, tracked.masks, tracked.confidence, given=which, after_cut=cut is not None)
                yield TrackedFrame(frame.index, tracked.masks, tracked.confidence, events if cut is None else (cut, *events))


def _checked(seeds: Mapping[int, Given | BoolMask], frames: Video) -> dict[int, Given]:
    """Return the seeds of the frames that say anything. Raises InvalidPrompt."""
    given = {index: Given.of(seed) for index, seed in seeds.items()}
    given = {index: seed for index, seed in given.items() if seed.which.any()}
    if not given:
        raise InvalidPrompt("nothing to propagate", why="no mask was given for any frame", fix="give at least one frame with a mask")
    shapes = {seed.masks.shape for seed in given.values()}
    wanted = (frames.info.height, frames.info.width)
    if len(shapes) > 1 or next(iter(shapes))[1:] != wanted:
        raise InvalidPrompt(
            "the masks do not fit the video",
            where=frames.info.source,
            why=f"masks are {sorted(shapes)}, frames are {wanted} (height, width)",
            fix="give masks of the displayed size, with the same objects in the same order on every frame",
        )
    return given
