"""The things of a scene: regions of single frames, joined through the frames that were looked at.

Frames may lie far apart, so a thing is recognised by its appearance, its colours, its size and roughly its place. Two things of the same
kind that swap places between two frames are confused. Not here: masks in the frames between (`lite.tracking`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from videoseg_r1.lite.perception.regions import FrameScan, Region

_LEAST_LIKENESS = 0.5
_REACH, _REACH_PER_FRAME, _FARTHEST = 0.15, 0.02, 0.5  # how far a thing gets between two looks, in frame heights
MAX_TRACKS = 8


@dataclass
class ThingTrack:
    """One thing.

    Attributes:
        regions: its region in each frame in which it was seen, ascending.
        track_id: its number among the things that `follow` found in the same frames, from 1; a transcript numbers its lines alike. None
            where nothing was followed, as in scenes that are drawn for training.
    """

    regions: dict[int, Region] = field(default_factory=dict[int, Region])
    track_id: int | None = None

    @property
    def last(self) -> Region:
        return next(reversed(self.regions.values()))

    @property
    def prominence(self) -> float:
        """Sum over its frames of the root of its area, weighted by how clearly it stands out."""
        return sum(float(np.sqrt(r.area)) * r.confidence for r in self.regions.values())

    def mean_classes(self) -> npt.NDArray[np.float32]:
        """Return (1000,) class probabilities over all its frames; large and clear views count more."""
        return self._mean([r.classes for r in self.regions.values()])

    def mean_colours(self) -> npt.NDArray[np.float32]:
        """Return (len(PALETTE),) fractions of its colours over all its frames."""
        return self._mean([r.colours for r in self.regions.values()])

    def velocity(self) -> tuple[float, float]:
        """Return the median velocity (right, down) per frame in units of its own size, relative to its surroundings."""
        middle = np.median([r.velocity for r in self.regions.values()], axis=0)
        return float(middle[0]), float(middle[1])

    def growth(self) -> float:
        """Return how its size changes: log of the area, per frame (least squares); 0 when it was seen once."""
        if len(self.regions) < 2:
            return 0.0
        return float(np.polyfit(list(self.regions), [np.log(r.area) for r in self.regions.values()], 1)[0])

    def nearest(self, index: int) -> Region:
        """Return its region in the frame nearest to `index`."""
        return self.regions[min(self.regions, key=lambda i: (abs(i - index), i))]

    def _mean(self, values: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        weights = np.array([np.sqrt(r.area) * r.confidence**2 + 1e-9 for r in self.regions.values()])
        return (np.tensordot(weights, np.stack(values), 1) / weights.sum()).astype(np.float32)


def follow(scans: Mapping[int, FrameScan]) -> list[ThingTrack]:
    """Return the things seen in these frames, at most MAX_TRACKS, the most prominent first; the same frames give the same ids."""
    tracks: list[ThingTrack] = []
    for index in sorted(scans):
        regions = scans[index].regions
        pairs = [(likeness(track.last, region), t, r) for t, track in enumerate(tracks) for r, region in enumerate(regions)]
        taken_tracks, taken_regions = set[int](), set[int]()
        for score, t, r in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
            if score >= _LEAST_LIKENESS and t not in taken_tracks and r not in taken_regions:
                tracks[t].regions[index] = regions[r]
                taken_tracks.add(t)
                taken_regions.add(r)
        tracks += [ThingTrack({index: region}) for r, region in enumerate(regions) if r not in taken_regions]
    prominent = sorted(tracks, key=lambda track: -track.prominence)[:MAX_TRACKS]
    return [ThingTrack(track.regions, number) for number, track in enumerate(prominent, 1)]


def likeness(earlier: Region, later: Region) -> float:
    """Return 0..1: how likely two regions of different frames are the same thing."""
    looks = float(np.sqrt(earlier.classes * later.classes).sum())  # Bhattacharyya
    colours = float(np.minimum(earlier.colours, later.colours).sum())
    height, width = later.mask.shape
    distance = np.hypot((later.center[0] - earlier.center[0]) * width / height, later.center[1] - earlier.center[1])
    reach = min(_FARTHEST, _REACH + _REACH_PER_FRAME * abs(later.index - earlier.index))
    place = float(np.exp(-0.5 * (distance / reach) ** 2))
    size = float(np.exp(-abs(np.log(later.area / earlier.area)) / 1.5))
    return 0.3 * looks + 0.3 * colours + 0.3 * place + 0.1 * size
