"""Stage 3b, the direction of time: a `Propagator` that runs a stepper forwards and backwards from the given frames.

Frames are read one at a time, forwards to the end and then backwards to the start. Between two given frames both runs pass, and what
they say is fused; the masks of the first run wait as run lengths in a spool, so memory does not grow with the video.
Not here: how a stepper follows its objects, where a film is cut (`cuts`), what else is noticed (`watch`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.masks import MaskSpool
from videoseg_r1.stages.propagation.calibration import given_confidence
from videoseg_r1.stages.propagation.cuts import with_cuts
from videoseg_r1.stages.propagation.recognition import Describe, Recogniser, Search
from videoseg_r1.stages.propagation.watch import Watch
from videoseg_r1.types import BoolMask, Direction, RgbImage, TrackedFrame, TrackEvent
from videoseg_r1.video import Video

_SAME = 0.5
"""From this IoU on, two masks are taken for the same outline seen twice; below it, one of them is wrong."""
_FADING = 0.9
"""What is left of a confidence after each damaged frame that masks are carried over. Source: ours."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """Masks of one frame, bool (N, H, W), no two overlapping, and for each object a confidence, as in `TrackedFrame`."""

    masks: BoolMask
    confidence: tuple[float, ...]


class Stepper(Protocol):
    """Follows objects from one frame to the next; the first frame comes with masks, bool (N, H, W).

    Behind a cut it gets a search: what is sought is not where it was, and what is found counts, and is remembered, only once verified.
    """

    def step(self, rgb: RgbImage, masks: BoolMask | None = None, search: Search | None = None) -> Tracked: ...


class BothWays:
    """A `Propagator`: a stepper from the first given frame to the end, and another from the last given frame to the start.

    Each is corrected at every given frame it passes. A damaged frame (`VideoInfo.damaged_frames`) that is not given is not shown to the
    stepper: the masks of the last good frame are carried over it, with less confidence from frame to frame.

    Args:
        new_stepper: makes a stepper that has seen nothing.
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

    def run(self, frames: Video, seeds: Mapping[int, BoolMask]) -> Iterator[TrackedFrame]:
        """Yield each frame once: those after the last given frame in order, then all before it, last to first.

        Raises: InvalidPrompt: no seeds, seeds outside the video, or of different sizes or object counts.
        """
        _check(seeds, frames)
        _ = frames.num_frames  # which frames are damaged is known once all were decoded
        first, last = min(seeds), max(seeds)
        meeting = _Meeting(seeds, (frames.info.width, frames.info.height))
        for tracked in self._walk(frames, seeds, "forwards"):
            if tracked.index < last:
                meeting.wait(tracked)
            else:
                yield tracked
        for tracked in self._walk(frames, seeds, "backwards"):
            if tracked.index < last:
                yield meeting.join(tracked) if tracked.index >= first else tracked
        meeting.close()

    def _walk(self, frames: Video, seeds: Mapping[int, BoolMask], direction: Direction) -> Iterator[TrackedFrame]:
        """Yield every frame from the first given one on, seen in this direction, that one included."""
        back = direction == "backwards"
        start = max(seeds) if back else min(seeds)
        if back and start == 0:
            return
        stepper, watch, recogniser = self._new_stepper(), Watch(direction), Recogniser(self._describe)
        damaged = frozenset(frames.info.damaged_frames) - seeds.keys()
        carried: Tracked | None = None
        source = frames.frames(0, start + 1, reverse=True) if back else frames.frames(start)
        for frame, cut in with_cuts(source, direction, unseen=damaged):
            if carried is not None and frame.index in damaged:
                carried = Tracked(carried.masks, tuple(_FADING * value for value in carried.confidence))
                yield TrackedFrame(frame.index, carried.masks, carried.confidence)
                continue
            given = seeds.get(frame.index)
            if cut is not None:
                recogniser.begin_scene()
            tracked = carried = stepper.step(frame.rgb, given, recogniser.search(frame.rgb))
            recogniser.learn(frame.rgb, tracked.masks, tracked.confidence, given=given is not None)
            events = watch.observe(frame.index, tracked.masks, tracked.confidence, given=given is not None, after_cut=cut is not None)
            yield TrackedFrame(frame.index, tracked.masks, tracked.confidence, events if cut is None else (cut, *events))


