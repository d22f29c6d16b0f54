"""The building blocks of the XMem network, for inference: convolutions with their batch norms folded in, and the blocks built from them.

Everything that depends on the picture alone is kept apart from what depends on the objects, so that it is computed once however many
objects there are: a convolution over concatenated inputs is the sum of two convolutions. Not here: training.

Source: He et al. 2016 (pre-activation residual block), Woo et al. 2018 (CBAM), Cheng and Schwing 2022 (how XMem uses them).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F

from videoseg_r1.xmem.winograd import WinogradConv

_BN_EPS = 1e-5
_MIN_WINOGRAD_CHANNELS = 192
Convolution: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
"""From (N, I, H, W) to (N, O, H, W), both channels last."""


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution that keeps the size (stride 1) or halves it (stride 2); odd kernels, zero padding."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    stride: int = 1

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.weight.shape[-1] // 2)


def convolution(weight: torch.Tensor, bias: torch.Tensor | None, stride: int = 1) -> Convolution:
    """Return the fastest form of a convolution: odd kernel, zero padding that keeps the size at stride 1."""
    outputs, inputs, kernel, _ = weight.shape
    many = min(inputs, outputs) >= _MIN_WINOGRAD_CHANNELS
    if kernel == 3 and stride == 1 and many and weight.dtype == torch.float32 and weight.device.type == "cpu":
        return WinogradConv(weight, bias)
    return Conv(weight.contiguous(memory_format=torch.channels_last), bias, stride)


@dataclass(frozen=True, slots=True)
class Weights:
    """The tensors of one part of the network, by the names they have in the checkpoint."""

    state: Mapping[str, torch.Tensor]
    prefix: str
    device: torch.device
    dtype: torch.dtype

    def at(self, name: str) -> Weights:
        return Weights(self.state, f"{self.prefix}{name}.", self.device, self.dtype)

    def has(self, name: str) -> bool:
        return f"{self.prefix}{name}" in self.state

    def tensor(self, name: str) -> torch.Tensor:
        """Return a tensor in the precision and on the device the network runs in."""
        return self.state[self.prefix + name].to(self.device, self.dtype)

    def conv(self, name: str) -> Convolution:
        return convolution(self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"))

    def conv_bn(self, conv: str, bn: str, stride: int = 1) -> Convolution:
        """Return a convolution that does what the convolution and the batch norm behind it did."""
        weight = self.state[f"{self.prefix}{conv}.weight"]
        gain, shift, mean, variance = (
            self.state[f"{self.prefix}{bn}.{leaf}"] for leaf in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / torch.sqrt(variance + _BN_EPS)
        folded, bias = weight * scale[:, None, None, None], shift - mean * scale
        return convolution(folded.to(self.device, self.dtype), bias.to(self.device, self.dtype), stride)


class ResNetBlock:
    """A block of ResNet, basic or bottleneck, as many convolutions as the checkpoint has."""

    def __init__(self, weights: Weights, stride: int) -> None:
        num_convs = 3 if weights.has("conv3.weight") else 2
        strided = 2 if num_convs == 3 else 1  # the 3 x 3 convolution carries the stride
        self._convs = [
            weights.conv_bn(f"conv{index}", f"bn{index}", stride if index == strided else 1) for index in range(1, num_convs + 1)
        ]
        self._shortcut = weights.conv_bn("downsample.0", "downsample.1", stride) if weights.has("downsample.0.weight") else None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for conv in self._convs[:-1]:
            y = conv(y).relu_()
        y = self._convs[-1](y)
        return y.add_(x if self._shortcut is None else self._shortcut(x)).relu_()


class ResidualBlock:
    """Pre-activation residual block; its shortcut is a 3 x 3 convolution where the number of channels changes."""

    def __init__(self, weights: Weights) -> None:
        self._conv1, self._conv2 = weights.conv("conv1"), weights.conv("conv2")
        self._shortcut = weights.conv("downsample") if weights.has("downsample.weight") else None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        y = self._conv2(self._conv1(F.relu(x)).relu_())
        return y.add_(x if self._shortcut is None else self._shortcut(x))


class Attention:
    """CBAM: a gate per channel, from its mean and maximum, then a gate per position, from maximum and mean over the channels."""

    def __init__(self, weights: Weights) -> None:
        mlp = weights.at("ChannelGate.mlp")
        self._layers = [(mlp.tensor(f"{index}.weight"), mlp.tensor(f"{index}.bias")) for index in (1, 3)]
        self._spatial = weights.conv("SpatialGate.spatial.conv")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        channels = self._mlp(x.mean((2, 3))) + self._mlp(x.amax((2, 3)))
        x = x * torch.sigmoid(channels)[:, :, None, None]
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return x * torch.sigmoid(self._spatial(pooled))

    def _mlp(self, x: torch.Tensor) -> torch.Tensor:
        (first, first_bias), (second, second_bias) = self._layers
        return F.linear(F.linear(x, first, first_bias).relu_(), second, second_bias)


class Fuser:
    """Joins the picture's features with each object's own.

    Args:
        weights: of the block.
        picture_channels: how many of the input channels are the picture's; they come first.
    """

    def __init__(self, weights: Weights, picture_channels: int) -> None:
        names = ("block1.conv1", "block1.downsample")
        first, shortcut = (weights.tensor(f"{name}.weight") for name in names)
        picture = torch.cat([first[:, :picture_channels], shortcut[:, :picture_channels]])
        self._picture = convolution(picture, torch.cat([weights.tensor(f"{name}.bias") for name in names]))
        self._own, self._own_shortcut = (convolution(weight[:, picture_channels:], None) for weight in (first, shortcut))
        self._conv2 = weights.conv("block1.conv2")
        self._attention = Attention(weights.at("attention"))
        self._block2 = ResidualBlock(weights.at("block2"))

    def picture_part(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the picture alone adds, for `__call__`. `x` must not be negative: that its ReLU changes nothing is used here."""
        return self._picture(x)

    def __call__(self, picture_part: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Return (N, C, h, w) from `picture_part` and the objects' features (N, G, h, w)."""
        inner, shortcut = picture_part.chunk(2, 1)
        y = self._conv2(self._own(F.relu(own)).add_(inner).relu_())
        y = y.add_(self._own_shortcut(own)).add_(shortcut)
        return self._block2(y + self._attention(y))


class Upsampler:
    """Doubles the resolution of the objects' features and adds the picture's finer ones."""

    def __init__(self, weights: Weights) -> None:
        self._skip, self._out = weights.conv("skip_conv"), ResidualBlock(weights.at("out_conv"))

    def picture_part(self, skip: torch.Tensor) -> torch.Tensor:
        return self._skip(skip)

    def __call__(self, picture_part: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        return self._out(F.interpolate(own, scale_factor=2, mode="bilinear", align_corners=False).add_(picture_part))


def update_sensory(gates: torch.Tensor, sensory: torch.Tensor) -> torch.Tensor:
    """Return the next sensory state, float32 (N, C, h, w), from the gates (N, 3 C, h, w): forget, update, new.

    Departs from the textbook GRU as XMem does: the new value does not see the forget gate, and forgetting is scaled by 1 - update.
    """
    forget, update, new = gates.float().chunk(3, 1)
    update = torch.sigmoid(update)
    return torch.sigmoid(forget) * sensory * (1 - update) + update * torch.tanh(new)
