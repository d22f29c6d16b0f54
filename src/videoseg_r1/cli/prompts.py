"""Masks, boxes and points on the command line: `[OBJECT][@FRAME]=VALUE`, the same for --mask, --box, --point and --neg-point.

OBJECT is a number, 1 to 254, or a name. Without one, every box is an object of its own, points belong to the one object there is, and a
mask has the numbers of its picture. Everything that needs no video is checked here. Not here: whether a box fits the video
(`pipeline.cue_check`).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from videoseg_r1.errors import InvalidPrompt

if TYPE_CHECKING:
    from videoseg_r1.types import BoolMask, Box, Cue, Point

_LABEL = re.compile(r"(?P<object>[^@]*)(?:@(?P<frame>[0-9]{1,9}))?", re.DOTALL)
_MAX_NAME = 64
_MAX_OBJECTS = 254
_Place: TypeAlias = tuple[int, int]
"""Frame index and object number."""


class GivenOptions(NamedTuple):
    """What options say of some frames, as `VideoSegmenter.propagate` takes it, and notes for the user.

    `prompts`: frame index -> object number -> cue or bool mask (H, W). `names`: object number -> name.
    """

    prompts: dict[int, dict[int, Cue | BoolMask]]
    names: dict[int, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Option:
    """One option as it was written, in parts; `label` is an object's number or name, "" where none is said."""

    name: str
    text: str
    label: str
    frame: int
    value: str

    def named(self, label: str) -> str:
        """Return the option as it reads with another label."""
        return f"{self.name} {label}{f'@{self.frame}' if self.frame else ''}={self.value}"


@dataclass(slots=True)
class _Found:
    """What was gathered so far, by frame and object number."""

    masks: dict[_Place, BoolMask] = field(default_factory=dict["_Place", "BoolMask"])
    boxes: dict[_Place, Box] = field(default_factory=dict["_Place", "Box"])
    points: dict[_Place, list[Point]] = field(default_factory=dict[_Place, "list[Point]"])
    neg_points: dict[_Place, list[Point]] = field(default_factory=dict[_Place, "list[Point]"])

    @property
    def numbers(self) -> set[int]:
        return {number for _, number in (*self.masks, *self.boxes, *self.points, *self.neg_points)}


def given_by(
    masks: Sequence[str] | None,
    boxes: Sequence[str] | None,
    points: Sequence[str] | None,
    neg_points: Sequence[str] | None,
    frame: int | None,
) -> GivenOptions:
    """Return what the options give, `frame` being the frame of those that name none; nothing at all where there are none.

    Raises: InvalidPrompt: an option that cannot be understood, contradicts another, or belongs to no object. SourceNotFound,
        InvalidDocument, LimitExceeded: a mask cannot be read.
    """
    texts = {"--mask": masks, "--box": boxes, "--point": points, "--neg-point": neg_points}
    options = [_option(name, text, frame or 0) for name, some in texts.items() for text in some or ()]
    if not options and frame is not None:
        raise InvalidPrompt("there is nothing it could belong to", where="--frame", fix="add --mask, --box or --point")
    found, notes = _Found(), list[str]()
    own = [option for option in options if option.name == "--mask" and not option.label]
    for option in own:
        _add_picture(option, found, notes)
    numbers = _Numbers(found.numbers, options)
    for option in options:
        if option.name == "--mask" and option.label:
            _put(found.masks, (option.frame, numbers.of(option)), _one_mask(option, notes), option)
        elif option.name == "--box":
            from videoseg_r1.types import Box

            if own and not option.label:
                fix = f"say which object it is, for example {option.named(str(numbers.free()))}"
                raise InvalidPrompt(
                    "a mask has the numbers of its picture, a box beside it needs one", where=f"--box {option.text}", fix=fix
                )
            _put(found.boxes, (option.frame, numbers.of(option)), Box(*_numbers(option, 4)), option)
    _add_points(options, found, numbers)
    return GivenOptions(_joined(found, numbers.names), numbers.names, tuple(notes))


class _Numbers:
    """Which number an object has: the one it was given, or the lowest free one."""

    def __init__(self, in_pictures: set[int], options: Iterable[_Option]) -> None:
        self._taken = in_pictures | {int(option.label) for option in options if option.label.isdigit()}
        self._by_name: dict[str, int] = {}

    @property
    def names(self) -> dict[int, str]:
        return {number: name for name, number in self._by_name.items()}

    def free(self) -> int:
        """Return the lowest number that no object has. Raises InvalidPrompt: there is none."""
        number = next((number for number in range(1, _MAX_OBJECTS + 1) if number not in self._taken), None)
        if number is None:
            raise InvalidPrompt("there are too many objects", why=f"{_MAX_OBJECTS} at most", fix="give them in several runs")
        return number

    def of(self, option: _Option) -> int:
        """Return the number of an option's object; one without label is a new object."""
        if option.label.isdigit():
            return int(option.label)
        if option.label in self._by_name:
            return self._by_name[option.label]
        number = self.free()
        self._taken.add(number)
        if option.label:
            self._by_name[option.label] = number
        return number


