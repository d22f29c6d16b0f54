"""The device of a preset reaches every network of `lite`, and tensors are moved to it.

There is no GPU in the tests. PyTorch's device "meta" stands in for one: its tensors have shapes and no values, and computing with tensors
of two devices fails as on a GPU.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from helpers.lite_things import CPU
from videoseg_r1.config import Extensions
from videoseg_r1.errors import InvalidConfig
from videoseg_r1.lite import segmenter as segmenter_module
from videoseg_r1.lite.perception import perceived_video
from videoseg_r1.lite.perception.backbone import load_backbone, prepare
from videoseg_r1.lite.perception.detector import detect
from videoseg_r1.lite.perception.nanodet import NanoDet, load_detector
from videoseg_r1.lite.perception.perceived_video import Perception
from videoseg_r1.lite.perception.saliency import Saliency, load_saliency
from videoseg_r1.lite.reader import trained
from videoseg_r1.lite.segmenter import LiteSegmenter
from videoseg_r1.lite.tracking import tracker, window_memory
from videoseg_r1.models import devices
from videoseg_r1.models.devices import Placement
from videoseg_r1.presets.lite import lite_matcher_stages, lite_segmenter, lite_stages
from videoseg_r1.presets.propagators import PROPAGATORS
from videoseg_r1.presets.table import load
from videoseg_r1.stages.propagation.both_ways import Tracked
from videoseg_r1.stages.protocols import Context
from videoseg_r1.stages.sampling.hierarchical import SamplerConfig
from videoseg_r1.types import Box, Cue, Frame, Given, KeyframePick, Reasoning
from videoseg_r1.video import open_video

META = torch.device("meta")
_FRAMES = np.full((4, 64, 96, 3), 90, np.uint8)
_FRAMES[:, 20:40, 30:60] = 230
_PICK = KeyframePick(4, (0, 3), 1, (0, 3), (2,))


class Loaders:
    """Stands in for the loaders: remembers the devices that networks are loaded on, and returns networks of a threshold."""

    def __init__(self):
        self.saliency_devices, self.backbone_devices = [], []

    def saliency(self, device, *, quick=False):
        self.saliency_devices.append(device)
        return lambda rgb, size: (rgb.mean(2) > 150).astype(np.float32) * 0.9

    def backbone(self, device):
        self.backbone_devices.append(device)


@pytest.fixture
def loaders(monkeypatch):
    made = Loaders()
    for module in (perceived_video, segmenter_module):
        monkeypatch.setattr(module, "load_saliency", made.saliency)
    monkeypatch.setattr(perceived_video, "load_backbone", made.backbone)
    monkeypatch.setattr(perceived_video, "classify", lambda backbone, rgb, mask, box: np.full(1000, 1e-3, np.float32))
    return made


@pytest.fixture
def _meta_is_chosen(monkeypatch):
    monkeypatch.setattr(devices, "choose_placement", lambda name: Placement(META, torch.float16) if name == "cuda:1" else None)


def test_perception_and_segmenter_load_their_networks_on_their_device(loaders):
    with open_video(_FRAMES) as video:
        Perception(META).of(video).scan(video, [0, 2])
    assert set(loaders.saliency_devices) == set(loaders.backbone_devices) == {META}
    loaders.saliency_devices.clear()
    LiteSegmenter(META).segment(Frame(0, 0.0, _FRAMES[0]), [Cue(Box(30, 20, 60, 40))])
    assert set(loaders.saliency_devices) == {META}


@pytest.mark.usefixtures("_meta_is_chosen")
@pytest.mark.parametrize("build", [lite_matcher_stages, lite_stages])
def test_the_stages_of_the_presets_work_on_the_device_that_is_asked_for(build, loaders, monkeypatch):
    placements = []

    class Answering:
        family, notes, description = None, (), ""

        def ask(self, messages, sampling, num_replies=1):
            return [type("Said", (), {"text": "<think>None.</think><answer>[]</answer>", "complete": True})()] * num_replies

        def num_tokens(self, text):
            return 1

    monkeypatch.setattr(trained, "load_reader", lambda placement: placements.append(placement) or Answering())
    stages = build("cuda:1", lambda: None, SamplerConfig(), Extensions(num_seed_frames=2))
    with open_video(_FRAMES) as video:
        context = Context(video, _PICK)
        target = video.read([1])[0]
        assert loaders.saliency_devices == []  # nothing is loaded before it is needed
        stages.sampler(0).pick(video, "the square")
        stages.reasoner(0).reason(target, context, "the square")
        stages.segmenter().segment(target, [Cue(Box(30, 20, 60, 40))])
        found = stages.frame_finder().find(Reasoning("", (Cue(Box(30, 20, 60, 40), track_id=1),)), context)
    assert len(found) == 2
    assert set(loaders.saliency_devices) == set(loaders.backbone_devices) == {META}
    assert placements == ([Placement(META, torch.float16)] if build is lite_stages else [])


@pytest.mark.usefixtures("_meta_is_chosen")
def test_masks_of_endpoint_presets_and_the_propagator_memory_are_made_on_the_device(loaders, monkeypatch):
    lite_segmenter("cuda:1").segment(Frame(0, 0.0, _FRAMES[0]), [Cue(Box(30, 20, 60, 40))])
    assert set(loaders.saliency_devices) == {META}
    loaded = []
    monkeypatch.setattr(tracker, "load_backbone", lambda device: loaded.append(device) or load_backbone(CPU))
    with open_video(_FRAMES) as video:
        list(PROPAGATORS["memory"].build("cuda:1").run(video, {0: (_FRAMES[0].mean(2) > 150)[None]}))
    assert set(loaded) == {META}


def test_a_device_that_is_not_there_is_refused_at_once():
    with pytest.raises(InvalidConfig, match="no such device"):
        load("lite", device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InvalidConfig, match="cannot be used"):
            load("lite-matcher", device="cuda")


def test_pictures_go_to_the_device_of_the_backbone_and_stay_there():
    backbone = load_backbone(META)
    picture = prepare(_FRAMES[0], (96, 64), backbone.device)
    maps = backbone.features(picture)
    assert {each.device for each in (picture, *maps, backbone.class_logits(maps[-1]))} == {META}


def test_pictures_go_to_the_device_of_the_saliency_network_and_maps_come_back(monkeypatch):
    seen = []
    monkeypatch.setattr(Saliency, "batch", lambda self, images: seen.append(images.device) or torch.zeros(1, *images.shape[-2:]))
    assert load_saliency(META)(_FRAMES[0], (96, 64)).shape == (64, 96)
    assert seen == [META]
    monkeypatch.undo()
    images = torch.zeros(1, 3, 64, 96, device=META)
    assert load_saliency(META, quick=True).batch(images).device == META


def test_pictures_go_to_the_device_of_the_detector():
    detector = load_detector(META)
    assert {each.device for each in detector(torch.zeros(1, 3, 64, 96, device=META))} == {META}
    seen = []
    detector = NanoDet().to(META)
    detector.register_forward_pre_hook(lambda module, given: seen.append(given[0].device))
    with pytest.raises(NotImplementedError):  # meta tensors have no values to look at
        detect(_FRAMES[0], detector)
    assert seen == [META]


def test_the_tracker_computes_on_its_device_from_the_first_frame_on(loaders, monkeypatch):
    devices_of_probabilities = []

    def decide(probability, crop, frame_shape, search):
        devices_of_probabilities.append(probability.device)
        return Tracked((_FRAMES[0].mean(2) > 150)[None], (1.0,))

    def read(query, memory, radius, top_k, temperature):
        assert {part.device for part in (query, *(frame.keys for frame in memory))} == {META}
        return query[:1]

    def sharpened(odds, picture, maps, network):
        assert {part.device for part in (odds, picture, *maps, *network.parameters())} == {META}
        return picture[:, 0]

    monkeypatch.setattr(tracker, "_masks", decide)
    # these look at values
    monkeypatch.setattr(window_memory, "read", read)
    monkeypatch.setattr(tracker, "sharpened", sharpened)
    monkeypatch.setattr(tracker.Tracker, "_elsewhere", lambda self, evidence, crop: evidence[1:] > 0)
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda self: True)  # meta tensors have no values to look at
    stepper = tracker.Tracker(META)
    stepper.step(_FRAMES[0], Given.of((_FRAMES[0].mean(2) > 150)[None]))
    for _ in range(3):
        stepper.step(_FRAMES[1])
    assert devices_of_probabilities == [META] * 3
    stored = (*stepper._memory.given, *stepper._memory.recent)
    assert len(stored) == 4
    assert {part.device for one in stored for part in (one.keys, one.cover, one.sample.features, one.sample.cover)} == {META}


@pytest.mark.parametrize(
    ("device", "has_bfloat16", "dtype"), [(META, True, torch.float16), (CPU, True, torch.bfloat16), (CPU, False, torch.float32)]
)
def test_the_reader_is_moved_to_its_device_in_the_precision_of_the_device(device, has_bfloat16, dtype, monkeypatch):
    network = LlamaForCausalLM(LlamaConfig(vocab_size=16, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1))
    monkeypatch.setattr(trained, "base_folder", lambda: None)
    monkeypatch.setattr(trained, "load_network", lambda kind, folder: network)
    monkeypatch.setattr(trained, "load_processor", lambda kind, folder: None)
    monkeypatch.setattr(trained, "delta_files", list)
    monkeypatch.setattr(trained, "cpu_has_bfloat16", lambda: has_bfloat16)
    trained.load_reader(Placement(device, torch.float16 if device == META else torch.float32))
    assert {(weight.device, weight.dtype) for weight in network.parameters()} == {(device, dtype)}
