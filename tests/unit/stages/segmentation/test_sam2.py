"""SAM 2 on one frame: what the public classes of transformers would give, object by object, and every rung of the ladder."""

from __future__ import annotations

import json
import shutil
import struct
import weakref

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from videoseg_r1.errors import InvalidConfig, InvalidPrompt, ModelError, ResourceError, WeightsMissing
from videoseg_r1.models.devices import MemoryLadder, Placement, choose_placement, is_out_of_memory
from videoseg_r1.models.sam2 import Sam2Engine, at_side, load_engine, load_sam2
from videoseg_r1.stages.segmentation.sam2 import Sam2Segmenter, prompt_of
from videoseg_r1.types import Box, Cue, Frame, Point

_RGB = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
_FRAME = Frame(3, 0.1, _RGB)
_BOX = Cue(Box(20, 10, 100, 70), (Point(60, 40),), (Point(120, 80),))
_POINT = Cue(None, (Point(30, 30),))
_CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("no_garbage_collection")


@pytest.fixture(params=["sam2", "edgetam"])
def engine(request, tiny_weights):
    return load_engine(tiny_weights(request.param), "image", "cpu")


@pytest.fixture
def sam2(tiny_weights):
    return load_engine(tiny_weights("sam2"), "image", "cpu")


def _failing(engine, times, error=torch.OutOfMemoryError):
    """Make the network of an engine, and every copy it makes of it, run out of memory the first times."""
    left = [times]
    network_class = type(engine.network)

    class Failing(network_class):
        def get_image_embeddings(self, pixels):
            if left[0]:
                left[0] -= 1
                raise error("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super().get_image_embeddings(pixels)

    engine.network.__class__ = Failing
    return left


def test_masks_are_those_of_the_public_classes(engine):
    processor, network = engine.processor, engine.network
    inputs = processor(
        images=_RGB,
        input_boxes=[[[20, 10, 100, 70]]],
        input_points=[[[[60, 40], [120, 80]]]],
        input_labels=[[[1, 0]]],
        return_tensors="pt",
    )
    sizes = inputs.pop("original_sizes")
    with torch.inference_mode():
        output = network(**inputs, multimask_output=False)
    wanted = processor.post_process_masks(output.pred_masks, sizes)[0][0, 0].numpy()
    found = Sam2Segmenter(engine).segment(_FRAME, [_BOX])
    assert found.shape == (1, 90, 160)
    assert found.dtype == np.bool_
    assert 0 < found.sum() < found.size
    assert (found[0] == wanted).all()


def test_without_a_box_the_best_of_three_is_taken(engine):
    inputs = engine.processor(images=_RGB, input_points=[[[[30, 30]]]], input_labels=[[[1]]], return_tensors="pt")
    sizes = inputs.pop("original_sizes")
    with torch.inference_mode():
        output = engine.network(**inputs, multimask_output=True)
    assert output.iou_scores.shape[-1] == 3
    best = output.pred_masks[:, :, output.iou_scores[0, 0].argmax()][:, :, None]
    wanted = engine.processor.post_process_masks(best, sizes)[0][0, 0].numpy()
    assert (Sam2Segmenter(engine).segment(_FRAME, [_POINT])[0] == wanted).all()


def test_objects_share_one_embedding_and_do_not_touch_each_other(engine):
    seen = []
    engine.network.vision_encoder.register_forward_hook(lambda *_: seen.append(1))
    segmenter = Sam2Segmenter(engine)
    both = segmenter.segment(_FRAME, [_BOX, _POINT])
    assert len(seen) == 1
    swapped = segmenter.segment(_FRAME, [_POINT, _BOX])
    alone = segmenter.segment(_FRAME, [_POINT])
    assert (both == swapped[::-1]).all()
    assert (both[1] == alone[0]).all()


def test_points_and_boxes_move_the_masks(sam2):
    segmenter = Sam2Segmenter(sam2)
    base = segmenter.segment(_FRAME, [_BOX])
    for other in (
        Cue(Box(60, 10, 150, 70), _BOX.points, _BOX.neg_points),
        Cue(_BOX.box, (Point(21, 11),), _BOX.neg_points),
        Cue(_BOX.box, _BOX.points, (Point(5, 5),)),
    ):
        assert (segmenter.segment(_FRAME, [other]) != base).any()


def test_coordinates_are_scaled_to_the_network():
    prompt = prompt_of(_BOX, _FRAME, 1024)
    assert prompt["input_boxes"].tolist() == [[[128.0, pytest.approx(113.7778), 640.0, pytest.approx(796.4444)]]]
    assert prompt["input_points"][0, 0, 0].tolist() == [384.0, pytest.approx(455.1111)]
    assert prompt["input_labels"].tolist() == [[[1, 0]]]
    assert set(prompt_of(Cue(Box(0, 0, 1, 1)), _FRAME, 1024)) == {"input_boxes"}


def test_no_cue_gives_no_mask_and_an_empty_cue_is_refused(sam2):
    assert Sam2Segmenter(sam2).segment(_FRAME, []).shape == (0, 90, 160)
    for cue in (Cue(None), Cue(None, (), (Point(1, 1),))):
        with pytest.raises(InvalidPrompt, match="box or a point"):
            Sam2Segmenter(sam2).segment(_FRAME, [cue])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_low_precision_gives_nearly_the_same_logits(sam2, dtype, tolerance):
    segmenter = Sam2Segmenter(sam2)
    exact = segmenter._logits(_FRAME, [_BOX])
    sam2.dtype = dtype
    found = segmenter._logits(_FRAME, [_BOX])
    assert 0 < (found - exact).abs().mean() < tolerance * exact.std()
    assert segmenter.notes == ()


def _overflowing(folder):
    """An engine in float16 whose weights overflow there, and are exact in float32: two scales that undo each other."""
    network = load_sam2(folder, "image")
    scaled = network.vision_encoder.neck.convs[-1]
    scaled.weight.data.mul_(1e6)
    scaled.bias.data.mul_(1e6)
    engine = load_engine(folder, "image", "cpu")
    return Sam2Engine(network, engine.processor, Placement(_CPU, torch.float16), name="tiny")


def test_overflow_in_float16_is_seen_and_computed_again_in_float32(tiny_weights):
    engine = _overflowing(tiny_weights("sam2"))
    found = Sam2Segmenter(engine).segment(_FRAME, [_BOX])
    exact = Sam2Segmenter(Sam2Engine(engine.network, engine.processor)).segment(_FRAME, [_BOX])
    assert (found == exact).all()
    assert engine.notes == ("tiny: 1 frames computed again in float32: not finite in torch.float16",)


def test_not_finite_in_float32_either_is_an_error(sam2):
    sam2.network.mask_decoder.iou_token.weight.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        Sam2Segmenter(sam2).segment(_FRAME, [_BOX])


# O1: memory


def test_the_first_step_frees_the_cache_and_changes_nothing(sam2):
    wanted = Sam2Segmenter(sam2).segment(_FRAME, [_BOX])
    _failing(sam2, 1)
    segmenter = Sam2Segmenter(sam2)
    assert (segmenter.segment(_FRAME, [_BOX]) == wanted).all()
    assert [note.split(", ")[1] for note in segmenter.notes] == ["freed the cache"]


def test_the_next_step_is_half_the_resolution(engine):
    smaller = Sam2Engine(at_side(engine.network, 64), engine.processor)
    wanted = Sam2Segmenter(smaller).segment(_FRAME, [_BOX])
    _failing(engine, 2)
    segmenter = Sam2Segmenter(engine)
    assert (segmenter.segment(_FRAME, [_BOX]) == wanted).all()
    assert [note.split(", ")[1] for note in segmenter.notes] == ["freed the cache", "went down to 64 pixels"]
    assert (segmenter.segment(_FRAME, [_BOX]) == wanted).all()  # and stays there
    assert len(segmenter.notes) == 2


def test_when_no_step_is_left_the_error_names_what_was_tried(sam2):
    _failing(sam2, 99)
    with pytest.raises(ResourceError, match="lite") as caught:
        Sam2Segmenter(sam2).segment(_FRAME, [_BOX])
    assert caught.value.exit_code == 5
    assert "went down to 64 pixels" in caught.value.why
    assert caught.value.__context__ is None


def test_a_gpu_also_offloads_and_ends_on_the_cpu(sam2):
    sam2.device = torch.device("meta")  # stands for a GPU; nothing is computed on it
    network = sam2.network
    notes = list(sam2._steps())
    assert notes == [
        "freed the cache",
        "kept the memory of past frames on the CPU",
        "went down to 64 pixels",
        "went to the CPU, at 128 pixels again",
    ]
    assert sam2.device == _CPU
    assert sam2.network is network


def test_twenty_failures_leave_nothing_behind():
    class Big:
        pass

    made = []

    def work():
        big = Big()
        made.append(weakref.ref(big))
        if len(made) <= 20:
            raise torch.OutOfMemoryError("out of memory")
        return sum(ref() is not None for ref in made)

    ladder = MemoryLadder("test", (f"step {n}" for n in range(20)))
    assert ladder.run(work) == 1  # only that of the attempt that succeeds
    assert len(ladder.notes) == 20


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("x"), True),
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_is_told_from_other_errors(error, is_one):
    assert is_out_of_memory(error) == is_one