class _Meeting:
    """The frames between the first and the last given one, which both runs pass: the forward run waits for the backward one.

    Args:
        seeds: the given masks.
        size: (width, height) of the frames.
    """

    def __init__(self, seeds: Mapping[int, BoolMask], size: tuple[int, int]) -> None:
        self._seeds = seeds
        self._spool = MaskSpool(len(next(iter(seeds.values()))), size)
        self._events: dict[int, tuple[TrackEvent, ...]] = {}
        self._torn: set[int] = set()
        self._shown = seeds[max(seeds)].any((1, 2))

    def wait(self, tracked: TrackedFrame) -> None:
        """Keep what the forward run says of a frame."""
        self._spool.put(tracked.index, tracked.masks, tracked.confidence)
        # a cut is seen by both runs, once is enough; what one run loses the other may have
        events = tuple(event for event in tracked.events if event.kind == "drift")
        if events:
            self._events[tracked.index] = events

    def join(self, late: TrackedFrame) -> TrackedFrame:
        """Return a frame from what both runs say of it; `late` is the backward one's."""
        index, both = late.index, (*self._events.get(late.index, ()), *late.events)
        events = [event for event in both if event.kind not in {"lost", "found"}]
        if index in self._seeds:
            self._shown = self._seeds[index].any((1, 2))
            return TrackedFrame(index, self._seeds[index], given_confidence(self._seeds[index]), tuple(events))
        before, after = max(i for i in self._seeds if i < index), min(i for i in self._seeds if i > index)
        nearness = (after - index) / (after - before)
        early = self._spool.masks(index)
        sure = [(self._spool.confidence(k, index), theirs) for k, theirs in enumerate(late.confidence)]
        weights = [(nearness * mine, (1 - nearness) * theirs) for mine, theirs in sure]
        masks = fuse(early, late.masks, weights)
        confidence = tuple(
            _fused_confidence(early[k], late.masks[k], weights[k], sure[k]) if masks[k].any() else 0.0 for k in range(len(masks))
        )
        events += [*self._disagreements(index, early, late.masks), *self._turns(index, masks)]
        return TrackedFrame(index, masks, confidence, tuple(events))

    def _turns(self, index: int, masks: BoolMask) -> list[TrackEvent]:
        """Return which objects are lost or found here, seen backwards."""
        before, self._shown = self._shown, masks.any((1, 2))
        lost = [TrackEvent(index, "lost", int(k), "backwards", "its mask is empty") for k in np.flatnonzero(before & ~self._shown)]
        found = np.flatnonzero(self._shown & ~before)
        return lost + [TrackEvent(index, "found", int(k), "backwards", f"its mask covers {int(masks[k].sum())} pixels") for k in found]

    def _disagreements(self, index: int, early: BoolMask, late: BoolMask) -> list[TrackEvent]:
        """Return a drift for each object about which the two runs begin to say different things here."""
        torn = {k for k, (one, other) in enumerate(zip(early, late, strict=True)) if one.any() and other.any() and not _agree(one, other)}
        new, self._torn = torn - self._torn, torn
        return [TrackEvent(index, "drift", k, "backwards", "the two directions of time disagree") for k in sorted(new)]

    def close(self) -> None:
        self._spool.close()


def fuse(early: BoolMask, late: BoolMask, weights: list[tuple[float, float]]) -> BoolMask:
    """Return one mask per object from two opinions on it, no two overlapping.

    Where they overlap well, the outline runs between theirs: the weighted mean of the signed distances to both. Where they do not,
    a mean would be neither, and the opinion of more weight is taken.

    Args:
        early, late: bool (N, H, W).
        weights: of each opinion, not negative, per object.
    Source: ours.
    """
    depth = np.full(early.shape[1:], 0.0, np.float32)
    owner = np.full(early.shape[1:], -1, np.int32)
    for number, (one, other, (mine, theirs)) in enumerate(zip(early, late, weights, strict=True)):
        total = mine + theirs
        if total > 0 and _agree(one, other):
            inside = (mine * _signed_distance(one) + theirs * _signed_distance(other)) / total
        else:
            inside = _signed_distance(one if mine > theirs else other)
        ours = inside > depth
        owner[ours] = number
        depth = np.maximum(depth, inside)
    return owner[None] == np.arange(len(early), dtype=np.int32)[:, None, None]


def _fused_confidence(early: BoolMask, late: BoolMask, weights: tuple[float, float], sure: tuple[float, float]) -> float:
    """Return the higher confidence where both runs agree, otherwise that of the one that `fuse` takes."""
    return max(sure) if _agree(early, late) else sure[0 if weights[0] > weights[1] else 1]


def _agree(one: BoolMask, other: BoolMask) -> bool:
    return int((one & other).sum()) >= _SAME * max(1, int((one | other).sum()))


def _signed_distance(mask: BoolMask) -> npt.NDArray[np.float32]:
    """Return the distance to the outline in pixels, (H, W) float32, positive inside."""
    if not mask.any():
        return np.full(mask.shape, -1.0, np.float32)
    # one pixel more on each side: a mask that fills the frame has its outline around it
    full = np.pad(mask, 1).view(np.uint8)
    inside, outside = (cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_5) for part in (full, 1 - full))
    return np.asarray((inside - outside)[1:-1, 1:-1], np.float32)


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
