"""The trainers of the stages: examples (SFT) and rewards (GRPO), on TRL.

Differences from TRL's trainers: checkpoints appear whole, an update with a bad gradient is skipped, and the completions of a group share
the computation of their prompt: when they are drawn (without vLLM), and when they are scored (text, on one device).

Not here: the order of stages and their folders (`run`).
"""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import torch
from transformers import TrainingArguments
from trl.models.utils import unwrap_model_for_generation
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer
from trl.trainer.utils import pad

from videoseg_r1.errors import InvalidConfig
from videoseg_r1.rewards import trl_reward
from videoseg_r1.training.checkpoints import AtomicCheckpoints
from videoseg_r1.training.examples import examples_of, first_scene, rows, scene_rows
from videoseg_r1.training.guards import NanGuard
from videoseg_r1.training.launch import vllm_settings
from videoseg_r1.training.network import Learner, is_bfloat16
from videoseg_r1.training.recipe import Recipe, Sft, StageName
from videoseg_r1.training.shared_prefix.branches import BRANCH_ATTENTION, branch, token_scores
from videoseg_r1.training.shared_prefix.rollouts import compact, draw
from videoseg_r1.training.shared_prefix.sft import PackScenes, SceneTrainer


class SftStage(AtomicCheckpoints, SFTTrainer):
    """TRL's SFT trainer, for pictures."""


class GrpoStage(AtomicCheckpoints, GRPOTrainer):
    """TRL's GRPO trainer."""

    _tokenizer: Any
    eos_token_ids: Any
    max_completion_length: Any

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, num_generations: int, has_tool_images: bool = False
    ) -> tuple[list[list[int]], Any]:
        if self.use_vllm:
            return super()._generate_single_turn(prompt_ids, images, multimodal_fields, num_generations, has_tool_images)
        groups = [list(group) for _, group in groupby(range(len(prompt_ids)), key=lambda row: (prompt_ids[row], images and images[row]))]
        firsts = [group[0] for group in groups]
        prompts = [torch.tensor(prompt_ids[row]) for row in firsts]
        inputs = {
            "input_ids": pad(prompts, padding_value=self._tokenizer.pad_token_id, padding_side="left"),
            "attention_mask": pad([torch.ones_like(prompt) for prompt in prompts], padding_side="left"),
            **_of_rows(multimodal_fields, firsts, [len(images[row] or ()) for row in range(len(prompt_ids))] if images else []),
        }
        with (
            unwrap_model_for_generation(
                self.model_wrapped, self.accelerator, gather_deepspeed3_params=self.args.ds3_gather_for_generation
            ) as network,
            self.accelerator.autocast(),
        ):
            completions = draw(
                compact(network, torch.bfloat16 if self.args.bf16 else torch.float32) if self.accelerator.device.type == "cpu" else network,
                {name: value.to(self.accelerator.device) for name, value in inputs.items()},
                [len(group) for group in groups],
                max_tokens=self.max_completion_length,
                ends=frozenset(self.eos_token_ids),
                temperature=self.temperature,
                top_p=self.top_p,
            )
        return completions, None

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **pictures: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        if compute_aux_loss or self.model.config._attn_implementation != BRANCH_ATTENTION:
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, compute_aux_loss, **pictures
            )
        halves = [torch.split(ids, [len(ids) - logits_to_keep, logits_to_keep]) for ids in input_ids]
        seen = [torch.split(mask.bool(), [len(mask) - logits_to_keep, logits_to_keep]) for mask in attention_mask]
        prompts = [tuple(ids[0][mask[0]].tolist()) for ids, mask in zip(halves, seen, strict=True)]
        completions = [ids[1][mask[1]].tolist() for ids, mask in zip(halves, seen, strict=True)]
        rows_of: dict[tuple[int, ...], list[int]] = {}
        for row, prompt in enumerate(prompts):
            rows_of.setdefault(prompt, []).append(row)
        found: list[Any] = [None] * len(prompts)
        for prompt, group in rows_of.items():
            with self.accelerator.autocast():
                scores = token_scores(
                    model,
                    branch(prompt, [completions[row] for row in group]),
                    self.temperature,
                    train_entropy=self._entropy_bonus_enabled,
                )
            for row, one in zip(group, scores, strict=True):
                padding = (0, logits_to_keep - len(completions[row]))
                found[row] = [torch.nn.functional.pad(values, padding) for values in (one.log_probabilities, one.entropies)]
        log_probabilities, entropies = (torch.stack(column) for column in zip(*found, strict=True))
        return log_probabilities, entropies if compute_entropy else None, None


