"""The presets of paper scale from end to end, on tiny random weights in the layout of the real checkpoints.

The language model runs as it is; where random weights cannot write an answer that can be read, what it drew is replaced by a
written one, so that the stages behind it have something to do.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import save_file

from helpers import tiny_vlm
from videoseg_r1.chat.base import Reply
from videoseg_r1.chat.local import LocalChat
from videoseg_r1.cli import main
from videoseg_r1.models.weights import MODELS, ModelFile
from videoseg_r1.output.trace import Trace
from videoseg_r1.presets.table import load

_RNG = np.random.default_rng(1)
_FRAMES = np.clip(np.linspace(60, 180, 14)[:, None, None, None] + _RNG.integers(0, 60, (14, 48, 64, 3)), 0, 255).astype(np.uint8)
_QWEN25, _QWEN3 = "qwen2.5-vl-3b", "qwen3-vl-2b"


@pytest.fixture(scope="module")
def weights(tmp_path_factory, tiny_weights, xmem_state):
    """The folder that $VIDEOSEG_MODELS names, filled."""
    root = tmp_path_factory.mktemp("models")
    tiny_vlm.make_checkpoint(root / _QWEN25, "qwen2_5_vl")
    tiny_vlm.make_checkpoint(root / _QWEN3, "qwen3_vl")
    (root / "sam2.1-large").symlink_to(tiny_weights("sam2"))
    (root / "xmem").mkdir()
    save_file({key: value.contiguous() for key, value in xmem_state.items()}, root / "xmem" / "XMem.safetensors")
    (root / "xmem" / "XMem.pth").write_bytes(b"converted already")
    return root


pytestmark = pytest.mark.usefixtures("no_garbage_collection")


@pytest.fixture(autouse=True)
def _here(weights, monkeypatch):
    monkeypatch.setenv("VIDEOSEG_MODELS", str(weights))
    for name in (_QWEN25, _QWEN3, "sam2.1-large", "xmem"):
        files = ("XMem.pth",) if name == "xmem" else ("config.json", "model.safetensors")
        monkeypatch.setitem(MODELS, name, replace(MODELS[name], files=tuple(ModelFile(file) for file in files)))


@pytest.fixture
def written(monkeypatch):
    """Let the model draw its replies, and put a written answer in their place. Returns the answers by a word of the question."""
    answers = {"target frame": '<think>The bright one.</think><answer>[{"bbox_2d":[100,100,600,700],"point_2d":[300,400]}]</answer>'}
    ask = LocalChat.ask

    def answered(self, messages, sampling, num_replies=1):
        drawn = ask(self, messages, replace(sampling, max_tokens=4), num_replies)
        question = next(part for part in reversed(messages[-1].parts) if isinstance(part, str))
        found = next((text for word, text in answers.items() if word in question), None)
        return drawn if found is None else [Reply(found)] * num_replies

    monkeypatch.setattr(LocalChat, "ask", answered)
    return answers


def _same(one, other):
    return all((one.mask(index) == other.mask(index)).all() for index in range(one.num_frames))


@pytest.mark.parametrize("preset", ["3b", "qwen3-vl-2b"])
def test_a_sentence_goes_through_all_stages_and_a_replay_needs_no_language_model(preset, written, monkeypatch):
    segmenter = load(preset, device="cpu")
    result = segmenter.segment(_FRAMES, "the bright one", seed=3)
    assert result.num_frames == 14
    assert len(result.tracks) == 1
    assert result.reasoning.text == "The bright one."
    box = result.reasoning.cues[0].box
    # the same numbers are pixels of the picture as fed to one family, thousandths to the other
    side = 840 if preset == "3b" else 1000
    assert (box.x1, box.y2) == pytest.approx((100 * 64 / side, 700 * 48 / side))
    assert len(result.keyframes.positions) == 10
    assert result.mask(result.keyframes.target_frame).any()
    models = result.trace.models
    assert any(MODELS[name].revision in " ".join(models.values()) for name in (_QWEN25, _QWEN3))

    def no_model(*_args, **_kwargs):
        raise AssertionError("a replay asked for the language model")

    monkeypatch.setattr("videoseg_r1.chat.local.load_chat", no_model)
    again = load(preset, device="cpu").replay(Trace.from_dict(json.loads(result.trace.to_json())), _FRAMES)
    assert _same(again, result)
    assert again.trace.to_json() == result.trace.to_json()


def test_what_random_weights_write_is_a_failure_that_is_told_not_a_crash(monkeypatch):
    monkeypatch.setattr("videoseg_r1.stages.reasoning.chat_reasoner._MAX_TOKENS", 24)
    monkeypatch.setattr("videoseg_r1.stages.sampling.chat_voter._MAX_TOKENS", 8)
    result = load("3b", device="cpu").segment(_FRAMES[:3], "the bright one")
    assert result.reasoning.failed
    assert result.tracks == ()
    assert any("could not be read" in note for note in result.reasoning.notes)


def test_anchors_and_the_self_check_are_in_the_trace_and_replayed(written):
    written["outlines"] = "<answer>[1, 2, 3, 4, 5, 6]</answer>"
    sampler, extensions = {"num_anchors": 3, "unit": "seconds"}, {"self_check": True, "num_presence_votes": 4}
    segmenter = load("3b", device="cpu", propagator="sam2", sampler=sampler, extensions=extensions)
    result = segmenter.segment(_FRAMES, "the bright one")
    why = [anchor.why for anchor in result.trace.anchors]
    assert why.count("split") == 2
    assert why.count("check") == 1
    assert result.reasoning.presence == pytest.approx(5 / 6)
    again = load("3b", device="cpu", propagator="sam2", sampler=sampler, extensions=extensions).replay(result.trace, _FRAMES)
    assert _same(again, result)


def test_a_box_is_carried_by_xmem_without_a_language_model(weights, tmp_path, drawn_video, capsys):
    clip = drawn_video(num_frames=4, width=64, height=48).path
    arguments = ["propagate", str(clip), "--preset", "3b", "--device", "cpu", "--box", "5,5,40,40", "-o", str(tmp_path / "out"), "--json"]
    assert main([*arguments, "--formats", "rle,trace"]) == 0
    assert json.loads(capsys.readouterr().out)
    trace = Trace.read(tmp_path / "out" / "trace.json")
    assert (trace.video.num_frames, trace.settings["propagator"]) == (4, "xmem")


@pytest.mark.parametrize("propagator", ["sam2", "memory"])
def test_another_propagator_can_stand_behind_the_same_stages(propagator, written):
    result = load("3b", device="cpu", propagator=propagator).segment(_FRAMES[:5], "the bright one")
    assert result.trace.settings["propagator"] == propagator
    assert len(result.tracks) == 1


def test_rows_of_table_5_can_be_asked_for_and_a_replay_takes_the_same(written, tmp_path, drawn_video):
    clip = str(drawn_video(num_frames=4, width=64, height=48).path)
    common = ["--device", "cpu", "--formats", "trace,rle", "--json"]
    arguments = ["segment", clip, "the bright one", "--preset", "3b", "--propagator", "flow", "--sampler", "first", *common]
    assert main([*arguments, "-o", str(tmp_path / "one")]) == 0
    trace = Trace.read(tmp_path / "one" / "trace.json")
    assert (trace.keyframes.mode, trace.keyframes.target_frame) == ("first", 0)
    assert main(["replay", str(tmp_path / "one" / "trace.json"), clip, *common, "-o", str(tmp_path / "two")]) == 0
    assert (tmp_path / "two" / "trace.json").read_bytes() == (tmp_path / "one" / "trace.json").read_bytes()
