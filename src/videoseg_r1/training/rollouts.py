"""Completions of many prompts at once, each prompt computed once for all its completions.

`generate` repeats a prompt for every completion before it computes it, pictures included. Here the different prompts go through in
one batch, their state is repeated, and completions that have ended leave the batch. Not here: vLLM, which shares prefixes by itself;
answers at inference (`chat.generation`).
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from videoseg_r1.chat.generation import pick
from videoseg_r1.pretrained import Network


def compact(network: Network) -> Network:
    """Return a copy in bfloat16 that is quick at one token a time on a CPU, where autocast would convert every weight at every token.

    What it draws is off the trained network's probabilities by no more than their rounding.
    """
    twin = copy.deepcopy(network)
    for module in twin.modules():
        vars(module).pop("forward", None)  # what a trainer has put there still goes to the original
    twin.set_attn_implementation("eager")  # "sdpa" is slower at one query a row
    return twin.to(torch.bfloat16)


@torch.no_grad()
def draw(
    network: Network,
    inputs: Mapping[str, torch.Tensor],
    num_each: Sequence[int],
    *,
    max_tokens: int,
    ends: Collection[int],
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> list[list[int]]:
    """Return completions, those of the first prompt first; each with the token that ends it, if it came to one.

    Args:
        network: in evaluation mode.
        inputs: `input_ids` and `attention_mask` of different prompts, padded on the left, and what else the network takes.
        num_each: completions per prompt.
        max_tokens: of a completion.
        ends: tokens that end one.
        temperature: 0 takes the likeliest token each time.
        top_p: see `pick`.
    """
    device = inputs["input_ids"].device
    mask = inputs["attention_mask"]
    counts = {} if "image_grid_thw" in inputs else {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
    first = network(**inputs, **counts, use_cache=True, logits_to_keep=1)
    repeat = torch.repeat_interleave(torch.arange(len(num_each)), torch.tensor(num_each)).to(device)
    state, scores = first.cache, first.logits[:, -1].float()[repeat]
    state.reorder_cache(repeat)
    mask, places = mask[repeat], mask.sum(1, keepdim=True)[repeat]
    if not counts:  # a picture takes fewer positions than tokens, and they have rows and columns
        places = (places + _core(network).rope_deltas.to(device)[repeat]).expand(3, -1, -1)
    drawn: list[list[int]] = [[] for _ in repeat]
    live = list(range(len(drawn)))
    for step in range(max_tokens):
        tokens = _choose(scores / temperature, top_p) if temperature else scores.argmax(-1)
        for row, token in zip(live, tokens.tolist(), strict=True):
            drawn[row].append(token)
        going = [at for at, row in enumerate(live) if drawn[row][-1] not in ends]
        if not going or step + 1 == max_tokens:
            break
        if len(going) < len(live):
            index = torch.tensor(going, device=device)
            state.reorder_cache(index)
            tokens, mask, places = tokens[index], mask[index], places[..., index, :]
            live = [live[at] for at in going]
        mask = torch.cat([mask, mask.new_ones(len(live), 1)], 1)
        out = network(input_ids=tokens[:, None], attention_mask=mask, position_ids=places, cache=state, use_cache=True)
        scores = out.logits[:, -1].float()
        places = places + 1
    return drawn


def _choose(scores: torch.Tensor, top_p: float) -> torch.Tensor:
    if top_p < 1:
        return pick(scores, top_p, torch.rand(len(scores), device=scores.device))
    return torch.multinomial(scores.softmax(-1), 1)[:, 0]


def _core(network: Network) -> Any:
    return getattr(network, "get_base_model", lambda: network)().model
