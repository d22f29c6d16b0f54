"""How well each thing of a scene fits a query: a sum of log scores, one for each kind of evidence.

Each term compares the things of one scene with each other, so the general level of a kind of evidence cancels out. Not here: finding the
things (`lite.perception`), the wording of the answer (`matcher`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from videoseg_r1.lite.language.vocabulary import membership
from videoseg_r1.lite.language.words import ParsedQuery
from videoseg_r1.lite.perception.regions import PALETTE, Region
from videoseg_r1.lite.perception.tracks import ThingTrack

_Terms: TypeAlias = npt.NDArray[np.float64]
_FLOOR = 0.02  # class evidence below this is noise of the classifier
_COLOUR_FLOOR = 0.1
_FAST = 0.03  # own sizes per frame: at 24 frames a second, about one length in a second and a half


@dataclass(frozen=True, slots=True)
class Judgement:
    """One thing and how well it fits.

    Attributes:
        track: the thing.
        region: its view nearest to the frame asked for.
        score: log score, comparable within one scene.
        share: its probability among the things of the scene, 0..1.
        evidence: probability that the classifier saw what the noun phrase names, 0..1: geometric mean over the average and the clearest
            view; 0 when the query names nothing.
        terms: the score's parts by name: "class", "colour", "place", "size", "motion", "prominence".
    """

    track: ThingTrack
    region: Region
    score: float
    share: float
    evidence: float
    terms: dict[str, float]


def judge(query: ParsedQuery, tracks: Sequence[ThingTrack], index: int) -> list[Judgement]:
    """Return the things of a scene as seen in or near frame `index`, the best fit first."""
    if not tracks:
        return []
    views = [track.nearest(index) for track in tracks]
    seen = np.stack([track.mean_classes() @ membership() for track in tracks])
    clearest = np.array([max(float(r.classes @ membership() @ query.phrase_weights) for r in track.regions.values()) for track in tracks])
    evidence = np.sqrt((seen @ query.phrase_weights) * clearest)
    terms = {
        "class": np.log(seen @ query.weights + _FLOOR) if query.noun else np.zeros(len(tracks)),
        "colour": _colour(query, tracks),
        "place": _place(query, views),
        "size": _size(query, views),
        "motion": _motion(query, tracks),
        "prominence": np.log(np.array([track.prominence for track in tracks]) / tracks[0].prominence + 1e-3) * 0.5,
    }
    total = np.sum(list(terms.values()), axis=0)
    shares = np.exp(total - total.max())
    shares /= shares.sum()
    order = sorted(range(len(tracks)), key=lambda i: -total[i])
    return [
        Judgement(
            tracks[i], views[i], float(total[i]), float(shares[i]), evidence[i], {name: float(v[i] - v.mean()) for name, v in terms.items()}
        )
        for i in order
    ]


def colour_shares(query: ParsedQuery, track: ThingTrack) -> tuple[float, ...]:
    """Return how much of a thing has each colour that the query names, 0..1."""
    fractions = track.mean_colours()
    return tuple(float(fractions[[PALETTE.index(name) for name in names]].sum()) for names in query.colours)


def _colour(query: ParsedQuery, tracks: Sequence[ThingTrack]) -> _Terms:
    """Each colour word: how much more of it a thing has than the others."""
    shares = np.array([colour_shares(query, track) for track in tracks]).reshape(len(tracks), -1)
    return np.log(shares + _COLOUR_FLOOR).sum(axis=1) * 0.5


def _place(query: ParsedQuery, views: Sequence[Region]) -> _Terms:
    xs, ys = np.array([view.center for view in views]).T
    bottoms = np.array([np.flatnonzero(np.any(view.mask, axis=1))[-1] / view.mask.shape[0] for view in views])
    near = 0.5 * np.log([view.area for view in views]) + bottoms
    terms = {
        "left": -4 * xs,
        "right": 4 * xs,
        "top": -4 * ys,
        "bottom": 4 * ys,
        "centre": -4 * np.abs(xs - 0.5),
        "front": near,
        "back": -near,
    }
    return np.sum([terms[name] for name in query.places], axis=0) if query.places else np.zeros(len(views))


def _size(query: ParsedQuery, views: Sequence[Region]) -> _Terms:
    sign = ("large" in query.sizes) - ("small" in query.sizes)
    return sign * 0.5 * np.log([view.area for view in views])


def _motion(query: ParsedQuery, tracks: Sequence[ThingTrack]) -> _Terms:
    """Direction, nearer or farther, moving or still, from velocities relative to the surroundings, saturating at `_FAST`."""
    right, down = (np.array([track.velocity() for track in tracks]) / _FAST).T
    growth = np.array([track.growth() for track in tracks]) / (_FAST / 3)
    speed = np.minimum(np.hypot(right, down), 1)
    terms = {
        "right": np.tanh(right),
        "left": -np.tanh(right),
        "down": np.tanh(down),
        "up": -np.tanh(down),
        "nearer": np.tanh(growth),
        "away": -np.tanh(growth),
        "moving": speed,
        "still": -speed,
    }
    return np.sum([terms[name] for name in query.motions], axis=0) if query.motions else np.zeros(len(tracks))
