"""Weights deltas: the difference that training made to the weights of the language model of `lite`, as small files.

Training moves a weight by little, and the sign of the move matters more than its size. A row of a matrix therefore has one scale, and
each of its weights one of sixteen multiples of that scale, two to a byte; vectors, which are few, are kept in half precision. The delta
of LoRA is kept as it is: two thin matrices in bfloat16 whose product is the difference. Not here: training (`videoseg_r1.training`),
the untrained model (`base`), which files ship (`trained`).

Source: Liu et al. 2024 (BitDelta) store such differences in one bit; the levels are those of Max 1960 for a normal distribution.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from videoseg_r1.errors import ModelError, OutputError, WeightsMissing
from videoseg_r1.files import staged
from videoseg_r1.models.pretrained import Network

_POSITIVE = torch.tensor([0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733])
_LEVELS = torch.cat([-_POSITIVE.flip(0), _POSITIVE])
_EDGES = (_LEVELS[1:] + _LEVELS[:-1]) / 2
_CODES, _SCALES = ".codes", ".scales"
_UP, _DOWN = ".up", ".down"
_OF_PEFT = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")


@torch.no_grad()
def apply_delta(network: Network, path: Path) -> dict[str, str]:
    """Add a weights delta to the weights of a network, in place, and return the metadata of the file.

    Raises: WeightsMissing: no such file. ModelError: it is no weights delta, or that of another network.
    """
    if not path.is_file():
        raise WeightsMissing("a weights delta of the language model is missing", where=str(path), fix="install the package again")
    weights = dict(network.named_parameters())
    try:
        with safe_open(path, framework="pt") as file:
            keys = set(file.keys())
            names = {key.removesuffix(_CODES).removesuffix(_UP) for key in keys if not key.endswith((_SCALES, _DOWN))}
            if not names <= weights.keys():
                why = f"the language model has no {min(names - weights.keys())}"
                raise ModelError("the weights delta is that of another network", where=str(path), why=why)
            for name in names:
                weight = weights[name]
                if name + _CODES in keys:
                    moved = _decoded(file.get_tensor(name + _CODES), file.get_tensor(name + _SCALES), weight.shape)
                elif name + _UP in keys:
                    moved = file.get_tensor(name + _UP).float() @ file.get_tensor(name + _DOWN).float()
                else:
                    moved = file.get_tensor(name)
                weight += moved.to(weight.dtype)
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise ModelError("a weights delta of the language model cannot be read", where=str(path), why=str(error)) from error


@torch.no_grad()
def pack_delta(before: Network, after: Network, target: Path, about: Mapping[str, str]) -> None:
    """Write the weights delta from one network to another; weights that did not move take no room.

    Args:
        before: the network before training.
        after: the same network after it.
        target: the file.
        about: metadata for the file.
    Raises: ModelError: the networks differ in more than their weights. OutputError: the file cannot be written.
    """
    olds, news = dict(before.named_parameters()), dict(after.named_parameters())
    if {name: weight.shape for name, weight in olds.items()} != {name: weight.shape for name, weight in news.items()}:
        raise ModelError("these are different networks", where=str(target))
    tensors: dict[str, torch.Tensor] = {}
    for name, old in olds.items():
        moved = news[name].float() - old.float()
        if not moved.any():
            continue
        if moved.ndim == 2:
            tensors[name + _CODES], tensors[name + _SCALES] = _coded(moved)
        else:
            tensors[name] = moved.half()
    _save(tensors, target, about)


def pack_adapter(adapter: Path, scale: float, target: Path, about: Mapping[str, str]) -> None:
    """Write the weights delta of a LoRA adapter.

    Args:
        adapter: safetensors as peft writes them.
        scale: of the product, alpha / rank.
        target: the file.
        about: metadata for the file.
    Raises: ModelError: the adapter cannot be read, or is of another kind. OutputError: the file cannot be written.
    """
    try:
        found = load_file(adapter)
    except (SafetensorError, OSError) as error:
        raise ModelError("the adapter cannot be read", where=str(adapter), why=str(error)) from error
    tensors: dict[str, torch.Tensor] = {}
    for key, value in found.items():
        parts = _OF_PEFT.fullmatch(key)
        if parts is None:
            raise ModelError("the file is no LoRA adapter", where=str(adapter), why=f"it has {key}")
        tensors[f"{parts[1]}.weight{_DOWN if parts[2] == 'A' else _UP}"] = (value * (1 if parts[2] == "A" else scale)).bfloat16()
    _save(tensors, target, about)


def _save(tensors: dict[str, torch.Tensor], target: Path, about: Mapping[str, str]) -> None:
    what = "the weights delta cannot be written"
    with staged(target, what) as side:
        try:
            save_file(tensors, side, dict(about))
        except SafetensorError as error:  # also what the operating system says to safetensors
            raise OutputError(what, where=str(target), why=str(error)) from error


def _coded(moved: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a matrix (R, C) as uint8 (ceil(R * C / 2),) and float16 (R,)."""
    size = moved.square().mean(1, keepdim=True).sqrt().clamp(min=1e-12)
    digits = torch.bucketize(moved / size, _EDGES)
    levels = _LEVELS[digits]
    scales = (moved * levels).sum(1) / levels.square().sum(1)  # of all scales the one with the least squared error
    pairs = torch.nn.functional.pad(digits.flatten(), (0, digits.numel() % 2)).view(-1, 2)
    return (16 * pairs[:, 0] + pairs[:, 1]).to(torch.uint8), scales.half()


def _decoded(codes: torch.Tensor, scales: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return the matrix of this shape that stands in `codes` and `scales`, float32."""
    digits = torch.stack([codes >> 4, codes & 15], 1).long()
    return _LEVELS[digits].flatten()[: shape.numel()].view(shape) * scales.float()[:, None]
