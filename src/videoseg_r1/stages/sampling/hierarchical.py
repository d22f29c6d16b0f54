"""Stage 1: the hierarchical text-guided frame sampler, over any Voter.

The flow is the paper's: narrow the video down to a key segment by votes on intervals, then choose the target frame in it by votes
on a position. The paper leaves the numbers and the edge cases open; what is fixed here is tagged "ours".

Not covered: asking a model (the voter does), reading pixels (whoever uses the pick does), training (which draws its frames without
a sampler). A voter answers in percent of the clip it is shown. Answers of at most 1 with decimals are read as fractions, so a voter
that computes its answers should give whole percents.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from videoseg_r1.errors import CorruptVideo, InvalidConfig, ModelError
from videoseg_r1.stages.protocols import Shown, Voter
from videoseg_r1.types import KeyframePick, Round
from videoseg_r1.video import Video
from videoseg_r1.video.indices import reference_frames, split, uniform

SamplerMode: TypeAlias = Literal["full", "first", "direct", "random"]
Aggregate: TypeAlias = Literal["mean", "median"]
Unit: TypeAlias = Literal["percent", "seconds"]

_ROUNDING = 1e-9  # 0.07 * 100 is 7.000000000000001: floor and ceil must not see that


@dataclass(frozen=True, slots=True)
class SamplerConfig:
    """How much is asked, and when the sampler stops. All values are ours; the paper publishes none.

    Attributes:
        num_intervals: interval votes per round (K).
        num_positions: votes on the target frame (M).
        delta: the key segment is short enough at this fraction of the video, in (0, 1].
        max_rounds: interval rounds at most.
        min_frames: videos of at most this many frames are not narrowed down (N_min).
        shown_frames: frames shown to the voter per question (N_seg).
        key_frames: frames of the key segment handed to stage 2.
        mode: rows of the paper's Table 5: "full", "first" frame of the video, "direct" position in the whole video, "random" frame
            of the key segment.
        aggregate: how votes become one: "mean" (paper) or "median".
        progress: a round that leaves more than this fraction of the segment ends the narrowing, in (0, 1).
        num_anchors: frames that are answered for, beyond the paper: the target frame, and one in each other part of the key segment,
            found by M votes each.
        unit: in which a language model is asked for intervals; models trained on time stamps may do better with "seconds". The voter
            turns them into percent.
    """

    num_intervals: int = 5
    num_positions: int = 10
    delta: float = 0.4
    max_rounds: int = 3
    min_frames: int = 8
    shown_frames: int = 16
    key_frames: int = 4
    mode: SamplerMode = "full"
    aggregate: Aggregate = "mean"
    progress: float = 0.95
    num_anchors: int = 1
    unit: Unit = "percent"

    def __post_init__(self) -> None:
        at_least = {"num_intervals": 1, "num_positions": 1, "max_rounds": 0, "min_frames": 1, "shown_frames": 2, "key_frames": 1}
        at_least |= {"num_anchors": 1}
        wrong = [f"{name} must be at least {low}" for name, low in at_least.items() if getattr(self, name) < low]
        if not 0 < self.delta <= 1:
            wrong.append("delta must be in (0, 1]")
        if not 0 < self.progress < 1:
            wrong.append("progress must be in (0, 1)")
        if self.mode not in get_args(SamplerMode):
            wrong.append(f"mode must be one of {', '.join(get_args(SamplerMode))}")
        if self.unit not in get_args(Unit):
            wrong.append(f"unit must be one of {', '.join(get_args(Unit))}")
        if self.aggregate not in get_args(Aggregate):
            wrong.append(f"aggregate must be one of {', '.join(get_args(Aggregate))}")
        if wrong:
            raise InvalidConfig("the sampler cannot work with these settings", where=repr(self), why="; ".join(wrong))


class HierarchicalSampler:
    """A `Sampler`: the same video, query, votes and seed give the same pick, whatever was picked before."""

    def __init__(self, voter: Voter, config: SamplerConfig | None = None, seed: int = 0) -> None:
        self.voter = voter
        self.config = config or SamplerConfig()
        self.seed = seed

    def pick(self, video: Video, query: str) -> KeyframePick:
        """Choose key segment, target frame and the frames around it.

        Never fails for want of usable votes: without interval votes the segment stays as it is, without position votes the target
        is its middle (ours). `converged` is False when the segment was to be shortened to `delta` of the video and was not.

        Raises: CorruptVideo: there are no frames. ModelError: the voter answered with the wrong number of votes.
        """
        num_frames = video.num_frames
        if num_frames < 1:
            raise CorruptVideo("the video has no frames", where=video.info.source)
        config = self.config
        segment, rounds, positions, converged = (0, num_frames - 1), (), (), True
        if num_frames > config.min_frames and config.mode in {"full", "random"}:
            segment, rounds = self._narrow(video, query)
            converged = self._short_enough(segment, num_frames)
        start, end = segment
        if num_frames == 1 or config.mode == "first":
            target = start
        elif config.mode == "random":
            target = int(np.random.default_rng(self.seed).integers(start, end + 1))
        else:
            positions = self._positions(video, query, segment)
            target = self._voted(segment, positions)
        return KeyframePick(
            num_frames=num_frames,
            segment=segment,
            target_frame=target,
            key_frames=uniform(start, end, config.key_frames),
            reference_frames=reference_frames(num_frames, target),
            rounds=rounds,
            positions=positions,
            converged=converged,
            mode=config.mode,
            anchors=self._anchors(video, query, segment, target),
        )

    def _anchors(self, video: Video, query: str, segment: tuple[int, int], target: int) -> tuple[int, ...]:
        """Return the voted frame of each part of the segment that does not hold the target frame."""
        parts = split(segment, self.config.num_anchors)
        return tuple(self._voted(part, self._positions(video, query, part)) for part in parts if not part[0] <= target <= part[1])

    def _voted(self, segment: tuple[int, int], positions: Sequence[float | None]) -> int:
        return voted_frame(segment, positions, self.config.aggregate)

    def _narrow(self, video: Video, query: str) -> tuple[tuple[int, int], tuple[Round, ...]]:
        """Shorten the segment round by round, until it is short enough or a round brings nothing."""
        config = self.config
        segment = (0, video.num_frames - 1)
        rounds: list[Round] = []
        while len(rounds) < config.max_rounds and not self._short_enough(segment, video.num_frames):
            shown = Shown(video, uniform(*segment, config.shown_frames))
            replies = self.voter.intervals(shown, query, config.num_intervals)
            self._check_count(replies, config.num_intervals, "intervals")
            votes = tuple(_interval_frames(reply, segment) for reply in replies)
            proposal, spread = _merge([vote for vote in votes if vote is not None], segment, config.aggregate)
            rounds.append(Round(segment, votes, proposal, spread))
            if _length(proposal) > config.progress * _length(segment):
                break
            segment = proposal
        return segment, tuple(rounds)

    def _positions(self, video: Video, query: str, segment: tuple[int, int]) -> tuple[float | None, ...]:
        """Return the position votes in 0..1, None where unusable."""
        config = self.config
        replies = self.voter.positions(Shown(video, uniform(*segment, config.shown_frames)), query, config.num_positions)
        self._check_count(replies, config.num_positions, "positions")
        return usable_positions(replies)

    def _short_enough(self, segment: tuple[int, int], num_frames: int) -> bool:
        return _length(segment) <= self.config.delta * num_frames

    def _check_count(self, replies: Sequence[object], wanted: int, name: str) -> None:
        if len(replies) != wanted:
            raise ModelError(
                "the voter did not answer every question",
                where=f"{type(self.voter).__name__}.{name}",
                why=f"{len(replies)} votes for {wanted} questions",
                fix="return None for an answer that cannot be used",
            )


def to_frames(interval: tuple[float, float], shown_segment: tuple[int, int]) -> tuple[int, int] | None:
    """Turn one interval vote, in percent of the segment that was shown, into first and last frame of the video.

    The start is rounded down and the end up. Two values in 0..1, not both whole, are fractions; a reversed interval is turned round
    if both ends are in range; an interval that sticks out is cut at 0 and 100; one without length is widened by a frame on each
    side. None for what is not finite, wholly outside, or reversed and out of range.
    Source: the paper averages intervals and says no more; these rules are ours.
    """
    low, high = interval
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    unit = _unit((low, high))
    if low > high >= 0 and low <= unit:
        low, high = high, low
    if low > high or high < 0 or low > unit:
        return None
    low, high = max(low, 0.0), min(high, unit)
    first, last = shown_segment
    margin = 1 if low == high else 0
    start = math.floor(low * (last - first) / unit + _ROUNDING) - margin
    end = math.ceil(high * (last - first) / unit - _ROUNDING) + margin
    return max(first + start, first), min(first + end, last)


def aggregate(values: Sequence[float], how: Aggregate = "mean") -> float:
    """Return one value for many, at least one. Source: mean, the paper; median, ours, for votes with outliers."""
    return float(np.mean(values) if how == "mean" else np.median(values))


def target_frame(start: int, length: int, p: float) -> int:
    """Return the frame at position p in 0..1 of a segment of `length` frames.

    Source: start + floor(length * p) is the paper's; p = 1, which would step past the end, gives the last frame (ours).
    """
    return min(start + math.floor(length * p + _ROUNDING), start + length - 1)


def usable_positions(replies: Sequence[object]) -> tuple[float | None, ...]:
    """Return position votes in 0..1 of the segment that was shown, None where a vote cannot be used; all of them in one unit (ours)."""
    votes = [_finite(reply) for reply in replies]
    unit = _unit([vote for vote in votes if vote is not None])
    return tuple(vote / unit if vote is not None and 0 <= vote <= unit else None for vote in votes)


def voted_frame(segment: tuple[int, int], positions: Sequence[float | None], how: Aggregate = "mean") -> int:
    """Return the frame of a segment that positions in 0..1 vote for; its middle where none can be used (ours)."""
    valid = [position for position in positions if position is not None]
    return target_frame(segment[0], _length(segment), aggregate(valid, how) if valid else 0.5)


def _interval_frames(reply: object, segment: tuple[int, int]) -> tuple[int, int] | None:
    """Return `to_frames` of whatever a voter returned; None unless it is a pair of numbers."""
    if not isinstance(reply, (tuple, list)) or len(reply) != 2:
        return None
    low, high = _finite(reply[0]), _finite(reply[1])
    return None if low is None or high is None else to_frames((low, high), segment)


def _merge(votes: Sequence[tuple[int, int]], segment: tuple[int, int], how: Aggregate) -> tuple[tuple[int, int], float]:
    """Return the segment that the votes agree on and their spread in frames; the segment as it was when there are no votes."""
    if not votes:
        return segment, 0.0
    middle = aggregate([start for start, _ in votes], how), aggregate([end for _, end in votes], how)
    spread = float(np.abs(np.asarray(votes) - middle).mean())
    return (math.floor(middle[0]), math.ceil(middle[1])), spread


def _finite(value: object) -> float | None:
    """Return a finite float, or None for anything else, True and False included."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        number = float(value)
    except OverflowError:  # an int beyond the range of floats
        return None
    return number if math.isfinite(number) else None


def _unit(values: Sequence[float]) -> float:
    """Return what the whole clip counts in these values: 1 when all are in 0..1 and some have decimals, else 100 (ours)."""
    return 1.0 if all(0 <= value <= 1 for value in values) and any(value != int(value) for value in values) else 100.0


def _length(segment: tuple[int, int]) -> int:
    return segment[1] - segment[0] + 1
