"""Reads and checks an official XMem checkpoint: names, shapes and values of its tensors.

Weights are treated as data: files are read with `weights_only=True` or as safetensors, nothing in them is executed, and nothing is
downloaded. Not here: where a checkpoint comes from, and what is done with the tensors (`network`).

Source: names and shapes of the 412 tensors are those of the XMem release (Cheng and Schwing 2022, MIT licence).
"""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from videoseg_r1.errors import ModelError, WeightsMissing, first_line

KEY_DIM, VALUE_DIM, SENSORY_DIM = 64, 512, 64
FEATURE_DIM = 1024
"""Channels of the key encoder's last map, at stride 16."""
RESNET50_STAGES = (("res2", 64, 3), ("layer2", 128, 4), ("layer3", 256, 6))
RESNET18_STAGES = (("layer1", 64, 2), ("layer2", 128, 2), ("layer3", 256, 2))
EXPANSION = 4
"""Output over inner channels of a bottleneck."""

CheckpointSource: TypeAlias = str | Path | Mapping[str, torch.Tensor] | Mapping[str, npt.NDArray[np.generic]]
Shapes: TypeAlias = dict[str, tuple[int, ...]]

_MASK_STEM = "value_encoder.conv1.weight"
_NUM_LISTED = 10


def read_checkpoint(source: CheckpointSource) -> dict[str, torch.Tensor]:
    """Return the checked tensors of a checkpoint: float32, except the counters of the batch norms.

    A single-object checkpoint gets a zero channel for the mask of the others, as in the original.

    Args:
        source: a `.safetensors` file, any other file for `torch.load`, or a state dict of tensors or numpy arrays.
    Raises: WeightsMissing: there is no such file. ModelError: it cannot be read, or tensors are missing, unknown, misshapen, or not finite.
    """
    where = str(source) if isinstance(source, str | Path) else "state dict"
    loaded = _read_file(Path(source)) if isinstance(source, str | Path) else source
    state = {key: value if isinstance(value, torch.Tensor) else torch.tensor(value) for key, value in loaded.items()}
    stem = state.get(_MASK_STEM)
    if stem is not None and stem.shape == (64, 4, 7, 7):
        state[_MASK_STEM] = torch.cat([stem, torch.zeros_like(stem[:, :1])], 1)
    problems = _differences(state, expected_shapes())
    problems = problems or [f"{key}: not finite" for key, value in state.items() if not bool(torch.isfinite(value).all())]
    if problems:
        more = f"\n  and {len(problems) - _NUM_LISTED} more" if len(problems) > _NUM_LISTED else ""
        raise ModelError(
            "the file is not a usable XMem checkpoint",
            where=where,
            why="\n  ".join(problems[:_NUM_LISTED]) + more,
            fix="give the state dict of the official XMem release (412 tensors)",
        )
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def expected_shapes() -> Shapes:
    """Return the name and shape of every tensor of the network."""
    shapes: Shapes = {}
    _conv(shapes, "key_encoder.conv1", 64, 3, 7, bias=False)
    _norm(shapes, "key_encoder.bn1", 64)
    before = 64
    for stage, width, num_blocks in RESNET50_STAGES:
        for index in range(num_blocks):
            _bottleneck(shapes, f"key_encoder.{stage}.{index}", before, width)
            before = width * EXPANSION
    for name, channels in (("key_proj", KEY_DIM), ("d_proj", 1), ("e_proj", KEY_DIM)):
        _conv(shapes, f"key_proj.{name}", channels, FEATURE_DIM, 3)

    _conv(shapes, "value_encoder.conv1", 64, 5, 7, bias=False)
    _norm(shapes, "value_encoder.bn1", 64)
    before = 64
    for stage, width, num_blocks in RESNET18_STAGES:
        for index in range(num_blocks):
            _basic_block(shapes, f"value_encoder.{stage}.{index}", before, width)
            before = width
    _fuser(shapes, "value_encoder.fuser", FEATURE_DIM + before, VALUE_DIM)
    _conv(shapes, "value_encoder.hidden_reinforce.transform", 3 * SENSORY_DIM, VALUE_DIM + SENSORY_DIM, 3)

    _fuser(shapes, "decoder.fuser", FEATURE_DIM + VALUE_DIM + SENSORY_DIM, 512)
    for scale, channels in (("g16", 512), ("g8", 256), ("g4", 256 + 1)):
        _conv(shapes, f"decoder.hidden_update.{scale}_conv", 256, channels, 1)
    _conv(shapes, "decoder.hidden_update.transform", 3 * SENSORY_DIM, 256 + SENSORY_DIM, 3)
    for name, skip, before, after in (("up_16_8", 512, 512, 256), ("up_8_4", 256, 256, 256)):
        _conv(shapes, f"decoder.{name}.skip_conv", before, skip, 3)
        _residual(shapes, f"decoder.{name}.out_conv", before, after)
    _conv(shapes, "decoder.pred", 1, 256, 3)
    return shapes


