"""Several continuations of one text in one sequence: the text is computed once, however many continuations there are.

Questions about one scene, and replies to one question, begin alike. Put behind each other after their common prefix, each sees the
prefix and itself but none of the others, which a block mask sees to; positions go on from the prefix for each. What comes out for a
continuation is what the network says of prefix and continuation alone. Not here: where the texts come from, losses.

Source: ours; the block mask is what keeps a packed sequence from leaking answers (lite.md, section 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from videoseg_r1.pretrained import Network


@dataclass(frozen=True, eq=False)
class Branches:
    """A prefix and its continuations as tensors of one row.

    Attributes:
        ids: int64 (1, L), the prefix and then every continuation.
        positions: int64 (1, L).
        visible: bool (1, 1, L, L), which token (column) each token (row) sees.
        asked: int64 (A,), the places whose next token is scored, continuation by continuation.
        answers: int64 (A,), those tokens.
        lengths: how many of them each continuation has.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    visible: torch.Tensor
    asked: torch.Tensor
    answers: torch.Tensor
    lengths: tuple[int, ...]


def branch(prefix: Sequence[int], continuations: Sequence[Sequence[int]], num_scored: Sequence[int]) -> Branches:
    """Return a prefix with its continuations.

    Args:
        prefix: tokens that all begin with, at least one.
        continuations: tokens that follow, at least one each.
        num_scored: how many tokens at the end of each continuation are scored; up to all of them.
    """
    start = len(prefix)
    ends = [start]
    for continuation in continuations:
        ends.append(ends[-1] + len(continuation))
    length = ends[-1]
    visible = torch.ones(length, length, dtype=torch.bool).tril()
    positions = torch.arange(length)
    asked: list[int] = []
    for (first, last), count in zip(pairwise(ends), num_scored, strict=True):
        visible[first:last, start:first] = False
        positions[first:last] = torch.arange(start, start + last - first)
        # the first token of a continuation is foretold by the last one of the prefix
        asked += [place - 1 if place > first else start - 1 for place in range(last - count, last)]
    ids = torch.tensor([*prefix, *(token for continuation in continuations for token in continuation)])
    answers = [token for continuation, count in zip(continuations, num_scored, strict=True) for token in continuation[-count:]]
    return Branches(
        ids=ids[None],
        positions=positions[None],
        visible=visible[None, None],
        asked=torch.tensor(asked),
        answers=torch.tensor(answers),
        lengths=tuple(num_scored),
    )


def log_probabilities(network: Network, branches: Branches) -> tuple[torch.Tensor, ...]:
    """Return the log-probability of every scored token, float32, one tensor per continuation; gradients flow.

    Args:
        network: a causal language model of transformers, whose attention takes a mask of its own ("eager" or "sdpa").
        branches: see `branch`.
    """
    device = network.device
    # transformers adds this to the scores of attention
    mask = torch.zeros(branches.visible.shape, dtype=network.dtype).masked_fill(~branches.visible, torch.finfo(network.dtype).min)
    output = network(
        input_ids=branches.ids.to(device),
        attention_mask=mask.to(device),
        position_ids=branches.positions.to(device),
        logits_to_keep=branches.asked.to(device),
        use_cache=False,
    )
    scores = output.logits[0].float().log_softmax(-1)
    return scores.gather(1, branches.answers.to(device)[:, None])[:, 0].split(list(branches.lengths))
