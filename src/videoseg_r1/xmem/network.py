"""The XMem network, for inference, on the official weights: key encoder, value encoder, decoder.

Feature maps are (N, C, h, w) with one row per object; keys, shrinkage and selection are float32 whatever precision the network runs
in, because the choice of the best matches depends on small differences. Not here: memory (`memory`), the order of events (`core`),
training.

Source: Cheng and Schwing 2022 (XMem). Departs from it in arithmetic only: batch norms are folded into the convolutions, and what
depends on the picture alone is computed once for all objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F

from videoseg_r1.errors import InvalidConfig
from videoseg_r1.xmem.checkpoint import FEATURE_DIM, RESNET18_STAGES, RESNET50_STAGES, SENSORY_DIM, CheckpointSource, read_checkpoint
from videoseg_r1.xmem.layers import Convolution, Fuser, ResNetBlock, Upsampler, Weights, update_sensory

KEY_STRIDE = 16
"""Pixels per position of keys, values and sensory state; frames are padded to a multiple of it."""
Precision: TypeAlias = torch.dtype | Literal["auto"]


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a frame, float32: key (P, 64), shrinkage (P,), at least 1, selection (P, 64) in 0..1, P positions row by row."""

    key: torch.Tensor
    shrinkage: torch.Tensor
    selection: torch.Tensor


