"""The three stages in a row: video and sentence in, masks in every frame and the reasoning out.

Data flows one way: source -> Video -> KeyframePick -> Reasoning -> seed masks -> tracks -> result. Not here: which models stand
behind the stages (`presets.table`), files that are written (`output.save`), many videos at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from videoseg_r1._version import __version__
from videoseg_r1.config import Limits
from videoseg_r1.documents import to_plain
from videoseg_r1.errors import InvalidDocument, InvalidPrompt
from videoseg_r1.masks import MaskSpool, decode, encode
from videoseg_r1.output.render import overlay
from videoseg_r1.output.result import SegmentationResult, Track
from videoseg_r1.output.trace import Trace, TracedVideo
from videoseg_r1.pipeline.corrections import checked_frames, corrected, worst_frame
from videoseg_r1.pipeline.run import Carried, Run
from videoseg_r1.pipeline.seed_input import Given, as_masks, check_cue
from videoseg_r1.prompts import clean_query
from videoseg_r1.stages.protocols import Checker, Context, Follower, HasNotes, Propagator, Reasoner, Sampler, Segmenter
from videoseg_r1.types import Anchor, AnchorReason, BoolMask, Cue, Frame, Progress, TrackEvent
from videoseg_r1.video import OnCorrupt, Source, Video, open_video

Stage = TypeVar("Stage")

_MAX_CARRIED = 8  # kept per open video


@dataclass(frozen=True, slots=True)
class Stages:
    """The models of a preset, one maker per protocol; those of stages 1 and 2 take a seed.

    A maker is called when its stage is first needed: whoever carries masks through a video loads no language model. A `checker`
    turns the self-check on. `settings` and `models` are recorded in the trace.
    """

    sampler: Callable[[int], Sampler]
    reasoner: Callable[[int], Reasoner]
    segmenter: Callable[[], Segmenter]
    propagator: Callable[[], Propagator]
    checker: Callable[[int], Checker] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    models: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class StreamItem:
    """One frame of a running segmentation: masks (N, H, W) bool, one confidence in 0..1 per object, and what happened by then."""

    frame_index: int
    pts_s: float
    masks: BoolMask
    confidence: tuple[float, ...]
    events: tuple[TrackEvent, ...] = ()


class VideoSegmenter:
    """Segments videos by sentences, or by masks, boxes and points, with the stages of a preset.

    Args:
        stages: the models.
        preset: its name, recorded in the trace.
        limits: how large an input may be.
        on_corrupt: "error", or "keep-prefix" to use the good frames of a damaged video.
    """

    def __init__(self, stages: Stages, preset: str, limits: Limits | None = None, on_corrupt: OnCorrupt = "error") -> None:
        self.stages = stages
        self.preset = preset
        self.limits = limits or Limits()
        self.on_corrupt: OnCorrupt = on_corrupt
        # several sentences often mean the same thing of one open video: its masks are carried through it once
        self._carried: WeakKeyDictionary[Video, dict[bytes, Carried]] = WeakKeyDictionary()
        self._noting: list[HasNotes] = []

    @cached_property
    def segmenter(self) -> Segmenter:
        """Stage 3a, loaded when it is first needed."""
        return self._load(self.stages.segmenter())

    @cached_property
    def propagator(self) -> Propagator:
        """Stage 3b, loaded when it is first needed."""
        return self._load(self.stages.propagator())

    def segment(self, source: Source, query: str, *, seed: int = 0, on_progress: Progress | None = None) -> SegmentationResult:
        """Find what the sentence asks for and mask it in every frame.

        Args:
            source: video file, frame folder, image, array (T, H, W, 3) uint8, or an iterable of frames.
            query: the sentence.
            seed: of every random choice; the same seed and input give the same masks and trace.
            on_progress: see `Progress`.
        Returns: the result; no tracks when the answer is "no target".
        Raises: InvalidQuery, InputError, ModelError, ResourceError.
        """
        text = clean_query(query, max_chars=self.limits.max_query_chars)
        with self._open(source) as video:
            run = Run(video, text, seed, on_progress)
            self._understand(run)
            return self._finish(run, source)

    def stream(self, source: Source, query: str, *, seed: int = 0) -> Iterator[StreamItem]:
        """Yield the masks frame by frame as they are made: from the target frame to the end, then backwards to the start.

        Nothing is yielded when the answer is "no target". Memory does not grow with the video. Anchors that are asked about again and
        the self-check are left out: they need the whole video first. Raises: as `segment`.
        """
        text = clean_query(query, max_chars=self.limits.max_query_chars)
        with self._open(source) as video:
            run = Run(video, text, seed, None)
            self._understand(run)
            if run.num_objects:
                for found in self.propagator.run(video, run.seeds):
                    yield StreamItem(found.index, video.pts_s(found.index), found.masks, found.confidence, found.events)

    def propagate(
        self, source: Source, given: Mapping[int, Given], *, query: str | None = None, on_progress: Progress | None = None
    ) -> SegmentationResult:
        """Carry masks, boxes or points through the video, without any text.

        Args:
            source: as in `segment`.
            given: frame index -> mask, masks, label map or cues; the same objects on every frame.
            query: a label for the result; it has no influence.
            on_progress: see `Progress`.
        Raises: InvalidPrompt: nothing given, outside the video, or of another size. InputError, ModelError, ResourceError.
        """
        with self._open(source) as video:
            run = Run(video, query, 0, on_progress)
            with run.step("seed"):
                run.seeds = self._seeds_of(video, given)
            run.given = {index: tuple(encode(mask) for mask in masks) for index, masks in run.seeds.items()}
            return self._finish(run, source)

    def replay(self, trace: Trace, source: Source, *, on_progress: Progress | None = None) -> SegmentationResult:
        """Make the masks of a trace again, without its language model.

        Raises: InvalidDocument: the trace belongs to another video, preset or settings.
        """
        with self._open(source) as video:
            self._check_trace(trace, video)
            run = Run(video, trace.query, trace.seed, on_progress, trace.keyframes, trace.reasoning)
            run.given, run.anchors = trace.seed_masks, trace.anchors
            if trace.seed_masks:
                run.seeds = {index: np.stack([decode(rle) for rle in masks]) for index, masks in trace.seed_masks.items()}
            else:
                self._seed(run)
            return self._finish(run, source)

    def _load(self, stage: Stage) -> Stage:
        if isinstance(stage, HasNotes):
            self._noting.append(stage)
        return stage

    def _notes(self, run: Run) -> tuple[str, ...]:
        """Return what the models that were loaded gave up so far, each once; it stays given up for later videos."""
        noting = [run.reasoner, *self._noting] if isinstance(run.reasoner, HasNotes) else self._noting
        return tuple(dict.fromkeys(note for stage in noting for note in stage.notes))

    def _open(self, source: Source) -> Video:
        return open_video(source, limits=self.limits, on_corrupt=self.on_corrupt)

    def _understand(self, run: Run) -> None:
        """Stages 1, 2 and 3a: sentence -> target frame -> cues -> seed masks."""
        query = run.query or ""
        with run.timed("load"):
            sampler, reasoner = self.stages.sampler(run.seed), self.stages.reasoner(run.seed)
            run.reasoner = reasoner
            _ = self.segmenter, self.propagator  # what is missing is missed before the work, not after it
        with run.step("sample"):
            run.keyframes = sampler.pick(run.video, query)
        with run.step("reason"):
            target = run.video.read([run.keyframes.target_frame])[0]
            context = Context(run.video, run.keyframes)
            run.reasoning = reasoner.reason(target, context, query)
            if run.reasoning.cues and isinstance(reasoner, Follower):
                seen = reasoner.follow(run.reasoning, context)
                run.anchors = tuple(Anchor(index, "follow", answer) for index, answer in seen.items())
        self._seed(run)

    def _seed(self, run: Run) -> None:
        """Stage 3a: cues become masks: where what is meant was seen best, or else on the target frame."""
        if run.keyframes is None or run.reasoning is None or not run.reasoning.cues:
            return
        answers = {anchor.frame_index: anchor.reasoning for anchor in run.anchors if anchor.why == "follow"}
        with run.step("seed"):
            masks = {
                index: self.segmenter.segment(run.video.read([index])[0], answer.cues)
                for index, answer in (answers or {run.keyframes.target_frame: run.reasoning}).items()
            }
        run.seeds = _without_empty(masks)

    def _finish(self, run: Run, source: Source) -> SegmentationResult:
        """Stage 3b, and the result."""
        video = run.video
        carried = self._carry(run)
        trace = Trace(
            version=__version__,
            query=run.query,
            preset=self.preset,
            seed=run.seed,
            video=TracedVideo(_name_of(source, video), video.num_frames, run.size),
            keyframes=run.keyframes,
            reasoning=run.reasoning,
            seed_masks=run.given,
            anchors=run.anchors,
            events=carried.events,
            settings=self.stages.settings,
            models=self.stages.models,
        )
        return SegmentationResult(
            info=video.info,
            query=run.query,
            num_frames=video.num_frames,
            size=run.size,
            keyframes=run.keyframes,
            reasoning=run.reasoning,
            tracks=Track.all_of(carried.spool),
            times=video.times,
            trace=trace,
            timings_s=dict(run.timings_s),
            notes=self._notes(run),
            source=source if isinstance(source, str | Path | np.ndarray) else None,
        )

    def _carry(self, run: Run) -> Carried:
        """Stage 3b, and again from further anchors where they say otherwise: first those of the key segment, then the self-check's."""
        carried = self._propagate(run)
        for why in ("split", "check"):
            if run.reasoner is not None and run.num_objects:
                run.anchors += self._asked_again(run, run.reasoner, carried, why)
            seeds = self._corrections(run, carried, [anchor for anchor in run.anchors if anchor.why == why])
            if seeds:
                run.seeds = {**run.seeds, **seeds}
                carried = self._propagate(run)
        return carried

    def _asked_again(self, run: Run, reasoner: Reasoner, carried: Carried, why: AnchorReason) -> tuple[Anchor, ...]:
        pick = run.keyframes
        if pick is None or (why == "split" and isinstance(reasoner, Follower)):
            return ()
        frames = pick.anchors if why == "split" else self._doubted(run, carried)
        anchors: list[Anchor] = []
        for index in frames:
            with run.step("reason"):
                frame = run.video.read([index])[0]
                context = Context(run.video, replace(pick, target_frame=index))
                anchors.append(Anchor(index, why, reasoner.reason(frame, context, run.query or "")))
        return tuple(anchors)

    def _doubted(self, run: Run, carried: Carried) -> tuple[int, ...]:
        """Show the masks to the model. Returns the frame to ask about again, if it finds any wrong."""
        if self.stages.checker is None:
            return ()
        with run.step("check"):
            frames = run.video.read(checked_frames(run.video.num_frames, list(run.seeds)))
            drawn = [replace(frame, rgb=overlay(frame.rgb, carried.spool.masks(frame.index))) for frame in frames]
            wrong = self.stages.checker(run.seed).wrong(drawn, run.query or "")
        worst = worst_frame([frame.index for frame in frames], wrong)
        return () if worst is None else (worst,)

    def _corrections(self, run: Run, carried: Carried, anchors: Sequence[Anchor]) -> dict[int, BoolMask]:
        """Return what anchors say otherwise than the masks that were carried there."""
        seeds: dict[int, BoolMask] = {}
        for anchor in anchors:
            if run.num_objects and anchor.reasoning.cues:
                with run.timed("seed"):
                    answered = self.segmenter.segment(run.video.read([anchor.frame_index])[0], anchor.reasoning.cues)
                masks = corrected(answered, carried.spool.masks(anchor.frame_index))
                if masks is not None:
                    seeds[anchor.frame_index] = masks
        return seeds

    def _propagate(self, run: Run) -> Carried:
        known = self._carried.setdefault(run.video.origin, {})
        key = _fingerprint(run.seeds)
        if key in known:
            return known[key]
        spool, events = MaskSpool(run.num_objects, run.size), list[TrackEvent]()
        if run.num_objects:
            with run.timed("propagate"):
                for done, found in enumerate(self.propagator.run(run.video, run.seeds), 1):
                    spool.put(found.index, found.masks, found.confidence)
                    events += found.events
                    run.report("propagate", done, run.video.num_frames)
        if len(known) >= _MAX_CARRIED:
            del known[next(iter(known))]
        known[key] = Carried(spool, tuple(sorted(events, key=lambda event: event.frame_index)))
        return known[key]

    def _seeds_of(self, video: Video, given: Mapping[int, Given]) -> dict[int, BoolMask]:
        seeds: dict[int, BoolMask] = {}
        for index, value in sorted(given.items()):
            if not 0 <= index < video.num_frames:
                raise InvalidPrompt(
                    "there is no such frame", where=f"frame {index}", why=f"the video has frames 0 to {video.num_frames - 1}"
                )
            frame = video.read([index])[0]
            seeds[index] = as_masks(value, frame) if isinstance(value, np.ndarray) else self._from_cues(frame, value)
        if not seeds or not any(masks.any() for masks in seeds.values()):
            raise InvalidPrompt("nothing to propagate", why="every mask given is empty", fix="give at least one frame with a mask")
        return seeds

    def _from_cues(self, frame: Frame, cues: Sequence[Cue]) -> BoolMask:
        for cue in cues:
            check_cue(cue, frame)
        masks = self.segmenter.segment(frame, cues)
        if not masks.any():
            raise InvalidPrompt(
                "no object was found at this prompt", where=f"frame {frame.index}", fix="draw the box tighter, or add a point"
            )
        return masks

    def _check_trace(self, trace: Trace, video: Video) -> None:
        here = TracedVideo(trace.video.name, video.num_frames, (video.info.width, video.info.height))
        for name, written, found in (
            ("video", trace.video, here),
            ("preset", trace.preset, self.preset),
            ("settings", to_plain(trace.settings), to_plain(self.stages.settings)),
        ):
            if written != found:
                raise InvalidDocument(
                    f"the trace was made with another {name}",
                    where=trace.video.name,
                    why=f"it says {written}, here it is {found}",
                    fix="replay it with the video, preset and version it was made with",
                )


def _without_empty(seeds: Mapping[int, BoolMask]) -> dict[int, BoolMask]:
    """Return the seeds of the objects that got a mask in the frame where most did; frames where one of these has none are left out."""
    found = max((masks.any((1, 2)) for masks in seeds.values()), key=np.count_nonzero)
    return {index: masks[found] for index, masks in seeds.items() if found.any() and masks[found].any((1, 2)).all()}


def _fingerprint(seeds: Mapping[int, BoolMask]) -> bytes:
    digest = hashlib.sha256()
    for index, masks in sorted(seeds.items()):
        digest.update(f"{index} {masks.shape}".encode())
        digest.update(np.packbits(masks).tobytes())
    return digest.digest()


def _name_of(source: Source, video: Video) -> str:
    return Path(source).name if isinstance(source, str | Path) else video.info.source
