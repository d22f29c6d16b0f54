"""The three stages in a row: video and sentence in, masks in every frame and the reasoning out.

Data flows one way: source -> Video -> KeyframePick -> Reasoning -> seed masks -> tracks -> result. Not here: which models stand
behind the stages (`presets`), files that are written (`export`), many videos at once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from videoseg_r1._version import __version__
from videoseg_r1.config import Limits
from videoseg_r1.documents import to_json
from videoseg_r1.errors import InvalidDocument, InvalidPrompt
from videoseg_r1.masks import MaskSpool, Rle, decode, encode, from_label_map
from videoseg_r1.prompts import clean_query
from videoseg_r1.result import SegmentationResult, Trace, TracedVideo, Track
from videoseg_r1.stages import Context, Propagator, Reasoner, Sampler, Segmenter
from videoseg_r1.types import BoolMask, Box, Cue, Frame, KeyframePick, Reasoning
from videoseg_r1.video import OnCorrupt, Source, Video, open_video

Given: TypeAlias = npt.NDArray[Any] | Sequence[Cue]
"""What is known of one frame: a bool mask (H, W), bool masks (N, H, W), an integer label map (H, W), or cues."""
Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with (stage, frames done, frames in all); stages are "sample", "reason", "seed" and "propagate"."""


_MAX_SPOOLS = 8  # kept per open video


@dataclass(frozen=True, slots=True)
class Stages:
    """The models of a preset, one per protocol. `sampler` makes a sampler for a seed; `describe` lists models and settings."""

    sampler: Callable[[int], Sampler]
    reasoner: Reasoner
    segmenter: Segmenter
    propagator: Propagator
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    models: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class StreamItem:
    """One frame of a running segmentation: masks (N, H, W) bool, one confidence in 0..1 per object."""

    frame_index: int
    pts_s: float
    masks: BoolMask
    confidence: tuple[float, ...]


@dataclass
class _Run:
    """What is known while a video is worked on. Seeds are masks (N, H, W) by frame index; none means no target."""

    video: Video
    query: str | None
    seed: int
    on_progress: Progress | None
    keyframes: KeyframePick | None = None
    reasoning: Reasoning | None = None
    seeds: Mapping[int, BoolMask] = field(default_factory=dict[int, BoolMask])
    given: Mapping[int, tuple[Rle, ...]] = field(default_factory=dict[int, tuple[Rle, ...]])
    timings_s: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def num_objects(self) -> int:
        return len(next(iter(self.seeds.values()))) if self.seeds else 0

    @contextmanager
    def timed(self, stage: str) -> Generator[None]:
        start = time.perf_counter()
        yield
        self.timings_s[stage] = self.timings_s.get(stage, 0.0) + time.perf_counter() - start

    @contextmanager
    def step(self, stage: str) -> Generator[None]:
        """A timed stage that is reported as one step."""
        self.report(stage, 0, 1)
        with self.timed(stage):
            yield
        self.report(stage, 1, 1)

    def report(self, stage: str, done: int, total: int) -> None:
        if self.on_progress:
            self.on_progress(stage, done, total)


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
        self._spools: WeakKeyDictionary[Video, dict[bytes, MaskSpool]] = WeakKeyDictionary()

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
            run = _Run(video, text, seed, on_progress)
            self._understand(run)
            return self._finish(run, source)

    def stream(self, source: Source, query: str, *, seed: int = 0) -> Iterator[StreamItem]:
        """Yield the masks frame by frame as they are made: from the target frame to the end, then backwards to the start.

        Nothing is yielded when the answer is "no target". Memory does not grow with the video. Raises: as `segment`.
        """
        text = clean_query(query, max_chars=self.limits.max_query_chars)
        with self._open(source) as video:
            run = _Run(video, text, seed, None)
            self._understand(run)
            if run.num_objects:
                for index, masks, confidence in self.stages.propagator.run(video, run.seeds):
                    yield StreamItem(index, video.pts_s(index), masks, confidence)

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
            run = _Run(video, query, 0, on_progress)
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
            run = _Run(video, trace.query, trace.seed, on_progress, trace.keyframes, trace.reasoning)
            run.given = trace.seed_masks
            if trace.seed_masks:
                run.seeds = {index: np.stack([decode(rle) for rle in masks]) for index, masks in trace.seed_masks.items()}
            else:
                self._seed(run)
            return self._finish(run, source)

    def _open(self, source: Source) -> Video:
        return open_video(source, limits=self.limits, on_corrupt=self.on_corrupt)

    def _understand(self, run: _Run) -> None:
        """Stages 1, 2 and 3a: sentence -> target frame -> cues -> seed masks."""
        query = run.query or ""
        with run.step("sample"):
            run.keyframes = self.stages.sampler(run.seed).pick(run.video, query)
        with run.step("reason"):
            target = run.video.read([run.keyframes.target_frame])[0]
            run.reasoning = self.stages.reasoner.reason(target, Context(run.video, run.keyframes), query)
        self._seed(run)

    def _seed(self, run: _Run) -> None:
        """Stage 3a: the cues of the reply become masks on the target frame; objects that got none are left out."""
        if run.keyframes is None or run.reasoning is None or not run.reasoning.cues:
            return
        with run.step("seed"):
            target = run.video.read([run.keyframes.target_frame])[0]
            masks = self.stages.segmenter.segment(target, run.reasoning.cues)
            kept = masks[masks.any((1, 2))]
            run.seeds = {target.index: kept} if len(kept) else {}

    def _finish(self, run: _Run, source: Source) -> SegmentationResult:
        """Stage 3b, and the result."""
        video = run.video
        size = (video.info.width, video.info.height)
        spool = self._propagate(run, size)
        trace = Trace(
            version=__version__,
            query=run.query,
            preset=self.preset,
            seed=run.seed,
            video=TracedVideo(_name_of(source, video), video.num_frames, size),
            keyframes=run.keyframes,
            reasoning=run.reasoning,
            seed_masks=run.given,
            settings=self.stages.settings,
            models=self.stages.models,
        )
        return SegmentationResult(
            info=video.info,
            query=run.query,
            num_frames=video.num_frames,
            size=size,
            keyframes=run.keyframes,
            reasoning=run.reasoning,
            tracks=Track.all_of(spool),
            times=video.times,
            trace=trace,
            timings_s=dict(run.timings_s),
            source=source if isinstance(source, str | Path | np.ndarray) else None,
        )

    def _propagate(self, run: _Run, size: tuple[int, int]) -> MaskSpool:
        spools = self._spools.setdefault(run.video.origin, {})
        key = _fingerprint(run.seeds)
        if key in spools:
            return spools[key]
        spool = MaskSpool(run.num_objects, size)
        if run.num_objects:
            with run.timed("propagate"):
                for done, (index, masks, confidence) in enumerate(self.stages.propagator.run(run.video, run.seeds), 1):
                    spool.put(index, masks, confidence)
                    run.report("propagate", done, run.video.num_frames)
        if len(spools) >= _MAX_SPOOLS:
            del spools[next(iter(spools))]
        spools[key] = spool
        return spool

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
        masks = self.stages.segmenter.segment(frame, cues)
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
            ("settings", json.loads(to_json(trace.settings)), json.loads(to_json(self.stages.settings))),
        ):
            if written != found:
                raise InvalidDocument(
                    f"the trace was made with another {name}",
                    where=trace.video.name,
                    why=f"it says {written}, here it is {found}",
                    fix="replay it with the video, preset and version it was made with",
                )


