"""Finding objects again behind a cut: how they looked in the scenes before, and whether what is found now looks like one of them.

Small pictures of each object are kept while it is followed. Behind a cut every object is sought: a stepper proposes masks, and each counts
only if it looks like the object; until then the object is absent. Not here: where a cut is (`watch`), how a stepper searches a frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.types import BoolMask, RgbImage

Describe: TypeAlias = Callable[[RgbImage, BoolMask], npt.NDArray[np.float32]]
"""What a masked thing looks like: a picture (h, w, 3) and a mask (h, w) that is not empty -> a vector (C,) float32 of length 1. The dot
product of two vectors is the likeness of the two things, at most 1."""

LEAST_LIKENESS = 0.65
"""From this likeness on a thing is taken for the object. Chosen with all development clips in view (docs/results.md, "Behind a cut")."""
_LEAST_PART = 0.05
"""Of a mask; smaller connected parts are dropped."""
_MARGIN = 0.1
"""Of the box of a mask, on each side of a look: what a thing is made of shows at its border too."""
_SIDE = 160
_EVERY = 5
_MAX_GIVEN = 4
_MAX_RECENT = 6
_SURE = 0.7


@dataclass(frozen=True, slots=True)
class Search:
    """A frame of a scene in which objects have not been seen yet.

    Attributes:
        is_first: whether it is the first frame of the scene: nothing is where it was before.
        sought: (N,) bool, the objects that have not been seen in this scene.
        verify: takes the masks (N, H, W) that a stepper finds, and returns them without the parts that do not look like their object; of
            objects that are not sought nothing is taken away.
    """

    is_first: bool
    sought: npt.NDArray[np.bool_]
    verify: Callable[[BoolMask], BoolMask]


class _Looks:
    """How one object looked: the first given look stays, further ones and recent ones leave first in, first out."""

    def __init__(self) -> None:
        self._given: list[_Look] = []
        self._recent: deque[_Look] = deque(maxlen=_MAX_RECENT)
        self._age = 0

    def take(self, rgb: RgbImage, mask: BoolMask, sure: float, *, given: bool) -> None:
        """Keep how the object looks in a frame, if the mask is good and the last look is some frames old."""
        self._age += 1
        if not mask.any() or not (given or (sure >= _SURE and self._age >= _EVERY)):
            return
        self._age = 0
        if given:
            self._given = [*self._given[:1], *self._given[1:][-(_MAX_GIVEN - 2) :], _Look.of(rgb, mask)]
        else:
            self._recent.append(_Look.of(rgb, mask))

    def likeness(self, rgb: RgbImage, mask: BoolMask, describe: Describe) -> float:
        """Return the likeness of a masked thing to the most similar look, 0 where there is nothing to compare."""
        looks = [*self._given, *self._recent]
        if not looks or not mask.any():
            return 0.0
        thing = _Look.of(rgb, mask).vector(describe)
        return max(float(thing @ look.vector(describe)) for look in looks)


class _Look:
    """A small picture of an object with its mask; described when it is first compared, which without a cut is never."""

    def __init__(self, rgb: RgbImage, mask: BoolMask) -> None:
        self._rgb, self._mask = rgb, mask
        self._vector: npt.NDArray[np.float32] | None = None

    @classmethod
    def of(cls, rgb: RgbImage, mask: BoolMask) -> _Look:
        rows, columns = (_stretch(np.asarray(mask.any(axis))) for axis in (1, 0))
        height, width = rows.stop - rows.start, columns.stop - columns.start
        scale = min(1.0, _SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = np.asarray(cv2.resize(rgb[rows, columns], size, interpolation=cv2.INTER_AREA), np.uint8)
        cover = cv2.resize(mask[rows, columns].astype(np.float32), size, interpolation=cv2.INTER_AREA)
        return cls(small, np.asarray(cover >= min(0.5, float(cover.max()))))

    def vector(self, describe: Describe) -> npt.NDArray[np.float32]:
        if self._vector is None:
            self._vector = describe(self._rgb, self._mask)
        return self._vector


def _stretch(used: npt.NDArray[np.bool_]) -> slice:
    """Return the rows or columns from the first to the last that is used, with a margin."""
    where = np.flatnonzero(used)
    margin = round(_MARGIN * (int(where[-1]) + 1 - int(where[0])))
    return slice(max(0, int(where[0]) - margin), min(len(used), int(where[-1]) + 1 + margin))


class Recogniser:
    """Knows how each object looked, for one run through time, and which objects have been seen in the scene.

    Args:
        describe: what things look like; None if the stepper cannot find anything again, and nothing needs to be verified.
        least: likeness from which a thing is taken for the object.
    """

    def __init__(self, describe: Describe | None, least: float = LEAST_LIKENESS) -> None:
        self._describe, self._least = describe, least
        self._looks: list[_Looks] = []
        self._sought, self._known = np.zeros((2, 0), np.bool_)
        self._is_first = False

    def begin_scene(self) -> None:
        """Take every object that is known for unseen: the next frame is the first of another scene."""
        self._sought = self._known.copy()
        self._is_first = True

    def search(self, rgb: RgbImage) -> Search | None:
        """Return what to look for in a frame, None if every object has been seen in this scene."""
        if not self._is_first and not self._sought.any():
            return None
        return Search(self._is_first, self._sought.copy(), lambda masks: self._verified(rgb, masks))

    def learn(self, rgb: RgbImage, masks: BoolMask, confidence: tuple[float, ...], *, given: npt.NDArray[np.bool_]) -> None:
        """Take in the masks (N, H, W) of a frame, which its search has verified: which objects were seen, and how they looked.

        Args:
            rgb: the frame.
            masks: of all objects, empty for those that are not known yet.
            confidence: one per object.
            given: bool (N,), the objects whose masks were given.
        """
        self._is_first = False
        if not self._looks:
            self._looks = [_Looks() for _ in masks]
            self._sought, self._known = np.zeros((2, len(masks)), np.bool_)
        seen = masks.any((1, 2))
        self._known |= seen | given
        self._sought &= ~seen
        if self._describe is not None:
            for number, looks in enumerate(self._looks):
                looks.take(rgb, masks[number], confidence[number], given=bool(given[number]))

    def _verified(self, rgb: RgbImage, masks: BoolMask) -> BoolMask:
        kept = masks.copy()
        kept[self._sought] = False
        if self._describe is None:
            return kept
        for number in np.flatnonzero(self._sought):
            for part in _parts(masks[number]):
                kept[number] |= part & (self._looks[number].likeness(rgb, part, self._describe) >= self._least)
        return kept


def _parts(mask: BoolMask) -> Iterator[BoolMask]:
    """Yield the connected parts (H, W) of a mask that are not small beside it: what is found is often the object and something else."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    least = _LEAST_PART * np.count_nonzero(mask)
    for number in range(1, count):
        if stats[number, cv2.CC_STAT_AREA] >= least:
            yield labels == number
