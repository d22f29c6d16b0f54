"""A scene as text that a language model can read: one line per thing, in a fixed order and wording, the same for the same scene.

Coordinates are those of the canonical 840 x 840 frame, as in every reply. Not here: choosing among the lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from videoseg_r1.lite.regions import PALETTE, Region
from videoseg_r1.lite.tracks import Track
from videoseg_r1.lite.vocabulary import CONCEPTS, NUM_CLASSES, class_names, membership
from videoseg_r1.prompts import CANONICAL

_STILL, _FAST = 0.01, 0.06  # own sizes per frame
_GROWS = 0.005  # log area per frame


def transcript(tracks: Sequence[Track], target: int, num_frames: int, size: tuple[int, int]) -> str:
    """Return what was seen, a headline and one numbered line per thing.

    Args:
        tracks: things, in the order they are to be numbered.
        target: frame whose boxes are given.
        num_frames: length of the video.
        size: (width, height) of its frames.
    """
    seen = sorted({index for track in tracks for index in track.regions})
    head = f"{len(tracks)} things seen in {len(seen)} of {num_frames} frames; boxes at frame {target}."
    return "\n".join([head, *(f"{n}. {describe(track, target, num_frames, size)}" for n, track in enumerate(tracks, 1))])


def describe(track: Track, target: int, num_frames: int, size: tuple[int, int]) -> str:
    """Return one line: colours, names with probability, place, size, motion, when, box."""
    view = track.nearest(target)
    box = " ".join(str(round(v)) for v in canonical_box(view, size))
    parts = [
        f"{colour_words(track.mean_colours())} {name_words(track.mean_classes())}",
        place_words(view),
        size_words(view.area),
        motion_words(track),
        time_words(track, num_frames),
        f"box [{box}]" + ("" if view.index == target else f" at frame {view.index}"),
    ]
    return "; ".join(parts)


def canonical_box(view: Region, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 of a region in the canonical frame."""
    sx, sy = CANONICAL[0] / size[0], CANONICAL[1] / size[1]
    return view.box.x1 * sx, view.box.y1 * sy, view.box.x2 * sx, view.box.y2 * sy


def colour_words(fractions: npt.NDArray[np.float32]) -> str:
    """Return the one or two main colours."""
    order = np.argsort(-fractions, kind="stable")
    names = [PALETTE[i] for i in order[:2] if fractions[i] >= 0.2]
    return " and ".join(names) or PALETTE[int(order[0])]


def name_words(classes: npt.NDArray[np.float32]) -> str:
    """Return up to three class names with their probability, then the wide concept that explains most."""
    names = class_names()
    order = [i for i in np.argsort(-classes, kind="stable")[:3] if classes[i] >= 0.05] or [int(classes.argmax())]
    wide = {c: float(classes @ membership()[:, n]) for n, c in enumerate(CONCEPTS, NUM_CLASSES) if not c.parent}
    concept = max(wide, key=lambda c: wide[c])
    kind = f" ({concept.names.split(',')[0]} {wide[concept]:.2f})" if wide[concept] >= 0.3 else ""
    return ", ".join(f"{names[i]} {classes[i]:.2f}" for i in order) + kind


def place_words(view: Region) -> str:
    """Return where in the picture a region lies, in thirds, and whether the border cuts it off."""
    x, y = view.center
    across = "left" if x < 0.36 else "right" if x > 0.64 else "centre"
    down = "top " if y < 0.33 else "bottom " if y > 0.67 else ""
    return f"{down}{across}" + (", cut off by the border" if view.cut else "")


def size_words(area: float) -> str:
    """Return a word for a fraction of the frame, and the fraction."""
    name = "tiny" if area < 0.01 else "small" if area < 0.04 else "medium" if area < 0.15 else "large"
    return f"{name}, {100 * area:.1f}% of the frame"


def motion_words(track: Track) -> str:
    """Return direction and speed relative to the surroundings, and whether it comes nearer."""
    right, down = track.velocity()
    speed = float(np.hypot(right, down))
    if speed < _STILL:
        words = "still"
    else:
        across = "right" if right > 0 else "left"
        along = "down" if down > 0 else "up"
        direction = across if abs(right) > 2 * abs(down) else along if abs(down) > 2 * abs(right) else f"{along} and {across}"
        words = f"moves {'fast ' if speed > _FAST else ''}{direction}"
    growth = track.growth()
    return words + (", gets larger" if growth > _GROWS else ", gets smaller" if growth < -_GROWS else "")


def time_words(track: Track, num_frames: int) -> str:
    """Return from when to when a thing was seen."""
    first, last = min(track.regions), max(track.regions)
    return f"seen from frame {first} to {last}" if num_frames > 1 else "seen"
