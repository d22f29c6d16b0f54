"""Queries about a scene: drawn from templates, and resolved to the things they mean. An ambiguous query is never asked.

Not here: words (`templates`), truth of a single statement (`attributes`), explanations (`evidence`).
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from videoseg_r1.training.world import names
from videoseg_r1.training.world.attributes import ATTRIBUTES, Ternary, leader
from videoseg_r1.training.world.scene import Scene, draw_scene
from videoseg_r1.training.world.templates import ABSENT_KINDS, DEED_WORDS, FIELDS, MOTIONS, PLACES, RANKS_BY_FIELD, TEMPLATES, Template
from videoseg_r1.training.world.wording import ADJECTIVES, DECOR, DOINGS, HELD_OUT_ADJECTIVES, HELD_OUT_DECOR, HELD_OUT_DOINGS

WHAT = ("name", "breed", "category", "fact")
"""Attributes that say what a thing is."""
_MEANT_BY = {"use": "fact", "who": "name"}
"""What attributes mean that are asked for in words of their own."""
_DECORATED, _ADJECTIVE = 0.45, 0.15  # share of sentences and of nouns with words that say nothing to go by
_DOING, _TWICE = 0.4, 0.4  # share of such words that tell what a thing does, and of those that tell two things
_PLAIN = frozenset({"function"})  # kinds of query that end in a purpose: nothing can follow it
_WITH_RIVALS = 0.75  # share of the queries that only one look at the whole scene can answer


@dataclass(frozen=True, slots=True)
class Query:
    """A question and its meaning.

    Attributes:
        text: the sentence.
        kind: one of `templates.KINDS_OF_QUERY`.
        template: what it was worded by.
        filters: (attribute, value) pairs that hold for every thing that is meant; attributes are keys of `ATTRIBUTES`.
        rank: key of `attributes.RANKS`: of the things that pass the filters, the one that leads is meant; "" for all of them.
    """

    text: str
    kind: str
    template: Template
    filters: tuple[tuple[str, str], ...]
    rank: str = ""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A query with its answer: the things it means, ascending, and those that nearly fit: they differ in one point."""

    query: Query
    targets: tuple[int, ...]
    rivals: tuple[int, ...]


def resolve(scene: Scene, frame: int, query: Query) -> tuple[int, ...] | None:
    """Return the things that the query means when it is asked for this frame, ascending; None when that is too close to say."""
    verdicts = [_all_hold(scene, thing, frame, query.filters) for thing in range(len(scene.things))]
    if None in verdicts:
        return None
    among = [thing for thing, verdict in enumerate(verdicts) if verdict]
    if not query.rank or not among:
        return tuple(among)
    best = leader(scene, frame, query.rank, among)
    return None if best is None else (best,)


def draw_query(rng: np.random.Generator, scene: Scene, frame: int, kind: str, held_out: bool, elsewhere: Scene) -> Resolved | None:
    """Return a query of this kind that has exactly one reading in the scene, None when the one that was drawn has not.

    All targets are to be seen in the frame. An absent target is made up from things of the scene and of `elsewhere`, so that some
    of what is asked for is often there.
    """
    templates = _templates(kind, held_out)
    template = templates[int(rng.integers(len(templates)))]
    visible = (int(thing) for thing in np.flatnonzero(scene.visible[:, frame]))
    candidates = [thing for thing in visible if kind == "absent" or _may_mean(template, scene, thing)]
    if not candidates:
        return None
    thing = candidates[int(rng.integers(len(candidates)))]

    def donor() -> tuple[Scene, int]:
        if kind != "absent":
            return scene, thing
        source = scene if rng.random() < 0.5 else elsewhere
        return source, int(rng.integers(len(source.things)))

    query = _fill(rng, template, kind, held_out, donor, frame)
    targets = resolve(scene, frame, query) if query else None
    if query is None or targets is None or not scene.visible[list(targets), frame].all():
        return None
    wanted = (0, 0) if kind == "absent" else (2, len(scene.things)) if template.is_plural else (1, 1)
    if not wanted[0] <= len(targets) <= wanted[1]:
        return None
    if kind == "absent" and any(_all_hold(scene, thing, frame, _what(query)) is not False for thing in range(len(scene.things))):
        return None  # something of that sort is there: people mean it, whatever else they say
    near = rivals(scene, frame, query, targets)
    return Resolved(query, targets, near) if near or rng.random() > _WITH_RIVALS else None


def _may_mean(template: Template, scene: Scene, thing: int) -> bool:
    """Return whether the template can be said of the thing at all: "who" asks for a person."""
    return "who" not in _fields(template.text) or scene.things[thing].kind.name == "person"


def draw_wording(rng: np.random.Generator, kind: str, held_out: bool) -> Query:
    """Return a sentence of this kind and what it means, said of a thing in a scene of its own: there it may have several readings."""
    while True:
        query = _said_of_one(rng, kind, held_out)
        if query:
            return query


def _said_of_one(rng: np.random.Generator, kind: str, held_out: bool) -> Query | None:
    templates = _templates(kind, held_out)
    template = templates[int(rng.integers(len(templates)))]
    scene = draw_scene(rng, names.kinds(held_out))
    candidates = [thing for thing in range(len(scene.things)) if _may_mean(template, scene, thing)]
    if not candidates:
        return None
    thing, frame = candidates[int(rng.integers(len(candidates)))], int(rng.integers(scene.num_frames))
    return _fill(rng, template, kind, held_out, lambda: (scene, thing), frame)


