"""Completions of many prompts in one batch, each prompt computed once for all its completions.

`generate` of transformers repeats a prompt for every completion before it computes it, pictures included. Here the different prompts are
computed in one batch, and completions that have ended leave it. Not here: vLLM, which shares prefixes by itself; answers at inference
(`chat.generation`); how completions attend to a prompt that they share (`states`).
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import torch

from videoseg_r1.chat.generation import pick
from videoseg_r1.models.pretrained import Network
from videoseg_r1.training.shared_prefix.states import SHARED_PROMPT_ATTENTION, SharedPrompts


class Continuing(Protocol):
    """Completions while they are drawn, side by side; `scores` are the logits of the next token, float32 (completions, vocabulary)."""

    scores: torch.Tensor

    def keep(self, index: torch.Tensor) -> None: ...

    def step(self, tokens: torch.Tensor) -> None: ...


def compact(network: Network, dtype: torch.dtype) -> Network:
    """Return a copy that is fast at one token at a time on a CPU, where autocast would convert every weight at every token.

    In bfloat16, its probabilities differ from those of the trained network by rounding alone. Low-rank changes are merged into the
    weights, which saves two products of three, and rounded at random: rounded to the nearest, most would not change a bfloat16 weight.
    """
    twin = copy.deepcopy(network)
    for module in twin.modules():
        vars(module).pop("forward", None)  # what a trainer has put there still goes to the original
    if hasattr(twin, "merge_and_unload"):
        twin = twin.float().merge_and_unload()
        if dtype == torch.bfloat16:
            _round_by_chance(twin)
    twin.set_attn_implementation(SHARED_PROMPT_ATTENTION if _is_text_only(twin) else "eager")  # "sdpa" is slower at one query a row
    return twin.to(dtype)


@torch.no_grad()
def _round_by_chance(network: Network) -> None:
    """Round float32 weights to values of bfloat16, up or down with the probability that keeps their mean; the same every time."""
    chance = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        bits = weight.data.cpu().contiguous().view(torch.int32)
        if not (bits & 0xFFFF).any():
            continue
        lower = torch.randint(1 << 16, bits.shape, generator=chance, dtype=torch.int32)
        weight.copy_(((bits + lower) & -(1 << 16)).view(torch.float32))


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
    repeats = "image_grid_thw" in inputs or network.config._attn_implementation != SHARED_PROMPT_ATTENTION
    going: Continuing = (Repeated if repeats else SharedPrompts)(network, inputs, num_each)
    drawn: list[list[int]] = [[] for _ in range(sum(num_each))]
    live = list(range(len(drawn)))
    for step in range(max_tokens):
        tokens = _choose(going.scores / temperature, top_p) if temperature else going.scores.argmax(-1)
        for row, token in zip(live, tokens.tolist(), strict=True):
            drawn[row].append(token)
        kept = [at for at, row in enumerate(live) if drawn[row][-1] not in ends]
        if not kept or step + 1 == max_tokens:
            break
        if len(kept) < len(live):
            index = torch.tensor(kept, device=tokens.device)
            going.keep(index)
            tokens, live = tokens[index], [live[at] for at in kept]
        going.step(tokens)
    return drawn


class Repeated:
    """A `Continuing` that repeats the state of each prompt for its completions: for pictures, whose positions are not one after another."""

    scores: torch.Tensor

    def __init__(self, network: Network, inputs: Mapping[str, torch.Tensor], num_each: Sequence[int]) -> None:
        mask = inputs["attention_mask"]
        counts = {} if "image_grid_thw" in inputs else {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
        first = network(**inputs, **counts, use_cache=True, logits_to_keep=1)
        repeat = torch.repeat_interleave(torch.arange(len(num_each)), torch.tensor(num_each)).to(mask.device)
        self._network, self._state = network, first.cache
        self._state.reorder_cache(repeat)
        self._mask, self._places = mask[repeat], mask.sum(1, keepdim=True)[repeat]
        if not counts:  # a picture takes fewer positions than tokens, and they have rows and columns
            self._places = (self._places + _core(network).rope_deltas.to(mask.device)[repeat]).expand(3, -1, -1)
        self.scores = first.logits[:, -1].float()[repeat]

    def keep(self, index: torch.Tensor) -> None:
        """Go on with these completions alone."""
        self._state.reorder_cache(index)
        self._mask, self._places = self._mask[index], self._places[..., index, :]

    def step(self, tokens: torch.Tensor) -> None:
        """Append a token to each completion: int64 (completions,)."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], 1)
        out = self._network(
            input_ids=tokens[:, None], attention_mask=self._mask, position_ids=self._places, cache=self._state, use_cache=True
        )
        self.scores = out.logits[:, -1].float()
        self._places = self._places + 1


def _choose(scores: torch.Tensor, top_p: float) -> torch.Tensor:
    if top_p < 1:
        return pick(scores, top_p, torch.rand(len(scores), device=scores.device))
    # one number a row: `multinomial` takes one for each word of the vocabulary, a seventh of the time of a step
    upper = scores.double().softmax(-1).cumsum(-1)
    return torch.searchsorted(upper, torch.rand(len(upper), 1, device=upper.device) * upper[:, -1:], right=True)[:, 0]


def _is_text_only(network: Network) -> bool:
    return not hasattr(network.config, "vision_config")


def _core(network: Network) -> Any:
    return getattr(network, "get_base_model", lambda: network)().model
