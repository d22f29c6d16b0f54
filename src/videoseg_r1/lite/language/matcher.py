"""The language side of `lite` before its language model: a voter and a reasoner that compare words with what perception found.

Both are deterministic. The thinking text states the evidence that decided, nothing else. Not here: order of events, counting,
several targets; the trained model answers those from the same transcript.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from videoseg_r1.errors import ModelError
from videoseg_r1.lite.language.scoring import Judgement, judge
from videoseg_r1.lite.language.transcript import describe, is_unclear, sure_concept, wide_concept
from videoseg_r1.lite.language.vocabulary import membership
from videoseg_r1.lite.language.words import Query, understand
from videoseg_r1.lite.perception.regions import Region
from videoseg_r1.lite.perception.scene import scene_of
from videoseg_r1.lite.perception.seed_frames import best_views, cue_of, view_quality
from videoseg_r1.lite.perception.tracks import Track, follow
from videoseg_r1.lite.segmenter import LiteSegmenter
from videoseg_r1.prompts import CANONICAL, ParseFailure, format_reply, parse_reply
from videoseg_r1.stages.protocols import Context, Shown
from videoseg_r1.types import Box, Frame, Reasoning
from videoseg_r1.video.indices import split, uniform

LOOKS = 8
"""Frames looked at in the whole video, and in the segment that a question is about."""
_KNOWN = 0.6  # similarity from which a noun is in the vocabulary, so that not seeing it means something
PRESENT = 0.5
"""Presence from which something is answered."""
_NOT_MISSED = 0.75  # presence of what could be there without being recognised
_OF_SORT = 0.9  # of what a noun means must be of one wide concept for it to be a name of that sort
_HALF_EVIDENCE = 0.05  # class evidence at which presence is 0.5, as a share of the strongest class that was seen


class LiteVoter:
    """A `Voter` over what perception sees: when the thing that fits best is visible, and when it is seen best.

    Votes differ in how strict they are: each interval vote asks for another share of the best view, each position vote weighs size
    against clarity differently. Args: `device` of the networks.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._device = device

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

    def _views(self, frames: Shown, query: str) -> list[tuple[Region, float]]:
        """Return the views of the best thing in the stretch that is shown, each with its unchanged part."""
        if not frames.indices:
            return []
        first, last = frames.indices[0], frames.indices[-1]
        scene = scene_of(frames.video, self._device)
        scans = scene.scan(frames.video, looks(frames.video.num_frames, (first, last)))
        tracks = follow(scans)
        here = [track for track in tracks if any(first <= index <= last for index in track.regions)]
        if not here:
            return []
        track = judge(understand(query), here, (first + last) // 2)[0].track
        return [(region, scene.unchanged(region, scans)) for index, region in track.regions.items() if first <= index <= last]


def looks(num_frames: int, segment: tuple[int, int]) -> list[int]:
    """Return the frames that are looked at for a question about a segment: some of the whole video, some of the segment.

    They depend on nothing else, so that an answer does not depend on what was asked before.
    """
    return sorted({*uniform(0, num_frames - 1, LOOKS), *uniform(*segment, LOOKS)})


def _best_view(views: Sequence[tuple[Region, float]], size_power: float) -> int:
    return max(views, key=lambda view: (view_quality(view[0], size_power, view[1]), -view[0].index))[0].index


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer, and how sure it is.

    Attributes:
        answer: what is said, with presence.
        share: probability of the best thing among those that are seen, 0..1; 0 where nothing is.
        query: the sentence as it was understood.
    """

    answer: Reasoning
    share: float
    query: Query


class Matcher:
    """A `Reasoner`: picks the thing that fits the query best, or none.

    Args:
        device: of the networks.
        num_views: frames in which masks are to be made of what is meant.
    """

    def __init__(self, device: str = "cpu", num_views: int = 1) -> None:
        self._device, self._num_views = device, num_views

    def reason(self, target: Frame, context: Context, query: str) -> Reasoning:
        """Return the evidence as thinking text and one cue, or none when what is asked for was not seen.

        Raises: WeightsMissing, ModelError: a network cannot be loaded.
        """
        return self.choose(target, context, query).answer

    def choose(self, target: Frame, context: Context, query: str) -> Choice:
        """Return what `reason` does, with what tells how sure it is. Raises: as there."""
        scene = scene_of(context.video, self._device)
        frames = looks(context.video.num_frames, context.pick.segment)
        tracks = follow(scene.scan(context.video, sorted({*frames, target.index})))
        wanted = understand(query)
        judged, presence = match(wanted, tracks, target.index)
        found = judged[:1] if presence >= PRESENT else []
        size = target.rgb.shape[1], target.rgb.shape[0]
        cues = [cue_of(j.region, size) for j in found]
        text = _thinking(wanted, judged, found, target.index, context.video.num_frames, size)
        reply = format_reply(text, cues, size)
        reasoning = parse_reply(reply, frame_size=size)
        if isinstance(reasoning, ParseFailure):
            raise ModelError("The matcher's own reply cannot be read", where=reasoning.kind, why=reasoning.detail)
        answer = replace(reasoning, reply=reply, presence=presence)
        return Choice(answer, judged[0].share if judged else 0.0, wanted)

    def follow(self, meant: Reasoning, context: Context) -> dict[int, Reasoning]:
        """Return where the things at the boxes of an answer are seen best, as perception tracked them. See `stages.Follower`."""
        if self._num_views == 1:
            return {}
        pick, scene = context.pick, scene_of(context.video, self._device)
        num_frames, size = context.video.num_frames, (context.video.info.width, context.video.info.height)
        scans = scene.scan(context.video, sorted({*looks(num_frames, pick.segment), pick.target_frame}))
        tracks = follow(scans)
        step = max(1.0, max(size) / CANONICAL[0])  # to whole pixels of the frame, or of the canonical one, boxes of answers are rounded
        things = [track for cue in meant.cues if (track := _at(cue.box, tracks, pick.target_frame, step)) is not None]
        if len(things) < len(meant.cues):
            return {}
        parts = split((0, num_frames - 1), self._num_views)  # masks are carried to both ends, however short the key segment is
        views = best_views(context.video, scene, scans, things, parts, LiteSegmenter(self._device))
        return {
            index: Reasoning("\n".join(describe(thing, index, num_frames, size) for thing in things), cues) for index, cues in views.items()
        }


def _at(box: Box | None, tracks: Sequence[Track], index: int, within: float) -> Track | None:
    """Return the thing that is at a box in frame `index`; None where no thing has that box, within so many pixels."""
    near = [(_apart(track.regions[index].box, box), track) for track in tracks if box is not None and index in track.regions]
    apart, track = min(near, key=lambda pair: pair[0], default=(np.inf, None))
    return track if apart <= within else None


def _apart(one: Box, other: Box) -> float:
    """Return by how much two boxes differ in the side where they differ most, in pixels."""
    return max(abs(one.x1 - other.x1), abs(one.y1 - other.y1), abs(one.x2 - other.x2), abs(one.y2 - other.y2))


def match(query: Query, tracks: Sequence[Track], index: int) -> tuple[list[Judgement], float]:
    """Return the things that are seen in frame `index`, the best fit first, and how sure it is that what is asked for is among them.

    From `PRESENT` on, 0..1, the first one is meant.
    """
    judged = judge(query, [track for track in tracks if index in track.regions], index)
    return judged, _presence(query, judged)


def _presence(query: Query, judged: Sequence[Judgement]) -> float:
    """Return 0..1: how sure it is that the thing is there.

    What cannot be missed is not taken for absent: a noun that the vocabulary does not hold, or another name of a sort of thing that is seen
    for sure, where the names that are seen are guesses. Where the classifier is unsure of everything, as with drawn figures, little
    evidence means less than where it is sure of something else: evidence counts relative to the strongest class.
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


def _sort(query: Query) -> str:
    """Return the wide concept that what is named belongs to, "" where it may be of several."""
    held = membership()
    classes = (held / held.sum(0)) @ query.phrase_weights  # a concept weighs as much as a class, however many it holds
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


def _thinking(
    query: Query, judged: Sequence[Judgement], found: Sequence[Judgement], target: int, num_frames: int, size: tuple[int, int]
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
