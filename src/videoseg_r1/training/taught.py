"""SFT for a model that reads text: questions about one scene go through the network together, their common text once.

TRL's SFT trainer takes one question per row, and most of a row is the scene. Not here: pictures, for which TRL's is used (`stages`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from transformers import Trainer

from videoseg_r1.training.branches import Branches, branch, score
from videoseg_r1.training.checkpoints import AtomicCheckpoints
from videoseg_r1.training.samples import SCENE


@dataclass(frozen=True)
class PackScenes:
    """Makes a batch of rows of `samples.scene_rows`: one sequence per scene, in which the replies alone are scored."""

    tokenizer: Any

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Branches]]:
        """Return the batch under the one name `scenes`."""
        return {"scenes": [self._packed(row[SCENE]) for row in rows]}

    def _packed(self, questions: Sequence[Mapping[str, Any]]) -> Branches:
        prompts = [self._prompt(question["prompt"]) for question in questions]
        replies = [self._reply(question["completion"][0]["content"]) for question in questions]
        alike = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*prompts, strict=False))
        num_shared = sum(1 for _ in alike)
        continuations = [prompt[num_shared:] + reply for prompt, reply in zip(prompts, replies, strict=True)]
        return branch(prompts[0][:num_shared], continuations, [len(reply) for reply in replies])

    def _prompt(self, turns: Sequence[Mapping[str, str]]) -> list[int]:
        return list(self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"])

    def _reply(self, text: str) -> list[int]:
        return [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]


class TaughtScenes(AtomicCheckpoints, Trainer):
    """The trainer: the loss is the mean over the tokens of all replies in a micro batch of scenes."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        scores = [one.log_probabilities for scene in inputs["scenes"] for one in score(model, scene)]
        return -torch.cat(scores).mean()
