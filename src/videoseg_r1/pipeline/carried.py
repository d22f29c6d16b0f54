"""Seed masks carried through a video (stage 3b), once for the same masks of an open video, however many sentences mean them.

Objects that a user gave on different frames are carried one group after the other, for a propagator takes the same objects on every frame.
Not here: how masks are carried (`stages.propagation`), what corrects them (`corrections`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from videoseg_r1.masks import MaskSpool
from videoseg_r1.pipeline.seed_input import GivenObjects
from videoseg_r1.pipeline.steps import Steps
from videoseg_r1.stages.protocols import Propagator
from videoseg_r1.types import BoolMask, TrackEvent
from videoseg_r1.video import Video

_MAX_KEPT = 8
"""Results kept per open video."""


@dataclass(frozen=True, slots=True)
class Carried:
    """Masks of every frame, and what happened on the way in order of frames."""

    spool: MaskSpool
    events: tuple[TrackEvent, ...] = ()


class CarriedMasks:
    """Carries seed masks through videos and keeps the latest results of each video for as long as it is open.

    Safe with threads: two that ask for the same at once both compute it, and get equal masks.
    """

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Video, dict[bytes, Carried]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def carry_given(self, video: Video, given: GivenObjects, propagator: Propagator, steps: Steps) -> Carried:
        """Return the masks of every frame, of all objects in the order of their numbers; arguments and errors as in `carry`.

        Where masks of several groups overlap, a given one keeps the pixel, then the one of more confidence, then the lower number.
        """
        groups = given.groups()
        parts = [self.carry(video, seeds, propagator, steps, (k, len(groups))) for k, (_, seeds) in enumerate(groups)]
        return parts[0] if len(parts) == 1 else _joined(video, given, parts)

    def carry(
        self, video: Video, seeds: Mapping[int, BoolMask], propagator: Propagator, steps: Steps, part: tuple[int, int] = (0, 1)
    ) -> Carried:
        """Return the masks of every frame.

        Args:
            video: what they are carried through.
            seeds: frame index -> bool (N, H, W); none at all means that there is no object.
            propagator: stage 3b.
            steps: timed and told as "propagate", unless the result is known.
            part: which part of the work this is, and of how many, for the listener of progress.
        Raises: what the propagator raises. Nothing half-done is kept then.
        """
        key = _fingerprint(seeds)
        with self._lock:
            known = self._kept.setdefault(video.origin, {}).get(key)
        if known is not None:
            return known
        carried = _carried(video, seeds, propagator, steps, part)
        with self._lock:
            kept = self._kept.setdefault(video.origin, {})
            while len(kept) >= _MAX_KEPT:
                del kept[next(iter(kept))]
            kept[key] = carried
        return carried


def _carried(video: Video, seeds: Mapping[int, BoolMask], propagator: Propagator, steps: Steps, part: tuple[int, int]) -> Carried:
    num_objects = len(next(iter(seeds.values()))) if seeds else 0
    spool, events = MaskSpool(num_objects, (video.info.width, video.info.height)), list[TrackEvent]()
    if not any(masks.any() for masks in seeds.values()):
        return Carried(spool)
    before, total = part[0] * video.num_frames, part[1] * video.num_frames
    try:
        with steps.timed("propagate"):
            for done, found in enumerate(propagator.run(video, seeds), 1):
                spool.put(found.index, found.masks, found.confidence)
                events += found.events
                steps.report("propagate", before + done, total)
    except BaseException:
        spool.close()
        raise
    return Carried(spool, tuple(sorted(events, key=lambda event: event.frame_index)))


def _joined(video: Video, given: GivenObjects, parts: Sequence[Carried]) -> Carried:
    """Return the masks of all groups together; a cut, which every group sees, is told once."""
    numbers = given.object_ids
    places = [[numbers.index(number) for number in group] for group, _ in given.groups()]
    spool, events = MaskSpool(len(numbers), (video.info.width, video.info.height)), dict[object, TrackEvent]()
    for index in range(video.num_frames):
        masks, confidence = np.zeros((len(numbers), *spool.size[::-1]), np.bool_), np.zeros(len(numbers))
        for part, place in zip(parts, places, strict=True):
            masks[place] = part.spool.masks(index)
            confidence[place] = [part.spool.confidence(k, index) for k in range(len(place))]
        is_given = [number in given.masks.get(index, {}) for number in numbers]
        apart = _without_overlaps(masks, sorted(range(len(numbers)), key=lambda k: (not is_given[k], -confidence[k], k)))
        spool.put(index, apart, np.where(apart.any((1, 2)) | ~masks.any((1, 2)), confidence, 0.0).tolist())
    for part, place in zip(parts, places, strict=True):
        for event in part.events:
            own = None if event.object_index is None else place[event.object_index]
            events.setdefault((event.frame_index, event.kind, own, "" if own is None else event), replace(event, object_index=own))
    return Carried(spool, tuple(sorted(events.values(), key=lambda event: event.frame_index)))


def _without_overlaps(masks: BoolMask, order: Sequence[int]) -> BoolMask:
    """Return (N, H, W) masks of which no two overlap: the first in the order keeps a pixel."""
    apart, taken = np.zeros_like(masks), np.zeros(masks.shape[1:], np.bool_)
    for k in order:
        apart[k] = masks[k] & ~taken
        taken |= apart[k]
    return apart


def _fingerprint(seeds: Mapping[int, BoolMask]) -> bytes:
    digest = hashlib.sha256()
    for index, masks in sorted(seeds.items()):
        digest.update(f"{index} {masks.shape}".encode())
        digest.update(np.packbits(masks).tobytes())
    return digest.digest()
