"""Examples to train on: a conversation, the truth that a completion is measured against, and the target reply.

An example is made when it is asked for, and is always the same for its number; frames are read then. The latest examples are kept,
because a trainer asks for each of them many times. Not here: how scenes (`world`) and
frames of clips (`videoseg_r1.datasets.training`) are drawn, batches, tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, cast

import numpy as np

from videoseg_r1.chat.base import Message
from videoseg_r1.chat.families import Family
from videoseg_r1.datasets.registry import dataset_for
from videoseg_r1.datasets.training import TrainingSample, TrainingSource, draw_training_sample, training_sources
from videoseg_r1.difficulty.levels import MEDIUM, BudgetMode, token_budget
from videoseg_r1.documents import read_json
from videoseg_r1.errors import InvalidConfig, InvalidDocument
from videoseg_r1.lite.reader.base import interval_prompt, position_prompt, reasoning_prompt
from videoseg_r1.masks import box_of, center_of, negative_point_of
from videoseg_r1.prompts import CANONICAL, clean_query, format_reply
from videoseg_r1.prompts.schema import ANSWER, THINK, Size
from videoseg_r1.rewards import Truth, truth_of
from videoseg_r1.stages.reasoning.chat_reasoner import question
from videoseg_r1.training import world
from videoseg_r1.training.recipe import WORLD, Data, Recipe
from videoseg_r1.training.world.seen import look_at
from videoseg_r1.types import BoolMask, Cue

SCENE = "scene"
"""Column of the questions about a scene."""

_KEPT = 64
_PER_SCENE, _PER_EASY_SCENE, _NUM_SENTENCES = 10, 6, 16
_NO_THINKING = "Do not think first: write the part in <answer> and nothing else."
_SCENES_OF_A_RUN = 100_000


@dataclass(frozen=True, eq=False)
class Example:
    """One question: `messages` that ask it, the `reply` that SFT trains, and its `truth`; None where nothing is rewarded."""

    messages: tuple[Message, ...]
    reply: str
    truth: Truth | None = None


class Examples(Protocol):
    """Numbered examples, always the same for a number."""

    coord_size: Size
    """(width, height) of the grid on which replies are written."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Example: ...


class WorldExamples:
    """Scenes of the world as transcripts, with one question about each.

    Args:
        num: how many.
        first: the seed of number 0.
        split: of the world.
        budget, medium: how many tokens the reasoning may take; see `token_budget`.
        seen_every: every so many questions, the scene is rendered as a video and its transcript is what perception writes of it; 0
            for never.
    """

    coord_size = CANONICAL

    def __init__(
        self,
        num: int,
        first: int = 0,
        split: world.Split = "train",
        budget: BudgetMode = "tiers",
        *,
        medium: int = MEDIUM,
        seen_every: int = 0,
    ) -> None:
        self._num, self._first, self._medium, self._seen_every = num, first, medium, seen_every
        self._split: world.Split = split
        self._budget: BudgetMode = budget

    def __len__(self) -> int:
        return self._num

    def __getitem__(self, number: int, /) -> Example:
        seed = self._first + number
        sample = world.draw_world_sample(seed, self._split)
        is_seen = self._seen_every > 0 and number % self._seen_every == self._seen_every - 1
        transcript, masks = look_at(sample, seed) if is_seen else (sample.transcript, sample.masks())
        truth = truth_of(masks, budget=token_budget(sample.difficulty, self._budget, medium=self._medium))
        return Example(tuple(reasoning_prompt(transcript, sample.query.text)), sample.reply(), truth)


