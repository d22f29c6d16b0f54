"""The attributes that a query may ask for, and whether one holds for a thing: yes, no, or too close to decide.

Everything is decided from the geometry of the scene, with margins: whether a thing just beside the edge of the left third is on the left
has no answer (None), and queries that depend on it are not asked. Not here: wording (`templates`), choosing (`queries`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from videoseg_r1.lite.language.transcript import BOTTOM, FAST, LEFT, RIGHT, TOP
from videoseg_r1.training.world import names
from videoseg_r1.training.world.names import FACT_KINDS
from videoseg_r1.training.world.scene import DEEDS, WHOLE, Floats, Scene, Thing

Ternary: TypeAlias = bool | None
"""Whether an attribute holds; None where it is too close to decide."""

_EDGES = {"left": (0, -1, LEFT), "right": (0, 1, RIGHT), "top": (1, -1, TOP), "bottom": (1, 1, BOTTOM)}  # axis, side, edge
_CLEAR = 0.04  # of the frame: how far from the edge of a third a middle must be
_DIRECTIONS = {"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)}


def margin_frames(num_frames: int) -> int:
    """Return how many frames must lie between two events for perception, which looks at a few frames only, to see their order."""
    return max(4, num_frames // 6)


def colour(thing: Thing, value: str) -> Ternary:
    """Return whether a thing has exactly the colours of `value`: one, or two as in "a and b"; None where it shares one of them."""
    own, asked = set(thing.colours), set(value.split(" and "))
    return True if own == asked else None if own & asked else False


def place(scene: Scene, thing: int, frame: int, value: str) -> Ternary:
    """Return whether a thing is in the left, right, top or bottom third of the target frame; None where it is hidden or near an edge."""
    if not scene.visible[thing, frame]:
        return None
    axis, side, edge = _EDGES[value]
    beyond = side * (float(np.clip(scene.boxes[thing, frame], 0, 1)[axis::2].mean()) - edge)
    return True if beyond > _CLEAR else False if beyond < -_CLEAR else None


def motion(scene: Scene, thing: int, value: str) -> Ternary:
    """How a thing moves all the time; one whose motion changes, or goes between two directions, has no one answer.

    Whether it gets larger is seen only of a thing that the border never cuts off.
    """
    own = scene.things[thing]
    if value in ("nearer", "away"):
        whole = scene.inside[thing, scene.in_picture[thing]].min() >= WHOLE
        return None if not whole else own.growth * (1 if value == "nearer" else -1) > 0
    moving = bool(own.velocities.any())
    if own.deed:
        return None
    if value == "still":
        return not moving
    if not moving:
        return False
    speed = float(np.hypot(*own.velocities[0]))
    if value == "fast":
        return speed > FAST
    along = float(own.velocities[0] @ _DIRECTIONS[value]) / speed
    return True if along > 0.95 else False if along < 0.3 else None


def deed(scene: Scene, thing: int, value: str) -> Ternary:
    """Return whether a thing does this at all; None where the few frames that perception looks at may not show it."""
    moment = scene.deeds[value][thing]
    if np.isnan(moment):
        return None if _border_of_time(scene, thing, value) else False
    at, look = int(moment), margin_frames(scene.num_frames)
    around = {"enter": (at, at + look), "leave": (at - look + 1, at + 1)}.get(value, (at - 2 * look, at + 2 * look))
    in_time = look <= at < scene.num_frames - look
    return True if in_time and scene.visible[thing, max(0, around[0]) : around[1]].all() else None


def overtakes(scene: Scene, thing: int, value: str) -> Ternary:
    """Return whether a thing overtakes one of the kind called `value`."""
    verdicts = [overtaking(scene, thing, other)[0] for other in range(len(scene.things)) if scene.things[other].kind.name == value]
    return True if True in verdicts else None if None in verdicts else False


def overtaking(scene: Scene, thing: int, other: int) -> tuple[Ternary, int]:
    """Return whether a thing comes from behind another that moves the same way across, and the frame at which it gets ahead."""
    both = np.flatnonzero(scene.in_picture[thing] & scene.in_picture[other])
    signs = [_way_across(scene.things[index]) for index in (thing, other)]
    if thing == other or len(both) < 2 or signs[0] != signs[1] or not signs[0]:
        return False, -1
    leads = signs[0] * (scene.things[thing].centers[both, 0] - scene.things[other].centers[both, 0])
    if leads[0] >= 0 or leads[-1] <= 0:
        return False, -1
    look = margin_frames(scene.num_frames)  # one look, at least, falls into this many frames
    seen = scene.visible[thing, both] & scene.visible[other, both]
    clear = (
        len(both) > 2 * look
        and leads[:look].max() < -_CLEAR
        and leads[-look:].min() > _CLEAR
        and bool(seen[:look].all() and seen[-look:].all())
    )
    return True if clear else None, int(both[leads > 0][0])


@dataclass(frozen=True, slots=True)
class Rank:
    """A superlative: `measure` gives (N,) values at the target frame, NaN for what takes no part; the first must lead by `margin`.

    `sign` is 1 if the largest value wins, `is_ratio` makes the margin a factor, `of_frame` asks for all to be seen in the target frame.
    """

    measure: Callable[[Scene, int], Floats]
    sign: int
    margin: Callable[[Scene], float]
    is_ratio: bool = False
    of_frame: bool = True


def _middles(axis: int) -> Callable[[Scene, int], Floats]:
    return lambda scene, frame: np.clip(scene.boxes[:, frame], 0, 1)[:, axis::2].mean(1)


def _deed_rank(value: str, sign: int) -> Rank:
    return Rank(lambda scene, _: scene.deeds[value], sign, lambda scene: margin_frames(scene.num_frames), of_frame=False)


RANKS: dict[str, Rank] = {
    "leftmost": Rank(_middles(0), -1, lambda _: 0.08),
    "rightmost": Rank(_middles(0), 1, lambda _: 0.08),
    "highest": Rank(_middles(1), -1, lambda _: 0.1),
    "lowest": Rank(_middles(1), 1, lambda _: 0.1),
    "largest": Rank(lambda scene, frame: scene.areas[:, frame], 1, lambda _: 1.4, is_ratio=True),
    "smallest": Rank(lambda scene, frame: scene.areas[:, frame], -1, lambda _: 1.4, is_ratio=True),
    "main": Rank(lambda scene, _: (np.sqrt(scene.areas) * scene.visible).sum(1), 1, lambda _: 1.3, is_ratio=True),
    **{f"first to {value}": _deed_rank(value, -1) for value in DEEDS},
    **{f"last to {value}": _deed_rank(value, 1) for value in DEEDS},
}
ATTRIBUTES: dict[str, Callable[[Scene, int, int, str], Ternary]] = {
    "name": lambda scene, thing, _, value: scene.things[thing].kind.name == value,
    "breed": lambda scene, thing, _, value: scene.things[thing].breed == value,
    "category": lambda scene, thing, _, value: value in names.categories(scene.things[thing].kind),
    "fact": lambda scene, thing, _, value: scene.things[thing].kind.name in FACT_KINDS[value],
    "colour": lambda scene, thing, _, value: colour(scene.things[thing], value),
    "place": place,
    "motion": lambda scene, thing, _, value: motion(scene, thing, value),
    "deed": lambda scene, thing, _, value: deed(scene, thing, value),
    "overtakes": lambda scene, thing, _, value: overtakes(scene, thing, value),
}
"""Whether a thing has an attribute of this value in a target frame: (scene, thing, frame, value)."""


def leader(scene: Scene, frame: int, rank: str, among: list[int]) -> int | None:
    """Return the one of these things, of which at least two take part, that leads the others clearly; None when none does."""
    rule = RANKS[rank]
    if rule.of_frame and not scene.visible[among, frame].all():
        return None
    if not rule.of_frame and None in (deed(scene, thing, rank.rpartition(" ")[2]) for thing in among):
        return None
    values = rule.measure(scene, frame)
    part = sorted((thing for thing in among if not np.isnan(values[thing])), key=lambda thing: -rule.sign * float(values[thing]))
    if len(part) < 2:
        return None
    best, second = float(values[part[0]]), float(values[part[1]])
    lead = max(best, second) / min(best, second) if rule.is_ratio else abs(best - second)
    return part[0] if lead >= rule.margin(scene) else None


def _border_of_time(scene: Scene, thing: int, value: str) -> bool:
    """Return whether a thing that is covered at the first or last frame may look as if it entered or left."""
    edge = {"enter": 0, "leave": -1}.get(value)
    return edge is not None and bool(scene.in_picture[thing, edge]) and not scene.visible[thing, edge]


def _way_across(thing: Thing) -> int:
    """Return 1 for a thing that moves right all the time, -1 for left, 0 for any other."""
    right, down = thing.velocities[0]
    return int(np.sign(right)) if not thing.deed and abs(right) > 2 * abs(down) else 0
