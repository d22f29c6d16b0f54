"""Reads one object of an answer as a cue. Its values are decoded JSON and may be of any type; every number is a float."""

from __future__ import annotations

import math
import re
from typing import cast

from videoseg_r1.prompts.schema import Size
from videoseg_r1.types import Box, Cue, Point

_DECIMAL = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]{1,12})?")

_ONE_PIXEL = 1 - 1e-6  # scaling 12 units of 1/12 px each can give 0.9999999999999998


def read_cue(item: object, scale: tuple[float, float], frame_size: Size, *, strict: bool) -> tuple[Cue | None, list[str]]:
    """Read one object.

    Args:
        item: the decoded JSON value.
        scale: pixels of the frame per unit of the reply, along x and y.
        frame_size: (width, height) in pixels.
        strict: take coordinates as they are; an object without a usable part becomes an empty cue instead of None.
    Returns: the cue in pixels of the frame, None where nothing of it can be used, and what was repaired or dropped.
    """
    if not isinstance(item, dict):
        return Cue(None) if strict else None, ["it is not a JSON object"]
    reader = _Reader(scale, frame_size, strict)
    return reader.cue(cast("dict[str, object]", item)), reader.notes


class _Reader:
    """Reads the parts of one object and collects the notes on the way."""

    def __init__(self, scale: tuple[float, float], frame_size: Size, strict: bool) -> None:
        self.scale, self.frame_size, self.strict = scale, frame_size, strict
        self.notes: list[str] = []

    def cue(self, item: dict[str, object]) -> Cue | None:
        box = self.box(item["bbox_2d"]) if "bbox_2d" in item else None
        points = self.points(item, "point_2d")
        negatives = self.points(item, "neg_point_2d")
        for label, point in self.labelled(item):
            (points if label else negatives).append(point)
        if box is None and not self.strict:
            points = [point for point in points if self.holds(point)]  # clipped without a box, a point marks a thing nobody named
            if not points:
                self.notes.append("dropped, it has neither a usable box nor a point in the frame")
                return None
        return Cue(box, tuple(map(self.clip, points)), tuple(map(self.clip, negatives)))

    def box(self, value: object) -> Box | None:
        numbers = self.numbers(value, 4)
        if numbers is None:
            self.notes.append("bbox_2d is not four finite numbers")
            return None
        x1, y1, x2, y2 = numbers
        if self.strict:
            if x1 < x2 and y1 < y2:
                return Box(x1, y1, x2, y2)
            self.notes.append("bbox_2d is inverted or has no area")
            return None
        if x1 > x2 or y1 > y2:
            self.notes.append("corners of bbox_2d reordered")
        width, height = self.frame_size
        ordered = Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        box = Box(clamp(ordered.x1, width), clamp(ordered.y1, height), clamp(ordered.x2, width), clamp(ordered.y2, height))
        if box != ordered:
            self.notes.append("bbox_2d clipped to the frame")
        if is_below_a_pixel(box):
            self.notes.append("bbox_2d dropped, it covers less than a pixel of the frame")
            return None
        return box

    def points(self, item: dict[str, object], key: str) -> list[Point]:
        """Return the points under a key, a single [x, y] or a list of them."""
        value = item.get(key)
        if value is None:
            return []
        listed = cast("list[object]", value) if isinstance(value, list) else []
        several = bool(listed) and isinstance(listed[0], list)
        read = [self.numbers(pair, 2) for pair in (listed if several else [value])]
        if None in read:
            self.notes.append(f"{key} is not two finite numbers")
        return [Point(*pair) for pair in read if pair is not None]

    def labelled(self, item: dict[str, object]) -> list[tuple[bool, Point]]:
        """Return the entries of `points`, each [x, y, label] with label 1 on the object and 0 beside it."""
        value = item.get("points")
        if value is None:
            return []
        entries = cast("list[object]", value) if isinstance(value, list) else [value]
        read = [self.numbers(entry, 3) for entry in entries]
        good = [entry for entry in read if entry is not None and entry[2] in {0.0, 1.0}]
        if len(good) < len(read):
            self.notes.append("points holds entries that are not x, y and a label of 0 or 1")
        return [(entry[2] == 1, Point(entry[0], entry[1])) for entry in good]

    def numbers(self, value: object, count: int) -> list[float] | None:
        """Return `count` finite numbers, those for x and y scaled to pixels, or None."""
        if not isinstance(value, list) or len(cast("list[object]", value)) != count:
            return None
        factors = (*self.scale, *self.scale) if count == 4 else (*self.scale, 1.0)
        result: list[float] = []
        for part, factor in zip(cast("list[object]", value), factors, strict=False):
            number = self.number(part)
            if number is None or not math.isfinite(number * factor):
                return None
            result.append(number * factor)
        return result

    def number(self, value: object) -> float | None:
        if isinstance(value, float):
            return value
        if isinstance(value, str) and not self.strict and _DECIMAL.fullmatch(value.strip()):
            self.notes.append("a number was written as text")
            return float(value)
        return None

    def holds(self, point: Point) -> bool:
        return 0 <= point.x <= self.frame_size[0] and 0 <= point.y <= self.frame_size[1]

    def clip(self, point: Point) -> Point:
        if self.strict:
            return point
        clipped = Point(clamp(point.x, self.frame_size[0] - 1), clamp(point.y, self.frame_size[1] - 1))
        if clipped != point:
            self.notes.append("a point was clipped to the frame")
        return clipped


def is_below_a_pixel(box: Box) -> bool:
    """Return whether a box, in pixels, is narrower or lower than one pixel of the frame: too little to be segmented."""
    return box.width < _ONE_PIXEL or box.height < _ONE_PIXEL


def clamp(value: float, high: float) -> float:
    """Return the nearest number in 0..high."""
    return min(max(value, 0.0), float(high))
