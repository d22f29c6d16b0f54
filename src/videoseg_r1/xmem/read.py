"""Reads the memory: similarity of every position to every stored one, the best matches, and the mixture of their values.

The similarity of XMem is quadratic in the keys; written as a product of one row per stored position and one per query it is a single
matrix product, taken for a few queries at a time, and the full affinity matrix never exists. Not here: what is stored (`bank`).

Source: Cheng and Schwing 2022 (XMem), equations 2 to 4 and section 3.3. Departs in subtracting the maximum before the softmax, so
that it stays finite for very low similarities.
"""

from __future__ import annotations

import torch

from videoseg_r1.xmem.network import Keys

_GROUP = 20
"""Columns whose maximum is looked at first when the best of many are wanted."""


def stored_rows(keys: Keys) -> torch.Tensor:
    """Return (P, 2 C + 1) rows of stored positions: their product with `query_rows` is the similarity.

    Similarity is -s / sqrt(C) * sum_c e_c (k_c - q_c)^2 = s / sqrt(C) * (-k^2 . e + 2 k . e q - sum e q^2).
    """
    scale = keys.shrinkage[:, None] / keys.key.shape[1] ** 0.5
    return torch.cat([-keys.key.square(), 2 * keys.key, -torch.ones_like(scale)], 1) * scale


def query_rows(keys: Keys) -> torch.Tensor:
    """Return (P, 2 C + 1) rows of the positions that ask."""
    weighted = keys.selection * keys.key
    return torch.cat([keys.selection, weighted, (weighted * keys.key).sum(1, keepdim=True)], 1)


def top_k(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the k largest of each row and their columns, (Q, k) each, falling; exactly what `torch.topk` returns, ties aside.

    Columns are folded into groups, and only groups whose maximum is among the k largest are searched: no other group can hold one of
    the k largest values.
    """
    num_columns = scores.shape[1]
    num_groups = num_columns // _GROUP
    if num_groups < 4 * k:
        return scores.topk(k)
    folded = scores[:, : num_groups * _GROUP].unflatten(1, (_GROUP, num_groups))
    groups = folded.amax(1).topk(k, sorted=False).indices
    found = folded.gather(2, groups[:, None].expand(-1, _GROUP, -1)).flatten(1)
    best, place = torch.cat([found, scores[:, num_groups * _GROUP :]], 1).topk(k)
    in_group = place // k * num_groups + groups.gather(1, place % k)
    return best, torch.where(place < found.shape[1], in_group, place - found.shape[1] + num_groups * _GROUP)
