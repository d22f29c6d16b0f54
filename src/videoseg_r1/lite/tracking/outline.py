"""Sharp outlines for coarse masks: a small network that looks at the picture again.

The tracker decides on cells of 8 pixels. This network takes its log odds for "one of the objects" and the feature maps that are at hand
anyway, and returns log odds at half the size of the picture: thin parts come back, holes close, what belongs to the background drops out.
It knows no classes and no identities; which object a pixel belongs to stays the decision of the tracker.

Beside plain convolutions it compares each place with what lies inside and outside the coarse mask around it, and in the whole picture
(`_means`): that carries over to surfaces it was never shown. The weights come with the package, made by `tools/train_outline.py` from
composites. Not here: training, the coarse log odds (`tracker`).
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
from videoseg_r1.models.loading import loaded_once

_FINE_MAP, _MIDDLE_MAP, _COARSE_MAP, _DEEP_MAP = 16, 24, 48, 120  # channels of the maps of the backbone at strides 2, 4, 8 and 16
_COARSE, _MIDDLE, _FINE, _EMBEDDED = 32, 24, 16, 8  # channels at strides 8, 4 and 2, and of what is compared
_SOFTNESS = 4.0  # log odds go in as tanh(odds / _SOFTNESS)
_AROUND = 9  # cells of 8 pixels along the side of the window that a place is compared with
_TRUST = 0.5  # weight of the network beside the evidence of the cells
_SURROUNDINGS = 6  # cells around the outline that the network is shown
_SHRINK = 2.0  # cells' worth of the mean of the whole picture that the mean of a window is mixed with


class OutlineNetwork(nn.Module):
    """Refines coarse log odds; see the module.

    Sums of 1x1 convolutions stand where others concatenate: the same function, but each term is computed at its own stride, before it is
    enlarged. The last layer starts at zero, so an untrained network returns what it got.
    """

    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.Conv2d(_DEEP_MAP, _COARSE, 1, bias=False)
        self.coarse = nn.Conv2d(_COARSE_MAP + 2, _COARSE, 1)
        self.coarse_layers = nn.ModuleList(nn.Conv2d(_COARSE, _COARSE, 3, padding=step, dilation=step) for step in (1, 2, 3))
        self.coarse_embedding = nn.Conv2d(_COARSE_MAP, _EMBEDDED, 1, bias=False)
        self.middle_embedding = nn.Conv2d(_MIDDLE_MAP + 3, _EMBEDDED, 1)
        self.coarse_to_middle = nn.Conv2d(_COARSE + 2 * _EMBEDDED, _MIDDLE, 1, bias=False)
        self.middle = nn.Conv2d(_MIDDLE_MAP + 2 + 2 * _EMBEDDED, _MIDDLE, 1)
        self.middle_layers = nn.ModuleList(nn.Conv2d(_MIDDLE, _MIDDLE, 3, padding=step, dilation=step) for step in (1, 2))
        self.middle_to_fine = nn.Conv2d(_MIDDLE, _FINE, 1, bias=False)
        self.fine = nn.Conv2d(_FINE_MAP + 5, _FINE, 1)
        self.fine_layer = nn.Conv2d(_FINE, _FINE, 3, padding=1)
        self.change = nn.Conv2d(_FINE, 1, 3, padding=1)
        for values in self.change.parameters():
            nn.init.zeros_(values)

    def forward(self, odds: torch.Tensor, picture: torch.Tensor, maps: list[torch.Tensor]) -> torch.Tensor:
        """Return the refined log odds (B, 1, H / 2, W / 2) float32.

        Args:
            odds: (B, 1, h, w) float32, log odds of "one of the objects" on the grid of cells, h = H / 8.
            picture: (B, 3, H, W), as `backbone.prepare` returns it.
            maps: of the first five stages of the backbone for that picture.
        """
        fine, middle, coarse, _, deep = maps
        at_fine, at_middle, at_coarse = (_resize(odds, level) for level in (fine, middle, coarse))
        colour_fine = _resize(picture, fine)
        colour_middle = F.avg_pool2d(colour_fine, 2, ceil_mode=True)

        x = F.relu(self.coarse(torch.cat([coarse, _seen(at_coarse)], 1)) + _resize(self.deep(deep), coarse))
        for layer in self.coarse_layers:
            x = x + F.relu(layer(x))

        embedded = self.middle_embedding(torch.cat([middle, colour_middle], 1)) + _resize(self.coarse_embedding(coarse), middle)
        inner, outer = _means(embedded, at_coarse)
        differ, total = inner - outer, inner + outer
        whole_differ, whole_total = (_mean(part) for part in (differ, total))
        low = _resize(torch.cat([self.coarse_to_middle(torch.cat([x, differ, total], 1)), differ, total], 1), middle)
        entered, differ, total = low.split((_MIDDLE, _EMBEDDED, _EMBEDDED), 1)
        # |e - outer|^2 - |e - inner|^2, by channel: how much nearer the place is to the inside of the coarse mask than to the outside
        near, far = differ * (2 * embedded - total), whole_differ * (2 * embedded - whole_total)
        y = F.relu(self.middle(torch.cat([middle, _seen(at_middle), torch.tanh(near), torch.tanh(far)], 1)) + entered)
        for layer in self.middle_layers:
            y = y + F.relu(layer(y))

        z = F.relu(self.fine(torch.cat([fine, colour_fine, _seen(at_fine)], 1)) + _resize(self.middle_to_fine(y), fine))
        z = z + F.relu(self.fine_layer(z))
        return at_fine + self.change(z)


def sharpened(odds: torch.Tensor, picture: torch.Tensor, maps: list[torch.Tensor], network: OutlineNetwork) -> torch.Tensor:
    """Return the log odds (1, H, W) of "one of the objects" for each pixel, from those of the cells (h, w).

    Near the outline they are the mean of those and of what the network says: its word alone is remembered, and drifts. Elsewhere it has no
    say at all (docs/experiments/2026-11-following.md), so it is shown the outline and what is around it only.

    Args:
        odds, picture, maps: as for `OutlineNetwork`, with B = 1.
        network: the trained one.
    """
    coarse, inside = odds[None, None], (odds > 0).to(odds)[None, None]
    near = F.max_pool2d(inside, 3, 1, 1) + F.max_pool2d(1 - inside, 3, 1, 1) - 1
    height, width = picture.shape[2:]
    fine = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    box = _box(near[0, 0] > 0)
    if box is None:
        return fine[0]

    def part(plane: torch.Tensor) -> torch.Tensor:
        up, down, left, right = (edge * plane.shape[3] // odds.shape[1] for edge in box)
        return plane[:, :, up:down, left:right]

    seen = part(picture)
    sharp = network(part(coarse), seen, [part(plane) for plane in maps])
    sharp, trust = (F.interpolate(plane, seen.shape[2:], mode="bilinear", align_corners=False) for plane in (sharp, _TRUST * part(near)))
    part(fine).lerp_(sharp, trust)
    return fine[0]


def _box(near: torch.Tensor) -> tuple[int, int, int, int] | None:
    """Return the edges (up, down, left, right) of what is near, with its surroundings, in even numbers of cells; None if nothing is."""
    edges: list[int] = []
    for axis in (1, 0):
        where = torch.nonzero(near.any(axis)).flatten()
        if not len(where):
            return None
        first, last = int(where[0]) - _SURROUNDINGS, int(where[-1]) + 1 + _SURROUNDINGS
        edges += [max(0, first // 2 * 2), min(near.shape[1 - axis], (last + 1) // 2 * 2)]
    up, down, left, right = edges
    return up, down, left, right


def _resize(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return `x` at the height and width of `like`: bilinear where it grows, means of areas where it shrinks."""
    rows, columns = like.shape[-2:]
    if x.shape[-2:] == (rows, columns):
        return x
    if x.shape[-2] > rows:
        return F.interpolate(x, (rows, columns), mode="area")
    return F.interpolate(x, (rows, columns), mode="bilinear", align_corners=False)


