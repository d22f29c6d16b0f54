"""Shared computation gives what separate computation gives: completions that are drawn, and their probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from trl import GRPOTrainer

from helpers.tiny_learners import draw_clips, picture_recipe, text_recipe
from videoseg_r1.training import network
from videoseg_r1.training.examples import examples_of, rows, scene_questions, scene_rows
from videoseg_r1.training.network import LANGUAGE_LAYERS, load_learner
from videoseg_r1.training.shared_prefix.branches import token_scores
from videoseg_r1.training.shared_prefix.rollouts import compact, draw
from videoseg_r1.training.shared_prefix.sft import PackScenes
from videoseg_r1.training.trainers import grpo_stage, sft_stage

GREEDY = 1e-6
"""A temperature at which the likeliest token is drawn."""


def _padded(prompts: list[list[int]]) -> dict[str, torch.Tensor]:
    longest = max(map(len, prompts))
    ids = [[0] * (longest - len(prompt)) + prompt for prompt in prompts]
    masks = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(masks)}


def test_prompts_drawn_together_get_the_completions_of_generate(llama: Path) -> None:
    network = load_learner(text_recipe(llama)).network.eval()
    prompts = [[5, 6, 7, 8, 9, 10], [200, 201], [300, 301, 302]]
    drawn = draw(network, _padded(prompts), [2, 1, 3], max_tokens=20, ends=(), temperature=GREEDY)
    alone = [
        network.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False, eos_token_id=-1)[0, len(prompt) :].tolist()
        for prompt in prompts
    ]

    assert drawn == [alone[0]] * 2 + [alone[1]] + [alone[2]] * 3


def test_a_completion_ends_with_its_end_and_the_others_go_on(llama: Path) -> None:
    network = load_learner(text_recipe(llama)).network.eval()
    whole = draw(network, _padded([[5, 6, 7], [200, 201]]), [1, 1], max_tokens=12, ends=(), temperature=GREEDY)
    end = next(token for token in whole[0][2:] if token not in whole[1])
    cut = draw(network, _padded([[5, 6, 7], [200, 201]]), [1, 1], max_tokens=12, ends=(end,), temperature=GREEDY)

    assert cut == [whole[0][: whole[0].index(end) + 1], whole[1]]


def test_draws_follow_the_probabilities(llama: Path) -> None:
    network = load_learner(text_recipe(llama)).network.eval()
    torch.manual_seed(0)
    inputs = _padded([[5, 6, 7]])
    firsts = [one[0] for one in draw(network, inputs, [4000], max_tokens=1, ends=(), temperature=0.5)]
    with torch.no_grad():
        wanted = (network(**inputs).logits[0, -1] / 0.5).softmax(-1)
    seen = torch.bincount(torch.tensor(firsts), minlength=len(wanted)) / len(firsts)

    assert float((seen - wanted).abs().max()) < 0.03


def test_a_small_top_p_leaves_the_likeliest(llama: Path) -> None:
    network = load_learner(text_recipe(llama)).network.eval()
    inputs = _padded([[5, 6, 7]])
    greedy = draw(network, inputs, [1], max_tokens=8, ends=(), temperature=GREEDY)

    assert draw(network, inputs, [3], max_tokens=8, ends=(), top_p=1e-9) == greedy * 3


def _encoded(processor: Any, found: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    pictures = iter(found["images"])
    turns = [
        {**turn, "content": [{"type": "image", "image": next(pictures)} if part["type"] == "image" else part for part in turn["content"]]}
        for turn in found["prompt"]
    ]
    return dict(processor.apply_chat_template([turns], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"))


def test_pictures_are_seen_by_every_completion(vlm: Path, tmp_path: Path) -> None:
    recipe = picture_recipe(vlm, draw_clips(tmp_path / "clips"), "model.attention=sdpa")
    learner = load_learner(recipe)
    network = learner.network.eval()
    inputs = _encoded(learner.processor, rows(examples_of(recipe, learner.family, 1), thinking=True, supervised=False)[0])
    drawn = draw(network, inputs, [2], max_tokens=6, ends=(), temperature=GREEDY)
    alone = network.generate(**inputs, max_new_tokens=6, do_sample=False, eos_token_id=-1)[0, inputs["input_ids"].shape[1] :].tolist()
    dark = draw(network, inputs | {"pixel_values": -inputs["pixel_values"]}, [1], max_tokens=6, ends=(), temperature=GREEDY)

    assert drawn == [alone] * 2
    assert dark[0] != alone


def test_completions_of_one_prompt_have_the_probabilities_and_gradients_of_separate_ones(llama: Path, tmp_path: Path) -> None:
    recipe = text_recipe(llama, "model.attention=sdpa", "grpo.temperature=0.7")
    stage = grpo_stage(recipe, load_learner(recipe), tmp_path)
    torch.manual_seed(0)
    ids = torch.randint(5, 400, (4, 15))
    ids[1, :9], ids[3, :9] = ids[0, :9], ids[2, :9]
    mask = torch.ones_like(ids)
    mask[2:, :3] = 0  # a shorter prompt
    mask[0, -2:] = 0  # a shorter completion
    mask[3, -6:] = 0  # one that was left out because it was cut off
    found = []
    for compute in (
        stage._get_per_token_logps_and_entropies,
        lambda *a, **k: GRPOTrainer._get_per_token_logps_and_entropies(stage, *a, **k),
    ):
        stage.model.zero_grad()
        logs, entropy, _ = compute(stage.model, ids, mask, 6, compute_entropy=True)
        (logs * mask[:, -6:]).sum().backward()
        gradients = torch.cat([weight.grad.flatten() for weight in stage.model.parameters() if weight.requires_grad])
        found.append((logs.detach() * mask[:, -6:], entropy.detach() * mask[:, -6:], gradients))

    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert float(found[0][0].abs().max()) > 1


def test_of_most_replies_the_thinking_alone_is_taught_and_every_token_counts_the_same(llama: Path, tmp_path: Path) -> None:
    recipe = text_recipe(llama)
    learner = load_learner(recipe)
    scene = PackScenes(learner.tokenizer)([scene_rows(1, thinking=True)[0]])["scenes"][0]
    replies = [one.reply for one in scene_questions(0)]
    whole = [place < 2 or reply.count("bbox_2d") > 1 for place, reply in enumerate(replies)]
    taught = [learner.tokenizer.decode(tokens) for tokens in scene.answers.split(list(scene.lengths))]

    assert any(whole)
    assert not all(whole)
    assert [text.count("</answer>") for text in taught] == [int(one) for one in whole]
    assert [text.count("<answer>") for text in taught] == [int(one) for one in whole]
    assert all("So " in text for text, reply in zip(taught, replies, strict=True) if "</think>" in reply)
    trainer = sft_stage(recipe, learner, tmp_path)
    logs = torch.cat([one.log_probabilities for one in token_scores(learner.network, scene)])
    torch.testing.assert_close(trainer.compute_loss(learner.network, {"scenes": [scene]}), -logs.mean(), atol=1e-5, rtol=1e-4)


def test_the_pattern_of_lora_finds_the_layers_of_llama(llama: Path) -> None:
    small = load_learner(text_recipe(llama, "sft.method=lora"), stage="sft").network
    targets = {name.split(".lora_")[0].rpartition(".")[2] for name, _ in small.named_parameters() if "lora_" in name}

    assert targets == {f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")}
    assert LANGUAGE_LAYERS.startswith("(?:base_model")


@pytest.mark.parametrize("has_it", [True, False])
def test_bfloat16_is_used_where_it_is_asked_for_and_there(llama: Path, monkeypatch: pytest.MonkeyPatch, *, has_it: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(network, "cpu_has_bfloat16", lambda: has_it)
    assert network.is_bfloat16(text_recipe(llama, "run.precision=bf16")) is has_it
    assert not network.is_bfloat16(text_recipe(llama, "run.precision=fp32"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_compact_copy_computes_by_itself_and_about_the_same(llama: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    recipe = text_recipe(llama)
    network = grpo_stage(recipe, load_learner(recipe), tmp_path).model.eval()
    inputs = _padded([[5, 6, 7, 8]])
    with torch.no_grad():
        before = network(**inputs).logits
        twin = compact(network, dtype)
        for weight in network.parameters():
            weight.zero_()
        after = twin(**inputs).logits

    assert after.dtype == dtype
    torch.testing.assert_close(after.float(), before, atol=0.15, rtol=0.05)


def test_a_small_change_is_not_lost_in_the_rounding_of_the_compact_copy(llama: Path) -> None:
    network = load_learner(text_recipe(llama, "grpo.method=lora"), stage="grpo").network.to(torch.bfloat16)
    small, before = 2e-5, {}
    with torch.no_grad():
        for name, module in network.named_modules():
            if hasattr(module, "lora_A"):
                module.lora_A["default"].weight.fill_(1 / (module.scaling["default"] * module.r["default"]))
                module.lora_B["default"].weight.fill_(small)
                before[name.removeprefix("base_model.model.") + ".weight"] = module.base_layer.weight.float()
    after = dict(compact(network, torch.bfloat16).named_parameters())
    moved = torch.cat([(after[name].float() - old).flatten() for name, old in before.items()])

    assert float((moved == 0).float().mean()) > 0.5  # it is less than a step of bfloat16
    assert float(moved.mean()) == pytest.approx(small, rel=0.3)
    assert after["model.embed_tokens.weight"].equal(network.get_input_embeddings().weight)
