"""Whether things that were followed through a drawn clip stayed themselves: crossings, returns, switches, losses, masks of absent things.

A **crossing** of two things begins when their outlines touch, whether to be seen or not, and ends when they part; gaps of up to three
frames do not end it. A **return** of a thing ends an absence: three frames or more in which nothing of it is to be seen. Both are judged
on the frames that follow, up to ten in which the thing is to be seen, before the next crossing of the same two or the next absence.

A thing is **switched** there if in at least three successive ones of them its mask overlaps another thing (of a crossing, the other one)
more than the thing itself, by IoU with what is to be seen of each. A crossing is switched if one of its two things is. It is one of
**like** things if they have the same hue and size.

A return is **recognised** n frames after the first frame in which the thing is to be seen again: in the first one in which its mask has an
IoU of 0.5 with it. A thing is **lost for good** if it is to be seen in the last frame and its mask has an IoU under 0.1 in each of the last
five frames in which it is to be seen. A mask of any size is **false** where its thing is not to be seen.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from helpers.drawn_things import DrawnClip, Floats, Thing
from videoseg_r1.stages.protocols import Propagator
from videoseg_r1.types import BoolMask, TrackedFrame, TrackEvent
from videoseg_r1.video import open_video

_Flags = npt.NDArray[np.bool_]

_GAP = 3
_ABSENT = 3
_JUDGED = 10
_SWITCHED = 3
_KNOWN = 0.5
_LOST = 0.1
_LAST = 5
_SAME_HUE = 0.1
_SAME_SIZE = 1.4


@dataclass(frozen=True, eq=False)
class Followed:
    """What became of N objects of a clip of T frames of which the first masks were given.

    Attributes:
        clip: what was followed.
        iou: (T, N, N) float64, of the mask of the first object with what is to be seen of the second.
        seen: (T, N) bool, what there is to be seen.
        masked: (T, N) bool, which objects have a mask.
        events: what the propagator told, in the order of frames.
        seconds: that the masks took.
    """

    clip: DrawnClip
    iou: Floats = field(repr=False)
    seen: _Flags = field(repr=False)
    masked: _Flags = field(repr=False)
    events: tuple[TrackEvent, ...]
    seconds: float

    @property
    def j(self) -> list[float]:
        """Mean J of every object, over the frames after the first in which it is to be seen."""
        return [float(self.iou[1:, k, k][self.seen[1:, k]].mean()) for k in range(self.seen.shape[1])]

    @property
    def lost(self) -> list[int]:
        """The objects that are lost for good."""
        return [k for k in range(self.seen.shape[1]) if self.seen[-1, k] and (self.iou[self.seen[:, k], k, k][-_LAST:] < _LOST).all()]

    @property
    def false_masks(self) -> tuple[int, int]:
        """In how many frames an absent object has a mask, of how many; objects are counted one by one."""
        return int((self.masked & ~self.seen).sum()), int((~self.seen).sum())


@dataclass(frozen=True, slots=True)
class Encounter:
    """Where an identity is tried.

    Attributes:
        kind: see the module.
        things: the two of a crossing, the one of a return.
        alike: whether the two of a crossing are alike, or any other thing is like the one that returns.
        end: the first frame after it.
        stop: the frame before which judging ends.
    """

    kind: Literal["crossing", "return"]
    things: tuple[int, ...]
    alike: bool
    end: int
    stop: int


def follow(clip: DrawnClip, propagator: Propagator) -> Followed:
    """Return what becomes of the objects of a clip of which the true masks of the first frame are given."""
    with open_video(clip) as video:
        assert video.num_frames == len(clip)  # which draws them all
        return judged(clip, propagator.run(video, {0: clip.masks(0)}))


def judged(clip: DrawnClip, tracked: Iterator[TrackedFrame]) -> Followed:
    """Return what became of the objects of a clip, by the masks of each of its frames, in any order."""
    num = len(clip.objects)
    iou, seen, masked = np.zeros((len(clip), num, num)), np.zeros((len(clip), num), bool), np.zeros((len(clip), num), bool)
    events, seconds, start = list[TrackEvent](), 0.0, time.perf_counter()
    for one in tracked:
        seconds += time.perf_counter() - start
        truth = clip.masks(one.index)
        iou[one.index], seen[one.index], masked[one.index] = _ious(one.masks, truth), truth.any((1, 2)), one.masks.any((1, 2))
        events += one.events
        start = time.perf_counter()
    return Followed(clip, iou, seen, masked, tuple(sorted(events, key=lambda event: event.frame_index)), seconds)


def encounters(followed: Followed) -> list[Encounter]:
    """Return the crossings and returns of a clip that can be judged, for which three frames are left."""
    pairs = itertools.combinations(range(len(followed.clip.objects)), 2)
    found = [one for pair in pairs for one in _crossings(followed.clip, pair)]
    found += [one for k in range(len(followed.clip.objects)) for one in _returns(followed, k)]
    return [one for one in found if all(len(_tried_in(followed, one, k)) >= _SWITCHED for k in one.things)]


def is_switched(followed: Followed, encounter: Encounter) -> bool:
    """Return whether an encounter left one of its things switched."""
    for k in encounter.things:
        rivals = [other for other in range(followed.seen.shape[1]) if other != k]
        if encounter.kind == "crossing":
            rivals = [other for other in encounter.things if other != k]
        frames = _tried_in(followed, encounter, k)
        wrong = followed.iou[frames][:, k, rivals].max(1, initial=0.0) > followed.iou[frames, k, k]
        if any(value and last - first >= _SWITCHED for first, last, value in _runs(wrong)):
            return True
    return False


def recognised_after(followed: Followed, encounter: Encounter) -> int | None:
    """Return how many frames after its return a thing was recognised; None if it was not, before it was absent again."""
    k = encounter.things[0]
    known = np.flatnonzero(followed.iou[encounter.end : encounter.stop, k, k] >= _KNOWN)
    return int(known[0]) if len(known) else None


def are_alike(one: Thing, other: Thing) -> bool:
    """Return whether two things have the same hue and size, about."""
    apart = abs(one.hue - other.hue) % 1
    ratio = one.sizes[0] / other.sizes[0]
    return min(apart, 1 - apart) < _SAME_HUE and 1 / _SAME_SIZE < ratio < _SAME_SIZE


def _crossings(clip: DrawnClip, pair: tuple[int, int]) -> Iterator[Encounter]:
    one, other = (clip.objects[k] for k in pair)
    near = np.linalg.norm(one.centers - other.centers, axis=1) <= one.sizes + other.sizes
    runs = [(first, end) for first, end, value in _runs(near, _GAP) if value]
    stops = [first for first, _ in runs[1:]] + [len(clip)]
    for (_, end), stop in zip(runs, stops, strict=False):
        yield Encounter("crossing", pair, are_alike(one, other), end, stop)


def _returns(followed: Followed, k: int) -> Iterator[Encounter]:
    others = [other for other in range(followed.seen.shape[1]) if other != k]
    alike = any(are_alike(followed.clip.objects[k], followed.clip.objects[other]) for other in others)
    for (first, end, before), (_, stop, _) in itertools.pairwise(_runs(followed.seen[:, k])):
        if not before and first > 0 and end - first >= _ABSENT:
            yield Encounter("return", (k,), alike, end, stop)


def _tried_in(followed: Followed, encounter: Encounter, k: int) -> npt.NDArray[np.intp]:
    return encounter.end + np.flatnonzero(followed.seen[encounter.end : encounter.stop, k])[:_JUDGED]


def _runs(values: _Flags, gap: int = 0) -> list[tuple[int, int, bool]]:
    """Return the stretches of equal values: first frame, frame after the last, value. False ones of up to `gap` between two true ones
    are taken for true."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    runs = [(first, end, bool(values[first])) for first, end in itertools.pairwise(edges) if end > first]
    for first, end, value in runs[1:-1]:
        if not value and end - first <= gap:
            filled = values.copy()
            filled[first:end] = True
            return _runs(filled, gap)
    return runs


def _ious(masks: BoolMask, truth: BoolMask) -> Floats:
    """Return (N, N) IoU of each mask (N, H, W) with each truth, 0 where there is nothing."""
    found, true = (planes.reshape(len(planes), -1).astype(np.float32) for planes in (masks, truth))
    both = found @ true.T
    either = found.sum(1)[:, None] + true.sum(1)[None] - both
    return (both / np.maximum(either, 1)).astype(np.float64)
