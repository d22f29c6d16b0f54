"""A SAM 2 network on a device: loading, preparing pictures, precision, and smaller steps when memory runs out.

The networks are those of transformers (SAM 2 and EdgeTAM, for pictures and for video); weights come from a folder, as safetensors,
and no code comes with them. Not here: how the network is used (`stages.segmentation.sam2`, `stages.propagation.sam2`).

Source: Ravi et al. 2024 (SAM 2), Zhou et al. 2025 (EdgeTAM).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import torch
import torch.nn.functional as F

from videoseg_r1.errors import ModelError
from videoseg_r1.models import pretrained
from videoseg_r1.models.devices import MemoryLadder, Placement, choose_placement
from videoseg_r1.models.pretrained import Network
from videoseg_r1.models.weights import MODELS, locate
from videoseg_r1.types import RgbImage

_T = TypeVar("_T")
Sam2Kind: TypeAlias = Literal["image", "video"]

_CLASSES: dict[tuple[str, Sam2Kind], str] = {
    ("sam2", "image"): "Sam2Model",
    ("sam2_video", "image"): "Sam2Model",
    ("sam2_video", "video"): "Sam2VideoModel",
    ("edgetam", "image"): "EdgeTamModel",
    ("edgetam_video", "image"): "EdgeTamModel",
    ("edgetam_video", "video"): "EdgeTamVideoModel",
}


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
        """Notes for the user on degraded operation: steps taken when memory ran out, frames computed again in float32."""
        again = (f"{self.name}: {self._retried} frames computed again in float32: not finite in {self.dtype}",) if self._retried else ()
        return (*self._ladder.notes, *again)

    def run(self, work: Callable[[], _T]) -> _T:
        """Return what the work returns; each time memory runs out it is repeated with less. Raises ResourceError."""
        return self._ladder.run(work)

    def pixels(self, rgb: RgbImage) -> torch.Tensor:
        """Return the picture as the network wants it, (1, 3, side, side) float32."""
        size = {"height": self.side, "width": self.side}
        prepared = self.processor.image_processor(
            images=rgb, size=size, input_data_format="channels_last", device=self.device, return_tensors="pt"
        )
        return prepared["pixel_values"]

    def finite(self, compute: Callable[[], _T], is_finite: Callable[[_T], bool]) -> _T:
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
    with pretrained.quiet():
        resized = type(network)(config)
    resized.load_state_dict(network.state_dict(), assign=True)
    return resized.eval().requires_grad_(False)


def at_size(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return mask logits (h, w) at another size, (height, width), interpolated linearly."""
    return F.interpolate(logits[None, None], size, mode="bilinear", align_corners=False)[0, 0]


def load_engine(source: str | Path, kind: Sam2Kind, device: str = "auto") -> Sam2Engine:
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
    from transformers import Sam2Processor

    return Sam2Engine(load_sam2(folder, kind), pretrained.load_processor(Sam2Processor, folder), placement, name=name)


def load_sam2(folder: Path, kind: Sam2Kind) -> Network:
    """Return the network in a folder, in float32 on the CPU. Raises ModelError."""
    import transformers

    settings = pretrained.read_config(folder)
    model_type = str(settings.pop("model_type", None))
    if (model_type, kind) not in _CLASSES:
        raise ModelError("this is not a SAM 2 or EdgeTAM network", where=str(folder), why=f"config.json says {model_type}, for {kind}")
    network_class: Any = getattr(transformers, _CLASSES[model_type, kind])
    if network_class is transformers.EdgeTamVideoModel:
        network_class = _mixing(network_class)
    network = pretrained.load_network(network_class, folder, config=lambda: network_class.config_class.from_dict(settings))
    unusable = [f"{key}: not finite" for key, value in network.state_dict().items() if not bool(torch.isfinite(value).all())]
    pretrained.check_weights(network, folder, unusable)
    return network


def _mixing(network_class: Any) -> Any:
    """Return EdgeTAM whose frames may have objects with given masks beside others that are followed.

    In transformers the scores of the two differ in shape, and putting them together fails (5.x; in SAM 2 they are alike).
    """

    class EdgeTam(network_class):
        def _use_mask_as_output(self, *args: Any, **kwargs: Any) -> Any:
            output = super()._use_mask_as_output(*args, **kwargs)
            output.object_score_logits = output.object_score_logits.reshape(-1, 1, 1)
            return output

    return EdgeTam