def as_masks(value: npt.NDArray[Any], frame: Frame) -> BoolMask:
    """Return given masks as bool (N, H, W).

    Args:
        value: bool (H, W) or (N, H, W), or an integer label map (H, W) with one object per value above 0.
        frame: the frame they are given for.
    Raises: InvalidPrompt: another size or type.
    """
    wanted = frame.rgb.shape[:2]
    if value.shape[-2:] != wanted or value.ndim not in (2, 3):
        raise InvalidPrompt(
            "the mask has another size than the video",
            where=f"frame {frame.index}",
            why=f"mask {value.shape}, frame {wanted} (height, width)",
            fix="give the mask at the displayed size of the video",
        )
    if value.dtype == np.bool_:
        return value if value.ndim == 3 else value[None]
    if value.ndim == 2 and np.issubdtype(value.dtype, np.integer):
        return from_label_map(value)[1]
    raise InvalidPrompt(
        "a mask must be bool, or an integer label map", where=f"frame {frame.index}", why=f"it is {value.dtype} {value.shape}"
    )


def check_cue(cue: Cue, frame: Frame) -> None:
    """Raise InvalidPrompt when a box or point given by a user does not lie in the frame."""
    height, width = frame.rgb.shape[:2]
    box = cue.box
    if box is None and not cue.points:
        raise InvalidPrompt("a prompt needs a box or a point", where=f"frame {frame.index}")
    if box is not None and not (0 <= box.x1 < box.x2 <= width and 0 <= box.y1 < box.y2 <= height):
        raise InvalidPrompt(
            "the box is not inside the frame",
            where=f"frame {frame.index}",
            why=f"box {_corners(box)}, frame {width} x {height}",
            fix="give x1,y1,x2,y2 in pixels of the displayed frame, with x1 < x2 and y1 < y2",
        )
    for point in (*cue.points, *cue.neg_points):
        if not (0 <= point.x < width and 0 <= point.y < height):
            raise InvalidPrompt(
                "the point is not inside the frame",
                where=f"frame {frame.index}",
                why=f"point {point.x:g},{point.y:g}, frame {width} x {height}",
                fix="give x,y in pixels of the displayed frame",
            )


def _fingerprint(seeds: Mapping[int, BoolMask]) -> bytes:
    digest = hashlib.sha256()
    for index, masks in sorted(seeds.items()):
        digest.update(f"{index} {masks.shape}".encode())
        digest.update(np.packbits(masks).tobytes())
    return digest.digest()


def _corners(box: Box) -> str:
    return f"{box.x1:g},{box.y1:g},{box.x2:g},{box.y2:g}"


def _name_of(source: Source, video: Video) -> str:
    return Path(source).name if isinstance(source, str | Path) else video.info.source
