"""The read of the memory and the fast convolution, each against a plain statement of what it should do."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from videoseg_r1.xmem import bank as bank_module
from videoseg_r1.xmem.bank import MemoryBank
from videoseg_r1.xmem.network import Keys
from videoseg_r1.xmem.read import query_rows, stored_rows, top_k
from videoseg_r1.xmem.winograd import WinogradConv


def _keys(count, generator, channels=8):
    def numbers(*shape):
        return torch.randn(shape, generator=generator)

    return Keys(numbers(count, channels), numbers(count).square() + 1, torch.sigmoid(numbers(count, channels)))


def _plain_similarity(stored, query):
    """Minus the weighted squared distance, term by term."""
    distance = (stored.key[None] - query.key[:, None]).square() * query.selection[:, None]
    return -distance.sum(2) * stored.shrinkage / math.sqrt(stored.key.shape[1])


def _plain_read(similarity, values, k):
    best, rows = similarity.topk(min(k, similarity.shape[1]))
    return (torch.softmax(best, 1)[..., None] * values[rows]).sum(1)


def test_similarity_is_the_weighted_squared_distance():
    generator = torch.Generator().manual_seed(0)
    stored, query = _keys(50, generator), _keys(20, generator)
    torch.testing.assert_close(query_rows(query) @ stored_rows(stored).T, _plain_similarity(stored, query), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("num_columns", [7, 119, 1000, 4817])
def test_top_k_finds_what_torch_finds(num_columns):
    scores = torch.randn(13, num_columns, generator=torch.Generator().manual_seed(num_columns))
    k = min(30, num_columns)
    best, columns = top_k(scores, k)
    want, where = scores.topk(k)
    torch.testing.assert_close(best, want, atol=0, rtol=0)
    assert torch.equal(columns, where)


def _filled_bank(num_rows, generator, num_objects=1, late=None):
    """A bank of one frame per 100 rows; object 1 has values only from row `late` on."""
    bank = MemoryBank(torch.device("cpu"), torch.float32)
    keys = _keys(num_rows, generator)
    values = torch.randn(num_objects, num_rows, 5, generator=generator)
    for start in range(0, num_rows, 100):
        part = slice(start, min(num_rows, start + 100))
        known = num_objects if late is None or start >= late else 1
        bank.append(stored_rows(keys)[part], start // 100, list(values[:known, part]))
    return bank, keys, values


def test_each_object_is_read_from_the_rows_that_it_has_a_value_in():
    generator = torch.Generator().manual_seed(1)
    bank, keys, values = _filled_bank(700, generator, num_objects=2, late=400)
    query = _keys(40, generator)
    got = bank.read(query_rows(query), 30, count_usage=False)
    similarity = _plain_similarity(keys, query)
    torch.testing.assert_close(got[0], _plain_read(similarity, values[0], 30), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(got[1], _plain_read(similarity[:, 400:], values[1, 400:], 30), atol=1e-4, rtol=1e-4)


def test_fewer_stored_positions_than_top_k_are_all_read():
    generator = torch.Generator().manual_seed(2)
    bank, keys, values = _filled_bank(6, generator)
    query = _keys(9, generator)
    got = bank.read(query_rows(query), 30, count_usage=True)
    torch.testing.assert_close(got[0], _plain_read(_plain_similarity(keys, query), values[0], 6), atol=1e-4, rtol=1e-4)


def test_nothing_similar_at_all_still_gives_numbers():
    bank = MemoryBank(torch.device("cpu"), torch.float32)
    far = Keys(torch.full((50, 4), 100.0), torch.ones(50), torch.ones(50, 4))
    near = Keys(torch.zeros(3, 4), torch.ones(3), torch.ones(3, 4))
    assert float((query_rows(near) @ stored_rows(far).T).max()) <= -1e4
    bank.append(stored_rows(far), 0, [torch.ones(50, 2)])
    torch.testing.assert_close(bank.read(query_rows(near), 30, count_usage=True), torch.ones(1, 3, 2))


def test_usage_is_the_affinity_each_row_received_per_read():
    generator = torch.Generator().manual_seed(3)
    bank, keys, _ = _filled_bank(300, generator)
    query = _keys(50, generator)
    best, rows = _plain_similarity(keys, query).topk(10)
    affinity = torch.zeros(50, 300).scatter_(1, rows, torch.softmax(best, 1))
    bank.read(query_rows(query), 10, count_usage=True)
    bank.read(query_rows(query), 10, count_usage=True)
    torch.testing.assert_close(bank.usage, affinity.sum(0), atol=1e-4, rtol=1e-4)
    assert float(bank.usage.sum()) == pytest.approx(50, rel=1e-5)


def test_growing_and_dropping_rows_keeps_every_value_beside_its_key():
    bank = MemoryBank(torch.device("cpu"), torch.float32)
    for frame in range(20):
        tag = torch.full((7, 3), float(frame))
        bank.append(tag, frame, [tag[:, :2]] if frame < 9 else [tag[:, :2], -tag[:, :2]])
    bank.keep(bank.frames % 3 == 0)
    assert bank.frames.unique().tolist() == [0, 3, 6, 9, 12, 15, 18]
    assert torch.equal(bank.keys[:, 0], bank.frames.float())
    assert torch.equal(bank.values(0)[:, 0], bank.frames.float())
    assert torch.equal(bank.valid(1), bank.frames >= 9)
    assert torch.equal(bank.values(1)[bank.valid(1), 0], -bank.frames[bank.valid(1)].float())


def test_adding_frames_seldom_moves_what_is_stored():
    bank = MemoryBank(torch.device("cpu"), torch.float32)
    places = set()
    for frame in range(100):
        bank.append(torch.zeros(10, 3), frame, [torch.zeros(10, 2)])
        places.add((bank.keys.data_ptr(), bank.values(0).data_ptr()))
    assert len(places) < 15


@pytest.mark.parametrize(("shape", "num_outputs"), [((2, 5, 16, 24), 6), ((1, 8, 17, 29), 3), ((1, 4, 8, 8), 4), ((1, 3, 33, 15), 7)])
def test_winograd_equals_the_direct_convolution(shape, num_outputs):
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(shape, generator=generator)
    weight = torch.randn(num_outputs, shape[1], 3, 3, generator=generator) * (1 / shape[1] / 9) ** 0.5
    bias = torch.randn(num_outputs, generator=generator)
    for offset in (bias, None):
        want = F.conv2d(x, weight, offset, padding=1)
        got = WinogradConv(weight, offset)(x)
        assert got.shape == want.shape
        torch.testing.assert_close(got, want, atol=5e-5, rtol=0)


def test_the_scratch_of_a_read_is_bounded(monkeypatch):
    generator = torch.Generator().manual_seed(5)
    bank, _, _ = _filled_bank(2000, generator)
    query = _keys(100, generator)
    whole = bank.read(query_rows(query), 30, count_usage=False)
    monkeypatch.setattr(bank_module, "_SCRATCH_FLOATS", 2000 * 16)
    torch.testing.assert_close(bank.read(query_rows(query), 30, count_usage=False), whole, atol=1e-6, rtol=0)
