"""What stage 2 is trained on: one expression of one clip, the frame to answer for, and the frames around it, drawn at random.

The sampler is not used in training: the key segment is a window around the target frame, so the prompt looks as it does at
inference. Not here: loading folders (`ref_youtube_vos`, `mevis`, `ref_davis17`), prompts, truths for rewards.
Source: docs/algorithm.md, "Training samples"; the paper says that the frame sampler is left out, the rules are ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from videoseg_r1.datasets.clip import Clip, Expression
from videoseg_r1.errors import InvalidConfig
from videoseg_r1.stages.sampling.hierarchical import SamplerConfig
from videoseg_r1.types import BoolMask, KeyframePick
from videoseg_r1.video.indices import reference_frames, uniform

LEAST_AREA = 0.0005
"""Part of the frame that every target must cover in a target frame."""
_EDGE = 0.1  # of the window: how near to its ends the target frame may lie


@dataclass(frozen=True)
class TrainingSource:
    """One expression of one clip, from which training samples are drawn; masks are read when they are asked for."""

    clip: Clip
    expression: Expression

    def masks(self, index: int) -> BoolMask:
        """Return (N, H, W) bool of a frame, one mask per object that the expression means, in the same order everywhere.

        Raises: InvalidDocument: a mask is damaged. InvalidConfig: the clip has no true masks.
        """
        if self.clip.masks is None:
            raise InvalidConfig("a clip without true masks cannot be trained on", where=f"{self.clip.dataset}/{self.clip.name}")
        return self.clip.masks.read(self.expression.object_ids, index)

    @cached_property
    def areas(self) -> npt.NDArray[np.float64]:
        """(T, N) float64: part of the frame that each object covers. The first use reads all masks."""
        return np.stack([self.masks(index).mean((1, 2)) for index in range(len(self.clip.frame_names))])


@dataclass(frozen=True)
class TrainingSample:
    """A source, the frames that are shown, and `masks`, (N, H, W) bool, of the targets in the target frame."""

    source: TrainingSource
    pick: KeyframePick
    masks: BoolMask


def training_sources(clips: Iterable[Clip]) -> list[TrainingSource]:
    """Return a source for every expression of every clip, in their order."""
    return [TrainingSource(clip, expression) for clip in clips for expression in clip.expressions]


def draw_training_sample(source: TrainingSource, rng: np.random.Generator, config: SamplerConfig | None = None) -> TrainingSample | None:
    """Return the source with a target frame in which all targets are to be seen; the larger they are, the likelier the frame.

    `config` gives the length of the key segment and the number of its frames, as at inference. None when there is no such frame.
    Raises: InvalidDocument: a mask is damaged.
    """
    areas = source.areas
    weights = np.where((areas >= LEAST_AREA).all(1), areas.sum(1), 0.0)
    if not weights.any():
        return None
    target = int(rng.choice(len(weights), p=weights / weights.sum()))
    return TrainingSample(source, training_pick(rng, len(weights), target, config), source.masks(target))


def training_pick(rng: np.random.Generator, num_frames: int, target: int, config: SamplerConfig | None = None) -> KeyframePick:
    """Return what a sampler would have picked, around a given target frame that lies anywhere in the key segment but at its ends."""
    config = config or SamplerConfig()
    length = max(1, round(config.delta * num_frames))
    start = int(np.clip(target - int(length * rng.uniform(_EDGE, 1 - _EDGE)), 0, num_frames - length))
    return KeyframePick(
        num_frames=num_frames,
        segment=(start, start + length - 1),
        target_frame=target,
        key_frames=uniform(start, start + length - 1, config.key_frames),
        reference_frames=reference_frames(num_frames, target),
        mode="training",
    )
