"""What goes wrong while masks are carried: cuts of the film, objects that are lost or come back, masks that drift.

Only pictures and masks are looked at, so every stepper is watched in the same way. Nothing is changed here: what is noticed goes into
the trace, where a person or a self-check can act on it. All thresholds are ours. Not here: cross-fades, and drift so slow that no
two neighbouring frames show it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.types import BoolMask, Direction, EventKind, Frame, RgbImage, TrackEvent

_THUMBNAIL = (48, 27)
_BINS = (8, 4, 4)
_CUT = 0.45
"""Least change of a cut, in 0..1."""
_CUT_RATIO = 4.0
"""A cut changes this many times more than the frames before it usually do."""
_USUAL = 24
_GROWTH = 2.5
_JUMP = 1.0
_UNSURE = 0.5
"""A mask of less confidence, which is the expected IoU with the truth, is more wrong than right."""
_SILENCE = 12
"""Frames for which a drift is not reported again."""


def with_cuts(frames: Iterable[Frame], direction: Direction) -> Iterator[tuple[Frame, TrackEvent | None]]:
    """Yield every frame of one run through time, with the cut between the frame before and it, None where there is none."""
    before: _Look | None = None
    changes: deque[float] = deque(maxlen=_USUAL)
    for frame in frames:
        look = _Look.of(frame.rgb)
        change = 0.0 if before is None else look.change(before)
        usual = float(np.median(changes)) if changes else 0.0
        is_cut = before is not None and change >= _CUT and change >= _CUT_RATIO * usual
        if is_cut:
            changes.clear()
        elif before is not None:
            changes.append(change)
        before = look
        # seen backwards, the first frame after the cut is the one that was visited before
        first = frame.index if direction == "forwards" else frame.index + 1
        yield frame, TrackEvent(first, "cut", None, direction, f"the picture changed by {change:.2f}") if is_cut else None


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
        self, index: int, masks: BoolMask, confidence: tuple[float, ...], *, given: bool, after_cut: bool
    ) -> tuple[TrackEvent, ...]:
        """Return what happened to the objects between the frame before and this one.

        Args:
            index: of the frame.
            masks: bool (N, H, W), as they were found.
            confidence: in 0..1, one per object.
            given: whether the masks were given: they are not judged, only taken as the state of things.
            after_cut: whether the frame before was of another scene: then things may be elsewhere and of any size.
        """
        events: list[TrackEvent] = []
        shapes = [_Shape.of(mask) for mask in masks]
        if not given:
            for number, (now, sure) in enumerate(zip(shapes, confidence, strict=True)):
                before = self._objects[number] if number < len(self._objects) else None
                found = self._judge(number, before, now, sure, after_cut=after_cut)
                if found is not None:
                    events.append(TrackEvent(index, found[0], number, self._direction, found[1]))
        self._objects = list(shapes)
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
class _Look:
    """A frame made small: grey thumbnail, and a histogram of its colours that sums to 1."""

    grey: npt.NDArray[np.float32]
    colours: npt.NDArray[np.float32]

    @classmethod
    def of(cls, rgb: RgbImage) -> _Look:
        small = cv2.resize(rgb, _THUMBNAIL, interpolation=cv2.INTER_AREA)
        hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
        colours = cv2.calcHist([hsv], [0, 1, 2], None, list(_BINS), [0, 180, 0, 256, 0, 256]).ravel()
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return cls(grey, (colours / colours.sum()).astype(np.float32))

    def change(self, other: _Look) -> float:
        """Return 0..1: half how unlike the colours are, half how unlike the layout is.

        Colours alone miss a cut within one room, and layout alone takes a fast pan for one.
        """
        colours = 1 - float(np.sqrt(self.colours * other.colours).sum())  # Bhattacharyya
        a, b = self.grey - self.grey.mean(), other.grey - other.grey.mean()
        size = float(np.sqrt((a * a).sum() * (b * b).sum()))
        layout = (1 - float((a * b).sum()) / size) / 2 if size > 0 else 0.0
        return (max(colours, 0.0) + layout) / 2


@dataclass(frozen=True, slots=True)
class _Shape:
    """Area and centre of a mask, in pixels."""

    area: int
    x: float
    y: float

    @classmethod
    def of(cls, mask: BoolMask) -> _Shape | None:
        moments = cv2.moments(mask.view(np.uint8), binaryImage=True)
        area = moments["m00"]
        return cls(int(area), moments["m10"] / area, moments["m01"] / area) if area else None

    def unlike(self, before: _Shape) -> str:
        """Return in which way this cannot be the same thing one frame later, "" if it can."""
        growth = self.area / before.area
        if not 1 / _GROWTH <= growth <= _GROWTH:
            return f"its area went from {before.area} to {self.area} pixels in one frame"
        way = float(np.hypot(self.x - before.x, self.y - before.y))
        diameter = float(np.sqrt(max(self.area, before.area) * 4 / np.pi))
        return f"it moved {way:.0f} pixels in one frame, {way / diameter:.1f} times its size" if way > _JUMP * diameter else ""
