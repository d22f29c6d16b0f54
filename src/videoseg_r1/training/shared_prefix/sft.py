"""SFT for a model that reads text: the questions about one scene are one sequence, with their common text computed once.

TRL's SFT trainer takes one question per row, and most of a row is the scene. Not here: models that see pictures, which use TRL's trainer
(`trainers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.data import SequentialSampler
from transformers import Trainer

from videoseg_r1.prompts.schema import ANSWER_END, THINK_END
from videoseg_r1.training.checkpoints import AtomicCheckpoints
from videoseg_r1.training.examples import SCENE
from videoseg_r1.training.shared_prefix.branches import Branches, ask, branch

_NUM_WHOLE = 2
"""Replies about a scene that are trained whole, beside those with several targets. Of the others only the reasoning text is trained: to
copy a line is learned sooner than to choose one."""


@dataclass(frozen=True)
class PackScenes:
    """Collates rows of `examples.scene_rows` into a batch: one sequence per scene, in which the replies alone are scored."""

    tokenizer: Any

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Branches]]:
        """Return the batch, under the single key `scenes`."""
        return {"scenes": [self._packed(row[SCENE]) for row in rows]}

    def _packed(self, questions: Sequence[Mapping[str, Any]]) -> Branches:
        prompts = [self._prompt(question["prompt"]) for question in questions]
        texts = [str(question["completion"][0]["content"]) for question in questions]
        replies = [self._reply(_shortened(text, place)) for place, text in enumerate(texts)]
        alike = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*prompts, strict=False))
        num_shared = sum(1 for _ in alike)
        continuations = [prompt[num_shared:] + reply for prompt, reply in zip(prompts, replies, strict=True)]
        return branch(prompts[0][:num_shared], continuations, [len(reply) for reply in replies])

    def _prompt(self, turns: Sequence[Mapping[str, str]]) -> list[int]:
        return list(self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"])

    def _reply(self, text: str) -> list[int]:
        """Return the tokens of a reply, with the one that ends it if it is whole."""
        tokens = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return [*tokens, self.tokenizer.eos_token_id] if text.endswith(ANSWER_END) else tokens


def _shortened(reply: str, place: int) -> str:
    """Return the part of a reply that is trained, by its place among the replies about a scene."""
    return reply if place < _NUM_WHOLE or reply.count("bbox_2d") > 1 else reply.partition(THINK_END)[0]


class SceneTrainer(AtomicCheckpoints, Trainer):
    """Trainer of SFT on scenes: the loss is the mean over the tokens of all replies in a micro batch of scenes, which come in order."""

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        return SequentialSampler(rows)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        scenes: list[Branches] = inputs["scenes"]
        losses = [F.cross_entropy(ask(model, scene), scene.answers.to(model.device), reduction="sum") for scene in scenes]
        return torch.stack(losses).sum() / sum(len(scene.answers) for scene in scenes)