class ClipExamples:
    """Expressions of clips, as questions to a vision-language model.

    Where an expression's targets are never all visible at once, the next expression takes its place. Source: docs/algorithm.md,
    "Training samples".
    """

    def __init__(self, sources: Sequence[TrainingSource], num: int, family: Family, budgets: Mapping[str, int], seed: int = 0) -> None:
        if not sources:
            raise InvalidConfig("there is no clip to train on", where="data.root")
        self._sources, self._num, self._family, self._budgets, self._seed = sources, num, family, budgets, seed
        side = family.fed(np.zeros((*CANONICAL, 3), np.uint8), "target").shape[0]
        self.coord_size = family.coord_size((side, side))

    def __len__(self) -> int:
        return self._num

    def __getitem__(self, number: int, /) -> Example:
        rng = np.random.default_rng((self._seed, number))
        for step in range(len(self._sources)):
            drawn = draw_training_sample(self._sources[(number + step) % len(self._sources)], rng)
            if drawn is not None:
                return self._example(drawn)
        raise InvalidDocument("in no clip are all targets visible at once", where=self._sources[0].clip.dataset)

    def _example(self, drawn: TrainingSample) -> Example:
        clip, expression, pick = drawn.source.clip, drawn.source.expression, drawn.pick
        with clip.open() as video:
            references, keys, (target,) = (video.read(part) for part in (pick.reference_frames, pick.key_frames, [pick.target_frame]))
        asked = question(self._family, target, references, keys, clean_query(expression.text))
        truth = truth_of(drawn.masks, budget=self._budgets.get(f"{clip.name}/{expression.id}"))
        thinking = f"In the target frame {len(truth.boxes)} of the objects fit the sentence."
        size = (target.rgb.shape[1], target.rgb.shape[0])
        reply = format_reply(thinking, _cues(drawn.masks), size, coord_size=self.coord_size)
        return Example(asked.messages, reply, truth)


def examples_of(recipe: Recipe, family: Family | None, num: int, first: int = 0) -> Examples:
    """Return the examples of a recipe, for a model of this family; None is a model that reads text.

    Args:
        num: how many.
        first: number of the first, so that two stages see different ones.
    Raises: InvalidConfig: text for pictures, or pictures for text. What the loaders raise.
    """
    data = recipe.data
    if (data.source == WORLD) != (family is None):
        fix = "use the world with a language model, and clips with a vision-language model"
        raise InvalidConfig("these data are not for this model", where=f"data.source = {data.source}", fix=fix)
    if family is None:
        start, medium = first_scene(recipe) + first, recipe.reward.budget
        return WorldExamples(num, start, budget=data.budget, medium=medium, seen_every=data.seen_every)
    budgets = _budgets(data, recipe.reward.budget)
    sources = training_sources(dataset_for("training", data.source).load(data.root))
    return ClipExamples(sources, num, family, budgets, recipe.run.seed + first)


def first_scene(recipe: Recipe) -> int:
    """Return the seed of the first scene of a run: runs with different seeds see different scenes."""
    return recipe.run.seed * _SCENES_OF_A_RUN


def scene_questions(seed: int, *, easy: bool = False, thinking: bool = True) -> list[Example]:
    """Return the questions of SFT about a scene of the world: several of stage 2 or, for every fourth seed, those of stage 1.

    Args:
        seed: of the scene.
        easy: a scene with few things and no mistakes of perception; its questions are always those of stage 2.
        thinking: add sentences of which only the beginning of the reasoning text is trained: what they ask for, which takes knowledge
            of many things and no look at the scene.
    """
    if easy or seed % 4 < 3:
        group = world.draw_group(seed, size=_PER_EASY_SCENE if easy else _PER_SCENE, easy=easy)
        more = world.draw_sentences(seed, size=_NUM_SENTENCES) if thinking else []
        whole = [Example(tuple(reasoning_prompt(one.transcript, one.query.text)), one.reply()) for one in group]
        return whole + [Example(tuple(reasoning_prompt(group[0].transcript, text)), f"{THINK}{begun}") for text, begun in more]
    interval, position = world.draw_moment(seed, ask="interval"), world.draw_moment(seed, ask="position")
    return [
        Example(tuple(interval_prompt(interval.transcript, interval.query.text)), interval.reply()),
        Example(tuple(position_prompt(position.transcript, position.query.text)), position.reply()),
    ]


