"""Propagation by the memory of SAM 2 and EdgeTAM: the stock network's answers, in bounded memory, both ways, on any rung of the ladder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from videoseg_r1.errors import ModelError
from videoseg_r1.models.devices import Placement
from videoseg_r1.models.sam2 import Sam2Engine, at_side, at_size, load_engine
from videoseg_r1.pipeline.segmenter import Stages, VideoSegmenter
from videoseg_r1.stages.propagation.recognition import Search
from videoseg_r1.stages.propagation.sam2 import Sam2Stepper, prune, sam2_propagator
from videoseg_r1.stages.segmentation.sam2 import Sam2Segmenter
from videoseg_r1.types import Box, Cue, Given, KeyframePick, Point, Reasoning
from videoseg_r1.video import open_video

_T, _H, _W = 30, 60, 96
_RNG = np.random.default_rng(1)
_FRAMES = np.clip(np.linspace(60, 180, _T)[:, None, None, None] + _RNG.integers(0, 60, (_T, _H, _W, 3)), 0, 255).astype(np.uint8)
_MASKS = np.zeros((2, _H, _W), bool)
_MASKS[0, 10:40, 8:40] = True
_MASKS[1, 30:55, 50:90] = True


pytestmark = pytest.mark.usefixtures("no_garbage_collection")


@pytest.fixture(params=["sam2", "edgetam"])
def engine(request, tiny_weights):
    return load_engine(tiny_weights(request.param), "video", "cpu")


@pytest.fixture
def sam2(tiny_weights):
    return load_engine(tiny_weights("sam2"), "video", "cpu")


def _run(engine, frames, given):
    stepper = Sam2Stepper(engine)
    return [stepper.step(rgb, Given.of(given[index]) if index in given else None) for index, rgb in enumerate(frames)]


def _tensors(thing):
    """Every tensor that can be reached from a session's stores, and the number of bytes of all of them."""
    if isinstance(thing, torch.Tensor):
        return 1, thing.numel() * thing.element_size()
    inner = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple) else ()
    counts = [_tensors(part) for part in inner]
    return sum(count for count, _ in counts), sum(size for _, size in counts)


def _entries(thing):
    inner = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple) else ()
    return len(inner) + sum(_entries(part) for part in inner)


def _stores(session):
    return {**vars(session), "cache": vars(session.cache)}


class _Stock:
    """The network with a session that nothing is pruned from; frames may come in reverse."""

    def __init__(self, engine, first, masks):
        self.engine = engine
        self.session = Sam2VideoInferenceSession(dtype=torch.float32)
        for number, mask in enumerate(masks):
            full = torch.from_numpy(mask)[None, None].float()
            small = torch.nn.functional.interpolate(full, (128, 128), mode="bilinear", antialias=True)
            self.session.add_mask_inputs(self.session.obj_id_to_idx(number), first, (small >= 0.5).float())
        self.session.obj_with_new_inputs = list(range(len(masks)))

    def step(self, index, reverse=False):
        frame = self.engine.pixels(_FRAMES[index])
        with torch.inference_mode():
            out = self.engine.network(inference_session=self.session, frame=frame, frame_idx=index, reverse=reverse)
        return out.pred_masks[:, 0], out.object_score_logits.flatten()


def test_the_stock_answers_to_the_bit_while_what_is_stored_stays_constant(engine):
    stock, stepper = _Stock(engine, 0, _MASKS[:1]), Sam2Stepper(engine)
    found, forward = [], stepper._forward
    stepper._forward = lambda *args: found.append(forward(*args)) or found[-1]
    sizes, entries = [], []
    for index, rgb in enumerate(_FRAMES):
        masks, scores = stock.step(index)
        stepper.step(rgb, Given.of(_MASKS[:1]) if index == 0 else None)
        assert torch.equal(masks, found[-1].masks)
        assert torch.equal(scores, found[-1].scores)
        sizes.append(_tensors(_stores(stepper._session)))
        entries.append(_entries(_stores(stepper._session)))
    assert len(set(sizes[16:])) == 1
    assert len(set(entries[16:])) == 1
    assert _tensors(_stores(stock.session))[1] > 5 * sizes[-1][1]
    assert not torch.equal(found[-1].masks, found[-2].masks)  # the clip is not still


def test_given_frames_are_bounded_too(sam2):
    stepper = Sam2Stepper(sam2)
    sizes = []
    for rgb in _FRAMES[:12]:
        stepper.step(rgb, Given.of(_MASKS[:1]))
        sizes.append(_tensors(_stores(stepper._session)))
    assert len(set(sizes[8:])) == 1
    given = stepper._session.output_dict_per_obj[0]["cond_frame_outputs"]
    assert list(given) == [0, 5, 6, 7, 8, 9, 10, 11]


