"""Examples: always the same for a number, made when asked for, in the form trainers take, and worth the full reward as they are taught."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from videoseg_r1.chat.families import family_of
from videoseg_r1.datasets.ref_youtube_vos import load_ref_youtube_vos
from videoseg_r1.datasets.training import training_sources
from videoseg_r1.errors import InvalidConfig, InvalidDocument
from videoseg_r1.masks.geometry import iou
from videoseg_r1.prompts import parse_interval, parse_position
from videoseg_r1.rewards import Truth, score
from videoseg_r1.training.examples import ClipExamples, Example, WorldExamples, examples_of, first_scene, rows, scene_questions, scene_rows
from videoseg_r1.training.recipe import load_recipe
from videoseg_r1.types import Box


def test_a_number_stands_for_one_example() -> None:
    first, again, other = WorldExamples(9)[4], WorldExamples(9)[4], WorldExamples(9, first=1)[4]

    assert (_said(first), first.truth, first.reply) == (_said(again), again.truth, again.reply)
    assert _said(first) != _said(other)
    assert _said(WorldExamples(9, first=1)[3]) == _said(first)


def test_runs_with_different_seeds_see_different_scenes() -> None:
    recipes = [load_recipe("lite", [f"run.seed={seed}"]) for seed in (1, 2)]
    first, second = (examples_of(recipe, None, recipe.grpo.samples) for recipe in recipes)

    assert _said(first[0]) != _said(second[0])
    assert first_scene(recipes[0]) + recipes[0].grpo.samples + recipes[0].sft.samples <= first_scene(recipes[1])


def _said(example: Example) -> list[object]:
    return [message.parts for message in example.messages]


def test_every_so_many_questions_are_about_what_perception_sees_of_the_scene_as_a_video() -> None:
    plain, examples = WorldExamples(4, first=50), WorldExamples(4, first=50, seen_every=4)
    seen = [examples[number] for number in range(4)]

    assert [_said(plain[number]) == _said(seen[number]) for number in range(4)] == [True, True, True, False]
    (transcript, sentence), known = (str(seen[3].messages[-1].parts[0]).split("\nSentence: "), str(plain[3].messages[-1].parts[0]))
    assert known.endswith(sentence)
    boxes = [Box(*map(float, found)) for found in re.findall(r"box \[(\d+) (\d+) (\d+) (\d+)\](?! at)", transcript)]
    truth = seen[3].truth
    assert truth
    assert truth.boxes
    assert all(any(iou(box, target) > 0.5 for box in boxes) for target in truth.boxes)


def test_the_world_gives_every_example_a_budget() -> None:
    truths = [WorldExamples(20)[number].truth for number in range(20)]
    budgets = {truth.budget for truth in truths if truth}

    assert 1 < len(budgets & {48, 72, 112}) == len(budgets)
    examples = examples_of(load_recipe("lite", ["reward.budget=36"]), None, 20)
    assert len({truth.budget for n in range(20) if (truth := examples[n].truth)} & {24, 36, 56}) > 1


def test_the_questions_about_a_scene_begin_alike() -> None:
    for seed in range(3):  # the fourth has the questions of stage 1, which ask for different things
        prompts = ["".join(map(str, example.messages[-1].parts)) for example in scene_questions(seed)]
        first_lines = {prompt.partition("Sentence:")[0] for prompt in prompts}

        assert len(prompts) > 1
        assert len(first_lines) == 1


def test_sft_teaches_both_stages() -> None:
    interval, position = (example.reply for example in scene_questions(3))

    assert parse_interval(interval) is not None
    assert parse_position(position) is not None
    assert all("<think>" in example.reply for example in scene_questions(0))


@pytest.mark.parametrize("model_type", ["qwen2_5_vl", "qwen3_vl"])
def test_what_is_taught_about_a_clip_earns_everything(clips: Path, model_type: str) -> None:
    examples = ClipExamples(training_sources(load_ref_youtube_vos(clips)), 4, family_of(model_type), {})
    for number in range(4):
        example = examples[number]
        assert example.truth is not None
        earned = score(example.reply, example.truth, num_think_tokens=10, coord_size=examples.coord_size)

        assert earned.total == 8.0


@pytest.mark.parametrize(("model_type", "grid"), [("qwen2_5_vl", 28), ("qwen3_vl", 32)])
def test_pictures_have_the_size_at_which_they_are_fed(clips: Path, model_type: str, grid: int) -> None:
    row = rows(ClipExamples(training_sources(load_ref_youtube_vos(clips)), 1, family_of(model_type), {}), thinking=True, supervised=False)[
        0
    ]
    placeholders = [block for turn in row["prompt"] for block in turn["content"] if block["type"] == "image"]

    assert len(placeholders) == len(row["images"]) > 1
    assert {side % grid for image in row["images"] for side in image.size} == {0}
    assert row["images"][-1].size == (840 // grid * grid,) * 2


def test_a_row_for_grpo_has_a_prompt_and_the_truth() -> None:
    examples = WorldExamples(3)
    row = rows(examples, thinking=True, supervised=False)[1]

    assert set(row) == {"prompt", "truth"}
    assert Truth.from_dict(row["truth"]) == examples[1].truth
    assert [turn["role"] for turn in row["prompt"]] == ["system", "user"]


def test_a_row_for_sft_has_the_reply() -> None:
    questions = scene_rows(3, thinking=True)[1]["scene"]

    assert [row["completion"][0]["content"] for row in questions] == [example.reply for example in scene_questions(1)]


def test_without_thinking_the_prompt_says_so_and_the_reply_has_none() -> None:
    row = rows(WorldExamples(1), thinking=False, supervised=True)[0]

    assert row["prompt"][-1]["content"].endswith("nothing else.")
    assert row["completion"][0]["content"].startswith("<answer>")


def test_examples_are_made_when_asked_for_and_once() -> None:
    class Counted(WorldExamples):
        made = 0

        def __getitem__(self, number: int, /):
            self.made += 1
            return super().__getitem__(number)

    examples = Counted(1000)
    dataset = rows(examples, thinking=True, supervised=False)
    assert (len(dataset), examples.made) == (1000, 0)
    for _ in range(3):
        dataset[7]
    assert examples.made == 1


def test_ratings_become_budgets(clips: Path, tmp_path: Path) -> None:
    ratings = tmp_path / "ratings.json"
    items = [{"id": "clip0/0", "D": 2.0, "imputed": False}, {"id": "clip1/0", "D": 9.0, "imputed": False}, {"id": "x", "error": None}]
    ratings.write_text(json.dumps({"items": items}))
    recipe = load_recipe("paper-7b", [f"data.root={clips}", f"data.ratings={ratings}"])
    examples = examples_of(recipe, family_of("qwen2_5_vl"), 2)

    assert [examples[number].truth.budget for number in range(2)] == [48, 112]


def test_a_document_that_is_no_ratings_is_refused(clips: Path, tmp_path: Path) -> None:
    ratings = tmp_path / "ratings.json"
    ratings.write_text("[]")
    with pytest.raises(InvalidDocument, match="videoseg rate"):
        examples_of(load_recipe("paper-7b", [f"data.root={clips}", f"data.ratings={ratings}"]), family_of("qwen2_5_vl"), 2)


def test_text_is_not_for_a_model_of_pictures_nor_the_other_way_round(clips: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"data\.source"):
        examples_of(load_recipe("lite"), family_of("qwen2_5_vl"), 2)
    with pytest.raises(InvalidConfig, match=r"data\.source"):
        examples_of(load_recipe("paper-7b", [f"data.root={clips}"]), None, 2)