@dataclass(frozen=True, slots=True)
class Features:
    """Features of a frame from the key encoder: maps (1, C, h, w) at strides 16, 8 and 4, and its keys."""

    f16: torch.Tensor
    f8: torch.Tensor
    f4: torch.Tensor
    keys: Keys

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the positions."""
        return self.f16.shape[-2], self.f16.shape[-1]


class XMem:
    """The network. Make it with `from_checkpoint`.

    Args:
        state: tensors as `checkpoint.read_checkpoint` returns them.
        device: where it runs.
        dtype: precision of the convolutions.
        max_objects_at_once: objects are encoded and decoded in groups of this size, which bounds the memory of a step.
    """

    def __init__(
        self, state: dict[str, torch.Tensor], device: torch.device, dtype: torch.dtype = torch.float32, max_objects_at_once: int = 4
    ) -> None:
        self.device, self.dtype, self.max_objects_at_once = device, dtype, max_objects_at_once
        weights = Weights(state, "", device, dtype)
        self._stem, self._stages = _resnet(weights.at("key_encoder"), RESNET50_STAGES)
        self._key, self._shrinkage, self._selection = (weights.at("key_proj").conv(name) for name in ("key_proj", "d_proj", "e_proj"))
        encoder, decoder = weights.at("value_encoder"), weights.at("decoder")
        self._value_stem, self._value_stages = _resnet(encoder, RESNET18_STAGES)
        self._value_fuser = Fuser(encoder.at("fuser"), FEATURE_DIM)
        self._reinforce = encoder.conv("hidden_reinforce.transform")
        self._fuser = Fuser(decoder.at("fuser"), FEATURE_DIM)
        self._up8, self._up4 = Upsampler(decoder.at("up_16_8")), Upsampler(decoder.at("up_8_4"))
        self._logits = decoder.conv("pred")
        self._gates = [decoder.conv(f"hidden_update.{name}_conv") for name in ("g16", "g8", "g4")]
        self._update = decoder.conv("hidden_update.transform")

    @classmethod
    def from_checkpoint(cls, source: CheckpointSource, *, device: torch.device | str = "cpu", dtype: Precision = torch.float32) -> XMem:
        """Return the network with the weights of an official checkpoint.

        Args:
            source: a file (`.safetensors`, or what `torch.save` wrote) or a state dict of tensors or arrays.
            device: where it runs.
            dtype: torch.float32, torch.bfloat16, or "auto" for what is fastest on the device.
        Raises: WeightsMissing: there is no such file. ModelError: the checkpoint cannot be used. InvalidConfig: no such precision.
        """
        place = torch.device(device)
        precision = fastest_dtype(place) if dtype == "auto" else dtype
        if precision not in (torch.float32, torch.bfloat16):
            raise InvalidConfig("XMem does not run in this precision", where=str(precision), fix="use float32, bfloat16 or auto")
        return cls(read_checkpoint(source), place, precision)

    def encode_key(self, image: torch.Tensor) -> Features:
        """Return the features and keys of a frame (1, 3, H, W), normalised, H and W multiples of 16."""
        x = image.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
        x = F.max_pool2d(self._stem(x).relu_(), 3, 2, 1)
        maps: list[torch.Tensor] = []
        for stage in self._stages:
            for block in stage:
                x = block(x)
            maps.append(x)
        f4, f8, f16 = maps
        keys = Keys(
            key=_rows(self._key(f16)),
            shrinkage=_rows(self._shrinkage(f16))[:, 0].square() + 1,
            selection=torch.sigmoid(_rows(self._selection(f16))),
        )
        return Features(f16, f8, f4, keys)

    def encode_value(
        self, image: torch.Tensor, features: Features, sensory: torch.Tensor, masks: torch.Tensor, *, deep: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the memory keeps of the objects, (N, 512, h, w), and their sensory state, renewed if `deep`.

        Args:
            image: the frame (1, 3, H, W), as for `encode_key`.
            features: of that frame.
            sensory: float32 (N, 64, h, w).
            masks: probabilities (N, H, W) of the objects.
            deep: whether the sensory state is renewed from the values.
        """
        others = masks.sum(0, keepdim=True) - masks
        image = image.to(self.device, self.dtype)
        part = self._value_fuser.picture_part(features.f16)
        values: list[torch.Tensor] = []
        states: list[torch.Tensor] = []
        for own, rest, state in self._chunks(masks, others, sensory):
            planes = torch.stack([own, rest], 1).to(self.dtype)
            x = torch.cat([image.expand(len(own), -1, -1, -1), planes], 1).contiguous(memory_format=torch.channels_last)
            x = F.max_pool2d(self._value_stem(x).relu_(), 3, 2, 1)
            for stage in self._value_stages:
                for block in stage:
                    x = block(x)
            value = self._value_fuser(part, x)
            values.append(value)
            states.append(update_sensory(self._reinforce(torch.cat([value, state.to(self.dtype)], 1)), state) if deep else state)
        return torch.cat(values), torch.cat(states)

    def decode(
        self, features: Features, readout: torch.Tensor, sensory: torch.Tensor, *, update: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits of the objects, float32 (N, H, W), and their sensory state, updated if `update`.

        Args:
            features: of the frame.
            readout: what was read from memory, (N, 512, h, w).
            sensory: float32 (N, 64, h, w).
            update: whether the sensory state moves on.
        """
        part16, part8, part4 = (
            block.picture_part(x) for block, x in ((self._fuser, features.f16), (self._up8, features.f8), (self._up4, features.f4))
        )
        logits: list[torch.Tensor] = []
        states: list[torch.Tensor] = []
        for own, state in self._chunks(readout, sensory):
            g16 = self._fuser(part16, torch.cat([own, state], 1).to(self.dtype).contiguous(memory_format=torch.channels_last))
            g8 = self._up8(part8, g16)
            g4 = self._up4(part4, g8)
            coarse = self._logits(F.relu(g4))
            logits.append(F.interpolate(coarse.float(), scale_factor=4, mode="bilinear", align_corners=False)[:, 0])
            states.append(self._next_state((g16, g8, torch.cat([g4, coarse], 1)), state) if update else state)
        return torch.cat(logits), torch.cat(states)

    def _next_state(self, maps: Sequence[torch.Tensor], state: torch.Tensor) -> torch.Tensor:
        g16, g8, g4 = (
            gate(F.avg_pool2d(x, ratio) if ratio > 1 else x) for gate, x, ratio in zip(self._gates, maps, (1, 2, 4), strict=True)
        )
        return update_sensory(self._update(torch.cat([g16 + g8 + g4, state.to(self.dtype)], 1)), state)

    def _chunks(self, *tensors: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
        return list(zip(*(tensor.split(self.max_objects_at_once) for tensor in tensors), strict=True))


def fastest_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the device has matrix units for it (CUDA, CPUs with AMX), float32 elsewhere.

    Without them it is emulated: ten times slower than float32 on a CPU with AVX2.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    amx = device.type == "cpu" and torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]
    return torch.bfloat16 if amx else torch.float32


def with_background(probabilities: torch.Tensor) -> torch.Tensor:
    """Return (N + 1, H, W), background first, summing to 1, from one probability (N, H, W) per object.

    Source: soft aggregation of STM (Oh et al. 2019): softmax of the log odds, the background being what no object claims.
    """
    background = (1 - probabilities).prod(0, keepdim=True)
    every = torch.cat([background, probabilities]).clamp_(1e-7, 1 - 1e-7)
    return torch.logit(every).softmax(0)


def empty_sensory(num_objects: int, features: Features) -> torch.Tensor:
    """Return the sensory state of objects that were never seen, float32 zeros (N, 64, h, w)."""
    return torch.zeros(num_objects, SENSORY_DIM, *features.grid, device=features.f16.device)


def _resnet(weights: Weights, stages: tuple[tuple[str, int, int], ...]) -> tuple[Convolution, list[list[ResNetBlock]]]:
    stem = weights.conv_bn("conv1", "bn1", 2)
    blocks = [
        [ResNetBlock(weights.at(f"{name}.{index}"), 2 if position > 0 and index == 0 else 1) for index in range(num_blocks)]
        for position, (name, _, num_blocks) in enumerate(stages)
    ]
    return stem, blocks


def _rows(x: torch.Tensor) -> torch.Tensor:
    """Return (1, C, h, w) as float32 rows (h w, C)."""
    return x[0].float().permute(1, 2, 0).flatten(0, 1)
