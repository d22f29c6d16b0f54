"""Recipes: nothing left out, nothing ignored, every value with its origin, one key per switch."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from videoseg_r1.documents import to_json
from videoseg_r1.errors import InvalidConfig, InvalidDocument, SourceNotFound, UnknownName
from videoseg_r1.rewards import Terms
from videoseg_r1.training.recipe import load_recipe, recipe_of, shipped

RECIPES = resources.files("videoseg_r1.training") / "recipes"
VALUE = re.compile(r"\w+ = ")
TAGGED = re.compile(r"\w+ = \S.*\s# (paper|VR|ours)")


@pytest.mark.parametrize("name", shipped())
def test_every_value_of_a_shipped_recipe_says_whose_it_is(name: str) -> None:
    values = [line for line in (RECIPES / f"{name}.toml").read_text().splitlines() if VALUE.match(line)]

    assert len(values) > 60
    assert [line for line in values if not TAGGED.fullmatch(line)] == []


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_can_be_read(name: str) -> None:
    assert load_recipe(name).run.stages


def test_the_recipe_of_the_paper_has_the_papers_values() -> None:
    recipe = load_recipe("paper-7b")

    assert (recipe.grpo.batch_size, recipe.grpo.num_generations) == (16, 8)
    assert (recipe.grpo.learning_rate, recipe.grpo.weight_decay) == (1e-6, 0.01)
    assert recipe.run.stages == ("grpo",)
    assert recipe.reward.weights == Terms()


def test_a_file_is_read_like_a_shipped_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text((RECIPES / "lite.toml").read_text())

    assert load_recipe(path) == load_recipe("lite") == load_recipe("lite.toml")


@pytest.mark.parametrize(
    ("change", "where", "value"),
    [
        ("grpo.beta=0", "grpo.beta", 0.0),
        ("model.source=some/folder", "model.source", "some/folder"),
        ('run.stages=["sft"]', "run.stages", ("sft",)),
        ("reward.thinking=false", "reward.thinking", False),
        ("reward.beta=0", "reward.beta", 0.0),
        *((f"reward.weights.{name}=0", f"reward.weights.{name}", 0.0) for name in Terms._fields),
    ],
)
def test_one_change_sets_one_value(change: str, where: str, value: object) -> None:
    found: object = load_recipe("lite", [change])
    for key in where.split("."):
        found = getattr(found, key)

    assert found == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("grpo.num_generation=4", "did you mean num_generations"),
        ("reward.weights.acuracy=0", "did you mean accuracy"),
        ("reward.betta=0", "did you mean beta"),
        ("gpro.beta=0", "did you mean grpo"),
        ("grpo.beta=high", "expected float"),
        ("reward.weights.accuracy=much", "expected float"),
    ],
)
def test_a_mistake_is_named_with_a_hint(change: str, message: str) -> None:
    with pytest.raises(InvalidDocument, match=change.partition(".")[0]) as error:
        load_recipe("lite", [change])

    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "hint"), [("webcam", "known are world, ref_youtube_vos"), ("mevis2", "did you mean mevis?"), ("davis16", "known")]
)
def test_data_that_cannot_be_trained_on_are_named_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(UnknownName, match=name) as error:
        load_recipe("paper-7b", [f"data.source={name}"])

    assert hint in str(error.value)


@pytest.mark.parametrize("line", ["seed = 42", "attention = ", "num_generations = "])
def test_a_missing_value_is_named(tmp_path: Path, line: str) -> None:
    kept = [text for text in (RECIPES / "lite.toml").read_text().splitlines() if not text.startswith(line)]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(kept))

    with pytest.raises(InvalidDocument, match=line.split(maxsplit=1)[0]):
        load_recipe(path)


@pytest.mark.parametrize(
    "change",
    [
        "grpo.beta",
        "beta=0",
        "=0",
        "run=1",
        "grpo.num_generations=1",
        "sft.batch_size=0",
        "grpo.learning_rate=-1",
        "run.stages=[]",
        "reward.floor=0",
    ],
)
def test_a_change_that_makes_no_sense_is_refused(change: str) -> None:
    with pytest.raises((InvalidConfig, InvalidDocument)):
        load_recipe("lite", [change])


def test_neither_file_nor_name_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="paper-7b"):
        load_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"run = [", b"\xff\xfe", b"", b"run = 1"])
def test_a_damaged_file_is_no_recipe(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)

    with pytest.raises(InvalidDocument):
        load_recipe(path)


def test_a_stage_that_is_run_has_settings() -> None:
    with pytest.raises(InvalidConfig, match="no settings"):
        load_recipe("smoke", ['run.stages=["sft", "refine"]'])
    with pytest.raises(InvalidDocument, match="unknown key"):
        load_recipe("lite", ["refine.stepz=3"])


@pytest.mark.parametrize("name", shipped())
def test_what_a_run_writes_down_is_read_again(name: str) -> None:
    recipe = load_recipe(name, ["reward.weights.accuracy=0.25"])

    assert recipe_of(json.loads(to_json(recipe))) == recipe
