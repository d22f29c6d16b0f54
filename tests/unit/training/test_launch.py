"""Launch configurations, read by the libraries they are for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils.deepspeed import HfDeepSpeedConfig
from transformers.integrations.deepspeed import HfTrainerDeepSpeedConfig

from videoseg_r1.errors import InvalidConfig, OutputError
from videoseg_r1.training import network
from videoseg_r1.training.launch import write_launch
from videoseg_r1.training.recipe import load_recipe
from videoseg_r1.training.trainers import grpo_arguments


@pytest.mark.parametrize(("recipe", "zero"), [("paper-7b", 3), ("paper-3b", 2)])
def test_accelerate_reads_the_configuration_of_every_node(tmp_path: Path, recipe: str, zero: int) -> None:
    written = write_launch(load_recipe(recipe, ["grpo.micro_batch=2"]), recipe, tmp_path, num_gpus=8, num_nodes=2)
    for rank in range(2):
        config = load_config_from_file(str(tmp_path / "launch" / f"node{rank}.yaml"))

        assert (config.num_processes, config.num_machines, config.machine_rank) == (16, 2, rank)
        assert config.deepspeed_config["deepspeed_config_file"] == str(tmp_path / "launch" / "deepspeed.json")
    assert json.loads((tmp_path / "launch" / "deepspeed.json").read_text())["zero_optimization"]["stage"] == zero
    assert len(written.commands) == 2
    assert all("--main_process_ip $HEAD" in command for command in written.commands)


class _Parsed(HfTrainerDeepSpeedConfig, HfDeepSpeedConfig):
    """The parser as it is when deepspeed is installed; its own constructor asks for deepspeed."""

    def __init__(self, path: str) -> None:
        HfDeepSpeedConfig.__init__(self, path)
        self._dtype, self.mismatches = None, []


@pytest.mark.parametrize("zero", [2, 3])
def test_transformers_fills_in_the_configuration_of_deepspeed(tmp_path: Path, zero: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "cpu_has_bfloat16", lambda: True)  # as it is on the machines that this is for
    recipe = load_recipe("paper-7b", [f"scale.zero={zero}"])
    write_launch(recipe, "paper-7b", tmp_path, num_gpus=8, num_nodes=1)
    parsed = _Parsed(str(tmp_path / "launch" / "deepspeed.json"))
    args = grpo_arguments(load_recipe("paper-7b", ["scale.vllm=none", "grpo.micro_batch=2", "run.precision=bf16"]), tmp_path)
    parsed.trainer_config_process(args)

    assert parsed.mismatches == []
    assert parsed.get_value("train_micro_batch_size_per_gpu") == 2
    assert parsed.get_value("bf16.enabled") is True
    assert parsed.get_value("gradient_clipping") == 1.0


def test_one_node_without_deepspeed_needs_neither_its_file_nor_an_address(tmp_path: Path) -> None:
    written = write_launch(load_recipe("paper-7b", ["scale.zero=0"]), "paper-7b", tmp_path, num_gpus=8, num_nodes=1)
    config = load_config_from_file(str(tmp_path / "launch" / "node0.yaml"))

    assert (config.distributed_type.value, config.mixed_precision) == ("MULTI_GPU", "bf16")
    assert [path.name for path in written.files] == ["node0.yaml"]
    assert "HEAD" not in written.commands[0]


@pytest.mark.parametrize("mode", ["colocate", "server"])
def test_trl_takes_the_settings_of_vllm(tmp_path: Path, mode: str) -> None:
    args = grpo_arguments(load_recipe("paper-7b", [f"scale.vllm={mode}"]), tmp_path)

    assert (args.use_vllm, args.vllm_mode, args.vllm_max_model_length) == (True, mode, 8192)
    assert args.num_generations == 8
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == 128


def test_a_server_of_vllm_comes_first_and_every_node_gets_its_address(tmp_path: Path) -> None:
    recipe = load_recipe("paper-7b", ["scale.vllm=server"])
    commands = write_launch(recipe, "paper-7b", tmp_path, num_gpus=8, num_nodes=1, changes=["scale.vllm=server"]).commands

    assert commands[0].startswith("VLLM_SERVER_DEV_MODE=1 vllm serve")
    assert commands[1].startswith("VLLM_HOST=$VLLM_HOST accelerate launch")
    assert "--set scale.vllm=server" in commands[1]


def test_what_was_not_run_is_said_with_the_commands(tmp_path: Path) -> None:
    notes = write_launch(load_recipe("paper-7b"), "paper-7b", tmp_path, num_gpus=8, num_nodes=1).notes

    assert "not run on GPUs" in notes[0]


@pytest.mark.parametrize(("change", "num_gpus"), [("grpo.micro_batch=3", 8), ("scale.vllm_parallel=3", 8), ("grpo.micro_batch=2", 128)])
def test_a_batch_that_cannot_be_divided_is_refused(tmp_path: Path, change: str, num_gpus: int) -> None:
    with pytest.raises(InvalidConfig, match="cannot be divided"):
        write_launch(load_recipe("paper-7b", [change]), "paper-7b", tmp_path, num_gpus=num_gpus, num_nodes=1)


def test_a_model_that_reads_text_is_for_one_device(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="one device"):
        write_launch(load_recipe("lite"), "lite", tmp_path, num_gpus=2, num_nodes=1)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "launch").write_text("")
    with pytest.raises(OutputError, match="launch"):
        write_launch(load_recipe("paper-7b"), "paper-7b", tmp_path, num_gpus=8, num_nodes=1)