def scene_rows(num: int, *, thinking: bool, num_easy: int = 0, first: int = 0) -> Any:
    """Return a lazy data set with all questions about a scene in each row, for `shared_prefix.sft.SceneTrainer`.

    Args:
        num, thinking: as for `rows`.
        num_easy: how many easy scenes come first.
        first: the seed of number 0.
    """

    def make(number: int) -> dict[str, Any]:
        examples = scene_questions(first + number, easy=number < num_easy, thinking=thinking)
        return {SCENE: [_row(example, thinking, supervised=True) for example in examples]}

    return _lazy(num, make)


def rows(examples: Examples, *, thinking: bool, supervised: bool) -> Any:
    """Return a lazy `datasets.Dataset` in the form TRL reads, one row per example.

    Args:
        examples: to be made when a row is asked for.
        thinking: whether to think before answering; without, the prompt says so and the target reply has no reasoning text.
        supervised: with the column `completion` for SFT, else with `truth` for GRPO.
    """
    return _lazy(len(examples), lambda number: _row(examples[number], thinking, supervised=supervised))


def _lazy(num: int, make: Callable[[int], dict[str, Any]]) -> Any:
    from datasets import Dataset

    made = lru_cache(_KEPT)(make)

    def transform(batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        found = [made(number) for number in batch["number"]]
        return {key: [row[key] for row in found] for key in found[0]}

    return Dataset.from_dict({"number": list(range(num))}).with_transform(transform)


def _row(example: Example, thinking: bool, *, supervised: bool) -> dict[str, Any]:
    messages = example.messages if thinking else without_thinking(example.messages)
    reply = example.reply if thinking else example.reply[example.reply.index(ANSWER) :]
    pictures = [part for message in messages for part in message.parts if not isinstance(part, str)]
    row: dict[str, Any] = {"prompt": [_turn(message, blocks=bool(pictures)) for message in messages]}
    if pictures:
        from PIL import Image

        row["images"] = [Image.fromarray(picture) for picture in pictures]
    if supervised:
        return row | {"completion": [_turn(Message("assistant", (reply,)), blocks=bool(pictures))]}
    return row | {"truth": example.truth.to_dict() if example.truth else None}


def without_thinking(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return a conversation whose last message asks for the answer alone."""
    *earlier, last = messages
    return (*earlier, Message(last.role, (*last.parts, f"\n{_NO_THINKING}")))


def _turn(message: Message, *, blocks: bool) -> dict[str, Any]:
    """Return a message as chat templates take it: in blocks where there are pictures, else as one text."""
    if not blocks:
        return {"role": message.role, "content": "".join(cast("tuple[str, ...]", message.parts))}
    content = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in message.parts]
    return {"role": message.role, "content": content}


def _cues(masks: BoolMask) -> list[Cue]:
    cues: list[Cue] = []
    for number, mask in enumerate(masks):
        beside = negative_point_of(mask, np.delete(masks, number, axis=0))
        cues.append(Cue(box_of(mask), (center_of(mask),), (beside,) if beside else ()))
    return cues


def _budgets(data: Data, medium: int) -> dict[str, int]:
    """Return tokens by `VIDEO/EXPRESSION`, the ids of a manifest of these clips, out of a document of `videoseg rate --json`."""
    if not data.ratings:
        return {}
    document = read_json(data.ratings)
    try:
        items = cast("dict[str, list[dict[str, Any]]]", document)["items"]
        return {
            item["id"]: token_budget(None if item["imputed"] else item["D"], data.budget, medium=medium) for item in items if "D" in item
        }
    except (KeyError, TypeError) as error:
        fix = "save what `videoseg rate MANIFEST --json` prints"
        raise InvalidDocument("not a document of ratings", where=data.ratings, why=str(error), fix=fix) from error
