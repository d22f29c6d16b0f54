"""Examining a reader of scenes: what counts as success, that answers are marked, and that the control really takes the scene away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videoseg_r1.errors import InvalidConfig
from videoseg_r1.prompts import CANONICAL, format_reply
from videoseg_r1.rewards import DEFAULT, truth_of
from videoseg_r1.training import exam
from videoseg_r1.training.network import Learner, load_learner
from videoseg_r1.training.recipe import load_recipe
from videoseg_r1.training.world import KINDS_OF_QUERY, draw_world_sample
from videoseg_r1.types import Box, Cue


@pytest.fixture(scope="module")
def learner(llama):
    return load_learner(load_recipe("lite", [f"model.source={llama}", "sft.method=full"]))


@pytest.fixture
def short_answers(monkeypatch):
    """Answers are cut off after eight tokens: a network with random weights does not end them."""
    monkeypatch.setattr(exam, "_MAX_TOKENS", 8)


def _several():
    return next(sample for seed in range(50) if len((sample := draw_world_sample(seed, "val", "several", exam_noise())).boxes) > 1)


def exam_noise():
    from videoseg_r1.training.world import NOISES

    return NOISES[0]


def _truth(sample):
    return truth_of(sample.masks())


def _reply(boxes):
    return format_reply("Because.", [Cue(box, (box.center,)) for box in boxes], CANONICAL)


def test_the_target_reply_is_a_success_where_perception_makes_no_mistakes():
    for seed in range(30):
        sample = draw_world_sample(seed, "val", noise=exam_noise())
        assert exam.is_success(_truth(sample), sample.reply()), sample.query


def test_every_target_must_be_found_and_nothing_else():
    sample = _several()
    boxes = sample.boxes
    elsewhere = Box(0, 0, 3, 3)
    assert exam.is_success(_truth(sample), _reply(boxes[::-1]))
    assert not exam.is_success(_truth(sample), _reply(boxes[:-1]))
    assert not exam.is_success(_truth(sample), _reply([*boxes, elsewhere]))
    assert not exam.is_success(_truth(sample), _reply([boxes[0]] * len(boxes)))
    assert not exam.is_success(_truth(sample), "no idea")


def test_boxes_are_also_scored_together():
    sample = _several()
    boxes = sample.boxes
    assert exam.union_iou(sample.masks(), _reply(boxes)) > 0.9
    assert exam.union_iou(sample.masks(), _reply(boxes)) > exam.union_iou(sample.masks(), _reply(boxes[:-1])) > 0
    assert exam.union_iou(sample.masks(), _reply([Box(0, 0, 840, 840)])) < 0.9
    assert exam.union_iou(sample.masks(), _reply([])) == exam.union_iou(sample.masks(), "no idea") == 0.0
    absent = draw_world_sample(3, "val", "absent")
    assert (exam.union_iou(absent.masks(), _reply([])), exam.union_iou(absent.masks(), _reply(boxes))) == (1.0, 0.0)


def test_no_target_must_be_said():
    sample = draw_world_sample(3, "val", "absent")
    assert exam.is_success(_truth(sample), _reply([]))
    assert not exam.is_success(_truth(sample), _reply([Box(10, 10, 90, 90)]))


def test_the_masks_of_a_question_are_built_once_for_all_marks(monkeypatch):
    sample = _several()
    built = []
    masks = type(sample).masks
    monkeypatch.setattr(type(sample), "masks", lambda self: built.append(1) or masks(self))
    marks = exam.mark(sample, sample.reply(), DEFAULT, 12)
    assert len(built) == 1
    assert (marks.kind, marks.difficulty, marks.success, marks.num_think_tokens) == ("several", sample.difficulty, True, 12)
    assert marks.iou > 0.9
    assert marks.reward > 6
    assert not exam.mark(sample, "no idea", DEFAULT, 0).success


def test_answers_are_marked_and_the_control_swaps_the_scenes(learner, short_answers, monkeypatch):
    asked = []
    answered = exam.answers
    monkeypatch.setattr(exam, "answers", lambda who, prompts, draws: asked.append(prompts) or answered(who, prompts, draws))
    marks = exam.examine(learner, "val", 3, DEFAULT)
    assert len(marks) == 3
    assert all(0 <= mark.reward <= 8 for mark in marks)
    exam.examine(learner, "val", 3, DEFAULT, shuffled=True)
    straight, control = ([prompt[-1].parts[0] for prompt in prompts] for prompts in asked)
    scenes = [draw_world_sample(seed, "val", kind).transcript for seed, kind in enumerate(KINDS_OF_QUERY[:3])]
    assert [scene in text for text, scene in zip(straight, scenes, strict=True)] == [True] * 3
    assert [scene in text for text, scene in zip(control, [*scenes[1:], scenes[0]], strict=True)] == [True] * 3
    assert [text.split("Sentence")[1] for text in straight] == [text.split("Sentence")[1] for text in control]


def test_drawn_answers_come_question_by_question(learner, short_answers, monkeypatch):
    monkeypatch.setattr(exam, "_AT_ONCE", 4)
    marks = exam.examine(learner, "val", 3, DEFAULT, draws=3)
    assert [mark.kind for mark in marks] == [kind for kind in KINDS_OF_QUERY[:3] for _ in range(3)]
    prompt = exam.reasoning_prompt(draw_world_sample(0, "val").transcript, "the dog")
    assert len(set(exam.answers(learner, [prompt], 3))) > 1
    assert exam.answers(learner, [prompt]) == exam.answers(learner, [prompt])


def test_who_was_not_to_think_is_told_so(learner, monkeypatch):
    asked = []
    monkeypatch.setattr(exam, "answers", lambda _learner, prompts, _draws: asked.extend(prompts) or [""] * len(prompts))
    exam.examine(learner, "val", 2, DEFAULT)
    exam.examine(learner, "val", 2, replace(DEFAULT, thinking=False))
    assert ["Do not think" in "".join(prompt[-1].parts) for prompt in asked] == [False, False, True, True]


def test_an_answer_alone_has_no_thinking_tokens(learner, monkeypatch):
    monkeypatch.setattr(exam, "answers", lambda *_: [_reply([Box(1, 1, 9, 9)])])
    assert exam.examine(learner, "val", 1, DEFAULT)[0].num_think_tokens > 0
    assert exam.examine(learner, "val", 1, replace(DEFAULT, thinking=False))[0].num_think_tokens == 0


def test_greedy_answers_do_not_depend_on_what_is_answered_with_them(learner, short_answers):
    samples = [draw_world_sample(seed, "val") for seed in range(3)]
    prompts = [exam.reasoning_prompt(sample.transcript, sample.query.text) for sample in samples]
    assert exam.answers(learner, prompts) == [exam.answers(learner, [prompt])[0] for prompt in prompts]


def test_means_are_taken_over_all_and_by_kind():
    marks = [
        exam.Marks("name", 2.0, True, 0.9, 7.0, 10),
        exam.Marks("name", 4.0, False, 0.6, 1.0, 30),
        exam.Marks("size", 6.0, True, 0.6, 4.0, 20),
    ]
    report = exam.summary(marks)
    assert (report["num"], report["success"], report["reward"], report["num_think_tokens"]) == (3, 0.6667, 4.0, 20.0)
    assert (report["over_half"], report["iou"]) == (1.0, 0.7)
    assert report["kinds"]["name"]["success"] == 0.5


def test_a_model_with_eyes_is_not_examined_on_text(learner):
    from videoseg_r1.chat.families import family_of

    with pytest.raises(InvalidConfig, match="reads text"):
        exam.examine(replace(learner, family=family_of("qwen2_5_vl")), "val", 1, DEFAULT)
    assert isinstance(learner, Learner)