def rivals(scene: Scene, frame: int, query: Query, targets: Sequence[int]) -> tuple[int, ...]:
    """Return the things that nearly fit: all filters but one hold, or all hold and another thing has the rank.

    With a single filter, they are the things of a target's widest category.
    """
    others = [thing for thing in range(len(scene.things)) if thing not in targets]
    if len(query.filters) + bool(query.rank) > 1:
        failed = {thing: sum(ATTRIBUTES[a](scene, thing, frame, v) is not True for a, v in query.filters) for thing in others}
        return tuple(thing for thing in others if failed[thing] == (0 if query.rank else 1))
    widest = {names.categories(scene.things[thing].kind)[0] for thing in targets}
    return tuple(thing for thing in others if names.categories(scene.things[thing].kind)[0] in widest)


def _fill(
    rng: np.random.Generator, template: Template, kind: str, held_out: bool, donor: Callable[[], tuple[Scene, int]], frame: int
) -> Query | None:
    """Return the template filled with what is true of the things that `donor` returns; None where nothing is."""
    values: dict[str, str] = {}
    for field in _fields(template.text):
        attribute = FIELDS[field].attribute
        if attribute not in values:
            scene, thing = donor()
            options = _options(attribute, scene, thing, min(frame, scene.num_frames - 1), held_out)
            if not options:
                return None
            values[attribute] = options[int(rng.integers(len(options)))]
    text = _worded(rng, template, values, held_out)
    ranks = [value for attribute, value in values.items() if attribute in RANKS_BY_FIELD]
    filters = tuple((_MEANT_BY.get(a, a), value) for a, value in values.items() if a not in RANKS_BY_FIELD)
    return Query(text, kind, template, filters, "main" if template.kind == "vague" else "".join(ranks))


def _worded(rng: np.random.Generator, template: Template, values: dict[str, str], held_out: bool) -> str:
    """Return the sentence: one of the ways to say each value, and words around them that say nothing to go by."""

    def one_of(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    words: dict[str, str] = {}
    for field in _fields(template.text):
        slot = FIELDS[field]
        is_described = slot.is_noun and rng.random() < _ADJECTIVE
        adjective = f"{one_of(HELD_OUT_ADJECTIVES if held_out else ADJECTIVES)} " if is_described else ""
        words[field] = adjective + one_of(slot.words(values[slot.attribute]))
    text = template.text.format(**words)
    if template.kind == "vague" or (template.kind not in _PLAIN and rng.random() < _DECORATED):
        body = text.removesuffix("?")
        text = f"{body} {_decor(rng, held_out)}{text[len(body) :]}"
    return text


def _decor(rng: np.random.Generator, held_out: bool) -> str:
    """Return words about a thing that nothing can check."""
    decor, doings = (HELD_OUT_DECOR, HELD_OUT_DOINGS) if held_out else (DECOR, DOINGS)
    if rng.random() >= _DOING:
        return decor[int(rng.integers(len(decor)))]
    first, second = (doings[int(n)] for n in rng.choice(len(doings), 2, replace=False))
    which, link = ("that", "which")[int(rng.integers(2))], (" and ", " and then ", ", then ", " while it ")[int(rng.integers(4))]
    return f"{which} {first}" + (f"{link}{second}" if rng.random() < _TWICE else "")


def _what(query: Query) -> tuple[tuple[str, str], ...]:
    return tuple((attribute, value) for attribute, value in query.filters if attribute in WHAT)


def _options(attribute: str, scene: Scene, thing: int, frame: int, held_out: bool) -> Sequence[str]:
    """Return what may be said of a thing's attribute, all of it true."""
    own = scene.things[thing]
    if attribute in ("fact", "use"):
        known = names.facts(held_out)
        return [f.text for f in known if own.kind.name in f.kinds.split("|") and f.is_use == (attribute == "use")]
    if attribute == "order":
        own_races = [deed for deed in scene.races if not np.isnan(scene.deeds[deed][thing])]
        return [value for value in RANKS_BY_FIELD["order"] if value.rpartition(" ")[2] in own_races]
    if attribute in RANKS_BY_FIELD:
        return RANKS_BY_FIELD[attribute]
    options: dict[str, Sequence[str]] = {
        "name": (own.kind.name,),
        "breed": (own.breed,),
        "who": ("person",) if own.kind.name == "person" else (),
        "category": names.categories(own.kind),
        "colour": (" and ".join(own.colours),),
        "place": tuple(PLACES),
        "motion": tuple(MOTIONS),
        "deed": tuple(DEED_WORDS),
        "overtakes": tuple({other.kind.name: None for other in scene.things if other.kind is not own.kind}),
    }
    return [value for value in options[attribute] if ATTRIBUTES[_MEANT_BY.get(attribute, attribute)](scene, thing, frame, value)]


def _all_hold(scene: Scene, thing: int, frame: int, filters: Sequence[tuple[str, str]]) -> Ternary:
    """Return whether all filters hold: no as soon as one does not, else None where one is too close to say."""
    verdicts = [ATTRIBUTES[attribute](scene, thing, frame, value) for attribute, value in filters]
    return False if False in verdicts else None if None in verdicts else True


@lru_cache(maxsize=64)
def _templates(kind: str, held_out: bool) -> tuple[Template, ...]:
    kinds = ABSENT_KINDS if kind == "absent" else {kind}
    return tuple(template for template in TEMPLATES if template.kind in kinds and template.held_out == held_out)


@lru_cache(maxsize=256)
def _fields(text: str) -> tuple[str, ...]:
    return tuple(field for _, field, _, _ in string.Formatter().parse(text) if field)
