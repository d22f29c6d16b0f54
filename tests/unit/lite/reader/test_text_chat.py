"""The text chat of lite, asked through the same reasoner and voter as every other chat model, and files of weights deltas."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from helpers.lite_things import CPU, square_region
from videoseg_r1.chat.base import Message, Reply, Sampling
from videoseg_r1.errors import ModelError, OutputError, WeightsMissing
from videoseg_r1.lite.language.transcript import told_box
from videoseg_r1.lite.perception.perceived_video import Perception
from videoseg_r1.lite.reader.text_chat import TextChat, TranscriptQuestion, TranscriptVoter, transcript_question, turns
from videoseg_r1.lite.reader.weights_delta import apply_delta, pack_delta
from videoseg_r1.stages.protocols import Context, Shown
from videoseg_r1.stages.reasoning.chat_reasoner import ChatReasoner
from videoseg_r1.types import Box, KeyframePick, Reasoning
from videoseg_r1.video import open_video


class Letters:
    """A tokenizer of single characters, with a chat template of the simplest kind."""

    def apply_chat_template(self, conversation, **_settings):
        text = "".join(f"{turn['role'][0]}:{turn['content']}\n" for turn in conversation) + "a:"
        return {"input_ids": torch.tensor([self._ids(text)])}

    def __call__(self, text, **_settings):
        return {"input_ids": self._ids(text)}

    def decode(self, tokens, **_settings):
        return "".join(chr(token) for token in tokens)

    def _ids(self, text):
        return [ord(char) % 128 for char in text]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=128,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        eos_token_id=10,
        pad_token_id=10,
    )
    return LlamaForCausalLM(config)


@pytest.fixture(scope="module")
def chat(network):
    return TextChat(network, Letters(), "tiny")


def test_greedy_replies_are_those_of_generate(network, chat):
    messages = [Message("user", ("where is the dog",))]
    with torch.inference_mode():
        ids = chat.tokens(messages)
        expected = network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)[
            0, ids.shape[1] :
        ].tolist()
    replies = chat.ask(messages, Sampling(max_tokens=12), 2)
    assert replies[0] == replies[1]
    assert replies[0].text == Letters().decode([token for token in expected if token != 10])


def test_sampled_replies_depend_on_the_seed_and_their_number(chat):
    messages = [Message("user", ("where is the dog",))]
    drawn = [chat.ask(messages, Sampling(1.0, 1.0, 8, seed), 3) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert len({reply.text for reply in drawn[0]}) > 1


def test_control_tokens_in_a_text_stay_text():
    (turn,) = turns([Message("user", ("the dog<|im_end|>",))])
    assert turn["content"] == "the dog‹|im_end|›"


def _reasoned(drawn_video, answer, query="the disc"):
    chat = type("Written", (TextChat,), {"ask": lambda self, messages, *_more: asked.append(messages) or [Reply(answer)]})
    asked = []
    written = chat.__new__(chat)
    written.num_tokens = lambda text: len(text.split())
    with open_video(drawn_video(num_frames=12, width=168, height=84).path) as video:
        target = video.read([6])[0]
        context = Context(video, KeyframePick(12, (2, 9), 6, (2, 9), (1, 10)))
        return ChatReasoner(written, ask=partial(transcript_question, Perception(CPU))).reason(target, context, query), asked


def test_a_reply_in_the_canonical_frame_comes_back_in_pixels(drawn_video):
    answer = '<think>Line 1.</think><answer>[{"bbox_2d":[420,420,630,840],"point_2d":[500,600],"neg_point_2d":[400,600]}]</answer>'
    reasoning, asked = _reasoned(drawn_video, answer)
    box = reasoning.cues[0].box
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((84, 42, 126, 84))
    assert reasoning.num_tokens == 2
    question = asked[0][-1].parts[0]
    assert "boxes at frame 6" in question.splitlines()[1]
    assert 'Sentence: "the disc"' in question


def _read(boxes, frame_size=(160, 96)):
    """Return the ids of the cues of a reply with these canonical boxes, where line 1 is one thing of the frame and line 3 another."""
    question = TranscriptQuestion((), frame_size, (840, 840), {1: square_region(4), 3: square_region(4, left=100)})
    found = question.read(Reply(f"<think>So.</think><answer>{[{'bbox_2d': list(box)} for box in boxes]}</answer>".replace("'", '"')))
    assert isinstance(found, Reasoning)
    return [cue.track_id for cue in found.cues]


def test_what_is_read_of_a_reply_names_the_things_whose_boxes_it_has():
    first, other = (told_box(square_region(4, left=left), (160, 96)) for left in (20, 100))
    assert _read([other, first]) == [3, 1]
    assert _read([(other[0] + 3, *other[1:])]) == [3]  # a unit is less than a pixel here, and less than a pixel says nothing
    assert _read([(other[0] + 30, *other[1:]), first]) == [None, 1]
    assert _read([]) == []


def test_in_large_frames_one_unit_of_the_reply_is_the_limit():
    view = replace(square_region(4), box=Box(210, 200, 420, 410))
    question = TranscriptQuestion((), (1680, 1680), (840, 840), {2: view})

    def thing_at(x1):
        return question.read(Reply(f'<answer>[{{"bbox_2d":[{x1},100,210,205]}}]</answer>')).cues[0].track_id

    assert [thing_at(x1) for x1 in (104, 105, 106, 107)] == [2, 2, 2, None]


def test_the_question_knows_the_things_that_its_lines_tell_of(drawn_video):
    with open_video(drawn_video(num_frames=12, width=168, height=84).path) as video:
        target = video.read([6])[0]
        context = Context(video, KeyframePick(12, (2, 9), 6, (2, 9), (1, 10)))
        question = transcript_question(Perception(CPU), target, context, "the disc")
    text = question.messages[-1].parts[0]
    told = {number: told_box(view, (168, 84)) for number, view in question.lines.items()}
    assert told
    for number, box in told.items():
        line = next(line for line in text.splitlines() if line.startswith(f"{number}. "))
        assert line.endswith(f"box [{' '.join(map(str, box))}]")
        reply = Reply(f'<answer>[{{"bbox_2d":{list(box)}}}]</answer>')
        assert question.read(reply).cues[0].track_id == number
        assert question.again(reply, question.read(Reply(""))).read(reply).cues[0].track_id == number


def test_no_target_is_an_answer(drawn_video):
    reasoning, _ = _reasoned(drawn_video, "<think>Nothing fits.</think><answer>[]</answer>")
    assert (reasoning.cues, reasoning.failed) == ((), False)


def test_votes_are_read_and_unusable_ones_keep_their_place(drawn_video):
    replies = ["<answer>[20, 60]</answer>", "no idea", "<answer>[0, 50]</answer>"]
    chat = type("Written", (), {"ask": lambda self, _messages, _sampling, n: [Reply(text) for text in replies[:n]]})()
    with open_video(drawn_video(num_frames=12, width=96, height=64).path) as video:
        shown = Shown(video, [0, 4, 8, 11])
        assert TranscriptVoter(chat, Perception(CPU)).intervals(shown, "the disc", 3) == [(20, 60), None, (0, 50)]
        assert TranscriptVoter(chat, Perception(CPU)).positions(shown, "the disc", 2) == [None, None]


def _trained(network, size=1e-3):
    """Return a copy in which one matrix and one vector moved a little."""
    torch.manual_seed(1)
    copy = LlamaForCausalLM(network.config)
    copy.load_state_dict(network.state_dict())
    weights = dict(copy.named_parameters())
    moved = ["model.layers.0.self_attn.q_proj.weight", "model.layers.1.input_layernorm.weight"]
    with torch.no_grad():
        for name in moved:
            weights[name] += size * torch.randn_like(weights[name])
    return copy, moved


def test_a_weights_delta_comes_back_nearly_as_it_was_from_a_small_file(network, tmp_path):
    after, moved = _trained(network)
    pack_delta(network, after, tmp_path / "one.safetensors", {"recipe": "lite"})
    copy = LlamaForCausalLM(network.config)
    copy.load_state_dict(network.state_dict())
    assert apply_delta(copy, tmp_path / "one.safetensors") == {"recipe": "lite"}
    start, wanted, found = (dict(each.named_parameters()) for each in (network, after, copy))
    assert {name for name in start if not torch.equal(start[name], found[name])} == set(moved)
    for name in moved:
        way, error = (wanted[name] - start[name]).detach().flatten(), (found[name] - wanted[name]).detach().flatten()
        # sixteen levels of a normal distribution leave 0.0095 of its power (Max 1960)
        assert float(error.square().mean() / way.square().mean()) < 0.015
    assert (tmp_path / "one.safetensors").stat().st_mode & 0o444 == 0o444  # who installs a package is not always who uses it
    codes = load_file(tmp_path / "one.safetensors")[moved[0] + ".codes"]
    assert len(codes) == -(-start[moved[0]].numel() // 2)


def test_the_weights_delta_of_another_network_is_refused(network, tmp_path):
    pack_delta(network, _trained(network)[0], tmp_path / "one.safetensors", {})
    other = LlamaForCausalLM(LlamaConfig(vocab_size=128, hidden_size=16, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2))
    with pytest.raises(ModelError, match="cannot be read"):
        apply_delta(other, tmp_path / "one.safetensors")
    with pytest.raises(OutputError, match="cannot be written"):
        pack_delta(network, _trained(network)[0], tmp_path / "one.safetensors" / "two.safetensors", {})
    with pytest.raises(ModelError, match="different networks"):
        pack_delta(network, other, tmp_path / "two.safetensors", {})


def test_a_file_of_something_else_is_refused(network, tmp_path):
    with pytest.raises(WeightsMissing):
        apply_delta(network, tmp_path / "none.safetensors")
    save_file({"x": torch.from_numpy(np.ones(2, np.float32))}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="another network"):
        apply_delta(network, tmp_path / "x.safetensors")
    (tmp_path / "y.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="cannot be read"):
        apply_delta(network, tmp_path / "y.safetensors")
