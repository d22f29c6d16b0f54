"""What stage 2 is trained on: one expression of one clip, the frame to answer for, and the frames around it, drawn at random.

The sampler is not used in training: the key segment is a window around the target frame, so the prompt looks as it does at
inference. Not here: reading folders (`ref_youtube_vos`, `mevis`, `ref_davis17`), prompts, truths for rewards.
Source: docs/algorithm.md, "Training samples"; the paper says that the frame sampler is left out, the rules are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from videoseg_r1.stages.sampling.hierarchical import SamplerConfig
from videoseg_r1.types import BoolMask, KeyframePick, RgbImage
from videoseg_r1.video import open_video
from videoseg_r1.video.indices import reference_frames, uniform

LEAST_AREA = 0.0005
"""Part of the frame that every target must cover in a target frame."""
_EDGE = 0.1  # of the window: how near to its ends the target frame may lie


@dataclass(frozen=True)
class TrainingClip:
    """One expression of one clip; pixels and masks are read when they are asked for.

    Attributes:
        dataset, video_id, expression_id: names as in the dataset; together they are unique.
        query: the expression.
        frames: picture of every frame, in order.
        read_masks: (N, H, W) bool of a frame, one mask per object that the expression means, in the same order everywhere; it
            raises InvalidDocument where a mask is damaged.
    """

    dataset: str
    video_id: str
    expression_id: str
    query: str
    frames: tuple[Path, ...]
    read_masks: Callable[[int], BoolMask]

    def rgb(self, index: int) -> RgbImage:
        """Return a frame, (H, W, 3) uint8. Raises SourceNotFound, UnsupportedSource, CorruptVideo: the picture cannot be read."""
        with open_video(self.frames[index]) as picture:
            return picture.read([0])[0].rgb

    @cached_property
    def areas(self) -> npt.NDArray[np.float64]:
        """(T, N) float64: part of the frame that each object covers. The first use reads all masks."""
        return np.stack([self.read_masks(index).mean((1, 2)) for index in range(len(self.frames))])


@dataclass(frozen=True)
class TrainingSample:
    """A clip, the frames that are shown, and `masks`, (N, H, W) bool, of the targets in the target frame."""

    clip: TrainingClip
    pick: KeyframePick
    masks: BoolMask


def draw_sample(clip: TrainingClip, rng: np.random.Generator, config: SamplerConfig | None = None) -> TrainingSample | None:
    """Return the clip with a target frame in which all targets are to be seen; the larger they are, the likelier the frame.

    `config` gives the length of the key segment and the number of its frames, as at inference. None when there is no such frame.
    Raises: InvalidDocument: a mask is damaged.
    """
    areas = clip.areas
    weights = np.where((areas >= LEAST_AREA).all(1), areas.sum(1), 0.0)
    if not weights.any():
        return None
    target = int(rng.choice(len(weights), p=weights / weights.sum()))
    return TrainingSample(clip, training_pick(rng, len(weights), target, config), clip.read_masks(target))


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
