"""Training when things go wrong: gradients that are no numbers, a disk that fills, a kill in a checkpoint, the wrong folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.tiny_learners import text_recipe
from videoseg_r1.errors import InvalidConfig, ModelError, OutputError, OutputExists, WeightsMissing
from videoseg_r1.training.checkpoints import latest
from videoseg_r1.training.curves import Curve, read_curve
from videoseg_r1.training.network import load_learner
from videoseg_r1.training.recipe import Recipe
from videoseg_r1.training.run import train
from videoseg_r1.training.shared_prefix.sft import SceneTrainer
from videoseg_r1.training.trainers import sft_stage


def _recipe(llama: Path, *changes: str) -> Recipe:
    return text_recipe(llama, 'run.stages=["sft"]', "sft.steps=4", *changes)


def _poison(monkeypatch: pytest.MonkeyPatch, bad_steps: set[int], value: float) -> None:
    """Make the loss of some steps, counted from 0, no number."""
    computed = SceneTrainer.compute_loss

    def compute_loss(self: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = computed(self, *args, **kwargs)
        return loss * value if self.state.global_step in bad_steps else loss

    monkeypatch.setattr(SceneTrainer, "compute_loss", compute_loss)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_gradient_changes_no_weight_and_is_counted(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    _poison(monkeypatch, {1}, value)
    recipe = _recipe(llama)
    trainer = sft_stage(recipe, load_learner(recipe), tmp_path)
    weights: dict[int, torch.Tensor] = {}
    step = trainer.training_step

    def watched(*args: Any, **kwargs: Any) -> torch.Tensor:
        weights[trainer.state.global_step] = torch.cat([weight.detach().flatten() for weight in trainer.model.parameters()])
        return step(*args, **kwargs)

    monkeypatch.setattr(trainer, "training_step", watched)
    trainer.add_callback(Curve(tmp_path / "curve.csv"))
    trainer.train()
    curve = read_curve(tmp_path / "curve.csv")

    assert torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[2], weights[3])
    assert bool(weights[3].isfinite().all())
    assert [row["skipped_steps"] for row in curve] == ["0", "1", "1", "1"]
    assert [row["loss"] == "nan" for row in curve] == [False, True, False, False]


def test_a_run_that_diverges_ends_and_keeps_its_last_good_checkpoint(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _poison(monkeypatch, {2, 3, 4, 5}, float("nan"))
    with pytest.raises(ModelError, match="diverged"):
        train(_recipe(llama, "sft.steps=8", "run.max_bad_steps=2"), tmp_path / "out")
    kept = latest(tmp_path / "out" / "sft")

    assert kept is not None
    assert not (tmp_path / "out" / "sft" / "final").exists()
    network = load_learner(_recipe(llama), [kept]).network
    assert all(bool(weight.isfinite().all()) for weight in network.parameters())


def test_weights_that_are_no_numbers_are_not_saved(llama: Path, tmp_path: Path) -> None:
    recipe = _recipe(llama)
    trainer = sft_stage(recipe, load_learner(recipe), tmp_path)
    with torch.no_grad():
        next(weight for weight in trainer.model.parameters() if weight.requires_grad)[0] = float("nan")
    with pytest.raises(ModelError, match="not finite"):
        trainer.save_whole(tmp_path / "final")

    assert not (tmp_path / "final").exists()


def test_a_full_disk_in_a_checkpoint_leaves_the_one_before(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = SceneTrainer._save_optimizer_and_scheduler

    def full(self: Any, folder: str) -> None:
        if self.state.global_step == 3:
            raise OSError(28, "No space left on device")
        saved(self, folder)

    monkeypatch.setattr(SceneTrainer, "_save_optimizer_and_scheduler", full)
    with pytest.raises(OutputError, match="No space left"):
        train(_recipe(llama), tmp_path / "out")
    monkeypatch.undo()

    assert latest(tmp_path / "out" / "sft") == tmp_path / "out" / "sft" / "checkpoint-2"
    train(_recipe(llama), tmp_path / "out", resume=True)
    assert [int(row["step"]) for row in read_curve(tmp_path / "out" / "sft" / "curve.csv")] == [1, 2, 3, 4]
    assert [path.name for path in (tmp_path / "out" / "sft").iterdir() if path.name.startswith(".")] == []


def test_what_a_kill_left_of_a_checkpoint_is_none(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-2").mkdir()
    (tmp_path / ".partial-checkpoint-4" / "checkpoint-4").mkdir(parents=True)
    (tmp_path / "checkpoint-x").mkdir()

    assert latest(tmp_path) == tmp_path / "checkpoint-2"
    assert latest(tmp_path / "nowhere") is None


def test_a_run_is_not_overwritten_nor_gone_on_with_by_another_recipe(llama: Path, tmp_path: Path) -> None:
    train(_recipe(llama, "sft.steps=1"), tmp_path / "out")
    with pytest.raises(OutputExists, match="--resume"):
        train(_recipe(llama), tmp_path / "out")
    with pytest.raises(InvalidConfig, match=r"sft\.learning_rate"):
        train(_recipe(llama, "sft.learning_rate=1"), tmp_path / "out", resume=True)


def test_a_folder_that_cannot_be_made_is_told(llama: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        train(_recipe(llama), tmp_path / "file" / "out")


@pytest.mark.parametrize(("change", "error"), [("model.source=nowhere", ModelError), ("model.source=qwen2.5-vl-7b", WeightsMissing)])
def test_weights_that_are_not_there_are_told(llama: Path, models_folder: Path, tmp_path: Path, change: str, error: type) -> None:
    with pytest.raises(error):
        train(_recipe(llama, change), tmp_path / "out")


def test_a_batch_that_cannot_be_divided_is_told(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"sft\.micro_batch"):
        train(_recipe(llama, "sft.micro_batch=3"), tmp_path / "out")