def test_pruning_keeps_what_the_next_frame_reads():
    session = Sam2VideoInferenceSession()
    session.processed_frames = {0: torch.ones(1)}
    session.obj_id_to_idx(5)
    output = {"pred_masks": 1, "maskmem_features": 2, "maskmem_pos_enc": 3, "object_pointer": 4}
    session.output_dict_per_obj[0] = {
        "cond_frame_outputs": {0: dict(output)},
        "non_cond_frame_outputs": {index: dict(output) for index in range(1, 30)},
    }
    prune(session, 29, num_memories=7, num_pointers=16)
    tracked = session.output_dict_per_obj[0]["non_cond_frame_outputs"]
    assert list(tracked) == list(range(15, 30))  # frame 30 looks 1 to 15 back for pointers, 1 to 6 back for memories
    assert [index for index in tracked if "maskmem_features" in tracked[index]] == list(range(24, 30))
    assert set(session.output_dict_per_obj[0]["cond_frame_outputs"][0]) == {"maskmem_features", "maskmem_pos_enc", "object_pointer"}
    assert session.processed_frames == {}


def test_masks_of_a_frame_do_not_overlap_and_given_ones_come_back(engine):
    steps = _run(engine, _FRAMES[:6], {0: _MASKS, 4: _MASKS[::-1]})
    for index in (0, 4):
        assert (steps[index].masks == (_MASKS if index == 0 else _MASKS[::-1])).all()
    for tracked in steps:
        assert tracked.masks.shape == (2, _H, _W)
        assert tracked.masks.dtype == np.bool_
        assert tracked.masks.sum(0).max() <= 1
        assert all(0 <= confidence <= 1 for confidence in tracked.confidence)
    assert any(tracked.masks.any() for tracked in steps[1:4])


def test_an_empty_mask_means_absent(sam2):
    absent = np.stack([_MASKS[0], np.zeros_like(_MASKS[0])])
    confidence = _run(sam2, _FRAMES[:1], {0: absent})[0].confidence
    assert confidence[0] > 0.99
    assert confidence[1] < 0.01


def test_a_thing_too_thin_for_the_network_is_not_lost(sam2):
    wide = np.zeros((40, 4000, 3), np.uint8)
    thin = np.zeros((1, 40, 4000), bool)
    thin[0, 3:30, 100] = True
    assert Sam2Stepper(sam2).step(wide, Given.of(thin)).confidence[0] > 0.99


def test_the_first_frame_needs_masks(sam2):
    with pytest.raises(ValueError, match="first frame"):
        Sam2Stepper(sam2).step(_FRAMES[0])


def test_both_directions_come_from_the_same_seed(engine):
    propagator = sam2_propagator(engine)
    with open_video(_FRAMES[:8]) as video:
        found = {one.index: one.masks for one in propagator.run(video, {5: _MASKS})}
    assert sorted(found) == list(range(8))
    onwards = _run(engine, _FRAMES[5:8], {0: _MASKS})
    backwards = _run(engine, _FRAMES[5::-1], {0: _MASKS})
    for steps, indices in ((onwards, range(5, 8)), (backwards, range(5, -1, -1))):
        for tracked, index in zip(steps, indices, strict=True):
            assert (tracked.masks == found[index]).all()


def test_backwards_is_what_the_network_itself_does_backwards(sam2):
    """The network has a flag for tracking in reverse time; a video played backwards gives the same, to the bit."""
    stock, stepper = _Stock(sam2, 26, _MASKS), Sam2Stepper(sam2)
    for index in range(26, 7, -1):
        logits, scores = stock.step(index, reverse=True)
        tracked = stepper.step(_FRAMES[index], Given.of(_MASKS) if index == 26 else None)
        if index < 26:
            full = torch.stack([at_size(one, (_H, _W)) for one in logits])
            assert (tracked.masks.any(0) == (full.max(0).values > 0).numpy()).all()
            assert all(0 <= sure <= there for sure, there in zip(tracked.confidence, torch.sigmoid(scores).tolist(), strict=True))


# O3: precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_runs_and_stays_near(tiny_weights, engine, dtype):
    exact = _run(engine, _FRAMES[:4], {0: _MASKS[:1]})
    engine.dtype = dtype
    low = _run(engine, _FRAMES[:4], {0: _MASKS[:1]})
    assert engine.notes == ()
    for one, other in zip(exact[1:], low[1:], strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=0.05)
        assert one.confidence != other.confidence


