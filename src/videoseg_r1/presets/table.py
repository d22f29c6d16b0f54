"""The presets, a table: which models stand behind the stages, under which licences, and what they need.

Not here: how the stages of a row are put together (`lite`, `chat`), the ways to carry masks (`propagators`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from videoseg_r1.chat.base import Chat
from videoseg_r1.config import Extensions, Limits
from videoseg_r1.documents import build
from videoseg_r1.errors import InvalidConfig, InvalidDocument, name_hint, unknown_name
from videoseg_r1.pipeline.segmenter import VideoSegmenter
from videoseg_r1.presets.chat import ChatMaker, StagesMaker, chat_stages, endpoint_chat, local_chat, sam2_segmenter
from videoseg_r1.presets.lite import FEATURES, LANGUAGE, READER, SALIENCY, SENTENCES, lite_matcher_stages, lite_segmenter, lite_stages
from videoseg_r1.presets.model_info import ModelCard, card_of
from videoseg_r1.presets.propagators import PROPAGATORS
from videoseg_r1.stages.sampling.hierarchical import SamplerConfig
from videoseg_r1.video import OnCorrupt

DEFAULT_PRESET = "lite"
Settings = TypeVar("Settings", SamplerConfig, Extensions)


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
        extensions: what it does beyond the paper, unless asked otherwise.
    """

    summary: str
    build: StagesMaker
    propagator: str
    models: tuple[ModelCard, ...]
    memory_gib: float
    chat: ChatMaker | None = None
    extensions: Extensions = field(default_factory=Extensions)


def load(
    preset: str = DEFAULT_PRESET,
    *,
    device: str = "auto",
    propagator: str | None = None,
    sampler: Mapping[str, Any] | None = None,
    extensions: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    on_corrupt: OnCorrupt = "error",
) -> VideoSegmenter:
    """Return a segmenter with the models of a preset; each is loaded when it is first needed.

    Args:
        preset: a name of `PRESETS`.
        device: "auto" takes the first that works of cuda, mps and cpu; or "cpu", "cuda", "cuda:1", "mps".
        propagator: a name of `PROPAGATORS`; None takes the preset's own.
        sampler: fields of `SamplerConfig` that are to differ from the preset's, such as {"num_intervals": 8}.
        extensions: fields of `Extensions` that are to differ from the preset's, such as {"num_seed_frames": 1}.
        limits: how large an input may be.
        on_corrupt: what is done with a damaged video, see `open_video`.
    Raises: UnknownName: no such preset or propagator. InvalidConfig: no such device, or it does not work here; no such field, or a
        value of another type or out of range; or the preset cannot do what is asked for.
    """
    row = preset_of(preset)
    name = row.propagator if propagator is None else propagator
    if name not in PROPAGATORS:
        raise unknown_name("propagator", name, PROPAGATORS)
    carrier = PROPAGATORS[name]
    sampling = _overridden("sampler", SamplerConfig(), sampler)
    beyond = _overridden("extensions", row.extensions, extensions)
    _check_abilities(preset, row, sampling, beyond)
    stages = row.build(device, partial(carrier.build, device), sampling, beyond)
    settings = {"propagator": name, "sampler": asdict(sampling), "extensions": asdict(beyond), **carrier.settings(), **stages.settings}
    models = {card.role: f"{card.name} ({card.source})" for card in (*row.models, *carrier.models)}
    return VideoSegmenter(replace(stages, settings=settings, models={**models, **stages.models}), preset, limits, on_corrupt)


def preset_of(name: str) -> Preset:
    """Return the row of a preset. Raises UnknownName."""
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]


def presets_that_see() -> list[str]:
    """Return the names of the presets that have a vision-language model."""
    return [name for name, row in PRESETS.items() if row.chat]


def chat_of(preset: str, device: str = "auto") -> Chat:
    """Return the vision-language model of a preset.

    Raises: UnknownName. InvalidConfig: it has none that sees pictures. WeightsMissing, ModelError.
    """
    row = preset_of(preset)
    if row.chat is None:
        fix = f"use one of {', '.join(presets_that_see())}"
        raise InvalidConfig("this needs a model that sees pictures", where=f"preset {preset}", fix=fix)
    return row.chat(device)


