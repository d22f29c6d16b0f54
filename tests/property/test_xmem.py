"""What must hold for any objects, sizes and splits: order, grouping and chunking change nothing."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.tiny_xmem import SMALL
from videoseg_r1.xmem import InferenceCore, XMemConfig
from videoseg_r1.xmem import bank as bank_module
from videoseg_r1.xmem.bank import MemoryBank
from videoseg_r1.xmem.network import Keys, with_background
from videoseg_r1.xmem.read import query_rows, stored_rows, top_k
from videoseg_r1.xmem.winograd import WinogradConv

_SLOW = settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
_FAST = settings(max_examples=25, deadline=None, derandomize=True)
_CONFIG = replace(SMALL, max_given_frames=XMemConfig().max_given_frames)
_SIZE = (48, 64)


@pytest.fixture(scope="module")
def network(xmem_network):
    return xmem_network


def _clip(seed, num_frames=6):
    generator = np.random.default_rng(seed)
    base = generator.normal(size=(3, *_SIZE)).astype(np.float32)
    masks = np.zeros((3, *_SIZE), bool)
    for index, mask in enumerate(masks):
        row, column = generator.integers(0, 20, 2)
        mask[row : row + 20, column + 14 * index : column + 14 * index + 14] = True
    masks[1] &= ~masks[0]
    masks[2] &= ~masks[0] & ~masks[1]
    return [torch.from_numpy(np.roll(base, 2 * t, axis=2)) for t in range(num_frames)], masks


def _run(network, frames, masks, order, joins):
    """Return the probabilities of the last frame by label, and of the background; object n is given at frame joins[n]."""
    core = InferenceCore(network, _CONFIG)
    for index, frame in enumerate(frames):
        labels = [n + 1 for n in order if joins[n] == index]
        result = core.step(frame, masks[[n - 1 for n in labels]] if labels else None, labels or None)
    return {0: result[0]} | {label: result[1 + place] for place, label in enumerate(core.labels)}


def _rounding(network, frames, masks, joins):
    """Return how far the last frame moves when the pictures change in their last bits: the recurrence amplifies any rounding."""
    generator = torch.Generator().manual_seed(0)
    noisy = [frame * (1 + 1e-7 * torch.randn(frame.shape, generator=generator)) for frame in frames]
    one, other = (_run(network, clip, masks, [0, 1, 2], joins) for clip in (frames, noisy))
    return max(float((plane - other[label]).abs().mean()) for label, plane in one.items())


@_SLOW
@given(seed=st.integers(0, 99), order=st.permutations([0, 1, 2]), late=st.booleans())
def test_permuting_the_objects_permutes_the_results(network, seed, order, late):
    frames, masks = _clip(seed)
    joins = (0, 0, 1) if late else (0, 0, 0)
    one, other = _run(network, frames, masks, [0, 1, 2], joins), _run(network, frames, masks, order, joins)
    limit = 10 * _rounding(network, frames, masks, joins) + 1e-6
    for label, plane in one.items():
        assert float((plane - other[label]).abs().mean()) < limit
    assert float((one[1] - one[2]).abs().mean()) > max(1e-2, 3 * limit), "the objects are too alike for this test to fail"


@_SLOW
@given(seed=st.integers(0, 99), size=st.integers(1, 2))
def test_objects_together_or_in_chunks_give_the_same(network, seed, size):
    frames, masks = _clip(seed)
    together = _run(network, frames, masks, [0, 1, 2], (0, 0, 1))
    limit = 10 * _rounding(network, frames, masks, (0, 0, 1)) + 1e-6
    with _chunks_of(network, size):
        chunked = _run(network, frames, masks, [0, 1, 2], (0, 0, 1))
    for label, plane in together.items():
        assert float((plane - chunked[label]).abs().mean()) < limit


@_SLOW
@given(seed=st.integers(0, 99), size=st.integers(1, 2))
def test_one_call_in_chunks_gives_the_same_to_rounding(network, seed, size):
    generator = torch.Generator().manual_seed(seed)
    image, masks = torch.randn(1, 3, *_SIZE, generator=generator), torch.rand(3, *_SIZE, generator=generator)
    cells = (_SIZE[0] // 16, _SIZE[1] // 16)
    sensory, readout = torch.randn(3, 64, *cells, generator=generator), torch.randn(3, 512, *cells, generator=generator)
    with torch.inference_mode():
        features = network.encode_key(image)

        def calls():
            return (
                *network.encode_value(image, features, sensory, masks, deep=True),
                *network.decode(features, readout, sensory, update=True),
            )

        together = calls()
        with _chunks_of(network, size):
            chunked = calls()
    for one, other in zip(together, chunked, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(one.abs().max()))
        assert float((one[0] - one[1]).abs().max()) > 1e-2 * float(one.abs().max()), "the objects are too alike for this test to fail"


@contextmanager
def _chunks_of(network, size):
    most, network.max_objects_at_once = network.max_objects_at_once, size
    try:
        yield
    finally:
        network.max_objects_at_once = most


def _keys(count, generator):
    key, selection = torch.randn(count, 16, generator=generator), torch.rand(count, 16, generator=generator)
    return Keys(key, torch.rand(count, generator=generator) * 3 + 1, selection)


@_FAST
@given(seed=st.integers(0, 999), rows=st.integers(1, 900), queries=st.integers(1, 70), k=st.integers(1, 40), chunk=st.integers(16, 40))
def test_chunked_and_unchunked_reads_agree(seed, rows, queries, k, chunk):
    generator = torch.Generator().manual_seed(seed)
    bank = MemoryBank(torch.device("cpu"), torch.float32)
    late = rows // 2
    first, second = torch.randn(rows, 4, generator=generator), torch.randn(rows, 4, generator=generator)
    keys = stored_rows(_keys(rows, generator))
    bank.append(keys[:late], 0, [first[:late]])
    bank.append(keys[late:], 1, [first[late:], second[late:]])
    asked = query_rows(_keys(queries, generator))
    whole = bank.read(asked, k, count_usage=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bank_module, "_SCRATCH_FLOATS", chunk * rows)
        torch.testing.assert_close(bank.read(asked, k, count_usage=False), whole, atol=1e-6, rtol=0)
    assert bool((whole[0].amax() <= first.amax() + 1e-4) and (whole[0].amin() >= first.amin() - 1e-4))


@_FAST
@given(seed=st.integers(0, 999), columns=st.integers(1, 3000), k=st.integers(1, 30), coarse=st.booleans())
def test_the_folded_top_k_is_the_top_k(seed, columns, k, coarse):
    scores = torch.randn(5, columns, generator=torch.Generator().manual_seed(seed))
    if coarse:
        scores = (scores * 2).round()  # many ties
    k = min(k, columns)
    best, where = top_k(scores, k)
    torch.testing.assert_close(best, scores.topk(k).values, atol=0, rtol=0)
    torch.testing.assert_close(scores.gather(1, where), best, atol=0, rtol=0)
    assert all(len(set(row.tolist())) == k for row in where)


@_FAST
@given(seed=st.integers(0, 999), count=st.integers(1, 2), height=st.integers(1, 40), width=st.integers(1, 40))
def test_winograd_is_a_convolution_for_every_size(seed, count, height, width):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, height, width, generator=generator)
    weight, bias = torch.randn(4, 3, 3, 3, generator=generator) * 0.2, torch.randn(4, generator=generator)
    want = torch.nn.functional.conv2d(x, weight, bias, padding=1)
    torch.testing.assert_close(WinogradConv(weight, bias)(x), want, atol=5e-5, rtol=0)


@_FAST
@given(seed=st.integers(0, 999), count=st.integers(1, 5))
def test_aggregated_probabilities_sum_to_one_and_keep_the_order(seed, count):
    given = torch.rand(count, 4, 5, generator=torch.Generator().manual_seed(seed))
    result = with_background(given)
    torch.testing.assert_close(result.sum(0), torch.ones(4, 5))
    assert torch.equal(result[1:].argsort(0), given.argsort(0))