def _seen(odds: torch.Tensor) -> torch.Tensor:
    """Return what the network sees of log odds, (B, 2, h, w): how sure they are, -1..1, and the probability."""
    return torch.cat([torch.tanh(odds / _SOFTNESS), torch.sigmoid(odds)], 1)


def _mean(x: torch.Tensor) -> torch.Tensor:
    return x.mean((2, 3), keepdim=True)


def _means(embedded: torch.Tensor, odds: torch.Tensor) -> list[torch.Tensor]:
    """Return the means (B, C, h, w) inside and outside the coarse mask, of a window around each cell, drawn towards those of the whole."""
    plain, inside = _resize(embedded, odds), torch.sigmoid(odds)
    means = list[torch.Tensor]()
    for weight in (inside, 1 - inside):
        whole = _mean(plain * weight) / (_mean(weight) + 1e-4)
        sums, mass = (F.avg_pool2d(part, _AROUND, 1, _AROUND // 2) * _AROUND**2 for part in (plain * weight, weight))
        means.append((sums + _SHRINK * whole) / (mass + _SHRINK))
    return means


def outline_weights() -> Path:
    """Return the weights file that comes with the package."""
    return Path(str(resources.files("videoseg_r1.lite") / "weights" / "outline.safetensors"))


@loaded_once
def load_outline(device: torch.device) -> OutlineNetwork:
    """Return the trained network on a device, ready for inference, loaded once per device.

    Raises: WeightsMissing: the file that comes with the package is not there. ModelError: it is not the expected network.
    """
    file, fix = outline_weights(), "reinstall videoseg-r1"
    network = OutlineNetwork()
    try:
        network.load_state_dict(load(file.read_bytes()))
    except OSError as error:
        raise WeightsMissing("The outline network of the preset lite is missing", where=str(file), why=str(error), fix=fix) from error
    except (SafetensorError, RuntimeError) as error:
        raise ModelError("The outline network cannot be read", where=str(file), why=str(error), fix=fix) from error
    network.eval().requires_grad_(False).to(device)
    for weight in network.parameters():
        weight.data = weight.data.contiguous(memory_format=torch.channels_last if weight.ndim == 4 else torch.contiguous_format)
    return network
