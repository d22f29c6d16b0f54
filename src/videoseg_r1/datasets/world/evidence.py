"""The thinking text of a training sample: one sentence where one is enough, two or three where things must be compared.

It states what decides, in the order in which one would look: which lines come into question, what tells them apart. Where perception
is wrong about a thing, it says so. Not here: the transcript's lines themselves (`lite.transcript`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from videoseg_r1.datasets.world import names
from videoseg_r1.datasets.world.attributes import ATTRIBUTES, RANKS
from videoseg_r1.datasets.world.queries import Query, Resolved, resolve
from videoseg_r1.datasets.world.scene import Scene
from videoseg_r1.datasets.world.templates import DEEDS, MOTIONS, PLACES, a
from videoseg_r1.lite.tracks import Track
from videoseg_r1.lite.transcript import canonical_box, change_frame

_MAX_RIVALS = 2
_CLAIMS: dict[str, Callable[[str], str]] = {
    "name": lambda value: f"is {a(value)}",
    "category": lambda value: f"is {a(value)}",
    "colour": lambda value: f"is {value}",
    "place": lambda value: f"is {PLACES[value]}",
    "motion": lambda value: MOTIONS[value][0],
    "deed": lambda value: DEEDS[value][0],
    "overtakes": lambda value: f"overtakes the {value}",
}


@dataclass(frozen=True, slots=True)
class Line:
    """How a thing appears in the transcript: number of its line, the class that its line begins with, and what the line is about."""

    number: int
    label: str
    track: Track


def think(scene: Scene, frame: int, resolved: Resolved, lines: Mapping[int, Line], hard: bool) -> str:
    """Return the evidence for the answer.

    Args:
        scene, frame: what is asked about.
        resolved: query and answer.
        lines: by thing; a thing that perception missed has none. All targets have one.
        hard: whether to say as well why what nearly fits does not.
    """
    query = resolved.query
    rivals = [thing for thing in resolved.rivals if thing in lines][:_MAX_RIVALS] if hard else []
    if not resolved.targets:
        shown = ", ".join(f"{line.number} is {a(line.label)}" for line in sorted(lines.values(), key=lambda line: line.number))
        said = [f"Nothing fits: {shown}." if shown else "Nothing is to be seen."]
    elif query.rank:
        return _compared(scene, frame, resolved, lines)
    else:
        said = [_fits(scene, thing, query, lines[thing]) for thing in resolved.targets]
    return " ".join([*said, *(_fails(scene, frame, thing, query, lines[thing]) for thing in rivals if len(query.filters) > 1)])


def _fits(scene: Scene, thing: int, query: Query, line: Line) -> str:
    own = scene.things[thing]
    claims = _listed([_claim(attribute, value, own.kind.name) for attribute, value in query.filters])
    if line.label in own.kind.classes.split("|"):
        return f"Line {line.number}, {line.label}, {claims}."
    return f"Line {line.number} reads {line.label} but may well be {a(own.breed)}, and so {claims}."


def _fails(scene: Scene, frame: int, thing: int, query: Query, line: Line) -> str:
    attribute, value = next((at, v) for at, v in query.filters if not ATTRIBUTES[at](scene, thing, frame, v))
    own = scene.things[thing]
    if attribute == "colour":
        return f"Line {line.number} is {' and '.join(own.colours)}."
    if attribute in ("place", "motion", "deed", "overtakes"):
        return f"Line {line.number} is not one that {_claim(attribute, value, own.kind.name)}."
    return f"Line {line.number} is {a(own.kind.name)}."


def _compared(scene: Scene, frame: int, resolved: Resolved, lines: Mapping[int, Line]) -> str:
    """Return which lines come into question, the number that ranks each, and the outcome."""
    query, target = resolved.query, resolved.targets[0]
    among = resolve(scene, frame, replace(query, rank="")) or ()
    values = RANKS[query.rank].measure(scene, frame)
    part = sorted((thing for thing in among if thing in lines and not math.isnan(values[thing])), key=lambda thing: lines[thing].number)
    numbers = _listed([str(lines[thing].number) for thing in part])
    head = f"In question are the lines {numbers}: " if len(part) > 1 else ""
    said = _listed([f"{lines[thing].number} {_measured(query.rank, lines[thing].track, frame, scene.size)}" for thing in part])
    end, _, deed = query.rank.partition(" to ")
    outcome = f"{end} to {DEEDS[deed][1]}" if deed else query.rank
    return f"{head}{said}. So line {lines[target].number} is the {outcome}."


def _measured(rank: str, track: Track, frame: int, size: tuple[int, int]) -> str:
    """Return what the line says of what the superlative goes by."""
    view = track.nearest(frame)
    x1, y1, x2, y2 = canonical_box(view, size)
    deed = rank.rpartition(" ")[2]
    moment = {"enter": min(track.regions), "leave": max(track.regions)}.get(deed, change_frame(track))
    match rank:
        case "leftmost" | "rightmost":
            return f"is at x {round((x1 + x2) / 2)}"
        case "highest" | "lowest":
            return f"is at y {round((y1 + y2) / 2)}"
        case "largest" | "smallest":
            return f"fills {100 * view.area:.1f}%"
        case _:
            return DEEDS[deed][0] + (f" at frame {moment}" if moment is not None else ", hard to say when")


def _claim(attribute: str, value: str, kind: str) -> str:
    """Return what holds of a thing of this kind, as a verb phrase."""
    if attribute == "fact":
        return f"is {a(kind)}, good to {value}" if names.is_use(value) else f"is {a(kind)}, and {a(kind)} {value}"
    return _CLAIMS[attribute](value)


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
