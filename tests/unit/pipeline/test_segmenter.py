"""The pipeline with scripted stages: what goes where, what is recorded, and what is refused."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from videoseg_r1.cli.outputs import saved
from videoseg_r1.config import Limits
from videoseg_r1.errors import Cancelled, InvalidDocument, InvalidPrompt, InvalidQuery
from videoseg_r1.output.reload import read_run
from videoseg_r1.pipeline.segmenter import Stages, VideoSegmenter
from videoseg_r1.stages.sampling.hierarchical import HierarchicalSampler
from videoseg_r1.types import Box, Cue, Point, Reasoning, TrackedFrame, TrackEvent
from videoseg_r1.video import open_video
from videoseg_r1.video.memory import ArrayVideo

_FRAMES = np.random.default_rng(0).integers(0, 255, (12, 40, 60, 3), dtype=np.uint8)
_BOX = Cue(Box(10, 5, 30, 25), (Point(20, 15),))


class ScriptedVoter:
    def intervals(self, frames, query, k):
        return [(50.0, 80.0)] * k

    def positions(self, frames, query, m):
        return [50.0] * m


class ScriptedReasoner:
    def __init__(self, cues):
        self.cues = cues
        self.calls = 0

    def reason(self, target, context, query):
        self.calls += 1
        assert target.index == context.pick.target_frame
        assert [frame.index for frame in context.key_frames()] == list(context.pick.key_frames)
        return Reasoning(f"looked for {query}", self.cues, num_tokens=3)


class BoxSegmenter:
    def segment(self, frame, cues):
        masks = np.zeros((len(cues), *frame.rgb.shape[:2]), bool)
        for mask, cue in zip(masks, cues, strict=True):
            if cue.box:
                mask[int(cue.box.y1) : int(cue.box.y2), int(cue.box.x1) : int(cue.box.x2)] = True
        return masks


class StandingStill:
    def run(self, frames, seeds):
        first = min(seeds)
        for index in (*range(first, frames.num_frames), *range(first - 1, -1, -1)):
            yield TrackedFrame(index, seeds[first].masks, (0.5,) * len(seeds[first].which))


class LowerDown:
    """A frame finder that sees what is meant best in frames 2 and 8, lower down each time. In 8, `cue` takes the place of the last."""

    def __init__(self, cue=None):
        self.cue = cue

    def find(self, meant, context):
        assert meant.text == "looked for the box"
        seen = {2: tuple(map(_lower, meant.cues)), 8: tuple(_lower(_lower(cue)) for cue in meant.cues)}
        if self.cue is not None:
            seen[8] = (*seen[8][:-1], self.cue)
        return {index: Reasoning("lower down", cues) for index, cues in seen.items()}


def _lower(cue):
    return Cue(Box(cue.box.x1, cue.box.y1 + 4, cue.box.x2, cue.box.y2 + 4))


class FromTheNearest:
    def run(self, frames, seeds):
        for index in range(frames.num_frames):
            near = seeds[min(seeds, key=lambda i: abs(i - index))].masks
            yield TrackedFrame(index, near, (0.5,) * len(near))


def _segmenter(cues=(_BOX,), finder=None, **settings):
    reasoner = ScriptedReasoner(cues)
    stages = Stages(
        lambda seed: HierarchicalSampler(ScriptedVoter(), seed=seed),
        lambda _seed: reasoner,
        BoxSegmenter,
        StandingStill,
        frame_finder=None if finder is None else lambda: finder,
        settings=settings,
    )
    return VideoSegmenter(stages, "scripted"), reasoner


def test_masks_reasoning_and_trace_come_out():
    segmenter, _ = _segmenter()
    result = segmenter.segment(_FRAMES, "  the   box ")
    assert (result.num_frames, result.size) == (12, (60, 40))
    assert result.query == "the box"
    assert result.reasoning is not None
    assert result.reasoning.text == "looked for the box"
    assert all(result.mask(i).sum() == 400 for i in range(12))
    assert result.tracks[0].confidence(3) == 0.5
    assert result.trace.keyframes == result.keyframes
    assert set(result.timings_s) == {"load", "sample", "reason", "seed", "propagate"}


def test_no_target_is_an_answer():
    result = _segmenter(cues=())[0].segment(_FRAMES, "nothing like it")
    assert result.tracks == ()
    assert result.num_frames == 12
    assert not result.mask(0).any()


class Troubled(StandingStill):
    """Says what it gave up, and what it noticed: backwards in time, as a run towards the start does."""

    notes = ("XMem: out of memory, freed the cache",)

    def run(self, frames, seeds):
        for one in super().run(frames, seeds):
            event = TrackEvent(one.index, "drift", 0, "forwards", "confidence 0.50")
            yield replace(one, events=(event,) if one.index in (3, 9) else ())


def test_what_propagation_noticed_is_in_the_trace_and_what_it_gave_up_in_the_result(tmp_path):
    stages = replace(_segmenter()[0].stages, propagator=Troubled)
    segmenter = VideoSegmenter(stages, "scripted")
    result = segmenter.segment(_FRAMES, "the box")
    assert [(event.frame_index, event.kind) for event in result.trace.events] == [(3, "drift"), (9, "drift")]
    assert result.notes == Troubled.notes
    assert result.to_dict()["notes"] == list(Troubled.notes)
    result.save(tmp_path, formats=["json", "rle", "trace"])
    read = read_run(tmp_path)
    assert read.notes == Troubled.notes
    assert read.trace.events == result.trace.events
    assert [item.events for item in segmenter.stream(_FRAMES, "the box") if item.events] == [
        (event,) for event in result.trace.events[::-1]
    ]


def test_the_command_line_tells_what_was_noticed_and_given_up(tmp_path):
    stages = replace(_segmenter()[0].stages, propagator=Troubled)
    result = VideoSegmenter(stages, "scripted").segment(_FRAMES, "the box")
    text = saved(result, tmp_path, ["json"], overwrite=False, progress=lambda *_call: None).text
    assert "at frame 3 object 1 may drift: confidence 0.50" in text
    assert Troubled.notes[0] in text


def test_a_stage_is_loaded_when_it_is_first_needed():
    made = []

    def maker(name, thing):
        return lambda *_seed: made.append(name) or thing

    stages = Stages(
        maker("sampler", None), maker("reasoner", None), maker("segmenter", BoxSegmenter()), maker("propagator", StandingStill())
    )
    segmenter = VideoSegmenter(stages, "scripted")
    mask = np.zeros((40, 60), bool)
    mask[3:9, 4:20] = True
    segmenter.propagate(_FRAMES, {5: mask})
    assert made == ["propagator"]
    segmenter.propagate(_FRAMES, {0: [_BOX]})
    assert made == ["propagator", "segmenter"]


def test_stream_gives_the_same_masks():
    segmenter, _ = _segmenter()
    result = segmenter.segment(_FRAMES, "the box")
    items = list(segmenter.stream(_FRAMES, "the box"))
    assert sorted(item.frame_index for item in items) == list(range(12))
    assert all((item.masks[0] == result.mask(item.frame_index)).all() for item in items)


def test_a_stream_says_what_was_understood_before_its_first_frame():
    stream = _segmenter()[0].stream(_FRAMES, " the  box")
    assert (stream.query, stream.num_frames, stream.has_target) == ("the box", 12, True)
    assert stream.reasoning.text == "looked for the box"
    assert 0 <= stream.keyframes.target_frame < 12
    assert len(list(stream)) == 12
    assert list(stream) == []


def test_a_stream_without_a_target_says_why_and_has_no_frames():
    with _segmenter(cues=())[0].stream(_FRAMES, "nothing like it") as stream:
        assert not stream.has_target
        assert stream.reasoning.text == "looked for nothing like it"
        assert list(stream) == []


class CountedVideo(ArrayVideo):
    """Says when it is closed."""

    def __init__(self, frames):
        super().__init__(frames, limits=Limits(), fps=None)
        self.num_closed = 0

    def close(self):
        self.num_closed += 1
        super().close()


@pytest.fixture
def counted(monkeypatch):
    """Videos that the pipeline opened, with how often each was closed."""
    videos = []

    def open_counted(source, **_settings):
        videos.append(CountedVideo(source))
        return videos[-1]

    monkeypatch.setattr("videoseg_r1.pipeline.segmenter.open_video", open_counted)
    return videos


@pytest.mark.parametrize("ends", ["read to the end", "closed", "left by an error", "no target"])
def test_a_stream_frees_the_video_however_it_ends(ends, counted):
    segmenter, _ = _segmenter(cues=() if ends == "no target" else (_BOX,))
    stream = segmenter.stream(_FRAMES, "the box")
    if ends == "read to the end":
        assert len(list(stream)) == 12
    elif ends == "left by an error":
        with pytest.raises(ZeroDivisionError), stream:
            _ = next(stream).frame_index / 0
    elif ends == "closed":
        assert next(stream).frame_index >= 0
        stream.close()
        stream.close()
        assert list(stream) == []
    assert [video.num_closed > 0 for video in counted] == [True]


def _cancel_at(stage, done=1):
    def on_progress(name, now, _total):
        if (name, now) == (stage, done):
            raise Cancelled("stopped by the user")

    return on_progress


@pytest.mark.parametrize("stage", ["sample", "reason", "seed", "propagate"])
def test_a_listener_that_raises_cancels_the_run_and_everything_is_closed(stage, counted):
    segmenter, _ = _segmenter()
    with pytest.raises(Cancelled, match="stopped by the user"):
        segmenter.segment(_FRAMES, "the box", on_progress=_cancel_at(stage))
    assert [video.num_closed > 0 for video in counted] == [True]


def test_nothing_half_done_is_kept_of_a_cancelled_run():
    segmenter, _ = _segmenter()
    with open_video(_FRAMES) as video:
        with pytest.raises(Cancelled):
            segmenter.segment(video, "the box", on_progress=_cancel_at("propagate", 5))
        result = segmenter.segment(video, "the box")
    assert all(result.mask(index).sum() == 400 for index in range(12))


def test_a_stream_can_be_cancelled_by_its_listener():
    stream = _segmenter()[0].stream(_FRAMES, "the box", on_progress=_cancel_at("propagate", 3))
    assert [next(stream).frame_index, next(stream).frame_index]
    with pytest.raises(Cancelled):
        next(stream)
    assert list(stream) == []


def test_threads_share_a_segmenter_and_get_the_masks_of_their_own_videos():
    segmenter, _ = _segmenter()
    boxes = [Cue(Box(x, 5, x + 20, 25)) for x in range(0, 40, 5)]

    def masks_of(number):
        frames = np.roll(_FRAMES, number, axis=2)
        result = segmenter.propagate(frames, {number: [boxes[number]]})
        return [int(np.argmax(result.mask(index).any(0))) for index in range(12)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(masks_of, range(len(boxes))))
    assert found == [[5 * number] * 12 for number in range(len(boxes))]


def test_a_stage_is_made_once_for_all_threads():
    made = []

    def slow_segmenter():
        made.append(1)
        time.sleep(0.05)
        return BoxSegmenter()

    segmenter = VideoSegmenter(replace(_segmenter()[0].stages, segmenter=slow_segmenter), "scripted")
    with ThreadPoolExecutor(4) as pool:
        assert len({id(one) for one in pool.map(lambda _: segmenter.segmenter, range(8))}) == 1
    assert made == [1]


def test_progress_reaches_every_stage():
    seen = []
    _segmenter()[0].segment(_FRAMES, "the box", on_progress=lambda *call: seen.append(call))
    assert {stage for stage, _, _ in seen} == {"sample", "reason", "seed", "propagate"}
    assert ("propagate", 12, 12) in seen


@pytest.mark.parametrize("stopped_at", ["sample", "reason", "seed", "propagate"])
def test_progress_may_stop_the_work_at_any_stage(stopped_at):
    class Stopped(Exception):
        pass

    def stop(stage: str, _done: int, _total: int) -> None:
        if stage == stopped_at:
            raise Stopped

    segmenter = _segmenter()[0]
    with pytest.raises(Stopped):
        segmenter.segment(_FRAMES, "the box", on_progress=stop)
    assert segmenter.segment(_FRAMES, "the box").mask(0).any()  # the next call is not affected


def test_replay_asks_no_reasoner_and_gives_the_same_masks():
    segmenter, reasoner = _segmenter()
    result = segmenter.segment(_FRAMES, "the box")
    again = segmenter.replay(result.trace, _FRAMES)
    assert reasoner.calls == 1
    assert all((again.mask(i) == result.mask(i)).all() for i in range(12))
    assert again.trace.to_json() == result.trace.to_json()


def test_replay_of_given_masks():
    segmenter, _ = _segmenter()
    mask = np.zeros((40, 60), bool)
    mask[3:9, 4:20] = True
    result = segmenter.propagate(_FRAMES, {5: mask})
    again = segmenter.replay(result.trace, _FRAMES)
    assert all((again.mask(i) == mask).all() for i in range(12))


def test_masks_are_carried_from_where_what_is_meant_is_seen_best():
    segmenter, reasoner = _segmenter(finder=LowerDown())
    segmenter.stages = replace(segmenter.stages, propagator=FromTheNearest)
    result = segmenter.segment(_FRAMES, "the box")
    assert reasoner.calls == 1  # it is not asked again
    assert [(anchor.frame_index, anchor.why) for anchor in result.trace.anchors] == [(2, "follow"), (8, "follow")]
    assert [np.argmax(result.mask(index).any(1)) for index in (0, 2, 8, 11)] == [9, 9, 13, 13]

    items = {item.frame_index: item.masks[0] for item in segmenter.stream(_FRAMES, "the box")}
    again = segmenter.replay(result.trace, _FRAMES)
    assert reasoner.calls == 2  # for the stream
    assert again.trace.to_json() == result.trace.to_json()
    for index in range(12):
        assert (again.mask(index) == result.mask(index)).all()
        assert (items[index] == result.mask(index)).all()


def test_a_frame_where_one_of_several_things_gets_no_mask_says_nothing_of_it():
    other = Cue(Box(35, 5, 55, 25), (Point(45, 15),))
    segmenter, _ = _segmenter((_BOX, other), LowerDown(Cue(None, (Point(3, 3),))))
    told = {}

    class Noting(FromTheNearest):
        def run(self, frames, seeds):
            told.update(seeds)
            return super().run(frames, seeds)

    segmenter.stages = replace(segmenter.stages, propagator=Noting)
    assert len(segmenter.segment(_FRAMES, "the box").tracks) == 2
    assert {index: given.which.tolist() for index, given in told.items()} == {2: [True, True], 8: [True, False]}
    assert (told[8].masks[0] == np.roll(told[2].masks[0], 4, 0)).all()


@pytest.mark.parametrize("other", [{"frames": _FRAMES[:6]}, {"settings": {"delta": 1}}])
def test_replay_with_another_video_or_settings_is_refused(other):
    trace = _segmenter()[0].segment(_FRAMES, "the box").trace
    with pytest.raises(InvalidDocument, match=r"another video|other settings"):
        _segmenter(**other.get("settings", {}))[0].replay(trace, other.get("frames", _FRAMES))


def test_what_differs_from_the_trace_is_told_in_words():
    made, here = _segmenter(delta=4, votes={"k": 3, "m": 5}), _segmenter(delta=4, votes={"k": 8})
    trace = made[0].segment(_FRAMES, "the box").trace
    with pytest.raises(InvalidDocument) as caught:
        here[0].replay(trace, _FRAMES)
    assert caught.value.why == "votes.k is 3 in the trace and 8 here; votes.m is 5 in the trace and not there here"
    other = VideoSegmenter(made[0].stages, "another")
    with pytest.raises(InvalidDocument, match="made with another preset") as caught:
        other.replay(trace, _FRAMES)
    assert caught.value.why == f"it was made with {made[0].preset}, here another is used"


def test_label_maps_boxes_and_mask_stacks_can_be_given():
    segmenter, _ = _segmenter()
    labels = np.zeros((40, 60), np.uint8)
    labels[:10, :10], labels[20:30, 20:30] = 1, 7
    assert len(segmenter.propagate(_FRAMES, {0: labels}).tracks) == 2
    assert len(segmenter.propagate(_FRAMES, {0: np.stack([labels == 1, labels == 7])}).tracks) == 2
    assert segmenter.propagate(_FRAMES, {0: [_BOX]}).mask(11).sum() == 400


@pytest.mark.parametrize(
    "given",
    [
        {},
        {0: np.zeros((40, 60), bool)},
        {0: np.ones((41, 60), bool)},
        {0: np.ones((40, 60), np.float32)},
        {12: np.ones((40, 60), bool)},
        {-1: np.ones((40, 60), bool)},
        {0: [Cue(Box(10, 5, 61, 25))]},
        {0: [Cue(Box(30, 5, 10, 25))]},
        {0: [Cue(Box(float("nan"), 5, 10, 25))]},
        {0: [Cue(None)]},
        {0: [Cue(_BOX.box, (Point(60, 1),))]},
    ],
)
def test_prompts_that_do_not_fit_are_refused(given):
    with pytest.raises(InvalidPrompt):
        _segmenter()[0].propagate(_FRAMES, given)


@pytest.mark.parametrize("query", ["", " \n ", "x" * 100_000, "a\x00b"])
def test_bad_queries_are_refused_before_the_video_is_opened(query):
    with pytest.raises(InvalidQuery):
        _segmenter()[0].segment("/nowhere.mp4", query)


def test_the_same_seeds_in_an_open_video_are_carried_through_it_once():
    segmenter, _ = _segmenter()
    with open_video(_FRAMES) as video:
        first = segmenter.segment(video, "the box")
        second = segmenter.segment(video, "that box there")
        assert first.tracks[0].spool is second.tracks[0].spool
        assert "propagate" not in second.timings_s
    third = segmenter.segment(_FRAMES, "the box")
    assert third.tracks[0].spool is not first.tracks[0].spool