def random_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Return a checkpoint of random numbers in sensible ranges: speed and memory do not depend on the weights, masks do."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, torch.Tensor] = {}
    for key, shape in expected_shapes().items():
        if len(shape) > 1:
            state[key] = torch.randn(shape, generator=generator) * (1.6 / math.prod(shape[1:])) ** 0.5
        elif shape:
            state[key] = torch.full(shape, 0.0 if key.endswith(("bias", "running_mean")) else 1.0)
        else:
            state[key] = torch.zeros(shape, dtype=torch.int64)
    return state


def _read_file(path: Path) -> Mapping[str, torch.Tensor]:
    if not path.is_file():
        raise WeightsMissing("the XMem checkpoint is not there", where=str(path), fix="put the file there, or name another one")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; what matters is whether it loads
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        fix = "download it again; a file that needs arbitrary code to load is refused"
        raise ModelError("the checkpoint cannot be read", where=str(path), why=first_line(error), fix=fix) from error
    if not isinstance(loaded, Mapping) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise ModelError("the checkpoint is not a state dict", where=str(path), why=f"it holds a {type(loaded).__name__}")
    return loaded


def _differences(state: Mapping[str, torch.Tensor], wanted: Shapes) -> list[str]:
    problems = [f"{key}: missing" for key in wanted if key not in state]
    problems += [f"{key}: unknown" for key in state if key not in wanted]
    return problems + [
        f"{key}: shape {tuple(state[key].shape)}, not {shape}"
        for key, shape in wanted.items()
        if key in state and state[key].shape != shape
    ]


def _conv(shapes: Shapes, name: str, after: int, before: int, kernel: int, *, bias: bool = True) -> None:
    shapes[f"{name}.weight"] = (after, before, kernel, kernel)
    if bias:
        shapes[f"{name}.bias"] = (after,)


def _norm(shapes: Shapes, name: str, channels: int) -> None:
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        shapes[f"{name}.{leaf}"] = (channels,)
    shapes[f"{name}.num_batches_tracked"] = ()


def _bottleneck(shapes: Shapes, name: str, before: int, width: int) -> None:
    after = width * EXPANSION
    for index, (inputs, outputs, kernel) in enumerate(((before, width, 1), (width, width, 3), (width, after, 1)), start=1):
        _conv(shapes, f"{name}.conv{index}", outputs, inputs, kernel, bias=False)
        _norm(shapes, f"{name}.bn{index}", outputs)
    _shortcut(shapes, name, before, after)


def _basic_block(shapes: Shapes, name: str, before: int, width: int) -> None:
    for index, inputs in enumerate((before, width), start=1):
        _conv(shapes, f"{name}.conv{index}", width, inputs, 3, bias=False)
        _norm(shapes, f"{name}.bn{index}", width)
    _shortcut(shapes, name, before, width)


def _shortcut(shapes: Shapes, name: str, before: int, after: int) -> None:
    if before != after:
        _conv(shapes, f"{name}.downsample.0", after, before, 1, bias=False)
        _norm(shapes, f"{name}.downsample.1", after)


def _residual(shapes: Shapes, name: str, before: int, after: int) -> None:
    _conv(shapes, f"{name}.conv1", after, before, 3)
    _conv(shapes, f"{name}.conv2", after, after, 3)
    if before != after:
        _conv(shapes, f"{name}.downsample", after, before, 3)


def _fuser(shapes: Shapes, name: str, before: int, after: int) -> None:
    _residual(shapes, f"{name}.block1", before, after)
    _residual(shapes, f"{name}.block2", after, after)
    for index, inputs, outputs in ((1, after, after // 16), (3, after // 16, after)):
        shapes[f"{name}.attention.ChannelGate.mlp.{index}.weight"] = (outputs, inputs)
        shapes[f"{name}.attention.ChannelGate.mlp.{index}.bias"] = (outputs,)
    _conv(shapes, f"{name}.attention.SpatialGate.spatial.conv", 1, 2, 7)
