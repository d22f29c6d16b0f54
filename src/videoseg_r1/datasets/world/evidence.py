"""The thinking text of a training sample: what is wanted, the transcript gone through line by line, a verdict on each, then the choice.

The choice comes last and every verdict is drawn from the words just before it. A text that names the line first, and its reasons
after, teaches a small model to guess: the guess is then made before anything was looked at. What is noted is what the line says, which
is all that a reader knows; the verdict is the truth. Not here: the transcript's lines themselves (`lite.transcript`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from videoseg_r1.datasets.world import names
from videoseg_r1.datasets.world.names import FACT_KINDS, KINDS, Kind
from videoseg_r1.datasets.world.queries import Query
from videoseg_r1.datasets.world.scene import Scene
from videoseg_r1.datasets.world.templates import DEEDS, MOTIONS, PLACES, listed
from videoseg_r1.lite.tracks import Track
from videoseg_r1.lite.transcript import canonical_box, colour_words, motion_words, overtakings, place_words
from videoseg_r1.lite.vocabulary import class_names

_WHAT = ("name", "category", "fact")
"""Attributes that say what a thing is; the others are looked at only where these hold."""
_RIVALS = 0.6  # of the probability of the first class: a second one with that much may be meant as well
_WORDS: dict[str, Callable[[str], str]] = {
    "place": lambda value: PLACES[value],
    "motion": lambda value: MOTIONS[value][0],
    "deed": lambda value: DEEDS[value][0],
    "overtakes": lambda value: f"overtakes the {value}",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the transcript: its number, the thing that it shows (negative for none), and what the line is about."""

    number: int
    thing: int
    track: Track


def think(scene: Scene, frame: int, query: Query, lines: Sequence[Line], chosen: Collection[int]) -> str:
    """Return the evidence for the answer.

    Args:
        scene, frame, query: what is asked about.
        lines: the transcript.
        chosen: numbers of the lines that are the answer.
    """
    said = [_looked_at(scene, frame, query, lines, line, line.number in chosen) for line in lines]
    wanted = _wanted(scene, query, [line.thing for line in lines if line.number in chosen])
    return " ".join([wanted, *said, _choice(query, sorted(chosen))])


def _wanted(scene: Scene, query: Query, targets: Sequence[int]) -> str:
    """Return what is asked for, as plain words: what kind of thing, then everything that must hold of it."""
    what = [(attribute, value) for attribute, value in query.filters if attribute in _WHAT]
    rest = [_WORDS.get(attribute, str)(value) for attribute, value in query.filters if attribute not in _WHAT]
    kinds = [value if attribute != "fact" else _kind_of(scene, value, targets) for attribute, value in what]
    return f"Wanted: {', '.join([' and '.join(kinds) or 'anything', *rest, *([query.rank] if query.rank else [])])}."


def _kind_of(scene: Scene, fact: str, targets: Sequence[int]) -> str:
    """Return the kind of thing that a fact stands for."""
    return scene.things[targets[0]].kind.name if targets else min(FACT_KINDS[fact])


def _choice(query: Query, numbers: Sequence[int]) -> str:
    if not numbers:
        return "So none."
    rank = f", {query.rank}" if query.rank else ""
    return f"So {'line' if len(numbers) == 1 else 'lines'} {listed([str(number) for number in numbers])}{rank}."


def _looked_at(scene: Scene, frame: int, query: Query, lines: Sequence[Line], line: Line, is_chosen: bool) -> str:
    """Return what one line says of what is asked for. A superlative has no verdict: it takes all lines to tell."""
    what = [(attribute, value) for attribute, value in query.filters if attribute in _WHAT]
    labels = _labels(line.track) if what else []
    notes: list[str] = []
    verdict = "yes" if is_chosen else "no"
    if is_chosen or not what or any(all(_is_read_as(label, *one) for one in what) for label in labels):
        notes = [_noted(attribute, frame, lines, line) for attribute, _ in query.filters if attribute not in _WHAT]
        if query.rank:
            notes.append(_measured(query.rank, scene.size, frame, lines, line))
            verdict = ""
    head = " ".join([str(line.number), " or ".join(labels)]).rstrip()
    return f"{head}: {', '.join(part for part in (*notes, verdict) if part)}."


def _labels(track: Track) -> list[str]:
    """Return the class that a track looks most like, and the second one where it is nearly as likely."""
    classes = track.mean_classes()
    first, second = (int(i) for i in classes.argsort()[::-1][:2])
    labels = [class_names()[first]]
    return [*labels, class_names()[second]] if classes[second] >= _RIVALS * classes[first] else labels


def _is_read_as(label: str, attribute: str, value: str) -> bool:
    """Return whether things of this class are what is asked for; a class of no kind is nothing."""
    kind = _kinds_by_class().get(label)
    if kind is None:
        return False
    match attribute:
        case "name":
            return value == kind.name
        case "category":
            return value in names.categories(kind)
        case _:
            return kind.name in FACT_KINDS[value]


@lru_cache(maxsize=1)
def _kinds_by_class() -> dict[str, Kind]:
    return {label: kind for kind in KINDS for label in kind.classes.split("|")}


def _noted(attribute: str, frame: int, lines: Sequence[Line], line: Line) -> str:
    """Return what the line says of an attribute."""
    track = line.track
    match attribute:
        case "colour":
            return colour_words(track.mean_colours())
        case "place":
            return place_words(track.nearest(frame)).partition(",")[0]
        case "overtakes":
            passed = [str(b) for a, b, _ in overtakings([each.track for each in lines]) if a == line.number]
            return f"overtakes {listed(passed)}" if passed else ""
        case "deed":
            return f"{motion_words(track)}, {_time(lines, track)}"
        case _:
            return motion_words(track)


def _measured(rank: str, size: tuple[int, int], frame: int, lines: Sequence[Line], line: Line) -> str:
    """Return what the line says of what a superlative goes by."""
    view = line.track.nearest(frame)
    x1, y1, x2, y2 = (round(v) for v in canonical_box(view, size))
    match rank:
        case "leftmost" | "rightmost":
            return f"{x1} to {x2}"
        case "highest" | "lowest":
            return f"{y1} to {y2}"
        case "largest" | "smallest":
            return f"{100 * view.area:.1f}%"
        case _ if rank.endswith(("enter", "leave")):
            return _time(lines, line.track)
        case _:
            return motion_words(line.track)


def _time(lines: Sequence[Line], track: Track) -> str:
    """Return when a thing was seen."""
    begin, end = (of(of(line.track.regions) for line in lines) for of in (min, max))
    first, last = min(track.regions), max(track.regions)
    return f"{'from the start' if first == begin else f'from frame {first}'} {'to the end' if last == end else f'to frame {last}'}"
