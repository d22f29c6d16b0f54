"""The network that is trained: where a stage of LoRA begins when the recipe starts from what the shipped reader learned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_learners import make_llama, text_recipe

from videoseg_r1.errors import ModelError
from videoseg_r1.lite.learned import low_rank, pack_adapter
from videoseg_r1.training import network
from videoseg_r1.training.network import load_learner

RANK, ALPHA = 4, 8
CHANGES = (f"model.rank={RANK}", f"model.alpha={ALPHA}", "grpo.method=lora")


@pytest.fixture
def taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What LoRA learned, packed as it ships, which is what the source "taught" ends in; beside it, in `adapter`, as peft writes it."""
    llama = make_llama(tmp_path / "llama")
    learner = load_learner(text_recipe(llama, *CHANGES), stage="grpo")
    torch.manual_seed(0)
    for name, weight in learner.network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    learner.network.save_pretrained(tmp_path / "adapter")
    path = tmp_path / "examples.safetensors"
    pack_adapter(tmp_path / "adapter" / "adapter_model.safetensors", ALPHA / RANK, path, {})
    monkeypatch.setattr(network, "LEARNED", {"taught": ("examples.safetensors",)})
    monkeypatch.setattr(network, "learned_files", lambda _: [path])
    monkeypatch.setattr(network, "source_folder", lambda _: llama)
    return path


def _logits(learner: network.Learner) -> torch.Tensor:
    with torch.no_grad():
        return learner.network.float().eval()(input_ids=torch.arange(5, 30)[None]).logits


def test_a_shipped_adapter_of_the_rank_is_gone_on_with(taught: Path) -> None:
    learner = load_learner(text_recipe(Path("taught"), *CHANGES), stage="grpo")
    wanted = load_file(taught.parent / "adapter" / "adapter_model.safetensors")
    found = {name.replace(".default", ""): weight for name, weight in learner.network.named_parameters() if "lora_" in name}

    assert found.keys() == wanted.keys()
    for name, weight in found.items():
        torch.testing.assert_close(weight.float(), wanted[name].float(), rtol=0.01, atol=1e-3)
        assert weight.requires_grad
    torch.testing.assert_close(_logits(learner), _logits(load_learner(text_recipe(Path("taught"), *CHANGES))), rtol=0.05, atol=0.05)


def test_one_of_another_rank_becomes_part_of_the_weights(taught: Path) -> None:
    learner = load_learner(text_recipe(Path("taught"), *CHANGES, "model.rank=2"), stage="grpo")
    ups = [weight for name, weight in learner.network.named_parameters() if "lora_B" in name]

    assert not any(weight.any() for weight in ups)
    torch.testing.assert_close(_logits(learner), _logits(load_learner(text_recipe(Path("taught"), *CHANGES))), rtol=0.05, atol=0.05)


def test_what_is_no_adapter_is_told_from_one(taught: Path, tmp_path: Path) -> None:
    assert low_rank(tmp_path / "llama" / "llama" / "model.safetensors") == {}
    assert {min(tensor.shape) for tensor in low_rank(taught).values()} == {RANK}
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"none")
    with pytest.raises(ModelError, match="cannot be read"):
        low_rank(broken)
