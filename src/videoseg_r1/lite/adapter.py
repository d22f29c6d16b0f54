"""What the language model of `lite` learned: a low-rank adapter in one safetensors file, added to the weights when they are loaded.

Half precision is enough: an adapter is a small correction. Not here: training it (`videoseg_r1.training`), the untrained model
(`language`).

Source: Hu et al. 2021 (LoRA): W + alpha / rank * B A.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from videoseg_r1.errors import ModelError, WeightsMissing
from videoseg_r1.pretrained import Network

_A, _B = ".lora_A.weight", ".lora_B.weight"
_PEFT_PREFIX = "base_model.model."


@dataclass(frozen=True, eq=False)
class Adapter:
    """Pairs (A, B) by the name of the layer they belong to, the factor of their product, and what is told of them."""

    pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]]
    scale: float
    about: Mapping[str, str]


def read_adapter(path: Path) -> Adapter:
    """Return an adapter as `pack_adapter` writes it. Raises: WeightsMissing, ModelError: no such file, or it is something else."""
    if not path.is_file():
        raise WeightsMissing("the adapter is not there", where=str(path), fix="install the package again")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            about = dict(file.metadata() or {})
        layers = [name.removesuffix(_A) for name in tensors if name.endswith(_A)]
        pairs = {layer: (tensors[layer + _A], tensors[layer + _B]) for layer in layers}
        scale = float(about.pop("scale"))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelError("this is no adapter of lite", where=str(path), why=str(error)) from error
    return Adapter(pairs, scale, about)


@torch.no_grad()
def add_adapter(network: Network, adapter: Adapter) -> None:
    """Add an adapter to the weights of a network, in place. Raises: ModelError: it belongs to another network."""
    weights = dict(network.named_parameters())
    for layer, (down, up) in adapter.pairs.items():
        weight = weights.get(f"{layer}.weight")
        if weight is None or weight.shape != (len(up), down.shape[1]):
            raise ModelError("the adapter belongs to another network", where=layer, why="there is no such layer, or it has another shape")
        weight += (adapter.scale * (up.float() @ down.float())).to(weight.dtype)


def pack_adapter(folder: Path, target: Path, about: Mapping[str, str]) -> None:
    """Write the adapter that peft saved in a folder as one file in bfloat16, with what is to be told of it.

    Raises: ModelError: the folder holds no adapter.
    """
    try:
        settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
            names = list(file.keys())
            tensors = {name.removeprefix(_PEFT_PREFIX): file.get_tensor(name).to(torch.bfloat16).contiguous() for name in names}
        scale = settings["lora_alpha"] / settings["r"]
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelError("there is no adapter in this folder", where=str(folder), why=str(error)) from error
    part = target.with_name(f".{target.name}.part")
    save_file(tensors, part, {**about, "scale": str(scale)})
    part.replace(target)
