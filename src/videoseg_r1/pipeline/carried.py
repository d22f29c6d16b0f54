"""Seed masks carried through a video (stage 3b), once for the same masks of an open video, however many sentences mean them.

Not here: how masks are carried (`stages.propagation`), what corrects them (`corrections`).
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from videoseg_r1.masks import MaskSpool
from videoseg_r1.pipeline.steps import Steps
from videoseg_r1.stages.protocols import Propagator
from videoseg_r1.types import Seeds, TrackEvent
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

    def carry(self, video: Video, seeds: Seeds, propagator: Propagator, steps: Steps) -> Carried:
        """Return the masks of every frame.

        Args:
            video: what they are carried through.
            seeds: what is given; none at all means that there is no object.
            propagator: stage 3b.
            steps: timed and told as "propagate", unless the result is known.
        Raises: what the propagator raises. Nothing half-done is kept then.
        """
        key = _fingerprint(seeds)
        with self._lock:
            known = self._kept.setdefault(video.origin, {}).get(key)
        if known is not None:
            return known
        carried = _carried(video, seeds, propagator, steps)
        with self._lock:
            kept = self._kept.setdefault(video.origin, {})
            while len(kept) >= _MAX_KEPT:
                del kept[next(iter(kept))]
            kept[key] = carried
        return carried


def _carried(video: Video, seeds: Seeds, propagator: Propagator, steps: Steps) -> Carried:
    num_objects = len(next(iter(seeds.values())).which) if seeds else 0
    spool, events = MaskSpool(num_objects, (video.info.width, video.info.height)), list[TrackEvent]()
    if not any(given.masks.any() for given in seeds.values()):
        return Carried(spool)
    try:
        with steps.timed("propagate"):
            for done, found in enumerate(propagator.run(video, seeds), 1):
                spool.put(found.index, found.masks, found.confidence)
                events += found.events
                steps.report("propagate", done, video.num_frames)
    except BaseException:
        spool.close()
        raise
    return Carried(spool, tuple(sorted(events, key=lambda event: event.frame_index)))


def _fingerprint(seeds: Seeds) -> bytes:
    digest = hashlib.sha256()
    for index, given in sorted(seeds.items()):
        digest.update(f"{index} {given.masks.shape}".encode())
        digest.update(np.packbits(given.which).tobytes() + np.packbits(given.masks).tobytes())
    return digest.digest()
