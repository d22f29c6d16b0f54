"""The reasoning text of a training sample: what a careful reader concludes from a transcript, and the lines that it chooses.

The text states what is wanted, goes through the lines, checks the remaining ones condition by condition, and chooses last. Every word
follows from the transcript and the sentence, never from the scene: a text that knows more than its reader, or that names the line before
looking, would train guessing. Where nothing distinguishes the remaining lines, the first is taken, which is the most prominent. The text
has one of three lengths, drawn independently of the question: which length a question deserves cannot be learned from examples, but from
rewards. Not here: the lines themselves (`lite.language.transcript`), the truth (`queries`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias, get_args

from videoseg_r1.lite.language.transcript import (
    Turn,
    canonical_box,
    colour_words,
    is_unclear,
    label_words,
    likely_classes,
    motion_change,
    motion_words,
    overtakings,
    place_words,
    size_name,
    sure_concept,
)
from videoseg_r1.lite.perception.tracks import ThingTrack
from videoseg_r1.training.world import names
from videoseg_r1.training.world.names import FACT_KINDS, KINDS, ThingKind
from videoseg_r1.training.world.queries import WHAT, Query
from videoseg_r1.training.world.templates import FIELDS, PLACES, listed

Manner: TypeAlias = Literal["plain", "brief", "careful"]
"""How the lines are gone through: each once, only those that may be meant, or all of them twice. The text announces it first."""
MANNERS: tuple[Manner, ...] = get_args(Manner)
_BRIEF, _CAREFUL, _AGAIN = "Briefly:", "Carefully:", "Again:"
_DEEDS = {"enter": "enters", "leave": "leaves", "stop": "stops", "turn": "turns round", "start": "starts to move"}
_TURNS: Mapping[Turn, str] = {"stop": "stops", "start": "starts", "turn": "turns"}
_WORDS: dict[str, Callable[[str], str]] = {
    "place": lambda value: PLACES[value],
    "motion": lambda value: FIELDS["moves"].words(value)[0],
    "deed": lambda value: _DEEDS[value],
    "overtakes": lambda value: f"overtakes {value}",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the transcript: its number, the thing that it shows (negative for none), and what the line is about."""

    number: int
    thing: int
    track: ThingTrack


@dataclass(frozen=True, slots=True)
class Evidence:
    """The reasoning text, and the numbers of the lines that it chooses, ascending."""

    text: str
    chosen: tuple[int, ...]


def wanted(query: Query) -> str:
    """Return what a sentence asks for, in the words of transcripts: the reasoning text begins with it. It needs no scene."""
    what = [one for one in query.filters if one[0] in WHAT]
    rest = [_worded(*one) for one in query.filters if one[0] not in WHAT]
    return f"Wanted: {', '.join([_kinds_wanted(what), *rest, *([query.rank] if query.rank else [])])}."


