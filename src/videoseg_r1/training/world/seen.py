"""Transcripts that the perception of `lite` writes of rendered scenes, with its own mistakes in place of simulated ones.

Geometry, colours and motion come out nearly right; sprites have the shape of things but not their looks, so names are guesses.
Not here: simulated mistakes (`perception`), pixels (`render`).
"""

from __future__ import annotations

import torch

from videoseg_r1.lite.language.matcher import looks
from videoseg_r1.lite.perception.perceived_video import Perception
from videoseg_r1.lite.reader.text_chat import transcript_of
from videoseg_r1.masks import resize_mask
from videoseg_r1.prompts import CANONICAL
from videoseg_r1.training.world.render import RenderedScene
from videoseg_r1.training.world.sample import WorldSample
from videoseg_r1.types import BoolMask
from videoseg_r1.video import open_video


def look_at(sample: WorldSample, seed: int) -> tuple[str, BoolMask]:
    """Return the transcript of the rendered scene at the sample's target frame, and the visible masks of its targets there.

    Args:
        sample: the question and its scene.
        seed: of backgrounds and textures.
    Returns: the transcript, and masks (N, 840, 840) bool in the order of `sample.targets`.
    Raises: WeightsMissing, ModelError: a network cannot be loaded.
    """
    drawn, frame = RenderedScene(sample.scene, seed), sample.pick.target_frame
    with open_video(drawn) as video:
        text = transcript_of(Perception(torch.device("cpu")), video, looks(len(drawn), sample.pick.segment, frame), frame)
    return text, resize_mask(drawn.masks(frame)[list(sample.targets)], CANONICAL)