def _option(name: str, text: str, frame: int) -> _Option:
    """Return an option in parts. Raises InvalidPrompt: what stands before = is neither object nor frame."""
    if "=" not in text or (name == "--mask" and os.path.exists(text)):  # noqa: PTH110 - Path.exists raises where a name is too long
        return _Option(name, text, "", frame, text)
    label, value = text.split("=", 1)
    parts = _LABEL.fullmatch(label.strip())
    who = parts["object"].strip() if parts else ""
    is_number = who.isascii() and who.isdigit()
    is_name = bool(who) and (who[0].isalpha() or who[0] == "_") and who.isprintable() and len(who) <= _MAX_NAME and "," not in who
    number_fits = is_number and 0 < int(who[:4]) <= _MAX_OBJECTS and len(who) <= 3
    if parts is None or not (number_fits or is_name or (not who and parts["frame"])):
        why = f"objects have a number from 1 to {_MAX_OBJECTS} or a name that begins with a letter, frames a number after @"
        raise InvalidPrompt("no object or frame stands before =", where=f"{name} {text}", why=why, fix=f"write {name} dog@30={value}")
    return _Option(name, text, str(int(who)) if is_number else who, int(parts["frame"] or frame), value)


def _add_picture(option: _Option, found: _Found, notes: list[str]) -> None:
    """Add the objects of a picture, by their numbers in it."""
    from videoseg_r1.masks import from_label_map, read_mask_picture

    picture = read_mask_picture(option.value)
    notes += [f"{Path(option.value).name}: {note}" for note in picture.notes]
    numbers, masks = from_label_map(picture.labels)
    for number, mask in zip(numbers, masks, strict=True):
        _put(found.masks, (option.frame, number), mask, option)


def _one_mask(option: _Option, notes: list[str]) -> BoolMask:
    """Return the mask of the one object in a picture. Raises InvalidPrompt: it holds several, or none."""
    alone = _Found()
    _add_picture(option, alone, notes)
    if len(alone.masks) != 1:
        held = ", ".join(str(number) for number in sorted(alone.numbers)[:8]) or "none"
        fix = "give the picture without a name, or one picture per object"
        raise InvalidPrompt("a name is for one object", where=f"--mask {option.text}", why=f"the picture holds the objects {held}", fix=fix)
    return next(iter(alone.masks.values()))


def _add_points(options: Sequence[_Option], found: _Found, numbers: _Numbers) -> None:
    """Add the points; those without label belong to the one object there is, which is a new one where there is none."""
    from videoseg_r1.types import Point

    pointed = [option for option in options if option.name in ("--point", "--neg-point")]
    known = found.numbers | {numbers.of(option) for option in pointed if option.label}
    for option in pointed:
        point, positive = Point(*_numbers(option, 2)), option.name == "--point"
        if not option.label and len(known) > 1:
            labels = [numbers.names.get(number, str(number)) for number in sorted(known)]
            fix = f"say which it belongs to: {', or '.join(option.named(label) for label in labels[:3])}"
            raise InvalidPrompt("there are several objects", where=f"{option.name} {option.text}", why=f"they are {labels[:8]}", fix=fix)
        if not option.label and not known:
            if not positive and not any(one.name == "--point" for one in pointed):
                fix = "add --mask, --box or --point"
                raise InvalidPrompt("there is nothing it could belong to", where=f"{option.name} {option.text}", fix=fix)
            known = {numbers.of(option)}
        place = option.frame, numbers.of(option) if option.label else next(iter(known))
        (found.points if positive else found.neg_points).setdefault(place, []).append(point)


def _joined(found: _Found, names: dict[int, str]) -> dict[int, dict[int, Cue | BoolMask]]:
    """Return masks and cues by frame and number. Raises InvalidPrompt: a mask and a cue of one object, or only points beside it."""
    from videoseg_r1.types import Cue

    prompts: dict[int, dict[int, Cue | BoolMask]] = {}
    for (frame, number), mask in found.masks.items():
        prompts.setdefault(frame, {})[number] = mask
    for frame, number in dict.fromkeys((*found.boxes, *found.points, *found.neg_points)):
        place, where = (frame, number), f"object {names.get(number, number)}, frame {frame}"
        if place in found.masks:
            raise InvalidPrompt("a mask and a box or points exclude each other", where=where, fix="give one or the other")
        if place not in found.boxes and place not in found.points:
            raise InvalidPrompt("a point beside an object needs the object", where=where, fix="add a --box or --point for it on this frame")
        box, points, neg_points = found.boxes.get(place), found.points.get(place, ()), found.neg_points.get(place, ())
        prompts.setdefault(frame, {})[number] = Cue(box, tuple(points), tuple(neg_points))
    return prompts


def _put(there: dict[_Place, BoolMask] | dict[_Place, Box], place: _Place, value: object, option: _Option) -> None:
    """Add a mask or box. Raises InvalidPrompt: the object has one on this frame."""
    if place in there:
        kinds = "masks" if option.name == "--mask" else "boxes"
        what, where = f"object {option.label or place[1]} has two {kinds} on frame {place[0]}", f"{option.name} {option.text}"
        raise InvalidPrompt(what, where=where, fix="give another object another number or name, and another frame after @")
    there[place] = value  # type: ignore[assignment]


def _numbers(option: _Option, count: int) -> list[float]:
    parts = re.split(r"[,\s]+", option.value.strip())
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        example = "120,40,310,200" if count == 4 else "215,120"
        fix = f"write {option.name} {option.text.removesuffix(option.value)}{example}"
        raise InvalidPrompt(f"{count} numbers are expected", where=f"{option.name} {option.text}", fix=fix)
    return numbers