def sft_stage(recipe: Recipe, learner: Learner, folder: Path, name: StageName = "sft") -> SftStage | SceneTrainer:
    """Return the trainer of a stage of examples; see `grpo_stage`. The loss is that of the replies alone, not of the prompts."""
    stage, thinking, first = recipe.stage(name), recipe.reward.thinking, recipe.num_before(name)
    num_easy = recipe.data.num_easy if name == "sft" else 0
    arguments = _arguments(recipe, stage, folder)
    arguments["gradient_accumulation_steps"] = _parts(name, stage.batch_size, stage.micro_batch * _num_devices())
    common: dict[str, Any] = {
        "model": learner.network,
        "processing_class": learner.processor,
        "callbacks": [NanGuard(recipe.run.max_bad_steps)],
    }
    if learner.family is None:
        return SceneTrainer(
            args=TrainingArguments(**arguments),
            train_dataset=scene_rows(stage.samples, thinking=thinking, num_easy=num_easy, first=first_scene(recipe) + first),
            data_collator=PackScenes(learner.tokenizer),
            **common,
        )
    return SftStage(
        args=SFTConfig(**arguments, max_length=None, completion_only_loss=True),
        train_dataset=rows(examples_of(recipe, learner.family, stage.samples, first), thinking=thinking, supervised=True),
        **common,
    )


def grpo_stage(recipe: Recipe, learner: Learner, folder: Path) -> GrpoStage:
    """Return the trainer of rewards.

    Args:
        folder: where checkpoints and the curve go.
    Raises: InvalidConfig: batches that cannot be divided as the recipe says. What `examples_of` raises.
    """
    examples = examples_of(recipe, learner.family, recipe.grpo.samples, recipe.num_before("grpo"))
    tokenizer = learner.tokenizer
    reward = trl_reward(
        recipe.reward,
        count_tokens=lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]),
        coord_size=examples.coord_size,
    )
    template = learner.family.template_options if learner.family else {}
    return GrpoStage(
        model=learner.network,
        reward_funcs=cast("Any", [reward]),
        args=grpo_arguments(recipe, folder, template),
        train_dataset=rows(examples, thinking=recipe.reward.thinking, supervised=False),
        processing_class=learner.processor,
        callbacks=[NanGuard(recipe.run.max_bad_steps)],
    )


def grpo_arguments(recipe: Recipe, folder: Path, template_options: Any = None) -> GRPOConfig:
    """Return TRL's settings for the stage of rewards. Raises InvalidConfig: batches that cannot be divided as the recipe says."""
    stage = recipe.grpo
    num_completions = stage.batch_size * stage.num_generations
    return GRPOConfig(
        **_arguments(recipe, stage, folder),
        gradient_accumulation_steps=_parts("grpo", num_completions, stage.micro_batch * _num_devices()),
        num_generations=stage.num_generations,
        max_completion_length=stage.max_tokens,
        temperature=stage.temperature,
        top_p=stage.top_p,
        beta=stage.beta,
        use_bias_correction_kl=stage.kl_correction,
        epsilon=stage.epsilon_low,
        epsilon_high=stage.epsilon_high,
        entropy_coef=stage.entropy,
        num_iterations=stage.iterations,
        loss_type=stage.loss,
        scale_rewards=stage.scale_rewards,
        mask_truncated_completions=stage.mask_truncated,
        chat_template_kwargs=dict(template_options or {}),
        vllm_server_host=os.environ.get("VLLM_HOST", "localhost"),
        **vllm_settings(recipe),
    )


def _arguments(recipe: Recipe, stage: Sft, folder: Path) -> dict[str, Any]:
    """Return the settings that both stages have."""
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": stage.micro_batch,
        "max_steps": stage.steps or -1,
        "num_train_epochs": 1,
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": stage.schedule,
        "warmup_steps": stage.warmup_steps,
        "weight_decay": stage.weight_decay,
        "adam_beta1": stage.beta1,
        "adam_beta2": stage.beta2,
        "max_grad_norm": stage.max_grad_norm,
        "logging_steps": stage.log_steps,
        "save_steps": stage.save_steps,
        "save_total_limit": recipe.run.keep,
        "seed": recipe.run.seed,
        "bf16": is_bfloat16(recipe),
        "use_cpu": not torch.cuda.is_available(),
        "activation_checkpointing": recipe.model.checkpointing,
        "report_to": recipe.run.tracker,
        "run_name": folder.parent.name + "-" + folder.name,
        "project": "videoseg-r1",
        "dataloader_pin_memory": torch.cuda.is_available(),
        "disable_tqdm": True,
        "remove_unused_columns": False,
    }


def _num_devices() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _parts(name: str, total: int, at_once: int) -> int:
    if total % at_once:
        why = f"an update takes {total}, the devices compute {at_once} at once"
        raise InvalidConfig("a batch cannot be divided", where=f"{name}.micro_batch", why=why, fix="change it or batch_size")
    return total // at_once


def _of_rows(fields: Any, chosen: list[int], num_pictures: list[int]) -> dict[str, torch.Tensor]:
    """Return what the processor made of pictures, for the chosen prompts of all of them.

    `pixel_values` has one row per patch, `image_grid_thw` one per picture, lists one item per prompt.
    """
    if not fields:
        return {}
    grids = fields["image_grid_thw"]
    grids_of = torch.split(grids, num_pictures)
    patches_of = torch.split(fields["pixel_values"], [int(grid.prod(-1).sum()) for grid in grids_of])
    kinds = [torch.as_tensor(fields["mm_token_type_ids"][row]) for row in chosen]
    return {
        "pixel_values": torch.cat([patches_of[row] for row in chosen]),
        "image_grid_thw": torch.cat([grids_of[row] for row in chosen]),
        "mm_token_type_ids": pad(kinds, padding_value=0, padding_side="left"),
    }
