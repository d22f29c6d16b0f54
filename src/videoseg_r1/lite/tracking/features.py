"""What the tracker sees of a frame: features of the cells of its working picture, from a frozen network and from colours.

Everything is computed once per frame, whatever number of objects is followed. Not here: what is concluded from it (`tracker`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from videoseg_r1.lite.perception.backbone import Backbone, prepare
from videoseg_r1.lite.tracking.crop import Crop
from videoseg_r1.lite.tracking.palette import Palette
from videoseg_r1.types import BoolMask, RgbImage

_TEXTURE, _FINE, _MIDDLE, _COARSE = 24, 48, 88, 120
"""Channels of the stages of the backbone that are used, of strides 4, 8, 16 and 16."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameFeatures:
    """A working picture and what the backbone makes of it; the same for every object and in both directions of time.

    Attributes:
        crop: which part of the frame, at which size.
        picture: (height, width, 3) uint8.
        cells: (P, C) float32, for each cell of the memory grid the features of four stages, each of unit length, and the mean colour.
        prepared: (1, 3, height, width) float32, the picture as networks take it.
        maps: of the first five stages of the backbone.
    """

    crop: Crop
    picture: RgbImage
    cells: torch.Tensor
    prepared: torch.Tensor
    maps: list[torch.Tensor]

    @property
    def num_bytes(self) -> int:
        """What this keeps in memory."""
        return self.picture.nbytes + sum(tensor.nbytes for tensor in (self.cells, self.prepared, *self.maps))


def describe_frame(rgb: RgbImage, crop: Crop, backbone: Backbone) -> FrameFeatures:
    """Return the features of a part of a frame (H, W, 3) uint8."""
    picture = crop.cut(rgb)
    prepared = prepare(picture, (crop.width, crop.height), backbone.device)
    maps = backbone.features(prepared, num_stages=5)
    rows, columns = crop.grid

    def at_grid(x: torch.Tensor) -> torch.Tensor:
        if x.shape[-2:] != (rows, columns):
            x = F.interpolate(x, (rows, columns), mode="bilinear", align_corners=False)
        return F.normalize(x, dim=1)[0]

    colour = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32) / 255 - 0.5
    planes = [at_grid(F.avg_pool2d(maps[1], 2)), at_grid(maps[2]), at_grid(maps[3]), at_grid(maps[4])]
    planes.append(torch.from_numpy(colour).permute(2, 0, 1).to(backbone.device))
    return FrameFeatures(crop, picture, torch.cat(planes).flatten(1).T.contiguous(), prepared, maps)


class FeatureSpace:
    """The features that one run of a tracker works with: few dimensions, chosen on the first frame for what is to be seen in it.

    Args:
        first: the first frame.
        masks: bool (N, height, width) of its picture, the objects.
        num_keys: dimensions of the keys by which the memory is read.
        num_looks: dimensions of what the appearance model sees.
    """

    def __init__(self, first: FrameFeatures, masks: BoolMask, num_keys: int, num_looks: int) -> None:
        self._palette = Palette(first.picture, np.logical_or.reduce(masks))
        keys, looks = _keys(first), self._looks(first)
        self._key_axes = _main_axes(keys, num_keys)
        self._look_axes = _main_axes(looks, num_looks)

    def keys(self, frame: FrameFeatures) -> torch.Tensor:
        """Return what the cells are compared by, (K, rows, columns), of unit length."""
        keys = F.normalize(_keys(frame) @ self._key_axes, dim=1)
        return keys.T.reshape(-1, *frame.crop.grid)

    def looks(self, frame: FrameFeatures) -> torch.Tensor:
        """Return what the appearance model sees, (P, L)."""
        return self._looks(frame) @ self._look_axes

    def lasting(self, frame: FrameFeatures) -> torch.Tensor:
        """Return the features (P, L') that change least when a thing turns: colours, and texture without its surroundings."""
        cells = frame.cells[:, : _TEXTURE + _FINE]
        return torch.cat([cells, self._colours(frame), torch.ones_like(cells[:, :1])], 1)

    def _colours(self, frame: FrameFeatures) -> torch.Tensor:
        return self._palette.shares(frame.picture, frame.crop.grid).sqrt().to(frame.cells.device)

    def _looks(self, frame: FrameFeatures) -> torch.Tensor:
        # colours count twice: they tell things of one kind apart where the network sees the kind
        return torch.cat([frame.cells, torch.ones_like(frame.cells[:, :1]), 2 * self._colours(frame)], 1)


def _keys(frame: FrameFeatures) -> torch.Tensor:
    """Return the finer map, which tells neighbours apart, and the coarser one, which recognises objects and counts twice."""
    fine = frame.cells[:, _TEXTURE : _TEXTURE + _FINE]
    coarse = frame.cells[:, _TEXTURE + _FINE + _MIDDLE : _TEXTURE + _FINE + _MIDDLE + _COARSE]
    return F.normalize(torch.cat([0.5 * fine, coarse], 1), dim=1)


def _main_axes(features: torch.Tensor, count: int) -> torch.Tensor:
    """Return the directions (C, count) that keep most of the length of the features (P, C), and so most of their products."""
    return torch.linalg.eigh(features.T @ features).eigenvectors[:, -count:].contiguous()
