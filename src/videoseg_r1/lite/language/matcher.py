"""The language side of `lite` without a trained model: a voter and a reasoner that compare words with what perception found.

Both are deterministic. The reasoning text states the evidence that decided, and nothing else. Order of events, counting and several
targets are beyond the matcher: a trained model (`lite.reader`) answers those from the same transcript. Not here: the scores (`scoring`),
the frames that seed masks are made in (`best_frames`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from videoseg_r1.lite.language.scoring import Judgement, colour_shares, judge
from videoseg_r1.lite.language.transcript import describe, is_unclear, sure_concept, wide_concept
from videoseg_r1.lite.language.vocabulary import membership
from videoseg_r1.lite.language.words import ParsedQuery, understand
from videoseg_r1.lite.perception.perceived_video import Perception
from videoseg_r1.lite.perception.regions import FrameScan, Region
from videoseg_r1.lite.perception.seed_frames import cue_of, view_quality
from videoseg_r1.lite.perception.tracks import ThingTrack, follow
from videoseg_r1.prompts import format_reply, neutralize_tags, rounded_cue
from videoseg_r1.stages.protocols import Context, Shown
from videoseg_r1.types import Frame, Reasoning
from videoseg_r1.video.indices import uniform

LOOKS = 8
"""Frames looked at in the whole video, and in the segment that a question is about."""
PRESENT = 0.5
"""Presence from which the best fit is the answer."""
_KNOWN = 0.6  # similarity from which a noun is in the vocabulary, so that its absence among the classes says something
_NOT_MISSED = 0.75  # presence where the thing could be there without being recognised
_OF_SORT = 0.9  # share of a noun's classes that must be of one wide concept for the noun to be of that concept
_HALF_EVIDENCE = 0.05  # class evidence at which presence is 0.5, as a share of the strongest class that was seen


class LiteVoter:
    """A `Voter` over what perception sees: when the thing that fits best is visible, and when it is seen best.

    Votes differ in how strict they are: each interval vote asks for another share of the best view's quality, each position vote weighs
    size against clarity differently.
    """

    def __init__(self, perception: Perception) -> None:
        self._perception = perception

    def intervals(self, frames: Shown, query: str, k: int) -> list[tuple[float, float] | None]:
        """Return k intervals in percent of the frames shown; None for each when nothing was seen."""
        views = self._views(frames, query)
        if not views:
            return [None] * k
        quality = {region.index: view_quality(region, 0.5, unchanged) for region, unchanged in views}
        best = max(quality.values())
        votes: list[tuple[float, float] | None] = []
        for share in np.linspace(0.2, 0.6, k):
            good = [index for index, value in quality.items() if value >= share * best]
            votes.append(_around(good, frames.indices))
        return votes

    def positions(self, frames: Shown, query: str, m: int) -> list[float | None]:
        """Return m positions in percent of the frames shown; None for each when nothing was seen."""
        views = self._views(frames, query)
        if not views:
            return [None] * m
        first, last = frames.indices[0], frames.indices[-1]
        picks = [_best_view(views, float(power)) for power in np.linspace(0.3, 0.7, m)]
        middle = sorted(picks)[len(picks) // 2]
        # votes for two far ends must not average to a frame that nobody asked for
        near = (last - first) / LOOKS
        picks = [pick if abs(pick - middle) <= near else middle for pick in picks]
        return [float(np.floor(1000 * (pick - first + 0.5) / (last - first + 1)) / 10) for pick in picks]

    def seen(self, frames: Shown, query: str, least_presence: float) -> tuple[int, int] | None:
        """Return the first and last frame, of those shown, in which the thing that fits best is seen; None where it is not surely meant.

        Args:
            frames: what is shown.
            query: the sentence.
            least_presence: how sure it has to be, 0..1, that what is asked for is among the things seen.
        """
        first, last = frames.indices[0], frames.indices[-1]
        wanted = understand(query)
        judged = judge(wanted, self._tracks(frames), (first + last) // 2)
        if _presence(wanted, judged) < least_presence:
            return None
        seen = [index for index in judged[0].track.regions if first <= index <= last]
        return seen[0], seen[-1]

    def _views(self, frames: Shown, query: str) -> list[tuple[Region, float]]:
        """Return the regions of the thing that fits best, in the part of the video that is shown, each with its unchanged part."""
        if not frames.indices:
            return []
        first, last = frames.indices[0], frames.indices[-1]
        here = self._tracks(frames)
        if not here:
            return []
        track = judge(understand(query), here, (first + last) // 2)[0].track
        perceived, scans = self._perception.of(frames.video), self._scans(frames)
        return [(region, perceived.unchanged(region, scans)) for index, region in track.regions.items() if first <= index <= last]

    def _tracks(self, frames: Shown) -> list[ThingTrack]:
        """Return the things that are seen in the part of the video that is shown."""
        first, last = frames.indices[0], frames.indices[-1]
        return [track for track in follow(self._scans(frames)) if any(first <= index <= last for index in track.regions)]

    def _scans(self, frames: Shown) -> Mapping[int, FrameScan]:
        segment = frames.indices[0], frames.indices[-1]
        return self._perception.of(frames.video).scan(frames.video, looks(frames.video.num_frames, segment))


def looks(num_frames: int, segment: tuple[int, int], target: int | None = None) -> list[int]:
    """Return the frames that are looked at for a question, ascending: some of the whole video, some of the segment, and the target frame.

    They depend on nothing else, so an answer does not depend on earlier questions, and every part of `lite` sees the same things under the
    same ids for one question.
    """
    return sorted({*uniform(0, num_frames - 1, LOOKS), *uniform(*segment, LOOKS), *(() if target is None else (target,))})


def _best_view(views: Sequence[tuple[Region, float]], size_power: float) -> int:
    return max(views, key=lambda view: (view_quality(view[0], size_power, view[1]), -view[0].index))[0].index


@dataclass(frozen=True, slots=True)
class MatcherAnswer:
    """An answer of the matcher, and how sure it is.

    Attributes:
        reasoning: the answer, with its presence.
        share: probability of the best fit among the things that are seen, 0..1; 0 where nothing is seen.
        query: the sentence as it was understood.
        colours: of each thing that is seen, by its id, how much of it has the named colour of which it has least, 0..1; empty where the
            sentence names no colour.
    """

    reasoning: Reasoning
    share: float
    query: ParsedQuery
    colours: Mapping[int, float] = field(default_factory=dict[int, float])


class Matcher:
    """A `Reasoner`: picks the thing that fits the query best, or none."""

    def __init__(self, perception: Perception) -> None:
        self._perception = perception

    def reason(self, target: Frame, context: Context, query: str) -> Reasoning:
        """Return the evidence as reasoning text and one cue, or no cue where what is asked for was not seen.

        Raises: WeightsMissing, ModelError: a network cannot be loaded.
        """
        return self.answer(target, context, query).reasoning

    def answer(self, target: Frame, context: Context, query: str) -> MatcherAnswer:
        """Return what `reason` does, and how sure it is. Raises: as there."""
        video, num_frames = context.video, context.video.num_frames
        tracks = follow(self._perception.of(video).scan(video, looks(num_frames, context.pick.segment, target.index)))
        wanted = understand(query)
        judged, presence = match(wanted, tracks, target.index)
        found = judged[:1] if presence >= PRESENT else []
        size = target.rgb.shape[1], target.rgb.shape[0]
        cues = [cue_of(one.track, target.index, size) for one in found]
        text = neutralize_tags(_reasoning_text(wanted, judged, found, target.index, num_frames, size))[0]
        # cues are those of the reply, which is on the grid of all replies, so that a trace and its reply say the same
        rounded = tuple(rounded_cue(cue, size) for cue in cues)
        reasoning = Reasoning(text, rounded, len(text.split()), format_reply(text, cues, size), presence)
        ids = {one.track.track_id: one.track for one in judged if one.track.track_id is not None}
        colours = {track_id: min(colour_shares(wanted, track)) for track_id, track in ids.items()} if wanted.colours else {}
        return MatcherAnswer(reasoning, judged[0].share if judged else 0.0, wanted, colours)


def match(query: ParsedQuery, tracks: Sequence[ThingTrack], index: int) -> tuple[list[Judgement], float]:
    """Return the things that are seen in frame `index`, the best fit first, and the presence: how sure it is, 0..1, that what is asked for
    is among them. From `PRESENT` on, the first one is the answer.
    """
    judged = judge(query, [track for track in tracks if index in track.regions], index)
    return judged, _presence(query, judged)


def _presence(query: ParsedQuery, judged: Sequence[Judgement]) -> float:
    """Return 0..1: how sure it is that the thing is there.

    Little evidence does not mean absence in two cases: the vocabulary does not hold the noun, or the classifier is sure of the wide concept
    that the noun belongs to and only guesses the name. Evidence counts relative to the strongest class, because a classifier that is
    unsure of everything, as with drawn figures, gives little evidence for what is there as well.
    """
    if not judged:
        return 0.0
    if not query.noun or query.known < _KNOWN:
        return _NOT_MISSED
    best = max(judged, key=lambda j: j.evidence)
    classes = best.track.mean_classes()
    presence = best.evidence / (best.evidence + _HALF_EVIDENCE * float(classes.max()))
    sort = sure_concept(classes) if is_unclear(classes) else ""
    return max(presence, _NOT_MISSED) if sort and sort == _sort(query) else presence


def _sort(query: ParsedQuery) -> str:
    """Return the wide concept that the noun belongs to, "" where it may belong to several."""
    held = membership()
    classes = (held / held.sum(0)) @ query.phrase_weights  # a concept weighs as much as a class, however many classes it holds
    concept, share = wide_concept(classes / classes.sum())
    return concept if share >= _OF_SORT else ""


def _around(good: Sequence[int], shown: Sequence[int]) -> tuple[float, float]:
    """Return the interval that covers these frames, half a step wider on each side, in percent of the frames shown."""
    span = shown[-1] - shown[0]
    if span == 0:
        return 0.0, 100.0
    half_step = 50 / (min(LOOKS, span + 1) - 1)
    low = 100 * (min(good) - shown[0]) / span - half_step
    high = 100 * (max(good) - shown[0]) / span + half_step
    return float(np.floor(max(0.0, low))), float(np.ceil(min(100.0, high)))


def _reasoning_text(
    query: ParsedQuery, judged: Sequence[Judgement], found: Sequence[Judgement], target: int, num_frames: int, size: tuple[int, int]
) -> str:
    """Return the evidence in words: what was looked for, what is there, what decided."""
    asked = f'Looking for "{query.noun}"' if query.noun else "The query names no kind of thing"
    hints = [*(word for group in query.colours for word in group[:1]), *query.places, *query.sizes, *query.motions]
    asked += f", with the hints {', '.join(hints)}." if hints else "."
    lines = [f"{n}. {describe(j.track, target, num_frames, size)}" for n, j in enumerate(judged, 1)]
    if not judged:
        return f"{asked} Nothing stands out in frame {target}."
    if not found:
        return "\n".join([asked, *lines, f"None looks like it: the best evidence is {max(j.evidence for j in judged):.3f}. No target."])
    best = found[0]
    reasons = [f"{name} {value:+.2f}" for name, value in best.terms.items() if abs(value) >= 0.05]
    decided = f" It leads by: {', '.join(reasons)}." if len(judged) > 1 and reasons else ""
    evidence = f" Class evidence {best.evidence:.2f}." if query.noun else ""
    return "\n".join([asked, *lines, f"Choice: 1, with {best.share:.2f} of the score.{evidence}{decided}"])
