"""A SAM 2 network on a device: loading, preparing pictures, precision, and smaller steps when memory runs out.

The networks are those of transformers (SAM 2 and EdgeTAM, for pictures and for video); weights come from a folder, as safetensors,
and no code comes with them. Not here: what is asked of the network (`segmenter`, `sam2_propagator`).

Source: Ravi et al. 2024 (SAM 2), Zhou et al. 2025 (EdgeTAM).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import torch
import torch.nn.functional as F

from videoseg_r1.devices import MemoryLadder, Placement, choose_placement
from videoseg_r1.errors import ModelError
from videoseg_r1.models import MODELS, locate
from videoseg_r1.types import RgbImage

Result = TypeVar("Result")
Network: TypeAlias = Any
"""Sam2Model, Sam2VideoModel, EdgeTamModel or EdgeTamVideoModel; transformers ships no types for their parts."""
Kind: TypeAlias = Literal["image", "video"]

_CLASSES: dict[tuple[str, Kind], str] = {
    ("sam2", "image"): "Sam2Model",
    ("sam2_video", "image"): "Sam2Model",
    ("sam2_video", "video"): "Sam2VideoModel",
    ("edgetam", "image"): "EdgeTamModel",
    ("edgetam_video", "image"): "EdgeTamModel",
    ("edgetam_video", "video"): "EdgeTamVideoModel",
}
_NUM_LISTED = 10
# what transformers raises at files that say something it does not expect
_BAD_FILES = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, ZeroDivisionError)


class Sam2Engine:
    """A network and its processor, placed on a device.

    Args:
        network: the network, in float32.
        processor: `Sam2Processor` that fits it.
        placement: device and precision; by default the CPU in float32.
        name: what it is called in notes and errors.
        allow_cpu: whether the CPU may be used when the memory of another device runs out.
    """

    def __init__(
        self, network: Network, processor: Any, placement: Placement | None = None, *, name: str = "SAM 2", allow_cpu: bool = True
    ) -> None:
        placement = placement or Placement(torch.device("cpu"), torch.float32)
        self.processor = processor
        self.device, self.dtype = placement.device, placement.dtype
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.name = name
        self.offload = False
        self._full = network
        self._allow_cpu = allow_cpu
        self._ladder = MemoryLadder(name, self._steps())
        self._retried = 0

    @property
    def side(self) -> int:
        """Height and width of the pictures that the network sees, in pixels."""
        return int(self.network.config.prompt_encoder_config.image_size)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was given up on the way, for the trace: steps taken for memory, frames computed again in float32."""
        again = (f"{self.name}: {self._retried} frames computed again in float32: not finite in {self.dtype}",) if self._retried else ()
        return (*self._ladder.notes, *again)

    def run(self, work: Callable[[], Result]) -> Result:
        """Return what the work returns; with less memory each time that it runs out. Raises ResourceError."""
        return self._ladder.run(work)

    def pixels(self, rgb: RgbImage) -> torch.Tensor:
        """Return the picture as the network wants it, (1, 3, side, side) float32."""
        size = {"height": self.side, "width": self.side}
        prepared = self.processor.image_processor(
            images=rgb, size=size, input_data_format="channels_last", device=self.device, return_tensors="pt"
        )
        return prepared["pixel_values"]

    def finite(self, compute: Callable[[], Result], is_finite: Callable[[Result], bool]) -> Result:
        """Return what is computed in the engine's precision, or once more in float32 when that is not finite.

        Raises: ModelError: it is not finite in float32 either.
        """
        for dtype in dict.fromkeys((self.dtype, torch.float32)):
            with torch.inference_mode(), self._precision(dtype):
                result = compute()
            if is_finite(result):
                self._retried += dtype != self.dtype
                return result
        raise ModelError(
            f"{self.name} computed numbers that are not finite",
            where=f"{type(self.network).__name__} on {self.device}",
            why="NaN or infinity also in float32",
            fix="run `videoseg models verify`: the weights may be damaged",
        )

    @contextmanager
    def _precision(self, dtype: torch.dtype) -> Generator[None]:
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
            yield

    def _steps(self) -> Iterator[str]:
        yield "freed the cache"
        if self.device.type != "cpu":
            self.offload = True
            yield "kept the memory of past frames on the CPU"
        self.network = at_side(self._full, self.side // 2).to(self.device)
        yield f"went down to {self.side} pixels"
        if self.device.type != "cpu" and self._allow_cpu:
            self.device, self.dtype = torch.device("cpu"), torch.float32
            self.network = self._full.to(self.device)
            yield f"went to the CPU, at {self.side} pixels again"


def at_side(network: Network, side: int) -> Network:
    """Return the same network for pictures of another size. It shares its weights with the original.

    Args:
        network: any of `Network`.
        side: height and width in pixels, a multiple of 32.
    """
    config = copy.deepcopy(network.config)
    before = config.prompt_encoder_config.image_size

    def scaled(sizes: Any) -> Any:
        return [scaled(size) for size in sizes] if isinstance(sizes, list | tuple) else sizes * side // before

    config.prompt_encoder_config.image_size = side
    vision = config.vision_config
    vision.backbone_feature_sizes = scaled(vision.backbone_feature_sizes)
    for part, name in ((vision.backbone_config, "image_size"), (config, "image_size"), (config, "memory_attention_rope_feat_sizes")):
        if getattr(part, name, None) is not None:
            setattr(part, name, scaled(getattr(part, name)))
    with _quiet():
        resized = type(network)(config)
    resized.load_state_dict(network.state_dict(), assign=True)
    return resized.eval().requires_grad_(False)


def at_size(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return mask logits (h, w) at another size, (height, width), interpolated linearly."""
    return F.interpolate(logits[None, None], size, mode="bilinear", align_corners=False)[0, 0]


def load_engine(source: str | Path, kind: Kind, device: str = "auto") -> Sam2Engine:
    """Return a SAM 2 or EdgeTAM network with its weights.

    Args:
        source: a name of `models.MODELS`, or a folder with config.json, model.safetensors and preprocessor_config.json.
        kind: "image" for `Sam2Segmenter`, "video" for `sam2_propagator`; the same files serve both.
        device: see `devices.choose_placement`.
    Raises: WeightsMissing: which file to put where. ModelError: the files do not fit the network. InvalidConfig: no such device.
    """
    name = str(source)
    folder = locate(MODELS[name]) if name in MODELS else Path(source)
    placement = choose_placement(device)
    return Sam2Engine(load_network(folder, kind), _load_processor(folder), placement, name=name)


def load_network(folder: Path, kind: Kind) -> Network:
    """Return the network in a folder, in float32 on the CPU. Raises ModelError."""
    import transformers
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    settings = _read_config(folder)
    model_type = str(settings.pop("model_type", None))
    if (model_type, kind) not in _CLASSES:
        raise ModelError("this is no SAM 2 or EdgeTAM network", where=str(folder), why=f"config.json says {model_type}, for {kind}")
    network_class: Any = getattr(transformers, _CLASSES[model_type, kind])
    try:
        with _quiet():
            network, info = network_class.from_pretrained(
                folder,
                config=network_class.config_class.from_dict(settings),
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except (*_BAD_FILES, SafetensorError, StrictDataclassError) as error:
        why = str(error).strip().split("\n", maxsplit=1)[0]
        raise ModelError("the weights cannot be loaded", where=str(folder), why=why, fix="run `videoseg models verify`") from error
    _check_loaded(folder, network, info)
    return network


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ModelError("the configuration of the weights cannot be read", where=str(folder / "config.json"), why=str(error)) from error


def _check_loaded(folder: Path, network: Network, info: dict[str, Any]) -> None:
    problems = [f"{key}: missing" for key in sorted(info["missing_keys"])]
    problems += [f"{key}: unknown" for key in sorted(info["unexpected_keys"])]
    problems += [f"{key}: shape {tuple(found)} instead of {tuple(wanted)}" for key, found, wanted in sorted(info["mismatched_keys"])]
    problems += [str(message) for message in info.get("error_msgs") or ()]
    problems = problems or [f"{key}: not finite" for key, value in network.state_dict().items() if not bool(torch.isfinite(value).all())]
    if problems:
        more = f"\n  and {len(problems) - _NUM_LISTED} more" if len(problems) > _NUM_LISTED else ""
        raise ModelError(
            f"the weights do not fit {type(network).__name__}",
            where=str(folder),
            why="\n  ".join(problems[:_NUM_LISTED]) + more,
            fix="run `videoseg models verify`",
        )


def _load_processor(folder: Path) -> Any:
    from transformers import Sam2Processor

    try:
        with _quiet():
            return Sam2Processor.from_pretrained(folder, local_files_only=True)
    except _BAD_FILES as error:
        why = str(error).strip().split("\n", maxsplit=1)[0]
        raise ModelError("the settings for pictures cannot be read", where=str(folder / "preprocessor_config.json"), why=why) from error


@contextmanager
def _quiet() -> Generator[None]:
    """Keep transformers from writing bars and remarks; what matters of them is checked and raised here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
