"""XMem against the numbers of the official code (shared/data/xmem_parity: pseudo-random weights, real frames).

Limits are those of the README of that folder: they are the spread of the official code against itself, with room.
"""

from __future__ import annotations

import importlib.util
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from videoseg_r1.xmem import InferenceCore, XMem, XMemConfig, memory
from videoseg_r1.xmem.core import padded
from videoseg_r1.xmem.network import empty_sensory, with_background


@pytest.fixture(scope="module")
def official(shared_data):
    """Numbers, recipe, network and inputs of the official runs."""
    folder = shared_data / "xmem_parity"
    spec = importlib.util.spec_from_file_location("xmem_recipe", folder / "recipe.py")
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    numbers = np.load(folder / "parity.npz")
    state = recipe.make_state_dict(folder / "keys.json")
    crc = [zlib.crc32(np.ascontiguousarray(value).tobytes()) for value in state.values()]
    assert np.array_equal(crc, numbers["weights/crc32"]), "numpy's generator changed; no number below means anything"
    davis = shared_data / "davis16_dev"

    def frame(name, index):
        picture = recipe.load_frame_u8(davis, name, index)
        assert recipe.frame_crc(picture) == numbers[f"inputs/{name}_crc32"][index], "another JPEG decoder"
        return recipe.normalise(picture)

    def mask(name, index):
        return recipe.one_object(recipe.load_mask_bool(davis, name, index))

    return SimpleNamespace(numbers=numbers, network=XMem.from_checkpoint(state), frame=frame, mask=mask)


def _check(got, want, got_stats=None, want_stats=None):
    got = np.asarray(got)
    limit = 2e-4 + 1e-4 * np.abs(want)
    assert (np.abs(got - want) <= limit).all(), np.abs(got - want).max()
    if got_stats is not None:
        whole = np.asarray(got_stats, np.float64)
        stats = [whole.mean(), whole.std(ddof=1), whole.min(), whole.max(), np.abs(whole).mean()]
        np.testing.assert_allclose(stats, want_stats, atol=2e-4, rtol=1e-4)


def _check_after_read(got, want):
    """Ranks around the k-th may swap: bound the mean and a quantile."""
    difference = np.abs(np.asarray(got) - want)
    assert difference.mean() <= 1e-4
    assert np.quantile(difference, 0.999) <= 5e-3


@torch.inference_mode()
def test_every_component_gives_the_official_numbers(official):
    numbers, network = official.numbers, official.network
    images = [padded(torch.from_numpy(official.frame("dog", index)))[None] for index in (0, 1)]
    mask = padded(torch.from_numpy(official.mask("dog", 0)))
    features = network.encode_key(images[0])

    def plane(rows):
        return rows.unflatten(0, features.grid).movedim((0, 1), (-2, -1))

    keys = features.keys
    for name, value in (("key", plane(keys.key)), ("shrinkage", plane(keys.shrinkage)[None]), ("selection", plane(keys.selection))):
        _check(value, numbers[f"key/{name}"], value, numbers[f"key/{name}_stats"])
    for name, value, step in (("f16", features.f16, (32, 1, 1)), ("f8", features.f8, (64, 2, 2)), ("f4", features.f4, (64, 4, 4))):
        sliced = value[0, :: step[0], :: step[1], :: step[2]]
        _check(sliced, numbers[f"key/{name}_slice"], value, numbers[f"key/{name}_stats"])

    start = with_background(mask)[1:]
    values, sensory = network.encode_value(images[0], features, empty_sensory(1, features), start, deep=True)
    _check(values[:, ::16], numbers["value/one/value_slice"], values, numbers["value/one/value_stats"])
    _check(sensory[:, ::4], numbers["value/one/hidden_slice"], sensory, numbers["value/one/hidden_stats"])

    store = memory.Memory(XMemConfig(enable_long_term=False), torch.device("cpu"))
    store.add(0, keys, values.flatten(2).transpose(1, 2), given=True)
    following = network.encode_key(images[1])
    readout = store.read(following.keys).transpose(1, 2).unflatten(2, features.grid)
    _check_after_read(readout[:, ::16], numbers["read/one/readout_slice"])
    logits, sensory = network.decode(following, readout, sensory, update=True)
    _check_after_read(sensory[:, ::4], numbers["decode/one/hidden_slice"])
    odds = torch.cat([-logits, logits]).clamp(np.log(1e-7), -np.log(1e-7))  # of one object and the background
    _check_after_read(odds[:, 2::4, 2::4], numbers["decode/one/logits_slice"])


def _run(official, name, num_frames, config):
    """Yield (step, core, probabilities, official numbers of the run)."""
    core = InferenceCore(official.network, config)
    for index in range(num_frames):
        mask = official.mask(name, 0) if index == 0 else None
        yield index, core, core.step(official.frame(name, index), mask).numpy()


def _check_run(official, run, steps):
    numbers = official.numbers
    means = []
    for index, core, got in steps:
        difference = np.abs(got[:, 2::4, 2::4] - numbers[f"{run}/prob"][index].astype(np.float32))
        means.append(difference.mean())
        assert means[-1] <= 5e-4, index
        assert np.quantile(difference, 0.999) <= 1.5e-2, index
        row = np.abs(got[:, 120] - numbers[f"{run}/row120"][index].astype(np.float32))
        assert row.mean() <= 1e-3, index
        spread = np.stack([got.mean((1, 2)), got.std((1, 2), ddof=1)], 1)
        np.testing.assert_allclose(spread, numbers[f"{run}/mean_std"][index], atol=2e-4, rtol=0)
        assert [core.memory.num_working, core.memory.num_long_term] == numbers[f"{run}/mem_sizes"][index].tolist(), index
    assert np.mean(means) <= 2e-4


@pytest.mark.timeout(600)
def test_a_run_without_long_term_memory_gives_the_official_masks(official):
    config = XMemConfig(mem_every=3, enable_long_term=False)
    _check_run(official, "dog_1obj", _run(official, "dog", 12, config))


@pytest.mark.timeout(900)  # 40 frames; a busy machine takes minutes
def test_a_run_with_long_term_memory_gives_the_official_masks_sizes_and_prototypes(official, monkeypatch):
    chosen = []
    select = memory.select_prototypes

    def recording(usage, count):
        chosen.append(select(usage, count))
        return chosen[-1]

    monkeypatch.setattr(memory, "select_prototypes", recording)
    config = XMemConfig(mem_every=2, min_mid_term_frames=3, max_mid_term_frames=5, num_prototypes=16, max_long_term_elements=200)
    _check_run(official, "camel_lt_1obj", _run(official, "camel", 40, config))
    wanted = official.numbers["camel_lt_1obj/proto_idx"]
    assert len(chosen) == len(wanted)
    for got, want in zip(chosen, wanted, strict=True):
        assert len(set(got.tolist()) & set(want.tolist())) >= 15
