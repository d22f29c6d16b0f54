"""XMem as a propagator: both directions of time, limited sizes, weights from the official file, and what it gives up for memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.tiny_xmem import SMALL
from videoseg_r1.errors import ModelError, ResourceError, WeightsMissing
from videoseg_r1.pipeline.segmenter import Stages, VideoSegmenter
from videoseg_r1.stages.propagation.recognition import Search
from videoseg_r1.stages.propagation.xmem import XMemEngine, XMemStepper, load_xmem_engine, normalised, xmem_propagator
from videoseg_r1.types import Given
from videoseg_r1.video import open_video

_FRAMES = np.random.default_rng(0).integers(0, 255, (5, 50, 64, 3), dtype=np.uint8)
_SEED = np.zeros((2, 50, 64), bool)
_SEED[0, 5:30, 5:25] = _SEED[1, 5:30, 35:60] = True


pytestmark = pytest.mark.usefixtures("no_garbage_collection")


@pytest.fixture
def engine(xmem_state):
    return XMemEngine(dict(xmem_state))


def test_every_frame_comes_once_from_the_middle(engine):
    with open_video(_FRAMES) as video:
        found = {one.index: one for one in xmem_propagator(engine, SMALL).run(video, {2: _SEED})}
    assert sorted(found) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(found[2].masks, _SEED)
    for one in found.values():
        assert one.masks.shape == (2, 50, 64)
        assert one.masks.dtype == bool
        assert not (one.masks.sum(0) > 1).any()
        assert len(one.confidence) == 2


def test_the_pipeline_carries_given_masks_on_xmem_and_replays_them(engine):
    stages = Stages(None, None, None, lambda: xmem_propagator(engine, SMALL))
    segmenter = VideoSegmenter(stages, "tiny")
    result = segmenter.propagate(_FRAMES, {2: _SEED})
    assert len(result.tracks) == 2
    assert (result.tracks[1].mask(2) == _SEED[1]).all()
    again = segmenter.replay(result.trace, _FRAMES)
    assert all((again.mask(index) == result.mask(index)).all() for index in range(5))
    assert again.trace.to_json() == result.trace.to_json()


def test_large_frames_are_worked_on_at_a_limited_size(xmem_state, monkeypatch):
    engine = XMemEngine(dict(xmem_state), short_side=48)
    stepper = XMemStepper(engine, SMALL)
    sizes = _run_out(monkeypatch, engine, 0)
    rgb = np.random.default_rng(0).integers(0, 255, (120, 190, 3), dtype=np.uint8)
    mask = np.zeros((1, 120, 190), bool)
    mask[0, 20:80, 30:100] = True
    np.testing.assert_array_equal(stepper.step(rgb, Given.of(mask)).masks, mask)
    assert stepper.step(rgb).masks.shape == (1, 120, 190)
    assert set(sizes) == {(12, 20)}  # 48 x 76 pixels, padded, at stride 4


def test_pictures_are_normalised_as_for_imagenet():
    grey = normalised(np.full((4, 5, 3), 128, np.uint8))
    assert grey.shape == (3, 4, 5)
    np.testing.assert_allclose(grey[:, 0, 0], (128 / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225]), atol=1e-6)


def _run_out(monkeypatch, engine, times):
    """Let the decoder run out of memory a number of times; returns the sizes of the pictures that reached it."""
    sizes, network_class = [], type(engine.network)
    decode, left = network_class.decode, [times]

    def decode_or_fail(self, features, *args, **kwargs):
        if left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("out of memory")
        sizes.append(features.f4.shape[-2:])
        return decode(self, features, *args, **kwargs)

    monkeypatch.setattr(network_class, "decode", decode_or_fail)
    return sizes


def test_when_memory_runs_out_it_goes_on_with_less_and_says_so(engine, monkeypatch):
    stepper = XMemStepper(engine, SMALL)
    stepper.step(_FRAMES[0], Given.of(_SEED))
    expected = stepper.step(_FRAMES[1])
    other = XMemStepper(engine, SMALL)
    other.step(_FRAMES[0], Given.of(_SEED))
    _run_out(monkeypatch, engine, 2)
    found = other.step(_FRAMES[1])
    assert engine.notes == ("XMem: out of memory, freed the cache", "XMem: out of memory, took one object after the other")
    assert (found.masks == expected.masks).mean() > 0.999  # chunks change rounding only
    assert xmem_propagator(engine).notes == engine.notes


def test_the_picture_gets_smaller_on_the_next_rung(xmem_state, monkeypatch):
    engine = XMemEngine(dict(xmem_state), short_side=96)
    rgb = np.random.default_rng(0).integers(0, 255, (128, 160, 3), dtype=np.uint8)
    mask = np.zeros((1, 128, 160), bool)
    mask[0, 20:90, 30:100] = True
    stepper = XMemStepper(engine, SMALL)
    stepper.step(rgb, Given.of(mask))
    sizes = _run_out(monkeypatch, engine, 3)
    assert stepper.step(rgb).masks.shape == (1, 128, 160)
    assert sizes[-1] == (12, 16)  # 48 x 60 pixels, padded, at stride 4
    assert engine.short_side == 48


def test_when_no_rung_is_left_it_ends_with_a_named_error(engine, monkeypatch):
    stepper = XMemStepper(engine, SMALL)
    stepper.step(_FRAMES[0], Given.of(_SEED))
    _run_out(monkeypatch, engine, 99)
    with pytest.raises(ResourceError, match="memory ran out in XMem"):
        stepper.step(_FRAMES[1])


def test_an_error_that_is_not_of_memory_is_not_hidden(engine, monkeypatch):
    stepper = XMemStepper(engine, SMALL)
    stepper.step(_FRAMES[0], Given.of(_SEED))
    monkeypatch.setattr(type(engine.network), "decode", lambda *_args, **_kwargs: (_ for _ in ()).throw(RuntimeError("no kernel image")))
    with pytest.raises(RuntimeError, match="no kernel image"):
        stepper.step(_FRAMES[1])


def test_numbers_that_are_not_finite_are_an_error_not_a_mask(engine, monkeypatch):
    stepper = XMemStepper(engine, SMALL)
    stepper.step(_FRAMES[0], Given.of(_SEED))
    decode = type(engine.network).decode

    def broken(self, *args, **kwargs):
        logits, sensory = decode(self, *args, **kwargs)
        return logits * float("nan"), sensory

    monkeypatch.setattr(type(engine.network), "decode", broken)
    with pytest.raises(ModelError, match="not finite"):
        stepper.step(_FRAMES[1])


def test_the_official_file_is_converted_once_and_then_read_as_safetensors(xmem_state, models_folder):
    with pytest.raises(WeightsMissing, match=r"XMem\.pth"):
        load_xmem_engine("xmem", "cpu")
    (models_folder / "xmem").mkdir(parents=True)
    torch.save(dict(xmem_state), models_folder / "xmem" / "XMem.pth")
    engine = load_xmem_engine("xmem", "cpu")
    assert (models_folder / "xmem" / "XMem.safetensors").is_file()
    (models_folder / "xmem" / "XMem.pth").write_bytes(b"not looked at any more")
    again = load_xmem_engine("xmem", "cpu")
    outputs = []
    for one in (engine, again):
        stepper = XMemStepper(one, SMALL)
        stepper.step(_FRAMES[0], Given.of(_SEED))
        outputs.append(stepper.step(_FRAMES[1]).masks)
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize("short_side", [480, 32])
def test_what_is_refused_behind_a_cut_is_nowhere_and_what_is_verified_stays(xmem_state, short_side):
    engine = XMemEngine(dict(xmem_state), short_side=short_side)
    steppers = [XMemStepper(engine, SMALL) for _ in range(3)]
    for stepper in steppers:
        stepper.step(_FRAMES[0], Given.of(_SEED))
    sought = np.array([True, False])
    plain = steppers[0].step(_FRAMES[1])
    same = steppers[1].step(_FRAMES[1], None, Search(True, np.ones(2, bool), lambda masks: masks))
    less = steppers[2].step(_FRAMES[1], None, Search(True, sought, lambda masks: masks & ~sought[:, None, None]))
    np.testing.assert_array_equal(same.masks, plain.masks)
    assert same.confidence == plain.confidence
    assert plain.masks[0].any()
    assert not less.masks[0].any()
    assert less.confidence[0] == 0
    assert (less.masks[1] == plain.masks[1]).mean() > 0.99  # what the refused one had is background


def test_confidence_is_the_iou_that_the_probabilities_promise(engine):
    stepper = XMemStepper(engine, SMALL)
    assert stepper.step(_FRAMES[0], Given.of(_SEED)).confidence == (1.0, 1.0)
    found = stepper.step(_FRAMES[1])
    assert all((0 < sure < 1) == bool(mask.any()) for sure, mask in zip(found.confidence, found.masks, strict=True))


def _alone(number):
    """The seed of one of the two objects."""
    which = np.arange(2) == number
    return Given(_SEED & which[:, None, None], which)


def test_objects_that_come_late_have_their_own_rows_in_long_term_memory_too(engine):
    stepper, frames = XMemStepper(engine, SMALL), np.concatenate([_FRAMES, _FRAMES[::-1]])
    given = {0: _alone(1), 5: _alone(0)}
    found = [stepper.step(rgb, given.get(index)) for index, rgb in enumerate(frames)]
    core = stepper._core
    assert core is not None
    assert core.labels == (2, 1)
    assert 0 < core.memory.num_long_term <= SMALL.max_long_term_elements
    assert not any(one.masks[0].any() for one in found[:5])
    assert any(one.masks[0].any() for one in found[6:])
    assert all(one.masks.sum(0).max() <= 1 for one in found)


def test_when_memory_runs_out_objects_that_came_late_are_followed_from_the_newest_frame(engine, monkeypatch):
    stepper, other = XMemStepper(engine, SMALL), XMemStepper(engine, SMALL)
    found = [stepper.step(rgb, _alone(1) if index == 0 else _alone(0) if index == 1 else None) for index, rgb in enumerate(_FRAMES[:3])]
    _run_out(monkeypatch, engine, 1)
    again = stepper.step(_FRAMES[3])
    other.step(_FRAMES[0], _alone(1))
    other.step(_FRAMES[2], Given.of(found[2].masks))
    np.testing.assert_array_equal(again.masks, other.step(_FRAMES[3]).masks)
