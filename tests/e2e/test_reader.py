"""The reader that ships: the preset lite, from a video file to masks, with its real weights."""

from __future__ import annotations

import pytest

import videoseg_r1 as vs
from videoseg_r1.errors import WeightsMissing
from videoseg_r1.lite.reader import trained as reader
from videoseg_r1.lite.reader.base import wheel_file
from videoseg_r1.models.devices import choose_placement
from videoseg_r1.training.network import load_learner
from videoseg_r1.training.recipe import load_recipe


@pytest.fixture(scope="module", autouse=True)
def _wheel():
    try:
        wheel_file()
    except WeightsMissing as error:
        pytest.skip(str(error))


def test_a_trained_model_votes_and_reasons_and_says_so(drawn_video):
    result = vs.load("lite").segment(drawn_video(num_frames=16).path, "the red thing")
    assert result.reasoning is not None
    assert not result.reasoning.failed
    assert result.reasoning.text.startswith("Wanted: ")
    assert result.reasoning.num_tokens > 10
    assert result.keyframes is not None
    assert any(position is not None for position in result.keyframes.positions)


def test_training_can_go_on_from_it():
    recipe = load_recipe("lite", ["model.source=reader"])
    learner = load_learner(recipe)
    answering = reader.load_reader(choose_placement("cpu"))
    weights = dict(answering._generation._network.named_parameters())
    learned = dict(learner.network.named_parameters())
    assert set(learned) <= set(weights)
    assert "model.embed_tokens.weight" in learned
    for name, weight in learned.items():
        answers = weights[name]
        assert weight.to(answers.dtype).equal(answers)  # in bfloat16 where the processor has it


def test_without_its_weights_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(reader, "WEIGHTS", tmp_path)
    with pytest.raises(WeightsMissing, match="install the package again"):
        reader.load_reader(choose_placement("cpu"))
