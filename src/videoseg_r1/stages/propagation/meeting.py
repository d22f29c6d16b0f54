"""Where the two runs through time meet: one decision over all objects from what both say of a frame.

After the last frame in which an object is given the forward run counts for it, before the first one the backward run; between two they are
fused, the nearer one counting more. Not here: the runs themselves (`both_ways`), what one run notices (`watch`).
"""

from __future__ import annotations

from bisect import bisect_right

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.masks import MaskSpool, extent_of
from videoseg_r1.types import BoolMask, Seeds, Size, TrackedFrame, TrackEvent

_SAME = 0.5
"""From this IoU on, two masks are taken for the same outline seen twice; below it, one of them is wrong."""


class Meeting:
    """The frames before the last given one: what the forward run says of them waits here for the backward run.

    Args:
        seeds: what is given.
        size: (width, height) of the frames.
    """

    def __init__(self, seeds: Seeds, size: Size) -> None:
        self._seeds = seeds
        whiches = [(index, seeds[index].which) for index in sorted(seeds)]
        self._given = [[index for index, which in whiches if which[k]] for k in range(len(whiches[0][1]))]
        self._spool = MaskSpool(len(self._given), size)
        self._events: dict[int, tuple[TrackEvent, ...]] = {}
        self._torn: set[int] = set()
        self._shown = [bool(given) and bool(seeds[given[-1]].masks[k].any()) for k, given in enumerate(self._given)]

    def wait(self, tracked: TrackedFrame) -> None:
        """Keep what the forward run says of a frame."""
        self._spool.put(tracked.index, tracked.masks, tracked.confidence)
        events = tuple(event for event in tracked.events if event.kind != "cut")  # both runs see it, once is enough
        if events:
            self._events[tracked.index] = events

    def join(self, late: TrackedFrame) -> TrackedFrame:
        """Return a frame, which was kept, from what both runs say of it; `late` is the backward one's."""
        index = late.index
        nearness = [self._nearness(k, index) for k in range(len(self._given))]
        early = self._giving_way(self._spool.masks(index), late, nearness)
        sure = [(self._spool.confidence(k, index), theirs) for k, theirs in enumerate(late.confidence)]
        weights = [
            (near * mine, (1 - near) * theirs) if 0 < near < 1 else (near, 1 - near)
            for near, (mine, theirs) in zip(nearness, sure, strict=True)
        ]
        masks = fuse(early, late.masks, weights)
        confidence = tuple(
            _fused_confidence(early[k], late.masks[k], weights[k], sure[k]) if masks[k].any() else 0.0 for k in range(len(masks))
        )
        both = (*self._events.pop(index, ()), *late.events)
        events = [event for event in both if event.object_index is None or _counts(event, nearness[event.object_index])]
        between = [k for k, near in enumerate(nearness) if 0 < near < 1]
        events += [*self._disagreements(index, early, late.masks, between), *self._turns(index, masks, between)]
        return TrackedFrame(index, masks, confidence, tuple(events))

    def close(self) -> None:
        """Free what waits."""
        self._spool.close()

    def _nearness(self, k: int, index: int) -> float:
        """Return how much the forward run counts for an object in a frame: 1 from the last given one on and in any given one, 0 before
        the first, between two of them more than 0 and less than 1.
        """
        given = self._given[k]
        place = bisect_right(given, index)
        if place == len(given):
            return 1.0
        return (given[place] - index) / (given[place] - given[place - 1]) if place else 0.0

    def _giving_way(self, early: BoolMask, late: TrackedFrame, nearness: list[float]) -> BoolMask:
        """Return the forward masks without what the backward run gives to objects that the forward run does not know yet.

        Only the backward run has told them from the others there. It is believed where it is as sure or surer, and where it has the other
        object in sight too; elsewhere the pixel goes to the object that it lies deepest in.
        """
        told = early.copy()
        unknown = [k for k, near in enumerate(nearness) if near == 0 and late.confidence[k] > 0]
        for number in np.flatnonzero(late.masks.any((1, 2))).tolist() if unknown else ():
            sure = self._spool.confidence(number, late.index)
            for k in unknown:
                if nearness[number] > 0 and late.confidence[k] >= sure:
                    told[number] &= ~late.masks[k]
        return told

    def _turns(self, index: int, masks: BoolMask, between: list[int]) -> list[TrackEvent]:
        """Return which objects are lost or found here, seen backwards, of those between two given frames."""
        events: list[TrackEvent] = []
        for k, mask in enumerate(masks):
            before, shown = self._shown[k], bool(mask.any())
            if k in between and before != shown:
                detail = f"its mask covers {int(mask.sum())} pixels" if shown else "its mask is empty"
                events.append(TrackEvent(index, "found" if shown else "lost", k, "backwards", detail))
            if k in between or index in self._given[k]:
                self._shown[k] = shown
        return events

    def _disagreements(self, index: int, early: BoolMask, late: BoolMask, between: list[int]) -> list[TrackEvent]:
        """Return a drift for each object about which the two runs begin to say different things here."""
        torn = {k for k in between if early[k].any() and late[k].any() and not _agree(early[k], late[k])}
        new, self._torn = torn - self._torn, torn
        return [TrackEvent(index, "drift", k, "backwards", "the two directions of time disagree") for k in sorted(new)]


