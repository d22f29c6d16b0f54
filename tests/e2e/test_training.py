"""Training from the command line to weights on disk: the smoke recipe, both kinds of model, killed and resumed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import LlamaForCausalLM

from helpers.tiny_learners import picture_recipe, text_recipe
from videoseg_r1.lite.reader.weights_delta import apply_delta
from videoseg_r1.training.checkpoints import latest
from videoseg_r1.training.curves import read_curve
from videoseg_r1.training.network import load_learner
from videoseg_r1.training.run import train

TEN_STEPS = (
    "grpo.steps=10",
    "grpo.save_steps=10",
    "grpo.num_generations=2",
    "grpo.micro_batch=2",
    "grpo.max_tokens=8",
    'run.stages=["grpo"]',
)


def _command(out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "videoseg_r1", "train", "smoke", "-o", str(out), "--json", *options]


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    with safe_open(next(folder.glob("*.safetensors")), "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it has no iterator


def test_the_smoke_recipe_runs_both_stages(llama: Path, tmp_path: Path) -> None:
    options = ("--set", f"model.source={llama}", "--exam", "2")
    ran = subprocess.run(_command(tmp_path / "out", *options), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["final"] == str(tmp_path / "out" / "grpo" / "final")
    assert document["last"]["sft"]["step"] == document["last"]["grpo"]["step"] == 2
    for stage in ("sft", "grpo"):
        assert (tmp_path / "out" / stage / "final" / "model.safetensors").is_file()
        assert len(read_curve(tmp_path / "out" / stage / "curve.csv")) == 2
    assert "reward/accuracy" in document["last"]["grpo"]
    assert document["exam"] == json.loads((tmp_path / "out" / "exam.json").read_text(encoding="utf-8"))
    assert {split: found["num"] for split, found in document["exam"]["grpo"].items()} == {"val": 2, "ood": 2, "shuffled": 2}
    assert not list((tmp_path / "out").rglob("training_args.bin"))
    before, after = (_tensors(tmp_path / "out" / stage / "final") for stage in ("sft", "grpo"))
    assert before.keys() == after.keys()


@pytest.mark.parametrize(
    ("sft", "grpo", "files"),
    [
        ("full", "full", ["reader"]),
        ("full", "lora", ["reader", "reader-rewards"]),
        ("lora", "lora", ["reader-examples", "reader-rewards"]),
    ],
)
def test_a_run_is_reproduced_examined_and_released_with_its_card(
    llama: Path, tmp_path: Path, sft: str, grpo: str, files: list[str]
) -> None:
    out = tmp_path / "out"
    options = ("--reproduce", "--exam", "2", "--set", f"model.source={llama}", "--set", f"sft.method={sft}", "--set", f"grpo.method={grpo}")
    documents = []
    for _ in range(2 if len(files) == 2 else 1):  # the second time nothing is left to train, whatever the method
        ran = subprocess.run(_command(out, *options), capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        documents.append(json.loads(ran.stdout))

    assert documents == documents[:1] * len(documents)
    assert documents[0]["release"] == [*(str(out / f"{name}.safetensors") for name in files), str(out / "reader.md")]
    network = LlamaForCausalLM.from_pretrained(llama)
    before = {name: value.clone() for name, value in network.named_parameters()}
    added = [name for name in files if name != "reader-examples"]  # rewards went on with what examples had taught
    assert " ".join(apply_delta(network, out / f"{name}.safetensors")["stages"] for name in added) == "sft grpo"
    trained = dict(load_learner(text_recipe(llama), [out / "sft" / "final", out / "grpo" / "final"]).network.named_parameters())
    for name, value in network.named_parameters():
        torch.testing.assert_close(value, trained[name], atol=1e-3, rtol=1e-2)
    moved = {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}
    assert any("proj" in name for name in moved)
    assert not any("embed" in name for name in moved)
    told = (out / "reader.md").read_text(encoding="utf-8")
    found = documents[0]["exam"]["grpo"]["ood"]
    assert f"| 2 | {found['success']:.3f} | {found['over_half']:.3f} | {found['reward']:.3f} | {found['num_think_tokens']:.1f} |" in told
    assert "Stage grpo: 2 steps, batch_size" in told


def test_a_killed_run_goes_on_with_the_same_curve(llama: Path, tmp_path: Path) -> None:
    changes = ["sft.steps=6", "sft.samples=12", "grpo.steps=6"]
    recipe = text_recipe(llama, *changes)
    train(recipe, tmp_path / "straight")
    options = [part for change in (f"model.source={llama}", *changes) for part in ("--set", change)]
    for stage, step in (("sft", 3), ("grpo", 2)):
        process = subprocess.Popen(
            _command(tmp_path / "killed", "--resume", *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not (tmp_path / "killed" / stage / f"checkpoint-{step}").is_dir():
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "killed" / stage / "final").exists()
    train(recipe, tmp_path / "killed", resume=True)

    for stage in ("sft", "grpo"):
        wanted, found = (read_curve(tmp_path / run / stage / "curve.csv") for run in ("straight", "killed"))
        assert [row["step"] for row in found] == [str(step) for step in range(1, 7)]
        columns = ["loss", "grad_norm"] if stage == "sft" else ["loss", "grad_norm", "completions/mean_length", "reward"]
        columns += ["kl"] if "kl" in wanted[0] else []
        for column in columns:
            assert [float(row[column]) for row in found] == pytest.approx([float(row[column]) for row in wanted], abs=1e-6, rel=1e-4)
        last, straight_last = _tensors(tmp_path / "killed" / stage / "final"), _tensors(tmp_path / "straight" / stage / "final")
        assert last
        torch.testing.assert_close(last, straight_last)


def test_a_run_may_be_gone_on_with_longer_and_saved_at_other_steps(llama: Path, tmp_path: Path) -> None:
    only_sft = 'run.stages=["sft"]'
    recipe = text_recipe(llama, only_sft, "sft.samples=12", "sft.steps=2", "sft.save_steps=2", "run.keep=9")
    train(recipe, tmp_path)
    shutil.rmtree(tmp_path / "sft" / "final")
    train(text_recipe(llama, only_sft, "sft.samples=12", "sft.steps=7", "sft.save_steps=3", "run.keep=9"), tmp_path, resume=True)

    saved = {path.name for path in (tmp_path / "sft").glob("checkpoint-*")}
    assert saved == {"checkpoint-2", "checkpoint-3", "checkpoint-6", "checkpoint-7"}
    assert [row["step"] for row in read_curve(tmp_path / "sft" / "curve.csv")] == [str(step) for step in range(1, 8)]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_grpo_trains_a_vision_language_model_on_pictures(vlm: Path, clips: Path, tmp_path: Path, method: str) -> None:
    recipe = picture_recipe(vlm, clips, f"grpo.method={method}", "model.attention=sdpa", "grpo.learning_rate=1e-3", *TEN_STEPS)
    before = {name: weight for name, weight in load_learner(recipe).network.state_dict().items() if "visual" in name}
    final = train(recipe, tmp_path / "out")
    curve = read_curve(tmp_path / "out" / "grpo" / "curve.csv")
    after = load_learner(recipe, [final]).network.state_dict()

    assert [int(row["step"]) for row in curve] == list(range(1, 11))
    assert all(float(row["kl"]) >= -1e-6 for row in curve)
    assert len(list(final.glob("*.safetensors"))) == 1
    assert (final / "adapter_config.json").is_file() == (method == "lora")
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())


def test_sft_lowers_the_loss_on_pictures(vlm: Path, clips: Path, tmp_path: Path) -> None:
    recipe = picture_recipe(
        vlm, clips, "model.attention=sdpa", 'run.stages=["sft"]', "sft.steps=6", "sft.save_steps=6", "sft.learning_rate=3e-3"
    )
    train(recipe, tmp_path / "out")
    losses = [float(row["loss"]) for row in read_curve(tmp_path / "out" / "sft" / "curve.csv")]

    assert losses[-1] < 0.8 * losses[0]


def test_an_adapter_goes_on_from_one_stage_to_the_next(llama: Path, tmp_path: Path) -> None:
    final = train(
        text_recipe(llama, "sft.method=lora", "grpo.method=lora", "sft.learning_rate=1e-2", "grpo.learning_rate=0.0000001"),
        tmp_path / "out",
    )
    taught, rewarded = _tensors(tmp_path / "out" / "sft" / "final"), _tensors(final)

    assert taught.keys() == rewarded.keys()
    for name, tensor in taught.items():
        torch.testing.assert_close(rewarded[name], tensor, atol=1e-5, rtol=1e-4)
    assert any("lora_B" in name and float(tensor.abs().max()) > 0 for name, tensor in taught.items())


def test_examples_may_be_gone_through_once_more_before_the_rewards(llama: Path, tmp_path: Path) -> None:
    settings = asdict(text_recipe(llama).sft) | {"method": "lora", "samples": 6, "steps": 1}
    stages = ("sft", "refine", "grpo")
    changes = [f"run.stages={json.dumps(stages)}", "grpo.method=lora", *(f"refine.{key}={json.dumps(settings[key])}" for key in settings)]
    recipe = text_recipe(llama, *changes)
    train(recipe, tmp_path / "out")

    adapters = [(tmp_path / "out" / stage / "final" / "adapter_config.json").is_file() for stage in stages]
    assert adapters == [False, True, True]
    assert [recipe.num_before(stage) for stage in stages] == [0, recipe.sft.samples, recipe.sft.samples + 6]


def test_trackio_keeps_its_curves_in_the_folder_of_the_run(llama: Path, tmp_path: Path) -> None:
    options = ["--set", f"model.source={llama}", "--set", 'run.stages=["sft"]', "--set", "run.tracker=trackio"]
    ran = subprocess.run(_command(tmp_path / "out", *options), capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    assert latest(tmp_path / "out" / "sft") == tmp_path / "out" / "sft" / "checkpoint-2"
    assert list((tmp_path / "out" / "trackio").glob("*.db"))


def test_a_dry_run_tells_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    ran = subprocess.run(_command(tmp_path / "out", "--dry-run"), capture_output=True, text=True, check=True)

    assert json.loads(ran.stdout)["grpo"] == "2 steps of 1, full"
    assert not (tmp_path / "out").exists()


def test_launch_writes_files_and_starts_nothing(tmp_path: Path) -> None:
    base = [sys.executable, "-m", "videoseg_r1", "train", "paper-7b", "-o", str(tmp_path), "--json", "--launch", "8", "--nodes", "2"]
    refused = subprocess.run(base, capture_output=True, text=True, check=False)
    ran = subprocess.run([*base, "--dry-run", "--set", "grpo.micro_batch=1"], capture_output=True, text=True, check=True)

    assert refused.returncode == 2
    assert [Path(name).name for name in json.loads(ran.stdout)["files"]] == ["deepspeed.json", "node0.yaml", "node1.yaml"]
