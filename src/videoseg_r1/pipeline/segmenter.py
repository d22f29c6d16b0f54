"""The paper's flow: video and sentence in, masks in every frame and the reasoning out.

Data flows one way: source -> Video -> KeyframePick -> Reasoning -> seed masks -> masks of every frame -> result. Not here: which
models stand behind the stages (`presets`), files that are written (`output`), many videos at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np

from videoseg_r1._version import __version__
from videoseg_r1.config import Limits
from videoseg_r1.masks import decode, encode
from videoseg_r1.output.fingerprint import WitnessedVideo
from videoseg_r1.output.result import SegmentationResult, Track
from videoseg_r1.output.trace import Trace, TracedVideo
from videoseg_r1.pipeline.carried import Carried, CarriedMasks
from videoseg_r1.pipeline.check_trace import check_trace
from videoseg_r1.pipeline.corrections import Asked, asked_after_check, asked_in_key_segment, corrections
from videoseg_r1.pipeline.seed_input import GivenObjects, SeedInput, objects_of
from videoseg_r1.pipeline.steps import Steps
from videoseg_r1.pipeline.stream import SegmentationStream, StreamItem
from videoseg_r1.prompts import clean_query
from videoseg_r1.stages.protocols import BestFrameFinder, Checker, Context, HasNotes, Propagator, Reasoner, Sampler, Segmenter
from videoseg_r1.types import Anchor, AnchorReason, BoolMask, Given, KeyframePick, Progress, Reasoning, Seeds
from videoseg_r1.video import OnCorrupt, Source, Video, open_video

Stage = TypeVar("Stage")
AskFurther: TypeAlias = Callable[[Seeds, Carried], tuple[Anchor, ...]]
"""Returns answers for further frames, given the seeds and the masks that were carried from them."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The models of a preset, one maker per protocol; those of stages 1 and 2 take a seed.

    A maker is called when its stage is first needed: whoever carries masks through a video loads no language model. `frame_finder` finds
    the frames where what was meant is seen best; None takes the target frame. `checker` turns the self-check on. `settings` and `models`
    are recorded in the trace.
    """

    sampler: Callable[[int], Sampler]
    reasoner: Callable[[int], Reasoner]
    segmenter: Callable[[], Segmenter]
    propagator: Callable[[], Propagator]
    frame_finder: Callable[[], BestFrameFinder] | None = None
    checker: Callable[[int], Checker] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    models: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class _Understood:
    """What stages 1 and 2 found for a sentence.

    `best` are the same objects in the frames where they are seen best. `reasoner` is who answered; None in a replay.
    """

    keyframes: KeyframePick
    reasoning: Reasoning
    best: tuple[Anchor, ...] = ()
    reasoner: Reasoner | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    """What was asked of a run, for its result and trace."""

    source: Source
    query: str | None
    seed: int = 0
    given: GivenObjects | None = None


class VideoSegmenter:
    """Segments videos by sentences, or by masks, boxes and points, with the stages of a preset.

    Several threads may use one segmenter, each with a video that it opened itself.

    Args:
        stages: the models.
        preset: its name, recorded in the trace.
        limits: how large an input may be.
        on_corrupt: what is done with a damaged video, see `open_video`.
    """

    def __init__(self, stages: Stages, preset: str, limits: Limits | None = None, on_corrupt: OnCorrupt = "error") -> None:
        self.stages = stages
        self.preset = preset
        self.limits = limits or Limits()
        self.on_corrupt: OnCorrupt = on_corrupt
        self._carried = CarriedMasks()
        self._loaded: dict[str, Any] = {}
        self._loading = threading.Lock()

    @property
    def segmenter(self) -> Segmenter:
        """Stage 3a, loaded when it is first needed."""
        return self._load("segmenter", self.stages.segmenter)

    @property
    def propagator(self) -> Propagator:
        """Stage 3b, loaded when it is first needed."""
        return self._load("propagator", self.stages.propagator)

    def segment(self, source: Source, query: str, *, seed: int = 0, on_progress: Progress | None = None) -> SegmentationResult:
        """Find what the sentence asks for and mask it in every frame.

        Args:
            source: video file, frame folder, image, array (T, H, W, 3) uint8, an iterable of frames, or an open `Video`.
            query: the sentence.
            seed: of every random choice; the same seed and input give the same masks and trace.
            on_progress: see `Progress`; it may raise to cancel.
        Returns: the result; no tracks when the answer is "no target".
        Raises: InvalidQuery, InputError, ModelError, ResourceError.
        """
        query = clean_query(query, max_chars=self.limits.max_query_chars)
        steps = Steps(on_progress)
        with self._open(source) as video:
            found = self._understand(video, query, seed, steps)
            seeds = self._seed(video, found, steps)
            further = self._further_questions(video, query, seed, found, steps)
            carried, anchors = self._carry(video, seeds, further, steps)
            return self._result(video, _Request(source, query, seed), found, (*found.best, *anchors), carried, steps)

    def stream(self, source: Source, query: str, *, seed: int = 0, on_progress: Progress | None = None) -> SegmentationStream:
        """Find what the sentence asks for, then hand out masks as they are made: from the last seed frame to the end, then backwards.

        Memory does not grow with the video. Anchors that are asked about and the self-check are left out: they need the whole video first.

        Returns: the stream; stages 1 to 3a are done when it is returned, and it says so when there is no target.
        Raises: as `segment`.
        """
        query = clean_query(query, max_chars=self.limits.max_query_chars)
        steps = Steps(on_progress)
        with ExitStack() as opened:
            video = opened.enter_context(self._open(source))
            found = self._understand(video, query, seed, steps)
            seeds = self._seed(video, found, steps)
            items = self._stream(video, seeds, steps) if seeds else None
            return SegmentationStream(query, video.num_frames, found.keyframes, found.reasoning, items, opened.pop_all().close)

    def propagate(
        self,
        source: Source,
        given: Mapping[int, SeedInput],
        *,
        query: str | None = None,
        names: Mapping[int, str] | None = None,
        on_progress: Progress | None = None,
    ) -> SegmentationResult:
        """Carry masks, boxes or points through the video, without any text.

        Objects keep their numbers: those of a label map, or those they are given by; otherwise they are 1, 2, ... in their order. An object
        that one frame has and another lacks is carried to the other; a bool mask that is empty says that the object is not there.

        Args:
            source: as in `segment`.
            given: frame index -> mask, masks, label map, cues, or cues and masks by object number (`SeedInput`).
            query: a label for the result; it has no influence.
            names: object number -> what to call it in the result; no influence either.
            on_progress: see `Progress`; it may raise to cancel.
        Raises: InvalidPrompt: nothing given, outside the video, or of another size. InputError, ModelError, ResourceError.
        """
        steps = Steps(on_progress)
        with self._open(source) as video:
            with steps.step("seed"):
                objects = objects_of(video, given, lambda: self.segmenter, names)
            carried = self._carried.carry(video, objects.seeds(), self.propagator, steps)
            return self._result(video, _Request(source, query, given=objects), None, (), carried, steps)

    def replay(self, trace: Trace, source: Source, *, on_progress: Progress | None = None) -> SegmentationResult:
        """Make the masks of a trace again, without its language model.

        Raises: InvalidDocument: the trace belongs to another video, preset or settings.
        """
        steps = Steps(on_progress)
        with self._open(source) as video:
            unknown = check_trace(trace, video, self.preset, self.stages.settings)
            best, in_key_segment, after_check = _anchors(trace, "follow"), _anchors(trace, "split"), _anchors(trace, "check")
            known = _Understood(trace.keyframes, trace.reasoning, best) if trace.keyframes and trace.reasoning else None
            if (given := _given_objects(trace)) is not None:
                carried = self._carried.carry(video, given.seeds(), self.propagator, steps)
                result = self._result(video, _Request(source, trace.query, trace.seed, given), None, (), carried, steps)
            else:
                seeds, further = self._seed(video, known, steps), (in_key_segment, after_check)
                carried, _ = self._carry(video, seeds, [lambda _seeds, _carried, found=found: found for found in further], steps)
                result = self._result(video, _Request(source, trace.query, trace.seed), known, trace.anchors, carried, steps)
            return replace(result, notes=(*result.notes, unknown)) if unknown else result

    # ---- the stages, in the order of the paper ----

    def _understand(self, video: Video, query: str, seed: int, steps: Steps) -> _Understood:
        """Stages 1 and 2: the sentence -> key segment and target frame -> reasoning and cues."""
        with steps.timed("load"):
            sampler, reasoner = self.stages.sampler(seed), self.stages.reasoner(seed)
            _ = self.segmenter, self.propagator  # load the models now, so that missing weights fail before stage 1 runs
        with steps.step("sample"):
            keyframes = sampler.pick(video, query)
        with steps.step("reason"):
            target = video.read([keyframes.target_frame])[0]
            context = Context(video, keyframes)
            reasoning = reasoner.reason(target, context, query)
            best = self._best_frames(reasoning, context)
        return _Understood(keyframes, reasoning, best, reasoner)

    def _best_frames(self, reasoning: Reasoning, context: Context) -> tuple[Anchor, ...]:
        if self.stages.frame_finder is None or not reasoning.cues:
            return ()
        found = self._load("frame_finder", self.stages.frame_finder).find(reasoning, context)
        return tuple(Anchor(index, "follow", answer) for index, answer in found.items())

    def _seed(self, video: Video, found: _Understood | None, steps: Steps) -> Seeds:
        """Stage 3a: cues -> masks, where what is meant is seen best, or else on the target frame."""
        if found is None or not found.reasoning.cues:
            return {}
        answers = {anchor.frame_index: anchor.reasoning for anchor in found.best} or {found.keyframes.target_frame: found.reasoning}
        with steps.step("seed"):
            masks = {index: self.segmenter.segment(video.read([index])[0], answer.cues) for index, answer in answers.items()}
        return _seeds_of(masks)

    def _carry(self, video: Video, seeds: Seeds, further: Sequence[AskFurther], steps: Steps) -> tuple[Carried, tuple[Anchor, ...]]:
        """Stage 3b: seed masks -> masks of every frame, and again where further answers say otherwise."""
        carried = self._carried.carry(video, seeds, self.propagator, steps)
        anchors: tuple[Anchor, ...] = ()
        for ask in further if seeds else ():
            answers = ask(seeds, carried)
            anchors += answers
            other = corrections(answers, carried, video, lambda: self.segmenter, steps)
            if other:
                seeds = {**seeds, **other}
                carried = self._carried.carry(video, seeds, self.propagator, steps)
        return carried, anchors

    def _further_questions(self, video: Video, query: str, seed: int, found: _Understood, steps: Steps) -> Sequence[AskFurther]:
        """Return what is asked beyond the paper: about the other anchors of the key segment, then whether the masks are right."""
        if found.reasoner is None:
            return ()
        asked, checker = Asked(video, query, found.keyframes, found.reasoner), self.stages.checker
        questions: list[AskFurther] = []
        if self.stages.frame_finder is None:  # which knows where the objects are, and need not ask
            questions.append(lambda _seeds, _carried: asked_in_key_segment(asked, steps))
        if checker is not None:
            questions.append(lambda seeds, carried: asked_after_check(asked, checker(seed), seeds, carried, steps))
        return questions

    def _stream(self, video: Video, seeds: Seeds, steps: Steps) -> Iterator[StreamItem]:
        for done, found in enumerate(self.propagator.run(video, seeds), 1):
            steps.report("propagate", done, video.num_frames)
            yield StreamItem(found.index, video.pts_s(found.index), found.masks, found.confidence, found.events)

    # ---- what surrounds them ----

    def _result(
        self,
        video: WitnessedVideo,
        request: _Request,
        found: _Understood | None,
        anchors: tuple[Anchor, ...],
        carried: Carried,
        steps: Steps,
    ) -> SegmentationResult:
        size, given = (video.info.width, video.info.height), request.given or GivenObjects({})
        ids = given.object_ids
        trace = Trace(
            version=__version__,
            query=request.query,
            preset=self.preset,
            seed=request.seed,
            video=TracedVideo(video.path.name if video.path else video.info.source, video.num_frames, size, str(video.fingerprint())),
            keyframes=found.keyframes if found else None,
            reasoning=found.reasoning if found else None,
            seed_masks={index: tuple(encode(masks[n]) if n in masks else None for n in ids) for index, masks in given.masks.items()},
            object_ids=ids,
            object_names=tuple(given.names.get(number, "") for number in ids) if given.names else (),
            anchors=anchors,
            events=carried.events,
            settings=self.stages.settings,
            models=self.stages.models,
        )
        return SegmentationResult(
            info=video.info,
            query=request.query,
            num_frames=video.num_frames,
            size=size,
            keyframes=found.keyframes if found else None,
            reasoning=found.reasoning if found else None,
            tracks=Track.all_of(carried.spool, ids if request.given else None, given.names),
            times=video.times,
            trace=trace,
            timings_s=steps.timings_s,
            notes=self._notes(found.reasoner if found else None),
            source=request.source if isinstance(request.source, np.ndarray) else video.path,
        )

    def _load(self, name: str, make: Callable[[], Stage]) -> Stage:
        with self._loading:
            if name not in self._loaded:
                self._loaded[name] = make()
            return self._loaded[name]

    def _open(self, source: Source) -> WitnessedVideo:
        return WitnessedVideo(open_video(source, limits=self.limits, on_corrupt=self.on_corrupt))

    def _notes(self, reasoner: Reasoner | None) -> tuple[str, ...]:
        """Return what the models that were loaded gave up so far, each once; it stays given up for later videos."""
        noting = [stage for stage in (reasoner, *self._loaded.values()) if isinstance(stage, HasNotes)]
        return tuple(dict.fromkeys(note for stage in noting for note in stage.notes))


def _anchors(trace: Trace, why: AnchorReason) -> tuple[Anchor, ...]:
    return tuple(anchor for anchor in trace.anchors if anchor.why == why)


def _given_objects(trace: Trace) -> GivenObjects | None:
    """Return the objects that a user gave, from the trace of the run; None where a sentence was given."""
    if not trace.seed_masks:
        return None
    ids = trace.object_ids or tuple(range(1, 1 + len(next(iter(trace.seed_masks.values())))))
    masks = {
        index: {number: decode(rle) for number, rle in zip(ids, rles, strict=True) if rle is not None}
        for index, rles in trace.seed_masks.items()
    }
    return GivenObjects(masks, {number: name for number, name in zip(ids, trace.object_names, strict=False) if name})


def _seeds_of(masks: Mapping[int, BoolMask]) -> Seeds:
    """Return the masks (N, H, W) by frame as seeds, of the objects that got a mask in any frame; a frame without one says nothing of it."""
    shown = {index: np.asarray(one.any((1, 2)), np.bool_) for index, one in masks.items()}
    found = np.asarray(np.logical_or.reduce(list(shown.values())), np.bool_)
    return {index: Given.of(Given(one[found], shown[index][found])) for index, one in masks.items() if shown[index].any()}
