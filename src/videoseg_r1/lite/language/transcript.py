"""A scene as text that a language model can read: one line per thing, in a fixed order and wording, the same for the same scene.

Coordinates are those of the canonical 840 x 840 frame, as in every reply. Models are trained on this wording: a change of it makes the
trained weights useless. Not here: choosing among the lines (`matcher`, `lite.reader`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, permutations
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from videoseg_r1.lite.language.vocabulary import CONCEPTS, NUM_CLASSES, class_names, membership, narrow_concept
from videoseg_r1.lite.perception.regions import PALETTE, Region
from videoseg_r1.lite.perception.tracks import ThingTrack
from videoseg_r1.masks.geometry import center_of
from videoseg_r1.prompts import CANONICAL

Velocity: TypeAlias = tuple[float, float]
"""(right, down) per frame, in own sizes."""
Turn: TypeAlias = Literal["stop", "start", "turn"]

STILL, FAST = 0.01, 0.06
"""Speeds, in own sizes per frame, from which a thing moves, and moves fast."""
LEFT, RIGHT, TOP, BOTTOM = 0.36, 0.64, 0.33, 0.67
"""Fractions of the frame that bound what is called left, right, top and bottom."""
_GROWS = 0.005  # log area per frame
_RIVALS = 0.6  # of the probability of the first class: another class with that much may be meant as well
_DOUBTFUL = 0.1  # a class with less is not told
_DOUBTFUL_CONCEPT = 0.3  # a wide concept with less is not told
_SURE_CONCEPT = 0.5  # probability from which a wide concept holds
_GUESS, _UNSURE = 0.2, 0.4  # a first class with less says nothing, or may be another class of the same concept
_TINY, _SMALL, _MEDIUM = 0.01, 0.04, 0.15  # fractions of the frame that bound the words for sizes
_STEADY = 2  # looks: a motion that was seen less often may be noise
_AHEAD = 0.03  # of the frame's width


def transcript(tracks: Sequence[ThingTrack], target: int, num_frames: int, size: tuple[int, int]) -> str:
    """Return what was seen: a headline, one numbered line per thing, and a line for every time one overtakes another.

    Args:
        tracks: things, in the order they are to be numbered.
        target: frame whose boxes are given.
        num_frames: length of the video.
        size: (width, height) of its frames.
    """
    seen = sorted({index for track in tracks for index in track.regions})
    head = f"{len(tracks)} things seen in {len(seen)} of {num_frames} frames; boxes at frame {target}."
    # a model that reads line by line has to know first whether a thing can be meant at all
    lines = (
        f"{n}. {'' if target in track.regions else 'not then, '}{describe(track, target, num_frames, size)}"
        for n, track in enumerate(tracks, 1)
    )
    events = (f"{a} overtakes {b} by frame {frame}." for a, b, frame in overtakings(tracks))
    return "\n".join([head, *lines, *events])


def describe(track: ThingTrack, target: int, num_frames: int, size: tuple[int, int]) -> str:
    """Return one line: colours, names with probability, place, size, motion, when, a point deep inside, box."""
    view = track.nearest(target)
    box = " ".join(str(v) for v in told_box(view, size))
    parts = [
        f"{colour_words(track.mean_colours())} {name_words(track.mean_classes())}",
        place_words(view),
        size_words(view.area),
        motion_words(track),
        time_words(track, num_frames),
        f"middle [{' '.join(str(round(v)) for v in canonical_middle(view))}]",
        f"box [{box}]" + ("" if view.index == target else f" at frame {view.index}"),
    ]
    return "; ".join(parts)


def canonical_box(view: Region, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 of a region in the canonical frame."""
    sx, sy = CANONICAL[0] / size[0], CANONICAL[1] / size[1]
    return view.box.x1 * sx, view.box.y1 * sy, view.box.x2 * sx, view.box.y2 * sy


