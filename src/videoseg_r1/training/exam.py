"""The exam: a language model that reads scenes answers held-out questions, and the same questions with the scenes shuffled.

A loss says little about answers, and a model that answers from the question alone would look as if it had learned. The control, in
which every question is asked about another scene, shows that. Not here: pictures (`videoseg_r1.evaluation`), training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videoseg_r1.chat.base import Message
from videoseg_r1.difficulty import token_budget
from videoseg_r1.documents import to_json
from videoseg_r1.errors import InvalidConfig
from videoseg_r1.files import write_whole
from videoseg_r1.lite.reader.base import reasoning_prompt
from videoseg_r1.lite.reader.text_chat import turns
from videoseg_r1.masks.geometry import iou
from videoseg_r1.models.devices import cpu_has_bfloat16
from videoseg_r1.prompts import CANONICAL, ParseFailure, parse_reply
from videoseg_r1.rewards import RewardConfig, Truth, score, think_span, truth_of
from videoseg_r1.rewards.matching import MIN_IOU
from videoseg_r1.training.examples import without_thinking
from videoseg_r1.training.network import Learner, load_learner
from videoseg_r1.training.recipe import Recipe
from videoseg_r1.training.run import finals
from videoseg_r1.training.shared_prefix.rollouts import compact, draw
from videoseg_r1.training.world import KINDS_OF_QUERY, Split, WorldSample, draw_world_sample
from videoseg_r1.types import BoolMask

_AT_ONCE = 48
_MAX_TOKENS = 384
"""Enough for an answer with as many targets as a scene may have; an answer that is cut off counts as wrong."""


@dataclass(frozen=True)
class Marks:
    """What one answer got.

    Attributes:
        kind, difficulty: of the question.
        success: whether every target was found and nothing else.
        iou: intersection over union of the answered area with the true area, 0..1; 1 where both are empty.
        reward, num_think_tokens: the reward, and the number of tokens of the reasoning text.
    """

    kind: str
    difficulty: float
    success: bool
    iou: float
    reward: float
    num_think_tokens: int


def examine_run(recipe: Recipe, out: Path, num: int) -> dict[str, Any]:
    """Examine what each stage of a run made, in distribution, out of it, and with the scenes shuffled; `num` questions each.

    Returns: {stage: {"val", "ood", "shuffled": see `summary`}}, which also stands in OUT/exam.json.
    Raises: InvalidConfig: the network sees pictures. OutputError: the folder cannot be written.
    """
    report: dict[str, Any] = {}
    for number, name in enumerate(recipe.run.stages, 1):
        learner = load_learner(recipe, finals(recipe, out)[:number])
        report[name] = {split: summary(examine(learner, split, num, recipe.reward)) for split in ("val", "ood")}
        report[name]["shuffled"] = summary(examine(learner, "val", num, recipe.reward, shuffled=True))
    write_whole(out / "exam.json", to_json(report), "the report of the exam cannot be written")
    return report


def examine(learner: Learner, split: Split, num: int, reward: RewardConfig, *, shuffled: bool = False, draws: int = 0) -> list[Marks]:
    """Return the marks of the answers to the first questions of a split, question by question, the kinds in turn.

    Args:
        learner: a network that reads text, and its tokenizer.
        split: of the world.
        num: how many questions; thirteen kinds make one round.
        reward: how answers are scored, and whether thinking comes before them.
        shuffled: the control: every question meets the scene of another one.
        draws: answers to each question, drawn at temperature 1 as GRPO draws them; 0 is the greedy one.
    Raises: InvalidConfig: the network sees pictures.
    """
    if learner.family is not None:
        raise InvalidConfig("only a model that reads text is examined on the world", where=learner.family.name)
    samples = exam_questions(split, num)
    scenes = samples[1:] + samples[:1] if shuffled else samples
    prompts: list[Sequence[Message]] = [
        reasoning_prompt(scene.transcript, sample.query.text) for scene, sample in zip(scenes, samples, strict=True)
    ]
    if not reward.thinking:
        prompts = [without_thinking(prompt) for prompt in prompts]
    asked = [sample for sample in samples for _ in range(draws or 1)]
    return [_mark(learner, sample, reply, reward) for sample, reply in zip(asked, answers(learner, prompts, draws), strict=True)]


def exam_questions(split: Split, num: int) -> list[WorldSample]:
    """Return the first `num` questions of a split, the kinds in turn."""
    return [draw_world_sample(seed, split, KINDS_OF_QUERY[seed % len(KINDS_OF_QUERY)]) for seed in range(num)]


def answers(learner: Learner, prompts: Sequence[Sequence[Message]], draws: int = 0) -> list[str]:
    """Return the replies to questions about scenes, `draws` of each at temperature 1, or (0) the greedy one."""
    # what was trained under autocast answers in bfloat16; the weights of a float32 one may be off by their rounding
    reader = replace(learner, network=compact(learner.network, torch.bfloat16 if cpu_has_bfloat16() else torch.float32))
    at_once = max(1, _AT_ONCE // (draws or 1))
    return [reply for start in range(0, len(prompts), at_once) for reply in _drawn(reader, prompts[start : start + at_once], draws)]


def summary(marks: Sequence[Marks]) -> dict[str, Any]:
    """Return the means of all marks, and of each kind of question."""
    kinds = sorted({mark.kind for mark in marks})
    return {**_means(marks), "kinds": {kind: _means([mark for mark in marks if mark.kind == kind]) for kind in kinds}}


def mark(sample: WorldSample, reply: str, reward: RewardConfig, num_think_tokens: int) -> Marks:
    """Return the marks of an answer to a question about a scene; the true masks are built once.

    Args:
        sample: the question.
        reply: as the model wrote it.
        reward: how it is scored; its budget is that of a medium question.
        num_think_tokens: tokens of its reasoning text.
    """
    masks = sample.masks()
    truth = truth_of(masks, budget=token_budget(sample.difficulty, medium=reward.budget))
    scored = score(reply, truth, reward, num_think_tokens=num_think_tokens)
    success, overlap = is_success(truth, reply), union_iou(masks, reply)
    return Marks(sample.query.kind, sample.difficulty, success, overlap, scored.total, num_think_tokens)


def is_success(truth: Truth, reply: str) -> bool:
    """Return whether an answer has one box per target, each above half of IoU with its own, or none where there is no target."""
    read = parse_reply(reply, frame_size=CANONICAL)
    if isinstance(read, ParseFailure) or len(read.cues) != len(truth.boxes):
        return False
    hits = [[cue.box is not None and iou(cue.box, box) > MIN_IOU for box in truth.boxes] for cue in read.cues]
    return all(map(any, hits)) and all(any(column) for column in zip(*hits, strict=True))


def union_iou(masks: BoolMask, reply: str) -> float:
    """Return the intersection over union of all boxes of an answer with all true masks, (N, 840, 840) bool; 0 if it cannot be read."""
    read = parse_reply(reply, frame_size=CANONICAL)
    if isinstance(read, ParseFailure):
        return 0.0
    answered = np.zeros(CANONICAL[::-1], np.bool_)
    for box in read.boxes:
        answered[round(box.y1) : round(box.y2), round(box.x1) : round(box.x2)] = True
    meant = masks.any(0)
    either = np.count_nonzero(answered | meant)
    return np.count_nonzero(answered & meant) / either if either else 1.0


def _mark(learner: Learner, sample: WorldSample, reply: str, reward: RewardConfig) -> Marks:
    reasoning = think_span(reply) if reward.thinking else ""
    return mark(sample, reply, reward, len(learner.tokenizer(reasoning, add_special_tokens=False)["input_ids"]))


def _drawn(learner: Learner, prompts: Iterable[Sequence[Message]], draws: int) -> list[str]:
    tokenizer, network = learner.tokenizer, learner.network
    encoded = [
        tokenizer.apply_chat_template(turns(prompt), add_generation_prompt=True, return_dict=True)["input_ids"] for prompt in prompts
    ]
    longest = max(map(len, encoded))
    padding = [longest - len(ids) for ids in encoded]
    inputs = {
        "input_ids": torch.tensor([[tokenizer.pad_token_id] * pad + list(ids) for pad, ids in zip(padding, encoded, strict=True)]),
        "attention_mask": torch.tensor([[0] * pad + [1] * (longest - pad) for pad in padding]),
    }
    network.eval()
    placed = {name: value.to(network.device) for name, value in inputs.items()}
    drawn = draw(
        network,
        placed,
        [draws or 1] * len(encoded),
        max_tokens=_MAX_TOKENS,
        ends=frozenset([tokenizer.eos_token_id]),
        temperature=1.0 if draws else 0.0,
    )
    return [tokenizer.decode(tokens, skip_special_tokens=True) for tokens in drawn]


def _means(marks: Sequence[Marks]) -> dict[str, float]:
    rows = [asdict(mark) | {"over_half": mark.iou > MIN_IOU} for mark in marks]
    names = ("success", "over_half", "iou", "reward", "num_think_tokens", "difficulty")
    return {"num": len(rows)} | {name: round(float(np.mean([row[name] for row in rows])), 4) for name in names}
