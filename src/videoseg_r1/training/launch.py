"""What several devices need to run a recipe: configurations of accelerate and DeepSpeed, settings of vLLM, the command of each node.

The files are checked by the libraries' own parsers in the tests. Not verified here: a run on GPUs, DeepSpeed and vLLM themselves,
which are not installed on the machine this was written on; docs/training.md says so beside each command.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videoseg_r1.documents import to_json
from videoseg_r1.errors import InvalidConfig
from videoseg_r1.files import write_whole
from videoseg_r1.training.recipe import WORLD, Recipe

_PORT = 29500
_VLLM_PORT = 8000
_FOLDER = "launch"


@dataclass(frozen=True, slots=True)
class Launch:
    """Files that were written, the commands in the order in which they are given, and what to know about them."""

    files: tuple[Path, ...]
    commands: tuple[str, ...]
    notes: tuple[str, ...]


def write_launch(recipe: Recipe, source: str, out: Path, *, num_gpus: int, num_nodes: int, changes: Sequence[str] = ()) -> Launch:
    """Write the configurations for a recipe into `out`/launch; nothing is started.

    Args:
        source, changes: of the recipe, as every node is to read it.
        num_gpus: per node.
        num_nodes: that train; a vLLM server comes on top.
    Raises: InvalidConfig: a batch or vLLM's groups cannot be divided over the devices. OutputError: the folder cannot be written.
    """
    _check(recipe, num_gpus, num_nodes)
    folder = out / _FOLDER
    files = {f"node{rank}.yaml": to_json(accelerate_config(recipe, folder, num_gpus, num_nodes, rank)) for rank in range(num_nodes)}
    if recipe.scale.zero:
        files["deepspeed.json"] = to_json(deepspeed_config(recipe.scale.zero))
    paths = [folder / name for name in sorted(files)]
    for path in paths:
        write_whole(path, files[path.name], "the configuration cannot be written")
    return Launch(tuple(paths), tuple(_commands(recipe, source, out, num_nodes, changes)), tuple(_notes(recipe, num_gpus, num_nodes)))


def accelerate_config(recipe: Recipe, folder: Path, num_gpus: int, num_nodes: int, rank: int) -> Mapping[str, object]:
    """Return the configuration of one node for `accelerate launch --config_file`; JSON is YAML as well."""
    config: dict[str, object] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "DEEPSPEED" if recipe.scale.zero else ("MULTI_GPU" if num_gpus * num_nodes > 1 else "NO"),
        "num_machines": num_nodes,
        "num_processes": num_gpus * num_nodes,
        "machine_rank": rank,
        "main_training_function": "main",
        "rdzv_backend": "static",
        "same_network": True,
        "use_cpu": False,
        "debug": False,
    }
    if recipe.scale.zero:
        # with a file of its own, DeepSpeed says the precision; accelerate refuses it here as well
        return config | {
            "deepspeed_config": {
                "deepspeed_config_file": str(folder / "deepspeed.json"),
                "deepspeed_multinode_launcher": "standard",
                "zero3_init_flag": False,
            }
        }
    return config | {"mixed_precision": "bf16" if recipe.run.precision == "bf16" else "no"}


def deepspeed_config(zero: int) -> Mapping[str, object]:
    """Return DeepSpeed's configuration; "auto" is filled in by transformers from the recipe's values."""
    sharding: dict[str, object] = {
        "stage": zero,
        "overlap_comm": True,
        "contiguous_gradients": True,
        "reduce_bucket_size": "auto",
    }
    if zero == 3:
        sharding |= {
            "stage3_prefetch_bucket_size": "auto",
            "stage3_param_persistence_threshold": "auto",
            "stage3_gather_16bit_weights_on_model_save": True,
        }
    return {
        "bf16": {"enabled": "auto"},
        "zero_optimization": sharding,
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
    }


def _check(recipe: Recipe, num_gpus: int, num_nodes: int) -> None:
    num_devices = num_gpus * num_nodes
    if recipe.data.source == WORLD and num_devices > 1:
        raise InvalidConfig("a model that reads text is trained on one device", where="data.source = world")
    for name in recipe.run.stages:
        stage = recipe.stage(name)
        total = stage.batch_size * (recipe.grpo.num_generations if name == "grpo" else 1)
        if total % (stage.micro_batch * num_devices):
            why = f"an update takes {total}, {num_devices} devices compute {stage.micro_batch * num_devices} at once"
            raise InvalidConfig(
                "a batch cannot be divided", where=f"{name}.micro_batch", why=why, fix="--set another micro_batch or batch_size"
            )
    if recipe.scale.vllm == "colocate" and num_gpus % recipe.scale.vllm_parallel:
        why = f"{recipe.scale.vllm_parallel} does not divide {num_gpus} GPUs; a copy of the model must not span nodes"
        raise InvalidConfig("vLLM cannot be divided", where="scale.vllm_parallel", why=why)


def _commands(recipe: Recipe, source: str, out: Path, num_nodes: int, changes: Sequence[str]) -> list[str]:
    commands: list[str] = []
    if recipe.scale.vllm == "server" and "grpo" in recipe.run.stages:
        commands.append(_server_command(recipe))
    sets = [part for change in changes for part in ("--set", change)]
    train = shlex.join(["videoseg_r1", "train", source, "-o", str(out), "--resume", *sets])
    host = "" if num_nodes == 1 else f" --main_process_ip $HEAD --main_process_port {_PORT}"
    vllm = "VLLM_HOST=$VLLM_HOST " if recipe.scale.vllm == "server" else ""
    for rank in range(num_nodes):
        config = shlex.quote(str(out / _FOLDER / f"node{rank}.yaml"))
        commands.append(f"{vllm}accelerate launch --config_file {config}{host} -m {train}")
    return commands


def _server_command(recipe: Recipe) -> str:
    """Return the command of the vLLM server, on a machine of its own, with the flags that TRL's client asks for."""
    options = {
        "--tensor-parallel-size": recipe.scale.vllm_parallel,
        "--gpu-memory-utilization": recipe.scale.vllm_memory,
        "--max-model-len": recipe.scale.max_model_tokens,
        "--logprobs-mode": "processed_logprobs",
        "--max-logprobs": -1,
        "--port": _VLLM_PORT,
        "--weight-transfer-config": json.dumps({"backend": "nccl"}),
    }
    flags = " ".join(f"{name} {shlex.quote(str(value))}" for name, value in options.items())
    return f"VLLM_SERVER_DEV_MODE=1 vllm serve $MODEL {flags}"


def _notes(recipe: Recipe, num_gpus: int, num_nodes: int) -> list[str]:
    needed = ["deepspeed>=0.18.6"] * bool(recipe.scale.zero) + ["vllm>=0.22,<=0.31"] * (recipe.scale.vllm != "none")
    notes = [f"not run on GPUs by the authors; {num_nodes} x {num_gpus} devices need {', '.join(needed) or 'nothing further'} installed"]
    if num_nodes > 1:
        notes.append("one command per node, in this order; $HEAD is the address of the first; all nodes see the same folder")
    if recipe.scale.vllm == "server":
        notes.append("the server runs on GPUs of its own; $MODEL is the folder of the weights, $VLLM_HOST its address")
    return notes


def vllm_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of `GRPOConfig` that concern vLLM."""
    scale = recipe.scale
    if scale.vllm == "none":
        return {"use_vllm": False}
    return {
        "use_vllm": True,
        "vllm_mode": scale.vllm,
        "vllm_gpu_memory_utilization": scale.vllm_memory,
        "vllm_tensor_parallel_size": scale.vllm_parallel,
        "vllm_max_model_length": scale.max_model_tokens,
    }
