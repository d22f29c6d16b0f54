"""The propagators, a table: what can carry masks through a video, whatever preset made them.

Not here: how one works (`lite`, `stages.propagation.xmem`, `stages.propagation.sam2`), stages 1 to 3a (`table`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from videoseg_r1.presets.model_info import ModelCard, card_of
from videoseg_r1.stages.propagation.recognition import Describe
from videoseg_r1.stages.protocols import Propagator


def _nothing() -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class PropagatorRow:
    """One way to carry masks.

    Attributes:
        summary: what it is.
        build: makes it for a device.
        models: whose weights it needs.
        settings: returns what shapes its masks, for the trace.
    """

    summary: str
    build: Callable[[str], Propagator]
    models: tuple[ModelCard, ...] = ()
    settings: Callable[[], Mapping[str, Any]] = field(default=_nothing)


def _memory(device: str) -> Propagator:
    from videoseg_r1.lite.tracking.propagator import lite_propagator
    from videoseg_r1.models.devices import choose_placement

    return lite_propagator(choose_placement(device).device)


def _describer(device: str) -> Describe:
    """Return by what objects are known again behind a cut, the same for every propagator that finds them."""
    from videoseg_r1.lite.tracking.likeness import describer
    from videoseg_r1.models.devices import choose_placement

    return describer(choose_placement(device).device)


def _memory_settings() -> dict[str, Any]:
    from videoseg_r1.lite.tracking.tracker import TrackerConfig

    return {"tracker": asdict(TrackerConfig())}


def _flow(_device: str) -> Propagator:
    from videoseg_r1.stages.propagation.flow import flow_propagator

    return flow_propagator()


def _xmem(device: str) -> Propagator:
    from videoseg_r1.stages.propagation.xmem import load_xmem_engine, xmem_propagator
    from videoseg_r1.xmem import XMemConfig

    return xmem_propagator(load_xmem_engine("xmem", device), XMemConfig(), _describer(device))


def _xmem_settings() -> dict[str, Any]:
    from videoseg_r1.xmem import XMemConfig

    return {"xmem": asdict(XMemConfig())}


def _sam2_of(model: str) -> Callable[[str], Propagator]:
    def build(device: str) -> Propagator:
        from videoseg_r1.models.sam2 import load_engine
        from videoseg_r1.stages.propagation.sam2 import sam2_propagator

        return sam2_propagator(load_engine(model, "video", device), _describer(device))

    return build


PROPAGATORS: dict[str, PropagatorRow] = {
    "memory": PropagatorRow("lite: feature memory and an appearance model", _memory, (), _memory_settings),
    "flow": PropagatorRow("optical flow, the simple baseline", _flow),
    "xmem": PropagatorRow("XMem, long-term memory", _xmem, (card_of("propagation", "xmem"),), _xmem_settings),
    "sam2": PropagatorRow("the memory of SAM 2.1 Large", _sam2_of("sam2.1-large"), (card_of("propagation", "sam2.1-large"),)),
    "edgetam": PropagatorRow("EdgeTAM, SAM 2 made small", _sam2_of("edgetam"), (card_of("propagation", "edgetam"),)),
}
