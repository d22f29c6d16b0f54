"""The language side of lite: a text model asked through the same reasoner and voter as every other, and the adapter it learned."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from videoseg_r1.chat.base import Message, Reply, Sampling
from videoseg_r1.errors import ModelError, WeightsMissing
from videoseg_r1.lite.adapter import add_adapter, pack_adapter, read_adapter
from videoseg_r1.lite.speaker import TextChat, TranscriptVoter, transcript_question, turns
from videoseg_r1.reasoner import ChatReasoner
from videoseg_r1.stages import Context, Shown
from videoseg_r1.types import KeyframePick
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
        return ChatReasoner(written, ask=transcript_question).reason(target, context, query), asked


def test_a_reply_in_the_canonical_frame_comes_back_in_pixels(drawn_video):
    answer = '<think>Line 1.</think><answer>[{"bbox_2d":[420,420,630,840],"point_2d":[500,600],"neg_point_2d":[400,600]}]</answer>'
    reasoning, asked = _reasoned(drawn_video, answer)
    box = reasoning.cues[0].box
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((84, 42, 126, 84))
    assert reasoning.num_tokens == 2
    question = asked[0][-1].parts[0]
    assert "boxes at frame 6" in question.splitlines()[0]
    assert 'Sentence: "the disc"' in question


def test_no_target_is_an_answer(drawn_video):
    reasoning, _ = _reasoned(drawn_video, "<think>Nothing fits.</think><answer>[]</answer>")
    assert (reasoning.cues, reasoning.failed) == ((), False)


def test_votes_are_read_and_unusable_ones_keep_their_place(drawn_video):
    replies = ["<answer>[20, 60]</answer>", "no idea", "<answer>[0, 50]</answer>"]
    chat = type("Written", (), {"ask": lambda self, _messages, _sampling, n: [Reply(text) for text in replies[:n]]})()
    with open_video(drawn_video(num_frames=12, width=96, height=64).path) as video:
        shown = Shown(video, [0, 4, 8, 11])
        assert TranscriptVoter(chat).intervals(shown, "the disc", 3) == [(20, 60), None, (0, 50)]
        assert TranscriptVoter(chat).positions(shown, "the disc", 2) == [None, None]


def _peft_folder(folder, network, rank=2, alpha=4):
    torch.manual_seed(1)
    weights = dict(network.named_parameters())
    layers = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"]
    tensors = {}
    for layer in layers:
        rows, columns = weights[f"{layer}.weight"].shape
        tensors[f"base_model.model.{layer}.lora_A.weight"] = torch.randn(rank, columns)
        tensors[f"base_model.model.{layer}.lora_B.weight"] = torch.randn(rows, rank)
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank, "lora_alpha": alpha}))
    return layers, tensors


def test_an_adapter_is_packed_and_added_as_peft_would(network, tmp_path):
    layers, tensors = _peft_folder(tmp_path, network)
    pack_adapter(tmp_path, tmp_path / "one.safetensors", {"recipe": "lite"})
    adapter = read_adapter(tmp_path / "one.safetensors")
    assert (adapter.scale, adapter.about) == (2.0, {"recipe": "lite"})
    assert all(tensor.dtype == torch.bfloat16 for tensor in load_file(tmp_path / "one.safetensors").values())
    copy = LlamaForCausalLM(network.config)
    copy.load_state_dict(network.state_dict())
    add_adapter(copy, adapter)
    before, after = dict(network.named_parameters()), dict(copy.named_parameters())
    for layer in layers:
        down, up = (tensors[f"base_model.model.{layer}.lora_{side}.weight"].bfloat16().float() for side in "AB")
        torch.testing.assert_close(after[f"{layer}.weight"], before[f"{layer}.weight"] + 2 * up @ down)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"{layer}.weight" for layer in layers}


def test_an_adapter_of_another_network_is_refused(network, tmp_path):
    _peft_folder(tmp_path, network)
    pack_adapter(tmp_path, tmp_path / "one.safetensors", {})
    other = LlamaForCausalLM(LlamaConfig(vocab_size=128, hidden_size=16, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2))
    with pytest.raises(ModelError, match="another network"):
        add_adapter(other, read_adapter(tmp_path / "one.safetensors"))


def test_what_is_no_adapter_is_refused(tmp_path):
    with pytest.raises(WeightsMissing):
        read_adapter(tmp_path / "none.safetensors")
    save_file({"x": torch.from_numpy(np.ones(2, np.float32))}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="no adapter"):
        read_adapter(tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="no adapter"):
        pack_adapter(tmp_path, tmp_path / "y.safetensors", {})
