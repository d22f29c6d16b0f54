"""Continuations packed behind their common prefix are scored as each would be alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from videoseg_r1.training.shared_prefix.branches import BRANCH_ATTENTION, branch, token_scores

_VOCABULARY = 50
_tokens = st.lists(st.integers(0, _VOCABULARY - 1), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=_VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation=BRANCH_ATTENTION,
    )
    return LlamaForCausalLM(config).eval()


def _alone(network, prefix, continuation, count):
    ids = torch.tensor([[*prefix, *continuation]])
    scores = network(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
    return scores.gather(1, ids[0, 1:, None])[-count:, 0]


@settings(max_examples=40, deadline=None)
@given(prefix=_tokens, continuations=st.lists(_tokens, min_size=1, max_size=4), data=st.data())
def test_each_continuation_is_scored_as_if_it_were_alone(network, prefix, continuations, data):
    counts = [data.draw(st.integers(1, len(continuation))) for continuation in continuations]
    with torch.inference_mode():
        packed = token_scores(network, branch(prefix, continuations, counts))
        alone = [_alone(network, prefix, one, count) for one, count in zip(continuations, counts, strict=True)]
    for found, expected in zip(packed, alone, strict=True):
        torch.testing.assert_close(found.log_probabilities, expected, atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_the_texts_one_by_one(network):
    prefix, continuations = [1, 2, 3, 4], [[5, 6, 7], [8, 9]]
    gradients = []
    for packed in (True, False):
        network.zero_grad()
        if packed:
            total = sum(part.log_probabilities.sum() for part in token_scores(network, branch(prefix, continuations, [3, 2])))
        else:
            total = sum(_alone(network, prefix, one, len(one)).sum() for one in continuations)
        total.backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in network.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-5, rtol=1e-4)


def test_a_continuation_does_not_see_the_others(network):
    with torch.inference_mode():
        one, _ = token_scores(network, branch([1, 2], [[3, 4, 5], [6, 7]], [3, 2]))
        same, _ = token_scores(network, branch([1, 2], [[3, 4, 5], [9, 9, 9, 9]], [3, 4]))
    torch.testing.assert_close(one.log_probabilities, same.log_probabilities)


def test_temperature_and_entropy_are_those_of_the_distribution(network):
    with torch.inference_mode():
        (found,) = token_scores(network, branch([1, 2, 3], [[4, 5]]), temperature=2.0)
        scores = (network(input_ids=torch.tensor([[1, 2, 3, 4]])).logits[0, 2:].float() / 2).log_softmax(-1)
    torch.testing.assert_close(found.log_probabilities, scores[[0, 1], [4, 5]], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.entropies, -(scores.exp() * scores).sum(-1), atol=1e-5, rtol=1e-5)


def test_an_empty_continuation_has_no_scores(network):
    with torch.inference_mode():
        found = token_scores(network, branch([1, 2], [[], [3]]))
    assert [len(one.log_probabilities) for one in found] == [0, 1]
