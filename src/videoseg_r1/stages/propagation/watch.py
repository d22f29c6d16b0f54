"""What goes wrong while masks are carried: objects that are lost or come back, masks that drift.

Only masks are looked at, so every stepper is watched in the same way. Nothing is changed here: what is noticed goes into the trace, where a
person or a self-check can act on it. All thresholds are ours. Not here: cuts of the film (`cuts`), and drift so slow that no two
neighbouring frames show it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.masks import extent_of
from videoseg_r1.types import BoolMask, Direction, EventKind, TrackEvent

_GROWTH = 2.5
_JUMP = 1.0
_UNSURE = 0.5
"""A mask of less confidence, which is the expected IoU with the truth, is more wrong than right."""
_SILENCE = 12
"""Frames for which a drift is not reported again."""


class Watch:
    """Looks at the masks of one run through time, in the order in which frames are visited.

    Args:
        direction: which way the run goes.
    """

    def __init__(self, direction: Direction) -> None:
        self._direction: Direction = direction
        self._objects: list[_Shape | None] = []
        self._quiet_until: dict[int, int] = {}
        self._seen = 0

    def observe(
        self, index: int, masks: BoolMask, confidence: tuple[float, ...], *, given: npt.NDArray[np.bool_], after_cut: bool
    ) -> tuple[TrackEvent, ...]:
        """Return what happened to the objects between the frame before and this one; nothing in the first frame.

        Args:
            index: of the frame.
            masks: bool (N, H, W), as they were found.
            confidence: in 0..1, one per object.
            given: bool (N,), of which objects the masks were given: they are not judged, only taken as the state of things.
            after_cut: whether the frame before was of another scene: then things may be elsewhere and of any size.
        """
        events: list[TrackEvent] = []
        shapes = [_Shape.of(mask) for mask in masks]
        for number, (before, now) in enumerate(zip(self._objects or shapes, shapes, strict=True)):
            found = None if given[number] or not self._seen else self._judge(number, before, now, confidence[number], after_cut=after_cut)
            if found is not None:
                events.append(TrackEvent(index, found[0], number, self._direction, found[1]))
        self._objects = shapes
        self._seen += 1
        return tuple(events)

    def _judge(
        self, number: int, before: _Shape | None, now: _Shape | None, sure: float, *, after_cut: bool
    ) -> tuple[EventKind, str] | None:
        if now is None:
            return ("lost", "after a cut" if after_cut else "its mask is empty") if before is not None else None
        if before is None:
            return "found", f"its mask covers {now.area} pixels"
        why = "" if after_cut else now.unlike(before)
        why = why or (f"confidence {sure:.2f}" if sure < _UNSURE else "")
        if not why or self._seen < self._quiet_until.get(number, 0):
            return None
        self._quiet_until[number] = self._seen + _SILENCE
        return "drift", why


@dataclass(frozen=True, slots=True)
class _Shape:
    """Area and centre of a mask, in pixels."""

    area: int
    x: float
    y: float

    @classmethod
    def of(cls, mask: BoolMask) -> _Shape | None:
        extent = extent_of(mask)
        if extent is None:
            return None
        moments = cv2.moments(mask[extent].view(np.uint8), binaryImage=True)
        area, (rows, columns) = moments["m00"], extent
        return cls(int(area), columns.start + moments["m10"] / area, rows.start + moments["m01"] / area)

    def unlike(self, before: _Shape) -> str:
        """Return in which way this cannot be the same thing one frame later, "" if it can."""
        growth = self.area / before.area
        if not 1 / _GROWTH <= growth <= _GROWTH:
            return f"its area went from {before.area} to {self.area} pixels in one frame"
        way = float(np.hypot(self.x - before.x, self.y - before.y))
        diameter = float(np.sqrt(max(self.area, before.area) * 4 / np.pi))
        return f"it moved {way:.0f} pixels in one frame, {way / diameter:.1f} times its size" if way > _JUMP * diameter else ""