def test_overflow_in_the_memory_is_seen_and_computed_again_in_float32(tiny_weights):
    engine = load_engine(tiny_weights("sam2"), "video", "cpu")
    projection = engine.network.memory_encoder.projection
    projection.weight.mul_(1e6)
    exact = _run(engine, _FRAMES[:3], {0: _MASKS})
    low = Sam2Engine(engine.network, engine.processor, Placement(torch.device("cpu"), torch.float16), name="tiny")
    found = _run(low, _FRAMES[:3], {0: _MASKS})
    assert low.notes == ("tiny: 3 frames computed again in float32: not finite in torch.float16",)
    for one, other in zip(exact, found, strict=True):
        assert one.confidence == other.confidence
        assert (one.masks == other.masks).all()


def test_not_finite_in_float32_either_is_an_error(sam2):
    sam2.network.memory_encoder.projection.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        _run(sam2, _FRAMES[:2], {0: _MASKS})


# O1: memory


def _failing(engine, at, error=torch.OutOfMemoryError):
    """Make the network of an engine, and every copy it makes of it, run out of memory at the calls of these numbers."""
    calls = [0]
    network_class = type(engine.network)

    class Failing(network_class):
        def _run_single_frame_inference(self, *args, **kwargs):
            calls[0] += 1
            if calls[0] in at:
                raise error("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super()._run_single_frame_inference(*args, **kwargs)

    engine.network.__class__ = Failing


def test_the_first_step_starts_anew_from_the_first_and_the_last_frame(engine):
    wanted = _run(engine, _FRAMES[:5], {0: _MASKS})[:4]
    stepper = Sam2Stepper(engine)
    stepper.step(_FRAMES[0], Given.of(_MASKS))
    stepper.step(_FRAMES[3], Given.of(wanted[3].masks))
    again = stepper.step(_FRAMES[4])
    _failing(engine, {2 * 4 + 2})  # two calls a frame: in the middle of frame 4
    found = _run(engine, _FRAMES[:5], {0: _MASKS})
    for one, other in zip(wanted, found, strict=False):
        assert (one.masks == other.masks).all()
    assert (found[4].masks == again.masks).all()
    assert [note.split(", ")[1] for note in engine.notes] == ["freed the cache"]


def test_the_next_step_is_half_the_resolution(engine):
    smaller = Sam2Engine(at_side(engine.network, 64), engine.processor)
    wanted = _run(smaller, _FRAMES[:3], {0: _MASKS})
    _failing(engine, {1, 2})
    found = _run(engine, _FRAMES[:3], {0: _MASKS})
    assert [note.split(", ")[1] for note in engine.notes] == ["freed the cache", "went down to 64 pixels"]
    for one, other in zip(wanted, found, strict=True):
        assert one.confidence == other.confidence
        assert (one.masks == other.masks).all()


def test_half_the_resolution_shares_its_weights(engine):
    smaller = at_side(engine.network, 64)
    assert smaller.config.prompt_encoder_config.image_size == 64
    assert engine.side == 128
    ours, theirs = dict(engine.network.named_parameters()), dict(smaller.named_parameters())
    assert all(ours[name].data_ptr() == theirs[name].data_ptr() for name in ours)


def test_the_state_goes_to_the_cpu_where_that_is_offered(sam2):
    sam2.offload = True
    assert Sam2Stepper(sam2).step(_FRAMES[0], Given.of(_MASKS)).masks.any()


# the whole pipeline


class _Middle:
    def pick(self, video, query):
        target = video.num_frames // 2
        return KeyframePick(video.num_frames, (0, video.num_frames - 1), target, (target,), (0,))


class _Scripted:
    def reason(self, target, context, query):
        cues = (Cue(Box(10, 8, 60, 40), (Point(30, 20),), (Point(80, 50),)), Cue(None, (Point(70, 40),)))
        return Reasoning(f"looked for {query}", cues, num_tokens=3)


def test_the_whole_pipeline_runs_on_these_classes(tiny_weights, engine, request):
    name = request.node.callspec.params["engine"]
    segmenter = Sam2Segmenter(load_engine(tiny_weights(name), "image", "cpu"))
    stages = Stages(lambda _seed: _Middle(), lambda _seed: _Scripted(), lambda: segmenter, lambda: sam2_propagator(engine))
    run = VideoSegmenter(stages, "tiny")
    result = run.segment(_FRAMES[:8], "the thing")
    assert result.num_frames == 8
    assert len(result.tracks) == 2
    with open_video(_FRAMES[:8]) as video:
        seeds = segmenter.segment(video.read([4])[0], _Scripted().reason(None, None, "").cues)
    for track, seed in zip(result.tracks, Given.of(seeds).masks, strict=True):
        assert (track.mask(4) == seed).all()
        assert all(track.mask(index).shape == (_H, _W) for index in range(8))
    assert any(result.mask(index).any() for index in range(8) if index != 4)
    again = run.replay(result.trace, _FRAMES[:8])
    assert all((again.mask(index) == result.mask(index)).all() for index in range(8))
    items = {item.frame_index: item.masks for item in run.stream(_FRAMES[:8], "the thing")}
    assert all((items[index].any(0) == result.mask(index)).all() for index in range(8))


# behind a cut


def test_what_is_refused_behind_a_cut_is_forgotten(sam2):
    stepper = Sam2Stepper(sam2)
    stepper.step(_FRAMES[0], Given.of(_MASKS))
    sought = np.array([True, False])
    found = stepper.step(_FRAMES[1], None, Search(True, sought, lambda masks: masks & ~sought[:, None, None]))
    assert not found.masks[0].any()
    assert found.confidence[0] == 0
    stored = [outputs["non_cond_frame_outputs"] for outputs in stepper._session.output_dict_per_obj.values()]
    assert [1 in frames for frames in stored] == [False, True]
    assert stepper.step(_FRAMES[2]).masks.shape == _MASKS.shape


def test_what_is_verified_is_what_is_found_without_a_search(sam2):
    one, other = Sam2Stepper(sam2), Sam2Stepper(sam2)
    for stepper in (one, other):
        stepper.step(_FRAMES[0], Given.of(_MASKS))
    found = one.step(_FRAMES[1], None, Search(True, np.ones(2, bool), lambda masks: masks))
    expected = other.step(_FRAMES[1])
    np.testing.assert_array_equal(found.masks, expected.masks)
    assert found.confidence == expected.confidence


def _alone(number, masks=_MASKS):
    """The mask of one of the two objects."""
    which = np.arange(2) == number
    return Given(masks & which[:, None, None], which)


def _remembered(stepper, number):
    """The frames that a session remembers of an object: given ones, then others."""
    session = stepper._session
    stored = session.output_dict_per_obj[session.obj_id_to_idx(number)]
    return list(stored["cond_frame_outputs"]), list(stored["non_cond_frame_outputs"])


def test_an_object_joins_a_session_and_another_is_corrected_without_the_rest(engine):
    stepper = Sam2Stepper(engine)
    given = {0: _alone(1), 2: _alone(0), 4: _alone(1)}
    found = [stepper.step(rgb, given.get(index)) for index, rgb in enumerate(_FRAMES[:6])]
    assert _remembered(stepper, 1)[0] == [0, 4]
    assert _remembered(stepper, 0)[0] == [2]
    assert not any(one.masks[0].any() for one in found[:2])
    assert (found[2].masks[0] == _MASKS[0]).all()
    assert (found[4].masks[1] == _MASKS[1]).all()


def test_an_object_that_has_to_give_way_does_not_remember_the_frame(sam2):
    stepper = Sam2Stepper(sam2)
    stepper.step(_FRAMES[0], Given.of(_MASKS))
    everywhere = np.ones_like(_MASKS)
    assert stepper.step(_FRAMES[1]).masks[1].any()
    assert not stepper.step(_FRAMES[2], _alone(0, everywhere)).masks[1].any()
    assert _remembered(stepper, 1) == ([0], [1])
    assert _remembered(stepper, 0) == ([0, 2], [1])


def test_a_mask_that_was_carried_to_the_first_frame_is_forgotten_once_the_object_is_given(sam2):
    stepper = Sam2Stepper(sam2)
    stepper.step(_FRAMES[0], Given(_MASKS, np.array([True, False])))
    stepper.step(_FRAMES[1])
    assert [_remembered(stepper, k)[0] for k in (0, 1)] == [[0], [0]]
    stepper.step(_FRAMES[2], Given.of(_MASKS))
    assert [_remembered(stepper, k)[0] for k in (0, 1)] == [[0, 2], [2]]
    stepper.step(_FRAMES[3], Given.of(_MASKS))
    assert [_remembered(stepper, k)[0] for k in (0, 1)] == [[0, 2, 3], [2, 3]]


def test_a_new_start_knows_of_late_objects_what_the_newest_frame_shows(sam2):
    given = {0: _alone(1), 1: _alone(0)}
    stepper, other = Sam2Stepper(sam2), Sam2Stepper(sam2)
    found = [stepper.step(rgb, given.get(index)) for index, rgb in enumerate(_FRAMES[:3])]
    other.step(_FRAMES[0], _alone(1))
    other.step(_FRAMES[2], Given.of(found[2].masks))
    expected = other.step(_FRAMES[3])
    _failing(sam2, {1})
    again = stepper.step(_FRAMES[3])
    assert (again.masks == expected.masks).all()
    assert sam2.notes
