"""The network of the detector: what it returns, and weights that are missing or damaged. tests/parity compares its numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.lite_things import CPU
from videoseg_r1.errors import ModelError, WeightsMissing
from videoseg_r1.lite.perception import nanodet
from videoseg_r1.lite.perception.detected_names import DETECTED_NAMES
from videoseg_r1.lite.perception.nanodet import STRIDES, NanoDet, detector_weights, load_detector


@torch.inference_mode()
def test_there_is_a_cell_for_each_stride_of_a_picture_of_any_size():
    for height, width in ((32, 32), (64, 160)):
        names, distances = load_detector(CPU)(torch.zeros(2, 3, height, width))
        cells = sum(height * width // stride**2 for stride in STRIDES)
        assert names.shape == (2, cells, 80)
        assert distances.shape == (2, cells, 4, 11)


@torch.inference_mode()
def test_a_black_and_an_empty_picture_have_finite_outputs():
    for level in (-2.0, 0.0, 2.5):
        assert all(bool(part.isfinite().all()) for part in load_detector(CPU)(torch.full((1, 3, 64, 64), level)))


def test_there_are_80_different_names():
    assert len(set(DETECTED_NAMES)) == len(DETECTED_NAMES) == 80
    assert all(name == name.strip().lower() and name for name in DETECTED_NAMES)


def test_the_weights_are_those_of_nanodet_g_and_small():
    assert sum(weight.numel() for weight in load_detector(CPU).parameters()) == 3_786_068
    assert detector_weights().stat().st_size < 8_000_000
    assert load_detector(CPU) is load_detector(CPU)


def _damaged(damage, file):
    state = load_file(detector_weights())
    if damage == "cut off":
        file.write_bytes(detector_weights().read_bytes()[:-1000])
    elif damage == "no weights":
        file.write_bytes(b"\x0a\x05hello")
    elif damage == "of another network":
        save_file({name.replace("stages", "layers"): weight for name, weight in state.items()}, file)
    elif damage == "of another shape":
        save_file({**state, "stem.bias": torch.zeros(3)}, file)
    else:
        save_file({**state, "stem.bias": torch.full_like(state["stem.bias"], np.nan)}, file)


@pytest.mark.parametrize("damage", ["cut off", "no weights", "of another network", "of another shape", "not numbers"])
def test_damaged_and_foreign_weights_are_named(damage, monkeypatch, tmp_path):
    file = tmp_path / "nanodet.safetensors"
    _damaged(damage, file)
    monkeypatch.setattr(nanodet, "detector_weights", lambda: file)
    with pytest.raises(ModelError, match="detector") as caught:
        load_detector.__wrapped__(CPU)
    assert str(file) in str(caught.value)
    assert "reinstall" in str(caught.value)


def test_missing_weights_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(nanodet, "detector_weights", lambda: tmp_path / "nanodet.safetensors")
    with pytest.raises(WeightsMissing, match=r"detector.*missing"):
        load_detector.__wrapped__(CPU)


def test_an_untrained_network_has_the_same_weights_by_name():
    assert NanoDet().state_dict().keys() == load_file(detector_weights()).keys()
