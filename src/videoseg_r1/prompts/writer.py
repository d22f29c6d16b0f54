"""Writes cues as a reply, for reasoners that are not chat models and for training samples."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TypeAlias

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.prompts.items import clamp, is_below_a_pixel
from videoseg_r1.prompts.queries import neutralize_tags
from videoseg_r1.prompts.schema import ANSWER, ANSWER_END, THINK, THINK_END, pixels_per_unit
from videoseg_r1.types import CANONICAL, Box, Cue, Point, Size

_Item: TypeAlias = dict[str, list[int] | list[list[int]]]


def format_reply(text: str, cues: Sequence[Cue], frame_size: Size, *, coord_size: Size = CANONICAL) -> str:
    """Write thinking text and cues (pixels of the frame) in the format that `parse_reply` reads, also in strict mode.

    Reading it back gives the same, except that each coordinate is off by at most one unit of the grid (rounded half up; a box is
    never rounded to less than a pixel, a point never out of the frame) and that tags in the text are neutralized.

    Raises: InvalidPrompt: a coordinate is not finite. InvalidConfig: a size is not positive.
    """
    answer = format_answer(cues, frame_size, coord_size)
    return f"{THINK}{neutralize_tags(text)[0]}{THINK_END}{ANSWER}{answer}{ANSWER_END}"


def format_answer(cues: Sequence[Cue], frame_size: Size, coord_size: Size = CANONICAL) -> str:
    """Write cues as the JSON list alone; see `format_reply`."""
    scale = pixels_per_unit(frame_size, coord_size)
    items: list[_Item] = []
    for cue in cues:
        item: _Item = {}
        if cue.box is not None:
            item["bbox_2d"] = _box(cue.box, scale)
        for key, points in (("point_2d", cue.points), ("neg_point_2d", cue.neg_points)):
            pairs = [_point(point, scale, frame_size) for point in points]
            if pairs:
                item[key] = pairs[0] if len(pairs) == 1 else pairs
        items.append(item)
    return json.dumps(items, separators=(",", ":"))


def rounded_cue(cue: Cue, frame_size: Size, *, coord_size: Size = CANONICAL) -> Cue:
    """Return a cue of a frame (pixels) as it is read back from a reply: on the grid of `coord_size`, clipped to the frame.

    A box that covers less than a pixel of the frame is left out, as `parse_reply` does; `track_id` stays.

    Raises: as `format_reply`.
    """
    scale = pixels_per_unit(frame_size, coord_size)
    width, height = frame_size

    def pixels(point: Point) -> Point:
        x, y = (unit * factor for unit, factor in zip(_point(point, scale, frame_size), scale, strict=True))
        return Point(clamp(x, width - 1), clamp(y, height - 1))

    box = None
    if cue.box is not None:
        x1, y1, x2, y2 = (unit * factor for unit, factor in zip(_box(cue.box, scale), (*scale, *scale), strict=True))
        box = Box(clamp(x1, width), clamp(y1, height), clamp(x2, width), clamp(y2, height))
        box = None if is_below_a_pixel(box) else box
    return Cue(box, tuple(map(pixels, cue.points)), tuple(map(pixels, cue.neg_points)), cue.track_id)


def _box(box: Box, scale: tuple[float, float]) -> list[int]:
    x1, x2 = _edges(box.x1, box.x2, scale[0])
    y1, y2 = _edges(box.y1, box.y2, scale[1])
    return [x1, y1, x2, y2]


def _edges(start: float, end: float, scale: float) -> tuple[int, int]:
    low, high = _half_up(start / scale), _half_up(end / scale)
    if (high - low) * scale < 1:  # a reader drops what is thinner than a pixel
        low, high = math.floor(start / scale), math.ceil(end / scale)
    return low, high


def _point(point: Point, scale: tuple[float, float], frame_size: Size) -> list[int]:
    return [_coordinate(value, scale[axis], frame_size[axis] - 1) for axis, value in enumerate((point.x, point.y))]


def _coordinate(value: float, scale: float, last_pixel: int) -> int:
    unit = _half_up(value / scale)
    return min(unit, math.floor(last_pixel / scale)) if value <= last_pixel else unit


def _half_up(value: float) -> int:
    if not math.isfinite(value):
        raise InvalidPrompt("a coordinate is not a finite number", where=str(value), fix="give boxes and points in pixels of the frame")
    return math.floor(value + 0.5)
