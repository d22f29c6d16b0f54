"""Completions that attend to one shared key-value cache of their prompt: it is not copied, and read once per step for all of them.

A cache that is repeated costs memory traffic: a prompt of a thousand tokens is read for each of its completions at every token. Not here:
which tokens are drawn (`rollouts`), probabilities of given completions (`branches`).

Source: ours; attention to the shared prefix and to a completion's own tokens under one softmax follows Juravsky et al. 2024 (Hydragen).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from videoseg_r1.models.pretrained import Network

SHARED_PROMPT_ATTENTION = "shared_prompts"
"""The attention that a network must be set to. Without prompts it is "sdpa"."""


@dataclass(frozen=True, eq=False)
class _Prompts:
    """By layer and prompt, keys and values (groups, length, width); and where the completions of each prompt end among all of them."""

    states: list[list[tuple[torch.Tensor, torch.Tensor]]]
    ends: tuple[int, ...]


class SharedPrompts:
    """Draws on from several prompts at once.

    Args:
        network: a language model that reads text, in evaluation mode, its attention set to `SHARED_PROMPT_ATTENTION`.
        inputs: `input_ids` and `attention_mask` of different prompts, padded on the left.
        num_each: completions per prompt.

    Attributes:
        scores: logits of the next token, float32 (completions, vocabulary).
    """

    scores: torch.Tensor

    def __init__(self, network: Network, inputs: Mapping[str, torch.Tensor], num_each: Sequence[int]) -> None:
        mask = inputs["attention_mask"]
        lengths = mask.sum(1)
        first = network(**inputs, position_ids=(mask.cumsum(1) - 1).clamp(min=0), use_cache=True, logits_to_keep=1)
        pads = (mask.shape[1] - lengths).tolist()
        self._network = network
        self._states = [
            [(layer.keys[row, :, pad:].contiguous(), layer.values[row, :, pad:].contiguous()) for row, pad in enumerate(pads)]
            for layer in first.cache.layers
        ]
        self._owners = torch.repeat_interleave(torch.arange(len(num_each)), torch.tensor(num_each))
        self._places = lengths[self._owners.to(mask.device)][:, None]
        self._own: Any = DynamicCache()
        self.scores = first.logits[:, -1].float()[self._owners.to(mask.device)]

    def keep(self, index: torch.Tensor) -> None:
        """Continue with these completions alone; `index` keeps their order."""
        self._owners = self._owners[index.cpu()]
        self._places = self._places[index]
        if self._own.get_seq_length():
            self._own.reorder_cache(index)

    def step(self, tokens: torch.Tensor) -> None:
        """Append a token to each completion: int64 (completions,)."""
        counts = torch.bincount(self._owners, minlength=len(self._states[0])).tolist()
        out = self._network(
            input_ids=tokens[:, None],
            position_ids=self._places,
            cache=self._own,
            use_cache=True,
            prompts=_Prompts(self._states, tuple(accumulate(counts, initial=0))),
        )
        self.scores = out.logits[:, -1].float()
        self._places = self._places + 1


def _attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None, **more: Any
) -> tuple[torch.Tensor, None]:
    """Attend as transformers asks: query (rows, heads, 1, C), own keys and values (rows, groups, t, C), to (rows, 1, heads, C)."""
    prompts: _Prompts | None = more.pop("prompts", None)
    if prompts is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **more)
    rows, heads, _, width = query.shape
    groups, repeats = key.shape[1], heads // key.shape[1]
    asked = query.view(rows, groups, repeats, width) * more["scaling"]
    own_scores = asked @ key.transpose(2, 3)
    found = torch.empty_like(asked)
    for (start, end), (keys, values) in zip(pairwise(prompts.ends), prompts.states[module.layer_idx], strict=True):
        if start == end:
            continue
        length = keys.shape[1]
        together = asked[start:end].transpose(0, 1).reshape(groups, -1, width)
        scores = (together @ keys.transpose(1, 2)).view(groups, -1, repeats, length).transpose(0, 1)
        weights = torch.cat([scores, own_scores[start:end]], 3).softmax(3, dtype=torch.float32).to(query.dtype)
        of_prompt = weights[..., :length].transpose(0, 1).reshape(groups, -1, length) @ values
        found[start:end] = of_prompt.view(groups, -1, repeats, width).transpose(0, 1) + weights[..., length:] @ value[start:end]
    return found.view(rows, 1, heads, width), None


AttentionInterface.register(SHARED_PROMPT_ATTENTION, _attend)
AttentionMaskInterface.register(SHARED_PROMPT_ATTENTION, sdpa_mask)
