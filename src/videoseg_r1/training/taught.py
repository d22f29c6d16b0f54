"""SFT for a model that reads text: questions about one scene go through the network together, their common text once.

TRL's SFT trainer takes one question per row, and most of a row is the scene. Not here: pictures, for which TRL's is used (`stages`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.data import SequentialSampler
from transformers import Trainer

from videoseg_r1.prompts.schema import ANSWER_END, THINK_END
from videoseg_r1.training.branches import Branches, ask, branch
from videoseg_r1.training.checkpoints import AtomicCheckpoints
from videoseg_r1.training.masters import MasterCopies
from videoseg_r1.training.samples import SCENE

_POINT = re.compile(r'point_2d":\[([^]]*)\]')
_POINT_WEIGHT = 0.2
"""Of a token of a point, where others have 1: a digit that is off there costs little, and no reader of this size is ever sure of it, so
that such digits would make up most of the loss."""

_NUM_WHOLE = 2
"""Replies about a scene that are taught whole, beside those with several things; of the others only the thinking is: to copy a line is
learned sooner than to choose one."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Questions about one scene with their replies, and the weight of every token that is scored, float32 (A,)."""

    branches: Branches
    weights: torch.Tensor


@dataclass(frozen=True)
class PackScenes:
    """Makes a batch of rows of `samples.scene_rows`: one sequence per scene, in which the replies alone are scored."""

    tokenizer: Any

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Scene]]:
        """Return the batch under the one name `scenes`."""
        return {"scenes": [self._packed(row[SCENE]) for row in rows]}

    def _packed(self, questions: Sequence[Mapping[str, Any]]) -> Scene:
        prompts = [self._prompt(question["prompt"]) for question in questions]
        texts = [str(question["completion"][0]["content"]) for question in questions]
        replies, weights = zip(*(self._reply(_shortened(text, place)) for place, text in enumerate(texts)), strict=True)
        alike = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*prompts, strict=False))
        num_shared = sum(1 for _ in alike)
        continuations = [prompt[num_shared:] + reply for prompt, reply in zip(prompts, replies, strict=True)]
        branches = branch(prompts[0][:num_shared], continuations, [len(reply) for reply in replies])
        return Scene(branches, torch.tensor([weight for one in weights for weight in one]))

    def _prompt(self, turns: Sequence[Mapping[str, str]]) -> list[int]:
        return list(self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"])

    def _reply(self, text: str) -> tuple[list[int], list[float]]:
        """Return the tokens of a reply, with the one that ends it if it is whole, and their weights."""
        points = [found.span(1) for found in _POINT.finditer(text)]
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        in_point = [any(start <= first < end for start, end in points) for first, _ in encoded["offset_mapping"]]
        weights = [_POINT_WEIGHT if inside else 1.0 for inside in in_point]
        end = [self.tokenizer.eos_token_id] if text.endswith(ANSWER_END) else []
        return [*encoded["input_ids"], *end], [*weights, *(1.0 for _ in end)]


def _shortened(reply: str, place: int) -> str:
    """Return the part of a reply that is taught, at this place among those about a scene."""
    return reply if place < _NUM_WHOLE or reply.count("bbox_2d") > 1 else reply.partition(THINK_END)[0]


class TaughtScenes(AtomicCheckpoints, MasterCopies, Trainer):
    """The trainer: the loss is the weighted mean over the tokens of all replies in a micro batch of scenes, which come in their order."""

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        return SequentialSampler(rows)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        scenes: list[Scene] = inputs["scenes"]
        losses = [
            F.cross_entropy(ask(model, scene.branches), scene.branches.answers.to(model.device), reduction="none")
            @ scene.weights.to(model.device)
            for scene in scenes
        ]
        return torch.stack(losses).sum() / sum(float(scene.weights.sum()) for scene in scenes)
