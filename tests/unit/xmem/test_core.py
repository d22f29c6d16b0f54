"""The order of events: objects that come late, are corrected, lost and deleted; saved runs; errors; both directions of time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.tiny_xmem import SMALL
from videoseg_r1.errors import InvalidConfig, InvalidDocument, InvalidPrompt, ShapeMismatch
from videoseg_r1.xmem import InferenceCore, XMem, XMemConfig
from videoseg_r1.xmem.checkpoint import random_state
from videoseg_r1.xmem.network import with_background

_SIZE = (51, 70)


@pytest.fixture(scope="module")
def network(xmem_network):
    return xmem_network


def _frames(count, seed=0):
    generator = np.random.default_rng(seed)
    base = generator.normal(size=(3, *_SIZE)).astype(np.float32)
    return [torch.from_numpy(np.roll(base, 2 * t, axis=2)) for t in range(count)]


def _mask(x, width=20):
    mask = np.zeros((1, *_SIZE), bool)
    mask[0, 10:40, x : x + width] = True
    return mask


def test_the_result_is_probabilities_of_the_frames_own_size(network):
    core = InferenceCore(network, SMALL)
    frames = _frames(3)
    first = core.step(frames[0], _mask(5), [7])
    assert first.shape == (2, *_SIZE)
    # a given mask comes back as soft aggregation makes it
    torch.testing.assert_close(first, with_background(torch.from_numpy(_mask(5)).float()))
    second = core.step(frames[1])
    assert second.dtype == torch.float32
    torch.testing.assert_close(second.sum(0), torch.ones(_SIZE))
    assert core.labels == (7,)
    assert 0.5 <= core.confidence[0] <= 1 or core.lost == (7,)


def test_an_object_that_comes_late_leaves_the_others_as_they_were_predicted(network):
    frames = _frames(6)
    alone, both = InferenceCore(network, SMALL), InferenceCore(network, SMALL)
    for core in (alone, both):
        core.step(frames[0], _mask(5), [3])
        core.step(frames[1])
    predicted = alone.step(frames[2])
    joined = both.step(frames[2], _mask(45), [1])
    assert both.labels == (3, 1)
    assert joined.shape == (3, *_SIZE)
    given = torch.from_numpy(_mask(45)[0])
    want = with_background(torch.stack([predicted[1] * ~given, given.float()]))
    torch.testing.assert_close(joined, want, atol=1e-5, rtol=0)
    for frame in frames[3:]:
        assert torch.isfinite(both.step(frame)).all()


def test_a_known_object_is_corrected(network):
    frames = _frames(3)
    core = InferenceCore(network, SMALL)
    core.step(frames[0], np.concatenate([_mask(5), _mask(45)]), [1, 2])
    core.step(frames[1])
    fixed = core.step(frames[2], _mask(30, 10), [2])
    assert core.labels == (1, 2)
    assert bool((fixed[2].numpy() > 0.5)[_mask(30, 10)[0]].all())
    assert float(fixed[2][~torch.from_numpy(_mask(30, 10)[0])].max()) < 0.5
    assert float(fixed[1][torch.from_numpy(_mask(30, 10)[0])].max()) < 0.5


def test_arrays_that_may_not_be_written_are_taken(network):
    frame, mask = _frames(1)[0].numpy(), _mask(5)
    frame.flags.writeable = mask.flags.writeable = False
    assert InferenceCore(network, SMALL).step(frame, mask).shape == (2, *_SIZE)


def test_a_deleted_object_is_gone_and_may_come_back(network):
    frames = _frames(8)
    core = InferenceCore(network, SMALL)
    core.step(frames[0], np.concatenate([_mask(5), _mask(45)]), [1, 2])
    core.step(frames[1])
    core.delete([1])
    assert core.labels == (2,)
    assert len(core.confidence) == 1
    assert core.step(frames[2]).shape == (2, *_SIZE)
    core.delete([2])
    nothing = core.step(frames[3])
    assert torch.equal(nothing, torch.ones(1, *_SIZE))
    assert core.memory.bank.size == 0
    core.step(frames[4], _mask(10), [1])
    assert core.labels == (1,)
    assert core.step(frames[5]).shape == (2, *_SIZE)
    with pytest.raises(InvalidPrompt, match="no such object"):
        core.delete([2])


def test_an_object_that_is_nowhere_is_lost(network):
    core = InferenceCore(network, SMALL)
    core.step(_frames(1)[0], np.concatenate([_mask(5), np.zeros((1, *_SIZE), bool)]), [4, 9])
    assert core.confidence[0] > 0.99
    assert core.confidence[1] == 0
    assert core.lost == (9,)


def test_memory_is_bounded_with_many_given_frames_and_late_objects(network):
    core = InferenceCore(network, SMALL)
    for index, frame in enumerate(_frames(18)):
        given = (_mask(2 * index % 40), [1 + index // 6]) if index % 3 == 0 else (None, None)
        core.step(frame, *given)
        assert core.memory.num_working <= 20 * (3 + 2)
        assert core.memory.num_long_term <= 12
    assert core.labels == (1, 2, 3)
    assert core.memory.num_long_term == 12


def test_a_restored_run_goes_on_as_the_saved_one(network, tmp_path):
    frames = _frames(12)
    one, other = InferenceCore(network, SMALL), InferenceCore(network, SMALL)
    one.step(frames[0], _mask(5), [5])
    one.step(frames[1], _mask(45), [2])
    for frame in frames[2:7]:
        one.step(frame)
    save_file(one.state(), tmp_path / "state.safetensors")
    other.load_state(load_file(tmp_path / "state.safetensors"))
    assert other.labels == (5, 2)
    assert other.confidence == pytest.approx(one.confidence)
    for frame in frames[7:]:
        torch.testing.assert_close(other.step(frame), one.step(frame), atol=0, rtol=0)


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(network):
    frames = _frames(3)
    core = InferenceCore(network, SMALL)
    core.step(frames[0], _mask(5), [5])
    before = core.state()
    with pytest.raises(InvalidConfig, match="mem_every"):
        core.load_state(InferenceCore(network, XMemConfig(**(_as_dict(SMALL) | {"mem_every": 9}))).state())
    hole = {name: value for name, value in before.items() if name != "sensory"}
    with pytest.raises(InvalidDocument, match="sensory"):
        core.load_state(hole)
    with pytest.raises(InvalidDocument, match="settings"):
        core.load_state({})
    after = core.state()
    assert all(torch.equal(after[name], before[name]) for name in before)


def _as_dict(config):
    return {name: getattr(config, name) for name in config.__slots__}


@pytest.mark.parametrize("every", [1, 3])
def test_the_sensory_state_is_renewed_as_often_as_asked(network, every):
    core = InferenceCore(network, XMemConfig(mem_every=1, deep_update_every=every, enable_long_term=False))
    renewals = []
    encode = network.encode_value

    def counting(*args, deep, **kwargs):
        renewals.append(deep)
        return encode(*args, deep=deep, **kwargs)

    network.encode_value = counting
    try:
        for index, frame in enumerate(_frames(7)):
            core.step(frame, _mask(5) if index == 0 else None)
    finally:
        del network.encode_value
    assert renewals == [index % every == 0 for index in range(7)]


def test_what_is_wrong_with_a_call_is_named(network):
    core = InferenceCore(network, SMALL)
    frame = _frames(1)[0]
    with pytest.raises(InvalidPrompt, match="first frame"):
        core.step(frame)
    for mask, labels, message in (
        (_mask(5)[0], [1], "do not fit"),
        (_mask(5), [1, 2], "do not fit"),
        (_mask(5)[:, :-1], [1], "do not fit"),
        (_mask(5), [0], "positive"),
        (np.repeat(_mask(5), 2, 0), [3, 3], "different"),
        (_mask(5) * np.float32(2), [1], r"0\.\.1"),
        (_mask(5) * np.float32(np.nan), [1], r"0\.\.1"),
        (None, [1], "without masks"),
    ):
        with pytest.raises(InvalidPrompt, match=message):
            core.step(frame, mask, labels)
    for image, message in ((frame[None], "normalised"), (frame.to(torch.uint8), "normalised"), (frame * np.nan, "not a number")):
        with pytest.raises(ShapeMismatch, match=message):
            core.step(image, _mask(5), [1])
    # nothing of all that was taken in
    core.step(frame, _mask(5), [1])
    with pytest.raises(ShapeMismatch, match="size changed"):
        core.step(frame[:, :-1])
    assert core.step(frame).shape == (2, *_SIZE)


def test_bfloat16_runs_and_stays_near_float32():
    state = random_state()
    frames = _frames(3)
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        core = InferenceCore(XMem.from_checkpoint(state, dtype=dtype), SMALL)
        core.step(frames[0], _mask(5))
        results.append([core.step(frame) for frame in frames[1:]][-1])
    assert results[1].dtype == torch.float32
    assert float((results[0] - results[1]).abs().mean()) < 0.1
