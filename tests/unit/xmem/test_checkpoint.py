"""Every way in which a checkpoint can be wrong, and the forms in which it can be right."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from helpers.hostile import Evil
from helpers.places import names_in
from videoseg_r1.errors import InvalidConfig, ModelError, WeightsMissing
from videoseg_r1.xmem import XMem
from videoseg_r1.xmem.checkpoint import expected_shapes, read_checkpoint

_STEM = "value_encoder.conv1.weight"


@pytest.fixture
def state(xmem_state):
    """A checkpoint of random numbers that the test may change."""
    return dict(xmem_state)


def test_names_and_shapes_are_the_official_ones(shared_data):
    official = json.loads((shared_data / "xmem_parity/keys.json").read_text())
    assert expected_shapes() == {key: tuple(entry["shape"]) for key, entry in official.items()}
    assert len(official) == 412


def test_all_forms_of_a_checkpoint_read_the_same(state, tmp_path):
    torch.save(state, tmp_path / "XMem.pth")
    save_file(state, tmp_path / "XMem.safetensors")
    arrays = {key: value.numpy() for key, value in state.items()}
    for source in (tmp_path / "XMem.pth", str(tmp_path / "XMem.safetensors"), arrays):
        loaded = read_checkpoint(source)
        assert loaded.keys() == state.keys()
        assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_a_single_object_checkpoint_gets_a_zero_channel(state):
    loaded = read_checkpoint(state | {_STEM: state[_STEM][:, :4]})
    assert torch.equal(loaded[_STEM][:, :4], state[_STEM][:, :4])
    assert not bool(loaded[_STEM][:, 4].any())


def test_half_precision_checkpoints_are_read_in_float32(state):
    loaded = read_checkpoint({key: value.half() if value.is_floating_point() else value for key, value in state.items()})
    assert loaded["decoder.pred.bias"].dtype == torch.float32


def test_missing_unknown_and_misshapen_tensors_are_listed(state):
    wrong = dict(state)
    del wrong["decoder.pred.weight"]
    wrong["fc.weight"] = torch.zeros(3)
    wrong["decoder.pred.bias"] = torch.zeros(2)
    with pytest.raises(ModelError) as caught:
        read_checkpoint(wrong)
    lines = caught.value.why.split("\n  ")
    assert lines == ["decoder.pred.weight: missing", "fc.weight: unknown", "decoder.pred.bias: shape (2,), not (1,)"]


def test_only_the_first_ten_problems_are_listed():
    with pytest.raises(ModelError) as caught:
        XMem.from_checkpoint({"fc.weight": torch.zeros(1)})
    assert caught.value.why.count("missing") == 10
    assert "and 403 more" in caught.value.why


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_weights_that_are_not_numbers_are_refused(state, poison):
    broken = state["key_proj.d_proj.bias"].clone()
    broken[0] = poison
    with pytest.raises(ModelError, match=r"key_proj\.d_proj\.bias: not finite"):
        read_checkpoint(state | {"key_proj.d_proj.bias": broken})


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeightsMissing, match=r"XMem\.pth"):
        XMem.from_checkpoint(tmp_path / "XMem.pth")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("code.pth", lambda evil: pickle.dumps({"decoder.pred.bias": evil})),
        ("old_code.pth", lambda evil: pickle.dumps({"decoder.pred.bias": evil}, protocol=2)),
        ("text.pth", lambda _: b"<!DOCTYPE html>"),
        ("empty.pth", lambda _: b""),
        ("text.safetensors", lambda _: b"<!DOCTYPE html>" * 10),
        ("empty.safetensors", lambda _: b""),
    ],
    ids=["code", "old code", "text", "empty", "safetensors text", "safetensors empty"],
)
def test_files_that_are_no_checkpoint_are_refused_and_run_nothing(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content(Evil(tmp_path / "canary")))
    with pytest.raises(ModelError, match=name) as caught:
        read_checkpoint(path)
    assert caught.value.why
    assert names_in(tmp_path) == [name]  # and no canary


def test_a_cut_off_file_is_refused(state, tmp_path):
    path = tmp_path / "cut.pth"
    torch.save({"decoder.pred.bias": state["decoder.pred.bias"]}, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match="cannot be read"):
        read_checkpoint(path)


def test_a_file_that_holds_something_else_is_refused(tmp_path):
    torch.save([1, 2, 3], tmp_path / "list.pth")
    with pytest.raises(ModelError, match="list"):
        read_checkpoint(tmp_path / "list.pth")


def test_precisions_it_does_not_run_in_are_refused(state):
    with pytest.raises(InvalidConfig, match="float16"):
        XMem.from_checkpoint(state, dtype=torch.float16)
