"""How queries are worded: templates by kind, and the words for what their fields ask for. Plain data, written for this package.

Every kind has templates that are held out of training. Not here: what the fields mean (`attributes.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from videoseg_r1.datasets.world.names import plural


class Template(NamedTuple):
    """`text` with fields in braces; `held_out` of training; `is_plural` asks for several things."""

    kind: str
    text: str
    held_out: bool = False
    is_plural: bool = False


TEMPLATES = (
    Template("name", "the {name}"),
    Template("name", "find the {name}"),
    Template("name", "where is the {name}?"),
    Template("name", "a {name} that can be seen in this video", held_out=True),
    Template("colour_name", "the {colour} {name}"),
    Template("colour_name", "the {name} that is {colour}"),
    Template("colour_name", "where is the {colour} {name}?"),
    Template("colour_name", "which {name} is {colour}?", held_out=True),
    Template("attribute", "the {colour} one"),
    Template("attribute", "the thing that is {colour}"),
    Template("attribute", "the {colour} {category}"),
    Template("attribute", "something {colour}", held_out=True),
    Template("category", "the {category}"),
    Template("category", "which of these things is {a_category}?"),
    Template("category", "find the {category}"),
    Template("category", "the only {category} here", held_out=True),
    Template("position", "the {name} {place}"),
    Template("position", "the {category} {place}"),
    Template("position", "the {side} {name}"),
    Template("position", "the {side} thing"),
    Template("position", "of all things, the one that is {side}", held_out=True),
    Template("size", "the {size} thing"),
    Template("size", "the {size} {category}"),
    Template("size", "the {size} {name}"),
    Template("size", "of all {categories}, the {size} one", held_out=True),
    Template("motion", "the {name} that {moves}"),
    Template("motion", "the {category} that {moves}"),
    Template("motion", "the thing that {moves}"),
    Template("motion", "the {name} that {does} before the end"),
    Template("motion", "the {category} {moving}", held_out=True),
    Template("order", "the {first} {name} {to_do}"),
    Template("order", "the {first} {category} {to_do}"),
    Template("order", "the thing that is the {first} {to_do}"),
    Template("order", "the {name} that overtakes the {rival}"),
    Template("order", "which of these is {first} {to_do}?", held_out=True),
    Template("commonsense", "the {category} that {fact}"),
    Template("commonsense", "the one that {fact}"),
    Template("commonsense", "which of these {fact}?"),
    Template("commonsense", "something of which one says that it {fact}", held_out=True),
    Template("function", "what one could use to {use}"),
    Template("function", "the thing to {use}"),
    Template("function", "what here would help somebody who wants to {use}?"),
    Template("function", "I would like to {use}; what do I need?", held_out=True),
    Template("several", "all {names}", is_plural=True),
    Template("several", "every {category}", is_plural=True),
    Template("several", "all {colour} {categories}", is_plural=True),
    Template("several", "the {names} {place}", is_plural=True),
    Template("several", "the {categories} {moving}", is_plural=True),
    Template("several", "each {name} that is here", held_out=True, is_plural=True),
)
ABSENT_KINDS = frozenset({"name", "colour_name", "attribute", "category", "motion", "commonsense", "function"})
"""Kinds whose templates may also ask for what is not there."""
KINDS_OF_QUERY = (*dict.fromkeys(template.kind for template in TEMPLATES), "absent")

PLACES = {"left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom"}
MOTIONS = {
    "right": ("moves to the right", "moving to the right"),
    "left": ("moves to the left", "moving to the left"),
    "up": ("moves up", "moving up"),
    "down": ("moves down", "moving down"),
    "still": ("stays where it is", "standing still"),
    "fast": ("moves fast", "moving fast"),
    "nearer": ("gets larger", "getting larger"),
    "away": ("gets smaller", "getting smaller"),
}
DEEDS = {
    "enter": ("enters the picture", "enter the picture"),
    "leave": ("leaves the picture", "leave the picture"),
    "stop": ("stops", "stop"),
    "turn": ("turns round", "turn round"),
    "start": ("starts to move", "start to move"),
}


@dataclass(frozen=True, slots=True)
class Slot:
    """What a field asks for, an attribute or (`is_rank`) a superlative, and its words for a value."""

    attribute: str
    word: Callable[[str], str] = str
    is_rank: bool = False


def a(word: str) -> str:
    """Return the word with its indefinite article."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def listed(parts: Sequence[str]) -> str:
    """Return "1, 2 and 3"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _last_deed(value: str) -> str:
    return "to " + DEEDS[value.rpartition(" ")[2]][1]


FIELDS: dict[str, Slot] = {
    "name": Slot("name"),
    "names": Slot("name", plural),
    "category": Slot("category"),
    "categories": Slot("category", plural),
    "a_category": Slot("category", a),
    "colour": Slot("colour"),
    "place": Slot("place", PLACES.__getitem__),
    "moves": Slot("motion", lambda value: MOTIONS[value][0]),
    "moving": Slot("motion", lambda value: MOTIONS[value][1]),
    "does": Slot("deed", lambda value: DEEDS[value][0]),
    "fact": Slot("fact"),
    "use": Slot("use"),
    "rival": Slot("overtakes"),
    "side": Slot("side", is_rank=True),
    "size": Slot("size", is_rank=True),
    "first": Slot("order", lambda value: value.partition(" ")[0], is_rank=True),
    "to_do": Slot("order", _last_deed, is_rank=True),
}
RANKS_BY_FIELD = {
    "side": ("leftmost", "rightmost", "highest", "lowest"),
    "size": ("largest", "smallest"),
    "order": tuple(f"{end} to {deed}" for end in ("first", "last") for deed in DEEDS),
}