def _counts(event: TrackEvent, nearness: float) -> bool:
    """Return whether what one run noticed of an object holds: a loss or a return only where no other run has a say."""
    share = nearness if event.direction == "forwards" else 1 - nearness
    return share == 1 or (share > 0 and event.kind == "drift")


def fuse(early: BoolMask, late: BoolMask, weights: list[tuple[float, float]]) -> BoolMask:
    """Return one mask per object from two opinions on it, no two overlapping.

    Where they overlap well, the outline runs between theirs: the weighted mean of the signed distances to both. Where they do not,
    a mean would be neither, and the opinion of more weight is taken.

    Args:
        early, late: bool (N, H, W).
        weights: of each opinion, not negative, per object.
    Source: ours.
    """
    depth, owner = np.zeros(early.shape[1:], np.float32), np.full(early.shape[1:], -1, np.int32)
    for number, (one, other, (mine, theirs)) in enumerate(zip(early, late, weights, strict=True)):
        is_mean = mine > 0 and theirs > 0 and _agree(one, other)
        chosen = one if mine > theirs else other
        box = extent_of(one | other if is_mean else chosen)
        if box is None:
            continue
        inside = _signed_distance(chosen[box])
        if is_mean:
            inside = (mine * _signed_distance(one[box]) + theirs * _signed_distance(other[box])) / (mine + theirs)
        owner[box][inside > depth[box]] = number
        np.maximum(depth[box], inside, out=depth[box])
    return owner[None] == np.arange(len(early), dtype=np.int32)[:, None, None]


def _fused_confidence(early: BoolMask, late: BoolMask, weights: tuple[float, float], sure: tuple[float, float]) -> float:
    """Return the higher confidence where both runs have a say and agree, otherwise that of the one that `fuse` takes."""
    both = min(weights) > 0 and _agree(early, late)
    return max(sure) if both else sure[0 if weights[0] > weights[1] else 1]


def _agree(one: BoolMask, other: BoolMask) -> bool:
    return int((one & other).sum()) >= _SAME * max(1, int((one | other).sum()))


def _signed_distance(mask: BoolMask) -> npt.NDArray[np.float32]:
    """Return the distance to the outline of a mask that is not empty, in pixels, (H, W) float32, positive inside."""
    # one pixel more on each side: a mask that fills the picture has its outline around it
    full = np.pad(mask, 1).view(np.uint8)
    inside, outside = (cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_5) for part in (full, 1 - full))
    return np.asarray((inside - outside)[1:-1, 1:-1], np.float32)
