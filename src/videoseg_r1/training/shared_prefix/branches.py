"""Several continuations of one prefix packed into one sequence: the prefix is computed once, however many continuations there are.

Questions about one scene, and replies to one question, begin alike. Packed one after another behind their common prefix, each
continuation attends to the prefix and to itself but to no other, and its positions continue from the prefix. The outputs equal those for
prefix and continuation alone. Attention is computed continuation by continuation, so it costs no more than it would for each alone, less
the prefix. Not here: where the texts come from, losses.

Source: ours; keeping continuations apart is what keeps a packed sequence from leaking answers (docs/algorithm.md, "Shared prefixes").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from videoseg_r1.models.pretrained import Network

BRANCH_ATTENTION = "branches"
"""The attention that a network must be set to: `network.set_attn_implementation(BRANCH_ATTENTION)`. Without branches it is "sdpa"."""


@dataclass(frozen=True, eq=False)
class Branches:
    """A prefix and its continuations as tensors of one row.

    Attributes:
        ids: int64 (1, L), the prefix and then every continuation.
        positions: int64 (1, L).
        ends: where the prefix ends, and every continuation.
        asked: int64 (A,), the places whose next token is scored, continuation by continuation.
        answers: int64 (A,), those tokens.
        lengths: how many of them each continuation has.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    ends: tuple[int, ...]
    asked: torch.Tensor
    answers: torch.Tensor
    lengths: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class TokenScores:
    """Log-probability of every scored token of one continuation, and entropy of the distribution it was drawn from; float32 (n,) each."""

    log_probabilities: torch.Tensor
    entropies: torch.Tensor


def branch(prefix: Sequence[int], continuations: Sequence[Sequence[int]], num_scored: Sequence[int] | None = None) -> Branches:
    """Return a prefix with its continuations.

    Args:
        prefix: tokens that all begin with, at least one.
        continuations: tokens that follow; an empty one has no scores.
        num_scored: how many tokens at the end of each continuation are scored; all of them by default.
    """
    counts = [len(one) for one in continuations] if num_scored is None else num_scored
    # the last token of a continuation foretells nothing that is asked for
    shown = [one[:-1] for one in continuations]
    start = len(prefix)
    ends = list(accumulate((len(one) for one in shown), initial=start))
    positions = [*range(start), *(start + place for one in shown for place in range(len(one)))]
    asked: list[int] = []
    for first, one, count in zip(ends, continuations, counts, strict=False):
        # the first token of a continuation is foretold by the last one of the prefix
        asked += [first + place - 1 if place else start - 1 for place in range(len(one) - count, len(one))]
    return Branches(
        ids=torch.tensor([[*prefix, *(token for one in shown for token in one)]]),
        positions=torch.tensor([positions]),
        ends=tuple(ends),
        asked=torch.tensor(asked, dtype=torch.int64),
        answers=torch.tensor([t for one, n in zip(continuations, counts, strict=True) for t in one[len(one) - n :]], dtype=torch.int64),
        lengths=tuple(counts),
    )


def ask(network: Network, branches: Branches) -> torch.Tensor:
    """Return the logits of the scored tokens, float32 (A, vocabulary); `network` as for `token_scores`."""
    device = network.device
    output = network(
        input_ids=branches.ids.to(device),
        position_ids=branches.positions.to(device),
        logits_to_keep=branches.asked.to(device),
        use_cache=False,
        branch_ends=branches.ends,
    )
    return output.logits[0].float()


def token_scores(network: Network, branches: Branches, temperature: float = 1.0, *, train_entropy: bool = False) -> list[TokenScores]:
    """Return the scores of every continuation; gradients flow through the probabilities.

    Args:
        network: a causal language model of transformers that reads text, its attention set to `BRANCH_ATTENTION`.
        branches: see `branch`.
        temperature: that scores are divided by.
        train_entropy: whether gradients flow through the entropies as well.
    """
    logits = ask(network, branches)
    logits = logits if temperature == 1 else logits / temperature
    taken = logits.gather(1, branches.answers.to(logits.device)[:, None])[:, 0] - logits.logsumexp(-1)
    with torch.set_grad_enabled(train_entropy and torch.is_grad_enabled()):
        logs = logits.log_softmax(-1)
        entropy = -(logs.exp() * logs).sum(-1)
    lengths = list(branches.lengths)
    return [TokenScores(*pair) for pair in zip(taken.split(lengths), entropy.split(lengths), strict=True)]


def _attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None, **more: Any
) -> tuple[torch.Tensor, None]:
    """Attend as transformers asks: query (1, heads, L, C), keys and values (1, groups, L, C), to (1, L, heads, C)."""
    ends: tuple[int, ...] | None = more.pop("branch_ends", None)
    if ends is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **more)
    repeats, dtype = query.shape[1] // key.shape[1], query.dtype
    if query.device.type == "cpu":  # where the gradient of attention takes twice as long in bfloat16
        query, key, value = query.float(), key.float(), value.float()
    scale, start = more.get("scaling"), ends[0]
    lengths = [start, *(last - first for first, last in pairwise(ends))]
    # `split`, because the gradient of a slice is a whole tensor of zeros for each
    (query, *queries), (key, *keys), (value, *values) = (
        part.split(lengths, 2) for part in (query, key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1))
    )
    with torch.autocast(query.device.type, enabled=False):
        parts = [F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale)]
        for length, own_query, own_key, own_value in zip(lengths[1:], queries, keys, values, strict=True):
            seen = torch.cat([key, own_key], 2), torch.cat([value, own_value], 2)
            mask = torch.ones(length, start + length, dtype=torch.bool, device=query.device).tril(start)
            parts.append(F.scaled_dot_product_attention(own_query, *seen, attn_mask=mask, scale=scale))
    return torch.cat(parts, 2).transpose(1, 2).to(dtype).contiguous(), None


AttentionInterface.register(BRANCH_ATTENTION, _attend)
AttentionMaskInterface.register(BRANCH_ATTENTION, sdpa_mask)