def test_other_errors_pass_the_ladder():
    ladder = MemoryLadder("test", iter(["a step"]))
    with pytest.raises(RuntimeError, match="shapes"):
        ladder.run(lambda: torch.ones(2, 3) @ torch.ones(2, 3))
    assert ladder.notes == []


# O2: devices


def test_auto_falls_back_to_the_cpu_with_a_notice(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    placement = choose_placement("auto")
    assert (placement.device, placement.dtype) == (_CPU, torch.float32)
    assert "running on the CPU" in placement.notice
    assert choose_placement("cpu").notice == ""


def test_a_gpu_that_is_there_but_does_not_work_is_not_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def lost(*_args, **_kwargs):
        raise RuntimeError("CUDA error: device lost\nmore")

    monkeypatch.setattr(torch, "zeros", lost)
    assert "device lost" in choose_placement("auto").notice
    with pytest.raises(InvalidConfig, match="device lost"):
        choose_placement("cuda")


def test_a_driver_that_does_not_fit_is_named(monkeypatch):
    import warnings

    def told():
        warnings.warn("The NVIDIA driver on your system is too old", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", told)
    with pytest.raises(InvalidConfig, match="too old"):
        choose_placement("cuda:0")


def test_an_unknown_device_is_refused():
    with pytest.raises(InvalidConfig, match="no such device"):
        choose_placement("tpu")


# M3: weights that do not fit


@pytest.fixture
def copied(tiny_weights, tmp_path):
    return shutil.copytree(tiny_weights("sam2"), tmp_path / "copy")


def _edit(folder, change):
    path = folder / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path, metadata={"format": "pt"})


def test_missing_extra_and_misshapen_tensors_are_listed(copied):
    def change(state):
        del state["mask_decoder.iou_token.weight"]
        state["no.such.thing"] = torch.ones(1)
        state["mask_decoder.mask_tokens.weight"] = torch.ones(2, 2)

    _edit(copied, change)
    with pytest.raises(ModelError) as caught:
        load_sam2(copied, "video")
    for part in ("mask_decoder.iou_token.weight: missing", "no.such.thing: unknown", "mask_decoder.mask_tokens.weight: shape (2, 2)"):
        assert part in caught.value.why


def test_at_most_ten_differences_are_listed(copied):
    _edit(copied, lambda state: [state.pop(key) for key in sorted(state)[:30]])
    with pytest.raises(ModelError) as caught:
        load_sam2(copied, "video")
    assert len(caught.value.why.splitlines()) == 11
    assert "and 20 more" in caught.value.why


def test_weights_that_are_not_finite_are_refused(copied):
    _edit(copied, lambda state: state["mask_decoder.iou_token.weight"].fill_(float("nan")))
    with pytest.raises(ModelError, match=r"iou_token.weight: not finite"):
        load_sam2(copied, "video")


@pytest.mark.parametrize("damage", ["header length", "header text", "cut", "empty"])
def test_a_lying_header_is_refused(copied, damage):
    path = copied / "model.safetensors"
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    path.write_bytes(
        {
            "header length": struct.pack("<Q", 1 << 60) + raw[8:],
            "header text": raw[:8] + b"x" * size + raw[8 + size :],
            "cut": raw[: len(raw) // 2],
            "empty": b"",
        }[damage]
    )
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_sam2(copied, "image")


def test_only_safetensors_are_read(copied):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_sam2(copied, "image")


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        "[]",
        '{"model_type": "bert"}',
        '{"model_type": []}',
        '{"auto_map": {"AutoModel": "evil.Model"}}',
        '{"model_type": "sam2_video", "vision_config": 5}',
        '{"model_type": "sam2_video", "image_size": "big"}',
        '{"model_type": "sam2_video", "prompt_encoder_config": {"hidden_size": -1}}',
        '{"model_type": "sam2_video", "vision_config": {"model_type": "nothing"}}',
    ],
)
def test_a_configuration_of_something_else_is_refused(copied, config):
    (copied / "config.json").write_text(config)
    with pytest.raises(ModelError):
        load_sam2(copied, "image")


def test_code_beside_the_weights_is_never_run(copied, tmp_path):
    canary = tmp_path / "canary"
    (copied / "evil.py").write_text(f"open({str(canary)!r}, 'w')\nclass Model: ...\nclass Config: ...\n")
    config = json.loads((copied / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Model", "AutoConfig": "evil.Config", "AutoProcessor": "evil.Model"}
    (copied / "config.json").write_text(json.dumps(config))
    load_engine(copied, "image", "cpu")
    assert not canary.exists()


def test_the_settings_for_pictures_are_needed(copied):
    (copied / "preprocessor_config.json").write_text("{")
    with pytest.raises(ModelError, match="settings of the processor"):
        load_engine(copied, "image", "cpu")


def test_weights_that_are_not_there_say_what_to_put_where(models_folder):
    with pytest.raises(WeightsMissing, match=r"videoseg models pull sam2\.1-large") as caught:
        load_engine("sam2.1-large", "image")
    assert str(models_folder / "sam2.1-large" / "model.safetensors") in caught.value.fix
    assert caught.value.exit_code == 4
