"""The presets, a table: which models stand behind the stages, under which licences, and what they need.

Not here: how the stages of a row are put together (`lite`, `chat`), the ways to carry masks (`propagators`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial

from videoseg_r1.chat.base import Chat
from videoseg_r1.config import Extensions, Limits
from videoseg_r1.errors import InvalidConfig, unknown_name
from videoseg_r1.pipeline.segmenter import VideoSegmenter
from videoseg_r1.presets.chat import ChatMaker, StagesMaker, chat_stages, endpoint_chat, local_chat, sam2_segmenter
from videoseg_r1.presets.lite import FEATURES, LANGUAGE, READER, SALIENCY, SENTENCES, lite_matcher_stages, lite_segmenter, lite_stages
from videoseg_r1.presets.model_info import ModelCard, card_of
from videoseg_r1.presets.propagators import PROPAGATORS
from videoseg_r1.stages.sampling.hierarchical import SamplerConfig, SamplerMode
from videoseg_r1.video import OnCorrupt

DEFAULT_PRESET = "lite"


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
    if name not in PROPAGATORS:
        raise unknown_name("propagator", name, PROPAGATORS)
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
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]


def chat_of(preset: str, device: str = "auto") -> Chat:
    """Return the language model of a preset. Raises: UnknownName. InvalidConfig: it has none. WeightsMissing, ModelError."""
    row = preset_of(preset)
    if row.chat is None:
        with_chat = ", ".join(name for name, other in PRESETS.items() if other.chat)
        raise InvalidConfig("this preset has no language model", where=preset, fix=f"use one of {with_chat}")
    return row.chat(device)


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


_SEVERAL = SamplerConfig(num_anchors=2)
"""Perception sees a thing again without being asked: what a second frame is worth stands in docs/results.md."""

PRESETS: dict[str, Preset] = {
    "lite": Preset(
        "offline, on a CPU, from any video file; a language model trained here reads what frozen perception sees, and hears a "
        "matcher as well",
        lite_stages,
        "memory",
        (FEATURES, SALIENCY, SENTENCES, LANGUAGE, READER),
        2.0,
        on_gpu=False,
        sampler=_SEVERAL,
    ),
    "lite-matcher": Preset(
        "lite without its language model: the matcher alone, which nothing was taught",
        lite_matcher_stages,
        "memory",
        (FEATURES, SALIENCY, SENTENCES),
        1.5,
        on_gpu=False,
        sampler=_SEVERAL,
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
        on_gpu=False,
    ),
}
