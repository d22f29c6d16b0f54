"""Boxes and points that a user gives, checked against the frame; what does not fit is refused with what it may have meant.

People also write boxes as fractions of the frame, from another corner, as x, y, width and height, or a little beyond the edge. None of
these is corrected silently. Not here: masks (`seed_input`), replies of models, which are clamped (`prompts.parser`).
"""

from __future__ import annotations

import math

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.types import Box, Cue, Point, Size

_BEYOND = 1.0
"""Pixels that a point may lie beyond the edge to be taken for one on it."""


def check_cue(cue: Cue, size: Size, frame_index: int, label: str = "") -> None:
    """Refuse a box or point that is not in the frame.

    Args:
        cue: what the user gave for one object.
        size: (width, height) of the frame in pixels.
        frame_index: which frame it is.
        label: how the command line calls the object: its name or number, "" where there is only one.
    Raises: InvalidPrompt: with the corrected option, ready to be pasted, where there is something that it may have meant.
    """
    prefix = f"{label}{f'@{frame_index}' if frame_index else ''}"
    prefix = f"{prefix}=" if prefix else ""
    where = f"frame {frame_index}" + (f", object {label}" if label else "")
    if cue.box is None and not cue.points:
        raise InvalidPrompt("a prompt needs a box or a point", where=where, fix="give --box x1,y1,x2,y2 or --point x,y")
    if cue.box is not None:
        _check_box(cue.box, size, where, prefix)
    for option, points in (("--point", cue.points), ("--neg-point", cue.neg_points)):
        for point in points:
            _check_point(point, size, where, f"{option} {prefix}")


def box_readings(box: Box, size: Size) -> dict[str, Box]:
    """Return what four numbers may have meant that are no box in pixels of the frame: in words -> a box inside it, in whole pixels.

    Empty where the box is right, and where no reading makes sense.
    """
    numbers = (box.x1, box.y1, box.x2, box.y2)
    if not all(map(math.isfinite, numbers)) or is_inside(box, size):
        return {}
    scale = size if _are_fractions(numbers, size) else (1, 1)
    (left, right), (top, bottom) = sorted((box.x1, box.x2)), sorted((box.y1, box.y2))
    readings = {"two corners": Box(left, top, right, bottom)}
    if not (box.x1 < box.x2 and box.y1 < box.y2) and min(box.x2, box.y2) > 0:
        readings["x, y, width and height"] = Box(box.x1, box.y1, box.x1 + box.x2, box.y1 + box.y2)
    scaled = {name: _scaled(one, scale) for name, one in readings.items()}
    fitting = {name: one for name, one in scaled.items() if _fits(one, size)} or {name: _clipped(one, size) for name, one in scaled.items()}
    whole = {name: _whole_pixels(one, size) for name, one in fitting.items() if one.x1 < one.x2 and one.y1 < one.y2}
    return {name: one for name, one in whole.items() if is_inside(one, size)}


def is_inside(box: Box, size: Size) -> bool:
    """Return whether a box is one in pixels of a frame of (width, height): its corners in order and inside, and no fractions."""
    return box.x1 < box.x2 and box.y1 < box.y2 and _fits(box, size) and not _are_fractions((box.x1, box.y1, box.x2, box.y2), size)


def _check_box(box: Box, size: Size, where: str, prefix: str) -> None:
    if is_inside(box, size):
        return
    numbers = (box.x1, box.y1, box.x2, box.y2)
    readings = box_readings(box, size)
    options = [f"--box {prefix}{_text(*map(int, (one.x1, one.y1, one.x2, one.y2)))}" for one in readings.values()]
    fix = "give x1,y1,x2,y2 in pixels of the displayed frame, with x1 < x2 and y1 < y2"
    if len(set(options)) == 1:
        fix = f"write {options[0]}"
    elif options:
        fix = "write " + ", or ".join(f"{option} if it is {name}" for name, option in zip(readings, options, strict=True))
    fractions = _are_fractions(numbers, size)
    why = f"box {_text(*numbers)}, frame {size[0]} x {size[1]}"
    if fractions:
        raise InvalidPrompt("the box is in fractions of the frame", where=where, why=why, fix=fix)
    if box.x1 >= box.x2 or box.y1 >= box.y2:
        raise InvalidPrompt("the box has no area: its second corner is not right of and below the first", where=where, why=why, fix=fix)
    raise InvalidPrompt("the box is not inside the frame", where=where, why=why, fix=fix)


def _check_point(point: Point, size: Size, where: str, option: str) -> None:
    width, height = size
    why = f"point {_text(point.x, point.y)}, frame {width} x {height}"
    if _are_fractions((point.x, point.y), size) and not (float(point.x).is_integer() and float(point.y).is_integer()):
        pixel = min(int(point.x * width), width - 1), min(int(point.y * height), height - 1)
        raise InvalidPrompt("the point is in fractions of the frame", where=where, why=why, fix=f"write {option}{_text(*pixel)}")
    if 0 <= point.x < width and 0 <= point.y < height:
        return
    fix = "give x,y in pixels of the displayed frame"
    if 0 <= point.y < width and 0 <= point.x < height:
        fix = f"write {option}{_text(point.y, point.x)} if y came first"
    elif -_BEYOND <= point.x <= width + _BEYOND and -_BEYOND <= point.y <= height + _BEYOND:
        pixel = min(max(int(point.x), 0), width - 1), min(max(int(point.y), 0), height - 1)
        fix = f"write {option}{_text(*pixel)}, the nearest pixel"
    raise InvalidPrompt("the point is not inside the frame", where=where, why=why, fix=fix)


def _are_fractions(numbers: tuple[float, ...], size: Size) -> bool:
    """Return whether numbers are shares of a frame: all in 0..1 where there are more pixels. Whole numbers need both sides to say so."""
    whole = all(float(number).is_integer() for number in numbers if math.isfinite(number))
    return all(0 <= number <= 1 for number in numbers) and (min(size) if whole else max(size)) > 2


def _fits(box: Box, size: Size) -> bool:
    return all(0 <= x <= size[0] for x in (box.x1, box.x2)) and all(0 <= y <= size[1] for y in (box.y1, box.y2))


def _scaled(box: Box, by: Size) -> Box:
    return Box(box.x1 * by[0], box.y1 * by[1], box.x2 * by[0], box.y2 * by[1])


def _clipped(box: Box, size: Size) -> Box:
    return Box(max(box.x1, 0.0), max(box.y1, 0.0), min(box.x2, float(size[0])), min(box.y2, float(size[1])))


def _whole_pixels(box: Box, size: Size) -> Box:
    """Return the box around it in whole pixels; not that of the first pixel alone, which would read as fractions again."""
    x1, y1, x2, y2 = (round(number, 6) for number in (box.x1, box.y1, box.x2, box.y2))  # 0.7 of 10 pixels are 7, not a little more
    whole = Box(math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2))
    grown = Box(0, 0, min(2, size[0]), min(2, size[1]))
    return grown if _are_fractions((whole.x1, whole.y1, whole.x2, whole.y2), size) else whole


def _text(*numbers: float) -> str:
    return ",".join(f"{number:g}" for number in numbers)
