"""Completions that share the state of their prompt: what the network expects is what it expects of each sequence alone."""

from __future__ import annotations

import pytest
import torch

from videoseg_r1.training.network import load_learner
from videoseg_r1.training.recipe import load_recipe
from videoseg_r1.training.shared_prefix.rollouts import compact, draw
from videoseg_r1.training.shared_prefix.states import SHARED_PROMPT_ATTENTION, SharedPrompts

PROMPTS = ([5, 6, 7, 8, 9], [11, 12], [20, 21, 22, 23])
NUM_EACH = (2, 3, 1)


@pytest.fixture(scope="module")
def network(llama):
    return load_learner(load_recipe("lite", [f"model.source={llama}", "sft.method=full"])).network.float().eval()


def padded():
    longest = max(map(len, PROMPTS))
    pads = [longest - len(prompt) for prompt in PROMPTS]
    return {
        "input_ids": torch.tensor([[0] * pad + prompt for pad, prompt in zip(pads, PROMPTS, strict=True)]),
        "attention_mask": torch.tensor([[0] * pad + [1] * len(prompt) for pad, prompt in zip(pads, PROMPTS, strict=True)]),
    }


@torch.no_grad()
def expected(network, sequences) -> torch.Tensor:
    network.set_attn_implementation("eager")
    return torch.stack([network(input_ids=torch.tensor([one])).logits[0, -1] for one in sequences])


@torch.no_grad()
def test_every_completion_sees_its_prompt_and_its_own_tokens_also_after_others_have_left(network):
    network.set_attn_implementation(SHARED_PROMPT_ATTENTION)
    going = SharedPrompts(network, padded(), NUM_EACH)
    sequences = [list(prompt) for prompt, count in zip(PROMPTS, NUM_EACH, strict=True) for _ in range(count)]
    torch.testing.assert_close(going.scores, expected(network, sequences), atol=1e-4, rtol=1e-4)
    for step in range(5):
        if step in (0, 3):  # before the first token, and later: all of the first prompt, and some of the second
            kept = [1, 2, 4, 5] if step == 0 else [1, 2]
            going.keep(torch.tensor(kept))
            sequences = [sequences[row] for row in kept]
        tokens = torch.tensor([30 + 7 * step + row for row in range(len(sequences))])
        network.set_attn_implementation(SHARED_PROMPT_ATTENTION)
        going.step(tokens)
        sequences = [[*one, token] for one, token in zip(sequences, tokens.tolist(), strict=True)]
        torch.testing.assert_close(going.scores, expected(network, sequences), atol=1e-4, rtol=1e-4)


def test_both_ways_of_drawing_draw_the_same(network):
    drawn = []
    for attention in (SHARED_PROMPT_ATTENTION, "eager"):
        network.set_attn_implementation(attention)
        drawn.append(draw(network, padded(), NUM_EACH, max_tokens=12, ends=frozenset([3]), temperature=0.0))
    assert drawn[0] == drawn[1]
    assert drawn[0][0] == drawn[0][1]
    assert [len(one) for one in drawn[0]] == [12 if 3 not in one else one.index(3) + 1 for one in drawn[0]]


def test_a_compact_network_that_reads_text_draws_with_shared_prompts(network):
    assert compact(network, torch.float32).config._attn_implementation == SHARED_PROMPT_ATTENTION
