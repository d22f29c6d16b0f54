"""Reading the memory in a local window: for each cell of the frame, the most similar cells nearby in the stored frames.

Cells are handled in square blocks that share one padded window, so the similarities are batched matrix products, and an affinity matrix
between whole frames is never made. Not here: what the features are, and what is done with the values that are read (`tracker`).

Source: the top-k read of XMem (Cheng and Schwing 2022, section 3.3) on normalised features, restricted to a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F

BLOCK = 8
"""Cells along the side of a block."""
_OUTSIDE = -1e4
_LEAST = 0.02
"""Of a cell; what covers less of it is not there."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowKeys:
    """One stored frame, cut into windows: keys (B, C, K), values (B, K, N), outside (B, K) bool, for B blocks of K cells.

    `shows`, bool (B,): whether a window has any value that is not 0.
    """

    keys: torch.Tensor
    values: torch.Tensor
    outside: torch.Tensor
    shows: torch.Tensor


def cut_windows(features: torch.Tensor, values: torch.Tensor, valid: torch.Tensor, radius: tuple[int, int]) -> WindowKeys:
    """Cut a stored frame into the windows of the blocks.

    Args:
        features: (C, rows, columns), unit length per cell.
        values: (N, rows, columns), at least 0.
        valid: (rows, columns) bool, False where the stored frame holds no values.
        radius: vertical and horizontal reach in cells.
    """
    planes = torch.cat([features, values, valid[None].to(features.dtype)])
    rows, columns = planes.shape[-2:]
    up, side = radius
    planes = F.pad(planes, (side, side + -columns % BLOCK, up, up + -rows % BLOCK))
    windows = planes.unfold(1, BLOCK + 2 * up, BLOCK).unfold(2, BLOCK + 2 * side, BLOCK)
    flat = windows.permute(1, 2, 0, 3, 4).flatten(0, 1).flatten(2)
    channels = len(features)
    inside = flat[:, channels:-1].transpose(1, 2).contiguous()
    return WindowKeys(flat[:, :channels].contiguous(), inside, flat[:, -1] < 0.5, (inside > _LEAST).flatten(1).any(1))


def read(query: torch.Tensor, memory: list[WindowKeys], radius: tuple[int, int], top_k: int, temperature: float) -> torch.Tensor:
    """Read the values of the most similar cells. Blocks near which no stored frame shows anything are not compared.

    Args:
        query: (C, rows, columns), unit length per cell.
        memory: stored frames, cut with the same radius.
        radius: as in `cut_windows`.
        top_k: how many cells are mixed.
        temperature: of the softmax over them.
    Returns: (N, rows, columns), each value a convex mixture of stored values.
    """
    channels, rows, columns = query.shape
    padded = F.pad(query, (0, -columns % BLOCK, 0, -rows % BLOCK))
    down, across = padded.shape[1] // BLOCK, padded.shape[2] // BLOCK
    blocks = padded.reshape(channels, down, BLOCK, across, BLOCK).permute(1, 3, 2, 4, 0).reshape(down * across, BLOCK * BLOCK, channels)
    bias = _window_bias(radius).to(query).repeat(1, len(memory))
    count = memory[0].values.shape[2]
    mixed = query.new_zeros(down * across, BLOCK * BLOCK, count)
    shows = torch.stack([frame.shows for frame in memory]).any(0)
    for block in torch.nonzero(shows).flatten().tolist():
        keys = torch.cat([frame.keys[block] for frame in memory], 1)
        outside = torch.cat([frame.outside[block] for frame in memory])
        scores = torch.addmm(bias, blocks[block], keys).masked_fill_(outside, _OUTSIDE)
        best, where = scores.topk(min(top_k, scores.shape[1]), dim=1)
        values = torch.cat([frame.values[block] for frame in memory])
        mixed[block] = (torch.softmax(best / temperature, 1)[..., None] * values[where]).sum(1)
    whole = mixed.reshape(down, across, BLOCK, BLOCK, count).permute(4, 0, 2, 1, 3).reshape(count, down * BLOCK, across * BLOCK)
    return whole[:, :rows, :columns]


@lru_cache(maxsize=32)
def _window_bias(radius: tuple[int, int]) -> torch.Tensor:
    """Return (BLOCK^2, K): 0 for cells of the shared window that are in reach of a cell of the block, very low elsewhere."""
    up, side = radius
    cell = torch.arange(BLOCK)
    dy = (torch.arange(BLOCK + 2 * up) - up)[None, :] - cell[:, None]
    dx = (torch.arange(BLOCK + 2 * side) - side)[None, :] - cell[:, None]
    near = (dy.abs() <= up)[:, None, :, None] & (dx.abs() <= side)[None, :, None, :]
    return torch.where(near, 0.0, _OUTSIDE).reshape(BLOCK * BLOCK, -1)
