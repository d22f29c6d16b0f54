"""The wording of queries: templates by kind, and the words for the values of their fields. Plain data, written for this package.

Every kind has templates that are held out of training. Not here: what the fields mean (`attributes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from videoseg_r1.training.world.names import plural
from videoseg_r1.training.world.wording import COLOUR_WORDS, SYNONYMS, VAGUE


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
    Template("name", "the {breed}"),
    Template("name", "{who} is it"),
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
    Template("position", "the thing that is {side}"),
    Template("position", "the {category} that is {side}"),
    Template("position", "the {name} that is {side}"),
    Template("position", "{who} is {place}"),
    Template("position", "of all things, the one that is {side}", held_out=True),
    Template("size", "the {size} thing"),
    Template("size", "the {size} {category}"),
    Template("size", "the {size} {name}"),
    Template("size", "the {name}, the {size} one"),
    Template("size", "of all {categories}, the {size} one", held_out=True),
    Template("motion", "the {name} that {moves}"),
    Template("motion", "the {category} that {moves}"),
    Template("motion", "the thing that {moves}"),
    Template("motion", "the {name} that {does} before the end"),
    Template("motion", "the {colour} {name} {moving}"),
    Template("motion", "the {name} {moving}"),
    Template("motion", "the one {moving}"),
    Template("motion", "{who} {moves}"),
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
    *(Template("vague", text, held_out=number > 3) for number, text in enumerate(VAGUE)),
    Template("several", "all {names}", is_plural=True),
    Template("several", "every {category}", is_plural=True),
    Template("several", "all {colour} {categories}", is_plural=True),
    Template("several", "the {names} {place}", is_plural=True),
    Template("several", "the {categories} {moving}", is_plural=True),
    Template("several", "each {name} that is here", held_out=True, is_plural=True),
)
ABSENT_KINDS = frozenset({"name", "colour_name", "category", "motion", "commonsense", "function"})
"""Kinds whose templates may also ask for an absent target: the scene has no thing of that sort."""
KINDS_OF_QUERY = (*dict.fromkeys(template.kind for template in TEMPLATES), "absent")

PLACES = {"left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom"}
MOTIONS = {
    "right": "moves to the right|heads right|goes from left to right; moving to the right|heading right|on its way to the right",
    "left": "moves to the left|heads left|goes from right to left; moving to the left|heading left|on its way to the left",
    "up": "moves up|rises; moving up|rising",
    "down": "moves down|sinks; moving down|sinking",
    "still": "stays where it is|does not move|stands still; standing still|staying in its place|not moving at all",
    "fast": "moves fast|is in a hurry|rushes along; moving fast|rushing along|racing through the picture",
    "nearer": "gets larger|comes nearer|comes towards the camera; getting larger|coming nearer|approaching",
    "away": "gets smaller|goes away from the camera; getting smaller|moving off into the distance",
}
DEED_WORDS = {
    "enter": "enters the picture|comes into view; enter the picture|come into view",
    "leave": "leaves the picture|goes out of sight; leave the picture|go out of sight",
    "stop": "stops|comes to a halt; stop|come to a halt",
    "turn": "turns round|goes back where it came from; turn round|go back",
    "start": "starts to move|sets off; start to move|set off",
}
"""The wordings of a motion or deed: as a predicate; then as a participle (motions) or infinitive (deeds). "|" separates synonyms."""
SIDES = {
    "leftmost": "leftmost|furthest to the left",
    "rightmost": "rightmost|furthest to the right",
    "highest": "highest|nearest to the top",
    "lowest": "lowest|nearest to the bottom",
}
BIGGER = {"largest": "largest|biggest|larger|bigger", "smallest": "smallest|smaller|tiniest"}


@dataclass(frozen=True, slots=True)
class Slot:
    """What a field asks for, an attribute or (`is_rank`) a superlative, and the ways to say a value; `is_noun` takes adjectives."""

    attribute: str
    words: Callable[[str], Sequence[str]] = lambda value: (value,)
    is_rank: bool = False
    is_noun: bool = False


def a(word: str) -> str:
    """Return the word with its indefinite article."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def listed(parts: Sequence[str]) -> str:
    """Return "1, 2 and 3"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _in_form(table: Mapping[str, str], form: int) -> Callable[[str], Sequence[str]]:
    return lambda value: table[value].split("; ")[form].split("|")


def _names(name: str) -> Sequence[str]:
    return (name, name, *(SYNONYMS[name].split("|") if name in SYNONYMS else ()))


def _colours(value: str) -> Sequence[str]:
    return (value, value, *(COLOUR_WORDS[value].split("|") if value in COLOUR_WORDS else ()))


FIELDS: dict[str, Slot] = {
    "name": Slot("name", _names, is_noun=True),
    "names": Slot("name", lambda value: (plural(value),), is_noun=True),
    "breed": Slot("breed", is_noun=True),
    "who": Slot("who", lambda _: ("who",)),
    "category": Slot("category", is_noun=True),
    "categories": Slot("category", lambda value: (plural(value),), is_noun=True),
    "a_category": Slot("category", lambda value: (a(value),)),
    "colour": Slot("colour", _colours),
    "place": Slot("place", lambda value: (PLACES[value],)),
    "moves": Slot("motion", _in_form(MOTIONS, 0)),
    "moving": Slot("motion", _in_form(MOTIONS, 1)),
    "does": Slot("deed", _in_form(DEED_WORDS, 0)),
    "fact": Slot("fact"),
    "use": Slot("use"),
    "rival": Slot("overtakes"),
    "side": Slot("side", _in_form(SIDES, 0), is_rank=True),
    "size": Slot("size", _in_form(BIGGER, 0), is_rank=True),
    "first": Slot("order", lambda value: (value.partition(" ")[0],), is_rank=True),
    "to_do": Slot("order", lambda value: [f"to {text}" for text in _in_form(DEED_WORDS, 1)(value.rpartition(" ")[2])], is_rank=True),
}
RANKS_BY_FIELD = {
    "side": ("leftmost", "rightmost", "highest", "lowest"),
    "size": ("largest", "smallest"),
    "order": tuple(f"{end} to {deed}" for end in ("first", "last") for deed in DEED_WORDS),
}