def told_box(view: Region, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return x1, y1, x2, y2 of a region as its line tells them: in whole units of the canonical frame."""
    x1, y1, x2, y2 = (round(value) for value in canonical_box(view, size))
    return x1, y1, x2, y2


def canonical_middle(view: Region) -> tuple[float, float]:
    """Return x, y of the place deepest inside a region in the canonical frame."""
    height, width = view.mask.shape
    point = center_of(view.mask)
    return (point.x + 0.5) * CANONICAL[0] / width, (point.y + 0.5) * CANONICAL[1] / height


def colour_words(fractions: npt.NDArray[np.float32]) -> str:
    """Return the one or two main colours."""
    order = np.argsort(-fractions, kind="stable")
    names = [PALETTE[i] for i in order[:2] if fractions[i] >= 0.2]
    return " and ".join(names) or PALETTE[int(order[0])]


def name_words(classes: npt.NDArray[np.float32]) -> str:
    """Return up to three class names with their probability, and the wide concept that explains most.

    A small language model compares numbers badly, so the comparison is put in words: "or" joins names that may be meant as well as the
    first, and "perhaps" precedes names that are guesses, after the wide concept where that one is sure.
    """
    concept, share = wide_concept(classes)
    shown, num_rivals = shown_classes(classes), len(likely_classes(classes))
    told = [f"{name} {value:.2f}" for name, value in shown]
    names = ", ".join([" or ".join(told[:num_rivals]), *told[num_rivals:]])
    if is_unclear(classes) and share >= _SURE_CONCEPT:
        return f"{concept} {share:.2f}, perhaps {names}"
    return ("perhaps " if is_unclear(classes) else "") + names + (f" ({concept} {share:.2f})" if share >= _DOUBTFUL_CONCEPT else "")


def label_words(classes: npt.NDArray[np.float32]) -> str:
    """Return the names of a thing as `name_words` has them, without numbers and less likely names."""
    likely = " or ".join(likely_classes(classes))
    sure = sure_concept(classes)
    return f"{f'{sure}, ' if sure else ''}perhaps {likely}" if is_unclear(classes) else likely


def is_unclear(classes: npt.NDArray[np.float32]) -> bool:
    """Return whether the first name may well be wrong: its probability is low, or it is one of several in a concept that is sure."""
    shown = shown_classes(classes)
    is_one_sort = len(shown) > 1 and len({narrow_concept(name) for name, _ in shown}) == 1
    return shown[0][1] < _GUESS or (shown[0][1] < _UNSURE and bool(sure_concept(classes)) and not is_one_sort)


def sure_concept(classes: npt.NDArray[np.float32]) -> str:
    """Return the wide concept that explains most, "" where that is little."""
    concept, share = wide_concept(classes)
    return concept if share >= _SURE_CONCEPT else ""


def likely_classes(classes: npt.NDArray[np.float32]) -> list[str]:
    """Return the names of the likeliest class and of those classes that are told and nearly as likely."""
    shown = shown_classes(classes)
    return [name for name, value in shown if value >= _RIVALS * shown[0][1]]


def shown_classes(classes: npt.NDArray[np.float32]) -> list[tuple[str, float]]:
    """Return the classes that are told, (name, probability), the likeliest first."""
    order = [i for i in np.argsort(-classes, kind="stable")[:3] if classes[i] >= _DOUBTFUL] or [int(classes.argmax())]
    return [(class_names()[i], float(classes[i])) for i in order]


def wide_concept(classes: npt.NDArray[np.float32]) -> tuple[str, float]:
    """Return the wide concept that explains most, and its probability."""
    wide = {c.names.split(",")[0]: float(classes @ membership()[:, n]) for n, c in enumerate(CONCEPTS, NUM_CLASSES) if not c.parent}
    return max(wide.items(), key=lambda item: item[1])


def place_words(view: Region) -> str:
    """Return where in the picture a region lies, in thirds, and whether the border cuts it off."""
    x, y = view.center
    across = "left" if x < LEFT else "right" if x > RIGHT else "centre"
    down = "top " if y < TOP else "bottom " if y > BOTTOM else ""
    return f"{down}{across}" + (", cut off by the border" if view.cut else "")


def size_words(area: float) -> str:
    """Return a word for a part of the frame, and the part."""
    return f"{size_name(area)}, {100 * area:.1f}%"


def size_name(area: float) -> str:
    """Return "tiny", "small", "medium" or "large" for a part of the frame."""
    return "tiny" if area < _TINY else "small" if area < _SMALL else "medium" if area < _MEDIUM else "large"


def motion_words(track: ThingTrack) -> str:
    """Return direction and speed relative to the surroundings, when that changes for good, and whether the thing comes nearer."""
    change = motion_change(track)
    if change is None:
        words = velocity_words(track.velocity())
    else:
        turn = "stops" if change.kind == "stop" else f"goes {heading(change.after)}"
        words = f"{velocity_words(change.before)}, {turn} at frame {change.frame}"
    growth = track.growth()
    return words + (", gets larger" if growth > _GROWS else ", gets smaller" if growth < -_GROWS else "")


@dataclass(frozen=True, slots=True)
class MotionChange:
    """A lasting change of a thing's motion.

    Attributes:
        frame: the first look at the new motion.
        before, after: median velocities before that look, and from it on.
    """

    frame: int
    before: Velocity
    after: Velocity

    @property
    def kind(self) -> Turn:
        """What the thing did: it stopped, set off, or turned round."""
        if heading(self.after) == "still":
            return "stop"
        return "start" if heading(self.before) == "still" else "turn"


def motion_change(track: ThingTrack) -> MotionChange | None:
    """Return how the motion of a thing changed for good; None where it did not stop, set off, or turn round."""
    frame = _change_frame(track)
    if frame is None:
        return None
    parts = [[v.velocity for v in track.regions.values() if (v.index < frame) == early] for early in (True, False)]
    before, after = ((float(v[0]), float(v[1])) for v in (np.median(part, axis=0) for part in parts))
    return MotionChange(frame, before, after)


def _change_frame(track: ThingTrack) -> int | None:
    views = list(track.regions.values())
    runs = [(word, len(list(run))) for word, run in groupby(heading(view.velocity) for view in views)]
    opposite = {"left": "right", "right": "left", "up": "down", "down": "up"}
    start = 0
    for (before, num_before), (after, num_after) in pairwise(runs):
        start += num_before
        changes = "still" in (before, after) or opposite[before] == after
        if changes and min(num_before, num_after) >= _STEADY:
            return views[start].index
    return None


def velocity_words(velocity: Velocity) -> str:
    """Return the words for direction and speed of a velocity."""
    right, down = velocity
    speed = float(np.hypot(right, down))
    if speed < STILL:
        return "still"
    across = "right" if right > 0 else "left"
    along = "down" if down > 0 else "up"
    direction = across if abs(right) > 2 * abs(down) else along if abs(down) > 2 * abs(right) else f"{along} and {across}"
    return f"moves {'fast ' if speed > FAST else ''}{direction}"


def heading(velocity: Velocity) -> str:
    """Return "still", or the one of left, right, up and down that a velocity is nearest to."""
    right, down = velocity
    if math.hypot(right, down) < STILL:
        return "still"
    return ("right" if right > 0 else "left") if abs(right) >= abs(down) else ("down" if down > 0 else "up")


def overtakings(tracks: Sequence[ThingTrack]) -> list[tuple[int, int, int]]:
    """Return (a, b, frame) for every thing a that comes from behind a thing b, moves the same way, and stays ahead of it.

    The things are numbered from 1 in their order here; `frame` is the look from which a is ahead.
    """
    ways = [heading(track.velocity()) for track in tracks]
    found: list[tuple[int, int, int]] = []
    for a, b in permutations(range(len(tracks)), 2):
        if ways[a] == ways[b] and ways[a] in ("left", "right"):
            frame = _overtaken_by(tracks[a], tracks[b], 1 if ways[a] == "right" else -1)
            found += [(a + 1, b + 1, frame)] if frame is not None else []
    return found


def _overtaken_by(one: ThingTrack, other: ThingTrack, sign: int) -> int | None:
    """Return the first look from which `one` is ahead of `other` for good, None when it does not overtake it.

    `sign` is 1 for things that move right, -1 for left.
    """
    shared = sorted(one.regions.keys() & other.regions.keys())
    leads = [sign * (one.regions[i].center[0] - other.regions[i].center[0]) for i in shared]
    if not leads or leads[0] > -_AHEAD or leads[-1] < _AHEAD:
        return None
    behind = max(position for position, lead in enumerate(leads) if lead < 0)
    return shared[behind + 1]


def time_words(track: ThingTrack, num_frames: int) -> str:
    """Return from when to when a thing was seen."""
    first, last = min(track.regions), max(track.regions)
    return f"frames {first} to {last}" if num_frames > 1 else "seen"
