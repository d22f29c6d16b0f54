"""Stage 1 driven by scripted voters: every rule of the flow, and what holds whatever a voter says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videoseg_r1.errors import CorruptVideo, InvalidConfig, ModelError
from videoseg_r1.stages.protocols import Sampler, Shown
from videoseg_r1.stages.sampling.hierarchical import HierarchicalSampler, SamplerConfig, aggregate, target_frame, to_frames
from videoseg_r1.types import Frame, KeyframePick, VideoInfo
from videoseg_r1.video import Video
from videoseg_r1.video.indices import reference_frames, uniform


class BlankVideo(Video):
    """A number of frames that nobody may decode: the sampler itself looks at no pixel."""

    def __init__(self, num_frames: int) -> None:
        self._times = tuple(index / 10 for index in range(num_frames))

    @property
    def info(self) -> VideoInfo:
        return VideoInfo(source=f"{len(self._times)} blank frames", kind="array", width=4, height=4)

    @property
    def times(self) -> tuple[float, ...]:
        return self._times

    def _forward(self, start: int, stop: int | None) -> Iterator[Frame]:
        raise AssertionError("the sampler decoded a frame")

    def _pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        raise AssertionError("the sampler decoded a frame")


class ScriptedVoter:
    """Answers round after round from a list of lists; remembers which frames it was shown."""

    def __init__(self, intervals: Sequence[Sequence[Any]] = (), positions: Sequence[Any] = ()) -> None:
        self._intervals, self._positions = list(intervals), list(positions)
        self.shown: list[tuple[int, ...]] = []
        self.asked_positions: list[tuple[int, ...]] = []

    def intervals(self, frames: Shown, query: str, k: int) -> list[tuple[float, float] | None]:
        self.shown.append(frames.indices)
        return list(self._intervals[len(self.shown) - 1])

    def positions(self, frames: Shown, query: str, m: int) -> list[float | None]:
        self.asked_positions.append(frames.indices)
        return list(self._positions)


class SilentVoter:
    def intervals(self, frames: Shown, query: str, k: int) -> list[tuple[float, float] | None]:
        raise AssertionError("nobody should be asked for an interval")

    def positions(self, frames: Shown, query: str, m: int) -> list[float | None]:
        raise AssertionError("nobody should be asked for a position")


def run(num_frames: int, intervals: Sequence[Sequence[Any]] = (), positions: Sequence[Any] = (50,), **config: Any) -> KeyframePick:
    counts = {"num_intervals": len(intervals[0]) if intervals else 1, "num_positions": len(positions)}
    voter = ScriptedVoter(intervals, positions)
    return HierarchicalSampler(voter, SamplerConfig(**(counts | config))).pick(BlankVideo(num_frames), "the dog")


# --- the helpers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "length", "p", "expected"), [(10, 5, 1.0, 14), (10, 5, 0.5, 12), (10, 5, 0.0, 10), (0, 100, 0.29, 29)])
def test_target_frame(start: int, length: int, p: float, expected: int) -> None:
    assert target_frame(start, length, p) == expected  # the first two: oracle F.5


@pytest.mark.parametrize(
    ("interval", "segment", "expected"),
    [
        ((20, 60), (0, 100), (20, 60)),
        ((20, 60), (50, 60), (52, 56)),
        ((25, 75), (0, 10), (2, 8)),  # the start is rounded down, the end up
        ((60, 20), (0, 100), (20, 60)),  # oracle F.5: turned round
        ((0.2, 0.6), (0, 100), (20, 60)),  # fractions
        ((0.07, 0.29), (0, 100), (7, 29)),  # 0.07 * 100 is above 7 and 0.29 * 100 below 29
        ((7, 29), (0, 1000), (70, 290)),
        ((0, 1), (0, 100), (0, 1)),  # whole numbers are percent
        ((0, 0.5), (0, 100), (0, 50)),
        ((0.6, 0.2), (0, 100), (20, 60)),
        ((50, 50), (0, 100), (49, 51)),  # widened
        ((0, 0), (0, 100), (0, 1)),  # widened, but not out of the segment
        ((100, 100), (30, 40), (39, 40)),
        ((-20, 30), (0, 100), (0, 30)),  # clamped
        ((70, 130), (0, 100), (70, 100)),
        ((-5, 105), (7, 9), (7, 9)),
        ((100, 130), (0, 100), (99, 100)),
        ((30, 0), (0, 100), (0, 30)),
        ((100, 20), (0, 100), (20, 100)),
        ((1.5, 2), (0, 1000), (15, 20)),
        ((101, 130), (0, 100), None),  # wholly outside
        ((-30, -10), (0, 100), None),
        ((130, 20), (0, 100), None),  # reversed and out of range
        ((30, -10), (0, 100), None),
        ((float("nan"), 50), (0, 100), None),
        ((10, float("inf")), (0, 100), None),
        ((30, 60), (5, 5), (5, 5)),
    ],
)
def test_to_frames(interval: tuple[float, float], segment: tuple[int, int], expected: tuple[int, int] | None) -> None:
    assert to_frames(interval, segment) == expected


def test_aggregate() -> None:
    assert aggregate([1, 2, 9]) == 4
    assert aggregate([1, 2, 9], "median") == 2


@pytest.mark.parametrize(
    ("start", "end", "n", "expected"),
    [(0, 9, 4, (0, 3, 6, 9)), (5, 7, 16, (5, 6, 7)), (3, 3, 4, (3,)), (0, 10, 1, (5,)), (0, 99, 2, (0, 99)), (0, 5, 3, (0, 3, 5))],
)
def test_uniform(start: int, end: int, n: int, expected: tuple[int, ...]) -> None:
    assert uniform(start, end, n) == expected


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 64))
def test_uniform_frames_ascend_within_the_range(start: int, extra: int, n: int) -> None:
    frames = uniform(start, start + extra, n)
    assert len(frames) == min(n, extra + 1)
    assert list(frames) == sorted(set(frames))
    assert start <= frames[0]
    assert frames[-1] <= start + extra
    if len(frames) > 1:
        gaps = np.diff(frames)
        assert (frames[0], frames[-1]) == (start, start + extra)
        assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(("num_frames", "count"), [(1, 0), (2, 1), (3, 2), (5, 4), (16, 4), (36, 6), (100, 10), (10_000, 12)])
def test_number_of_reference_frames(num_frames: int, count: int) -> None:
    assert len(reference_frames(num_frames, target=-1)) == count  # no frame is the target


def test_reference_frames_are_midpoints_without_the_target() -> None:
    assert reference_frames(16, target=0) == (2, 6, 10, 14)
    assert reference_frames(16, target=6) == (2, 10, 14)


# --- the flow --------------------------------------------------------------------------------------------------------


def test_one_round_then_the_target() -> None:
    pick = run(100, [[(20, 40), (30, 50)]], [50, 60])
    shown = (0, 99)
    assert pick.rounds[0].shown == shown
    assert pick.rounds[0].votes == ((19, 40), (29, 50))
    assert pick.segment == pick.rounds[0].segment == (24, 45)
    assert pick.rounds[0].spread == 5
    assert pick.converged
    assert pick.positions == (0.5, 0.6)
    assert pick.target_frame == 24 + int(22 * 0.55)
    assert pick.key_frames == (24, 31, 38, 45)
    assert pick.reference_frames == reference_frames(100, pick.target_frame)
    assert (pick.num_frames, pick.mode) == (100, "full")


def test_the_voter_sees_uniform_frames_of_the_segment() -> None:
    voter = ScriptedVoter([[(0, 60)], [(50, 100)]], [0])
    config = SamplerConfig(num_intervals=1, num_positions=1, shown_frames=3)
    HierarchicalSampler(voter, config).pick(BlankVideo(101), "the dog")
    assert voter.shown == [(0, 50, 100), (0, 30, 60)]
    assert voter.asked_positions == [(30, 45, 60)]


def test_percent_are_of_the_segment_shown_not_of_the_video() -> None:
    pick = run(101, [[(40, 90)], [(0, 50)]])
    assert [r.shown for r in pick.rounds] == [(0, 100), (40, 90)]
    assert pick.segment == (40, 65)


def test_stops_after_max_rounds_unconverged() -> None:
    pick = run(1000, [[(0, 90)]] * 3, delta=0.1)
    assert len(pick.rounds) == 3
    assert not pick.converged
    assert pick.segment == pick.rounds[-1].segment


def test_short_enough_is_delta_of_the_video_exactly() -> None:
    four_frames, five_frames = (25, 50), (25, 60)
    assert run(10, [[four_frames]]).converged
    pick = run(10, [[five_frames], [(0, 100)]])
    assert (pick.segment, len(pick.rounds), pick.converged) == ((2, 6), 2, False)


def test_progress_is_a_fraction_of_the_segment_exactly() -> None:
    assert run(100, [[(0, 94 / 99 * 100)]], max_rounds=1).segment == (0, 94)
    assert run(100, [[(0, 95 / 99 * 100)]], max_rounds=1).segment == (0, 99)


def test_stops_as_soon_as_it_is_short_enough() -> None:
    assert len(run(1000, [[(0, 50)]] * 5, max_rounds=5).rounds) == 2


def test_no_valid_vote_keeps_the_segment() -> None:
    pick = run(100, [[(0, 60)], [None]])
    assert pick.rounds[1].votes == (None,)
    assert pick.rounds[1].segment == pick.segment == (0, 60)
    assert pick.rounds[1].spread == 0
    assert not pick.converged


def test_no_progress_keeps_the_segment() -> None:
    pick = run(100, [[(1, 98)]])
    assert pick.rounds[0].segment == (0, 98)  # 99 of 100 frames: what the votes said is kept in the trace
    assert pick.segment == (0, 99)
    assert len(pick.rounds) == 1
    assert not pick.converged


def test_unusable_votes_are_recorded_and_left_out() -> None:
    pick = run(101, [[(10, 30), None, (120, 140), (30, 10)]], [None, 20, 140, -1, float("nan"), 40])
    assert pick.rounds[0].votes == ((10, 30), None, None, (10, 30))
    assert pick.segment == (10, 30)
    assert pick.positions == (None, 0.2, None, None, None, 0.4)
    assert pick.target_frame == 10 + int(21 * 0.3)


def test_without_position_votes_the_target_is_the_middle() -> None:
    assert run(101, [[(10, 30)]], [None, None]).target_frame == 20


def test_position_one_is_the_last_frame_not_the_one_after() -> None:
    assert run(101, [[(10, 30)]], [100]).target_frame == 30


def test_position_fractions() -> None:
    pick = run(101, [[(10, 30)]], [0.5, 1, 0])
    assert pick.positions == (0.5, 1.0, 0.0)
    assert run(101, [[(10, 30)]], [1, 1]).positions == (0.01, 0.01)  # whole numbers are percent
    assert run(101, [[(10, 30)]], [0.5, 50]).positions == (0.005, 0.5)


def test_median_ignores_an_outlier() -> None:
    votes = [[(20, 30), (20, 30), (90, 100)]]
    positions = [10, 10, 100]
    mean, median = run(101, votes, positions), run(101, votes, positions, aggregate="median")
    assert median.segment == (20, 30)
    assert mean.segment == (43, 54)
    assert median.target_frame == 21
    assert mean.rounds[0].spread > median.rounds[0].spread > 0


@pytest.mark.parametrize("mode", ["full", "first", "direct", "random"])
def test_a_single_frame_asks_nobody(mode: str) -> None:
    pick = HierarchicalSampler(SilentVoter(), SamplerConfig(mode=mode)).pick(BlankVideo(1), "the dog")  # type: ignore[arg-type]
    assert (pick.segment, pick.target_frame, pick.key_frames, pick.reference_frames) == ((0, 0), 0, (0,), ())
    assert (pick.rounds, pick.positions, pick.converged) == ((), (), True)


def test_short_videos_are_not_narrowed() -> None:
    pick = run(8, [], [0])
    assert (pick.rounds, pick.segment, pick.target_frame, pick.converged) == ((), (0, 7), 0, True)
    assert len(run(9, [[(0, 10)]], [0]).rounds) == 1


def test_mode_first() -> None:
    pick = HierarchicalSampler(SilentVoter(), SamplerConfig(mode="first")).pick(BlankVideo(50), "the dog")
    assert (pick.target_frame, pick.segment, pick.mode) == (0, (0, 49), "first")
    assert 0 not in pick.reference_frames


def test_mode_direct_votes_on_the_whole_video() -> None:
    pick = run(100, [], [90], mode="direct")
    assert (pick.target_frame, pick.segment, pick.rounds) == (90, (0, 99), ())


def test_mode_random_is_drawn_from_the_key_segment_by_seed() -> None:
    config = SamplerConfig(num_intervals=1, mode="random")

    def pick(seed: int) -> KeyframePick:
        return HierarchicalSampler(ScriptedVoter([[(10, 40)]]), config, seed).pick(BlankVideo(101), "the dog")

    picks = [pick(seed) for seed in range(20)]
    assert all(10 <= p.target_frame <= 40 and p.positions == () for p in picks)
    assert len({p.target_frame for p in picks}) > 5
    assert [p.target_frame for p in picks] == [pick(seed).target_frame for seed in range(20)]


def test_mode_random_reaches_every_frame_of_the_segment() -> None:
    picks = [HierarchicalSampler(SilentVoter(), SamplerConfig(mode="random"), seed).pick(BlankVideo(3), "the dog") for seed in range(40)]
    assert {p.target_frame for p in picks} == {0, 1, 2}


def test_a_pick_does_not_depend_on_earlier_picks() -> None:
    class SameVoter(ScriptedVoter):
        def intervals(self, frames: Shown, query: str, k: int) -> list[tuple[float, float] | None]:
            return [(10, 40)] * k

    sampler = HierarchicalSampler(SameVoter(), SamplerConfig(mode="random"), seed=3)
    assert sampler.pick(BlankVideo(101), "the dog") == sampler.pick(BlankVideo(101), "the dog")


def test_it_is_a_sampler() -> None:
    sampler: Sampler = HierarchicalSampler(ScriptedVoter([], [50] * 10))
    assert sampler.pick(BlankVideo(5), "the dog").target_frame == 2


# --- refusals and garbage --------------------------------------------------------------------------------------------


def test_no_frames() -> None:
    with pytest.raises(CorruptVideo, match="no frames"):
        run(0)


@pytest.mark.parametrize(("intervals", "positions"), [([[]], [50]), ([[(0, 30), (0, 30)]], [50]), ([[(0, 30)]], []), ([[(0, 30)]], [1, 2])])
def test_a_wrong_number_of_votes_names_the_voter(intervals: list[list[Any]], positions: list[Any]) -> None:
    config = SamplerConfig(num_intervals=1, num_positions=1)
    with pytest.raises(ModelError, match="ScriptedVoter"):
        HierarchicalSampler(ScriptedVoter(intervals, positions), config).pick(BlankVideo(100), "the dog")


GARBAGE: list[Any] = [
    "20-60",
    (1,),
    (1, 2, 3),
    ("a", "b"),
    (None, 3),
    {},
    7,
    (True, 50),
    [10**400, 5],
    b"",
    float("nan"),
    (float("inf"), 0),
]


def test_garbage_votes_are_none() -> None:
    pick = run(100, [GARBAGE], GARBAGE)
    assert pick.rounds[0].votes == (None,) * len(GARBAGE)
    assert pick.positions == (None,) * 6 + (0.07,) + (None,) * 5
    assert pick.segment == (0, 99)


def test_numpy_numbers_are_numbers() -> None:
    pick = run(101, [[(np.float32(10), np.int64(30))]], [np.float64(50)])
    assert (pick.segment, pick.target_frame) == ((10, 30), 20)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_intervals": 0},
        {"num_positions": 0},
        {"max_rounds": -1},
        {"min_frames": 0},
        {"shown_frames": 1},
        {"key_frames": 0},
        {"delta": 0.0},
        {"delta": 1.1},
        {"delta": float("nan")},
        {"progress": 1.0},
        {"progress": 0.0},
        {"mode": "best"},
        {"aggregate": "mode"},
    ],
)
def test_config_is_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(wrong))):
        replace(SamplerConfig(), **wrong)


def test_the_smallest_settings_work() -> None:
    config = SamplerConfig(
        num_intervals=1, num_positions=1, delta=1.0, max_rounds=0, min_frames=1, shown_frames=2, key_frames=1, progress=0.01
    )
    pick = HierarchicalSampler(ScriptedVoter([], [0]), config).pick(BlankVideo(5), "the dog")
    assert (pick.target_frame, pick.key_frames, pick.converged) == (0, (2,), True)


def test_defaults_are_the_documented_ones() -> None:
    config = SamplerConfig()
    assert (config.num_intervals, config.num_positions, config.delta, config.max_rounds, config.min_frames) == (5, 10, 0.4, 3, 8)
    assert (config.shown_frames, config.key_frames, config.mode, config.aggregate, config.progress) == (16, 4, "full", "mean", 0.95)


# --- whatever a voter says -------------------------------------------------------------------------------------------

number = st.one_of(st.floats(0, 100), st.integers(-20, 120), st.floats(0, 1), st.floats(), st.none())
interval_vote = st.one_of(st.none(), st.tuples(number, number), st.text(max_size=3))
any_config = st.builds(
    SamplerConfig,
    num_intervals=st.integers(1, 4),
    num_positions=st.integers(1, 4),
    delta=st.floats(0.01, 1),
    max_rounds=st.integers(0, 6),
    min_frames=st.integers(1, 20),
    shown_frames=st.integers(2, 20),
    key_frames=st.integers(1, 6),
    mode=st.sampled_from(["full", "first", "direct", "random"]),
    aggregate=st.sampled_from(["mean", "median"]),
    progress=st.floats(0.05, 0.99),
)


class DrawingVoter:
    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def intervals(self, frames: Shown, query: str, k: int) -> list[tuple[float, float] | None]:
        return [self._draw(interval_vote) for _ in range(k)]

    def positions(self, frames: Shown, query: str, m: int) -> list[float | None]:
        return [self._draw(number) for _ in range(m)]


@settings(max_examples=300, deadline=None)
@given(st.data(), st.one_of(st.integers(1, 40), st.integers(1, 5000)), any_config, st.integers(0, 9))
def test_any_votes_give_a_sound_pick(data: st.DataObject, num_frames: int, config: SamplerConfig, seed: int) -> None:
    pick = HierarchicalSampler(DrawingVoter(data.draw), config, seed).pick(BlankVideo(num_frames), "the dog")
    start, end = pick.segment
    assert 0 <= start <= pick.target_frame <= end < num_frames
    assert set(pick.key_frames) <= set(range(start, end + 1))
    assert 1 <= len(pick.key_frames) <= config.key_frames
    assert set(pick.reference_frames) <= set(range(num_frames)) - {pick.target_frame}
    assert len(pick.rounds) <= config.max_rounds
    lengths = [r.shown[1] - r.shown[0] + 1 for r in pick.rounds]
    assert lengths == sorted(set(lengths), reverse=True)  # every round starts from a shorter segment
    for r in pick.rounds:
        assert len(r.votes) == config.num_intervals
        assert r.shown[0] <= r.segment[0] <= r.segment[1] <= r.shown[1]
        assert all(vote is None or r.shown[0] <= vote[0] <= vote[1] <= r.shown[1] for vote in r.votes)
    assert all(p is None or 0 <= p <= 1 for p in pick.positions)
    if pick.rounds:
        assert pick.converged == (end - start + 1 <= config.delta * num_frames)


@given(st.floats(0, 100), st.floats(0, 100), st.integers(0, 1000), st.integers(0, 1000))
def test_an_interval_never_shrinks_in_frames(low: float, high: float, first: int, extra: int) -> None:
    low, high = sorted((low, high))
    frames = to_frames((low, high), (first, first + extra))
    assert frames is not None
    unit = 1 if high <= 1 and (low % 1 or high % 1) else 100
    assert frames[0] - first <= low / unit * extra + 1e-6
    assert frames[1] - first >= high / unit * extra - 1e-6