@dataclass(frozen=True)
class Page:
    """A transcript as it is read.

    Attributes:
        lines: in their order.
        frame: the one whose boxes are told.
        size: (width, height) of the frames.
    """

    lines: Sequence[Line]
    frame: int
    size: tuple[int, int]

    def weigh(self, query: Query, manner: Manner) -> Evidence:
        """Return the reasoning text and the chosen lines, which are the same in every manner."""
        what = [one for one in query.filters if one[0] in WHAT]
        rest = [one for one in query.filters if one[0] not in WHAT]
        said = [wanted(query)]
        left = [line for line in self.lines if self.frame in line.track.regions]
        if what:
            verdicts = {line.number: _verdict(line.track, what, self.frame) for line in left}
            said += self._gone_through(verdicts, manner)
            left = next((kept for word in ("yes", "perhaps") if (kept := [n for n in left if verdicts[n.number] == word])), [])
        for condition in rest:
            if len(left) > 1:
                said.append(f"{_worded(*condition).capitalize()}? {' '.join(self._checked(*condition, line) for line in left)}")
                left = [line for line in left if self._says(*condition, line)] or left
        if query.rank and query.rank != "main" and len(left) > 1:
            told, left = self._ranked(query.rank, left)
            said.append(told)
        numbers = [line.number for line in (left if query.template.is_plural else left[:1])]
        return Evidence(" ".join([*said, _choice(numbers)]), tuple(numbers))

    def _gone_through(self, verdicts: dict[int, str], manner: Manner) -> list[str]:
        """Return what is said of the lines, first the manner in which it is."""
        told = [self._looked_at(line, verdicts) for line in self.lines]
        match manner:
            case "plain":
                return told
            case "brief":
                kept = [text for line, text in zip(self.lines, told, strict=True) if verdicts.get(line.number, "no") != "no"]
                return [_BRIEF, *(kept or ["no."])]
            case "careful":
                return [_CAREFUL, *told, _AGAIN, *told]

    def _looked_at(self, line: Line, verdicts: dict[int, str]) -> str:
        if line.number not in verdicts:
            return f"{line.number}: not then."
        size = ", tiny" if _is_too_small(line.track, self.frame) else ""
        return f"{line.number} {label_words(line.track.mean_classes())}{size}: {verdicts[line.number]}."

    def _checked(self, attribute: str, value: str, line: Line) -> str:
        return f"{line.number} {self._noted(attribute, value, line)}, {'yes' if self._says(attribute, value, line) else 'no'}."

    def _noted(self, attribute: str, value: str, line: Line) -> str:
        """Return what the line says of an attribute, as far as this value of it goes."""
        match attribute:
            case "colour":
                return colour_words(line.track.mean_colours())
            case "place":
                return place_words(line.track.nearest(self.frame)).partition(",")[0]
            case "overtakes":
                return f"overtakes {listed([str(number) for number in self._overtaken(line)]) or 'none'}"
            case "deed" if value in ("enter", "leave"):
                return f"frames {min(line.track.regions)} to {max(line.track.regions)}"
            case "deed" if (change := motion_change(line.track)) is not None:
                return f"{motion_words(line.track)}: {_TURNS[change.kind]}"
            case _:
                return motion_words(line.track)

    def _says(self, attribute: str, value: str, line: Line) -> bool:
        """Return whether the line says that an attribute has this value."""
        noted = self._noted(attribute, value, line)
        match attribute:
            case "colour":
                return set(value.split(" and ")) <= set(noted.split(" and "))
            case "place":
                return value in noted
            case "overtakes":
                others = {other.number: other.track for other in self.lines}
                return any(_verdict(others[number], [("name", value)], self.frame) == "yes" for number in self._overtaken(line))
            case "deed":
                return self._moment(value, line) is not None
            case _:
                return {"nearer": "gets larger", "away": "gets smaller"}.get(value, value) in noted and motion_change(line.track) is None

    def _overtaken(self, line: Line) -> list[int]:
        found = overtakings([each.track for each in self.lines])
        return [self.lines[b - 1].number for a, b, _ in found if self.lines[a - 1] is line]

    def _moment(self, deed: str, line: Line) -> int | None:
        """Return the frame at which the line says that the thing does this, None where it does not."""
        first, last = min(line.track.regions), max(line.track.regions)
        if deed in ("enter", "leave"):
            ends = [of(of(each.track.regions) for each in self.lines) for of in (min, max)]
            moment = first if deed == "enter" else last
            return None if moment in ends else moment
        change = motion_change(line.track)
        return change.frame if change is not None and change.kind == deed else None

    def _ranked(self, rank: str, left: Sequence[Line]) -> tuple[str, list[Line]]:
        """Return what the lines say of what a superlative goes by, and the ones it leaves."""
        end, _, deed = rank.partition(" to ")
        if deed:
            moments = {line.number: self._moment(deed, line) for line in left}
            whens = {number: "no" if moment is None else f"at {moment}" for number, moment in moments.items()}
            notes = [f"{line.number} {self._noted('deed', deed, line)}, {whens[line.number]}." for line in left]
            part = [line for line in left if moments[line.number] is not None]
            part.sort(key=lambda line: (moments[line.number] or 0) * (1 if end == "first" else -1))
        else:
            values = {line.number: self._measure(rank, line) for line in left}
            notes = [f"{number} {told}." for number, (told, _) in values.items()]
            sign = 1 if rank in ("leftmost", "highest", "smallest") else -1
            part = sorted(left, key=lambda line: sign * values[line.number][1])
        return f"{rank.capitalize()}? {' '.join(notes)}", part[:1] or list(left)

    def _measure(self, rank: str, line: Line) -> tuple[str, float]:
        """Return extent or area as the line tells it, and the number that decides."""
        view = line.track.nearest(self.frame)
        x1, y1, x2, y2 = (round(v) for v in canonical_box(view, self.size))
        match rank:
            case "leftmost" | "rightmost":
                return f"{x1} to {x2}", x1 + x2
            case "highest" | "lowest":
                return f"{y1} to {y2}", y1 + y2
            case _:
                return f"{100 * view.area:.1f}%", round(100 * view.area, 1)


def _worded(attribute: str, value: str) -> str:
    return _WORDS.get(attribute, str)(value)


def _kinds_wanted(what: Sequence[tuple[str, str]]) -> str:
    """Return what sort of thing is asked for, in plain words; a fact stands for the kinds that it holds for."""
    return " and ".join(" or ".join(sorted(FACT_KINDS[value])) if attribute == "fact" else value for attribute, value in what) or "anything"


def _choice(numbers: Sequence[int]) -> str:
    if not numbers:
        return "So none."
    return f"So {', '.join(str(number) for number in numbers)}."  # "line 1, 2 and 3" would have to be counted before it is said


def _is_too_small(track: ThingTrack, frame: int) -> bool:
    """Return whether a thing that is not clearly seen is too small to be taken for what is asked for, by the size that its line tells."""
    return is_unclear(track.mean_classes()) and size_name(track.nearest(frame).area) == "tiny"


def _verdict(track: ThingTrack, what: Sequence[tuple[str, str]], frame: int) -> str:
    """Return "yes", "perhaps" or "no": whether what a line shows is of the sort that is asked for, by its words alone."""
    classes = track.mean_classes()
    labels, sure = likely_classes(classes), sure_concept(classes)
    if any(all(_is_read_as(label, *one) for one in what) for label in labels):
        return "yes"
    is_other = not is_unclear(classes) and any(label in _kinds_by_class() for label in labels)
    if not is_other and all(one in (("name", sure), ("category", sure)) for one in what):
        return "yes"
    if not is_unclear(classes) or _is_too_small(track, frame):
        return "no"
    return "perhaps" if not sure or all(_is_of(sure, *one) for one in what) else "no"


def _is_read_as(label: str, attribute: str, value: str) -> bool:
    """Return whether things of this class are what is asked for; a class of no kind is itself alone."""
    if attribute == "breed":
        return label == value
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


def _is_of(wide: str, attribute: str, value: str) -> bool:
    """Return whether what is asked for is of a wide concept."""
    kinds = [kind for kind in KINDS if any(_is_read_as(label, attribute, value) for label in kind.classes.split("|"))]
    return any(wide in names.categories(kind) for kind in kinds)


@lru_cache(maxsize=1)
def _kinds_by_class() -> dict[str, ThingKind]:
    return {label: kind for kind in KINDS for label in kind.classes.split("|")}