def _overridden(where: str, own: Settings, changes: Mapping[str, Any] | None) -> Settings:
    """Return settings with some fields changed. Raises InvalidConfig: no such field, or a value of another type or out of range."""
    fields = asdict(own)
    for name in changes or {}:
        if name not in fields:
            raise InvalidConfig("there is no such setting", where=f"{where}.{name}", fix=name_hint(name, fields))
    try:
        return build(type(own), {**fields, **(changes or {})}, where)
    except InvalidDocument as error:
        raise InvalidConfig("a setting has the wrong type", where=error.where, why=error.why) from error


def _check_abilities(preset: str, row: Preset, sampling: SamplerConfig, beyond: Extensions) -> None:
    """Refuse what a preset cannot do. Presets without a model that sees pictures follow what their perception sees, others ask again."""
    if row.chat is None:
        asked = {"self_check": beyond.self_check, "num_presence_votes": beyond.num_presence_votes}
        for name, value in asked.items():
            if value:
                raise InvalidConfig("this needs a model that sees pictures", where=name, why=f"the preset {preset} has none")
        if sampling.num_anchors > 1:
            fix = "ask for num_seed_frames (--seed-frames) instead"
            raise InvalidConfig("this preset follows what it means, and asks about no further anchors", where=preset, fix=fix)
    elif beyond.num_seed_frames > 1:
        fix = "ask for num_anchors (--anchors) instead"
        raise InvalidConfig("this preset has no perception that follows what it means", where=f"preset {preset}", fix=fix)


def _paper_scale(language: str, summary: str, memory_gib: float) -> Preset:
    """Return the row of a vision-language model, a name of `MODELS`, with SAM 2.1 Large and XMem."""
    chat = local_chat(language)
    return Preset(
        summary,
        chat_stages(chat, sam2_segmenter),
        "xmem",
        (card_of("voting and reasoning", language), card_of("masks", "sam2.1-large")),
        memory_gib,
        chat,
    )


_BOTH_HALVES = Extensions(num_seed_frames=2)
"""One seed frame in each half of the video, where the answer is seen best; what that is worth stands in docs/results.md."""

PRESETS: dict[str, Preset] = {
    "lite": Preset(
        "offline, on a CPU, from any video file; a language model trained here reads what frozen perception sees, and an arbiter "
        "takes the surer of it and a matcher",
        lite_stages,
        "memory",
        (FEATURES, SALIENCY, SENTENCES, LANGUAGE, READER),
        2.0,
        extensions=_BOTH_HALVES,
    ),
    "lite-matcher": Preset(
        "lite without its language model: the matcher alone, without training",
        lite_matcher_stages,
        "memory",
        (FEATURES, SALIENCY, SENTENCES),
        1.5,
        extensions=_BOTH_HALVES,
    ),
    "3b": _paper_scale("qwen2.5-vl-3b", "Qwen2.5-VL 3B, SAM 2.1 Large, XMem", 12),
    "7b": _paper_scale("qwen2.5-vl-7b", "the paper's: Qwen2.5-VL 7B, SAM 2.1 Large, XMem", 22),
    "qwen3-vl-2b": _paper_scale("qwen3-vl-2b", "Qwen3-VL 2B, SAM 2.1 Large, XMem", 10),
    "qwen3-vl-4b": _paper_scale("qwen3-vl-4b", "Qwen3-VL 4B, SAM 2.1 Large, XMem", 14),
    "qwen3-vl-8b": _paper_scale("qwen3-vl-8b", "Qwen3-VL 8B, SAM 2.1 Large, XMem", 24),
    "endpoint": Preset(
        "a vision-language model behind an OpenAI-compatible address; masks by lite, so no weights are needed here",
        chat_stages(endpoint_chat, lite_segmenter),
        "memory",
        (FEATURES, SALIENCY),
        1.5,
        endpoint_chat,
    ),
}
