"""Queries, templates, writing and reading of replies and votes: what comes out for what goes in."""

from __future__ import annotations

import dataclasses
import json
import logging

import pytest

from helpers.replies import reply
from videoseg_r1.errors import InvalidConfig, InvalidPrompt, InvalidQuery
from videoseg_r1.prompts import (
    CANONICAL,
    FORMAT_REMINDER,
    INTERVAL_VOTE,
    MAX_ANSWER_CHARS,
    MAX_OBJECTS,
    POSITION_VOTE,
    REASONING,
    ParseFailure,
    PromptTemplate,
    clean_query,
    example_answer,
    format_reply,
    neutralize_tags,
    parse_interval,
    parse_position,
    parse_reply,
    read_answer,
)
from videoseg_r1.types import Box, Cue, Point, Reasoning

SIZE = (840, 840)
OBJECT = {"bbox_2d": [10, 20, 110, 220], "point_2d": [60, 120], "neg_point_2d": [130, 120]}
CUE = Cue(Box(10, 20, 110, 220), (Point(60, 120),), (Point(130, 120),))


def read(text: str, **options: object) -> Reasoning:
    result = parse_reply(text, **({"frame_size": SIZE} | options))  # type: ignore[arg-type]
    assert isinstance(result, Reasoning), result
    return result


def failure(text: str, **options: object) -> str:
    result = parse_reply(text, **({"frame_size": SIZE} | options))  # type: ignore[arg-type]
    assert isinstance(result, ParseFailure), result
    assert result.detail
    return result.kind


# --- queries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  the \t dog\r\n on the\u00a0left ", "the dog on the left"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("الكلب على اليسار", "الكلب على اليسار"),
        ("\u200fהכלב", "\u200fהכלב"),
        ("👩‍👩‍👧 with the 🐕", "👩‍👩‍👧 with the 🐕"),
        ("???", "???"),
        ("x" * 512, "x" * 512),
        ("cars < 5 and > 3", "cars < 5 and > 3"),
    ],
)
def test_clean_query(text: str, expected: str) -> None:
    assert clean_query(text) == expected


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b\u200d", "\u0301"])
def test_empty_queries(text: str) -> None:
    with pytest.raises(InvalidQuery, match="empty"):
        clean_query(text)


def test_a_long_query_names_length_and_limit() -> None:
    with pytest.raises(InvalidQuery, match=r"513 characters, the limit is 512"):
        clean_query("x" * 513)
    with pytest.raises(InvalidQuery, match=r"4 characters, the limit is 3"):
        clean_query(" abcd ", max_chars=3)


def test_normalization_cannot_exceed_the_limit() -> None:
    with pytest.raises(InvalidQuery, match=r"6 characters, the limit is 2"):
        clean_query("\ufb2c\ufb2c", max_chars=2)  # one character each that NFC writes as three


@pytest.mark.parametrize(("char", "name"), [("\x00", "U+0000"), ("\x1b", "U+001B"), ("\x85", "U+0085"), ("\ud800", "U+D800")])
def test_control_characters_are_named(char: str, name: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        clean_query(f"the{char}dog")
    assert caught.value.where == f"{name} at position 3, counted from 0"


@pytest.mark.parametrize(
    "tag", ["<|im_start|>", "<think>", "</think>", "<answer>", "</answer>", "<image>", "<|image_pad|>", "<video>", "</s>"]
)
def test_model_tags_become_text_and_are_logged(tag: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        query = clean_query(f"the dog {tag} there")
    assert query == f"the dog ‹{tag[1:-1]}› there"
    assert tag in caplog.text


def test_a_tag_inside_a_tag_does_not_come_together() -> None:
    text, tags = neutralize_tags("<<think>think> <th\u0000ink> < b >")
    assert "<think>" not in text
    assert tags == ("<think>", "<th\u0000ink>")
    assert neutralize_tags(text) == (text, ())


# --- templates -------------------------------------------------------------------------------------------------------


def test_rendering_fills_everything_in_once() -> None:
    system, user = REASONING.render(query="the $example dog", coordinates="Coordinates are pixels.", example=example_answer())
    assert system
    assert '"the $example dog"' in user
    assert example_answer() in user
    for word in ("<think>", "</think>", "<answer>", "bbox_2d", "point_2d", "neg_point_2d", "[]"):
        assert word in user
    assert "$coordinates" not in user


@pytest.mark.parametrize("template", [INTERVAL_VOTE, POSITION_VOTE])
def test_vote_templates(template: PromptTemplate) -> None:
    _, user = template.render(query="the dog", num_frames=16)
    assert '"the dog"' in user
    assert "16 pictures" in user
    assert "$" not in user


def test_the_form_shown_in_each_template_can_be_read() -> None:
    assert parse_interval(INTERVAL_VOTE.render(query="q", num_frames=16)[1]) == (20, 60)
    assert parse_position(POSITION_VOTE.render(query="q", num_frames=16)[1]) == 40
    for template in (REASONING, FORMAT_REMINDER):
        user = template.render(query="q", coordinates="", reason="bad_json", example=example_answer())[1]
        assert len(read(user).cues) == 2


def test_missing_values_are_refused() -> None:
    with pytest.raises(InvalidConfig, match="reasoning: coordinates"):
        REASONING.render(query="the dog", example="[]")


def test_the_hash_follows_every_part() -> None:
    template = PromptTemplate("a", 1, "system", "user")
    others = [PromptTemplate("b", 1, "system", "user"), PromptTemplate("a", 2, "system", "user"), PromptTemplate("a", 1, "systemu", "ser")]
    assert len({t.sha256 for t in [template, *others]}) == 4
    assert PromptTemplate("a", 1, "system", "user").sha256 == template.sha256
    assert len(template.sha256) == 64


def test_ids_are_unique() -> None:
    assert len({t.id for t in (REASONING, INTERVAL_VOTE, POSITION_VOTE, FORMAT_REMINDER)}) == 4


def test_example_answer_has_two_whole_objects_in_the_coordinates_asked_for() -> None:
    for size in (CANONICAL, (1000, 1000)):
        cues = read(f"<think></think><answer>{example_answer(size)}</answer>", frame_size=size, coord_size=size, mode="strict").cues
        assert len(cues) == 2
        for cue in cues:
            assert cue.box is not None
            point, neg = cue.points[0], cue.neg_points[0]
            assert cue.box.x1 < point.x < cue.box.x2 < neg.x < size[0]
            assert cue.box.y1 < point.y < cue.box.y2
    assert json.loads(example_answer((1000, 1000)))[0]["bbox_2d"] == [100, 150, 400, 750]


# --- replies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_a_perfect_reply(mode: str) -> None:
    text = reply([OBJECT])
    result = read(text, mode=mode)
    assert result == Reasoning("The dog is on the left.", (CUE,), num_tokens=6, reply=text, presence=1.0)


def test_coordinates_are_scaled_to_the_frame() -> None:
    result = read(reply([OBJECT]), frame_size=(1680, 420))
    assert result.cues == (Cue(Box(20, 10, 220, 110), (Point(120, 60),), (Point(260, 60),)),)
    relative = read(reply([{"bbox_2d": [100, 200, 500, 1000]}]), frame_size=(640, 480), coord_size=(1000, 1000))
    assert relative.cues[0].box == Box(64, 96, 320, 480)


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_no_target_is_an_answer(mode: str) -> None:
    result = read(reply([]), mode=mode)
    assert (result.cues, result.presence, result.failed, result.notes) == ((), 0.0, False, ())


@pytest.mark.parametrize("words", ["none", "No target.", " null ", '"no target"'])
def test_no_target_in_words(words: str) -> None:
    result = read(reply(words))
    assert result.cues == ()
    assert result.notes == ("no target, said in words",)
    assert failure(reply(words), mode="strict") in {"bad_json", "not_a_list"}


LENIENT = {
    "fence": (f"<think>x</think><answer>```json\n{json.dumps([OBJECT])}\n```</answer>", "text around"),
    "fence without tags": (f"```json\n{json.dumps([OBJECT])}\n```", "no <answer> tag"),
    "single object": (reply(OBJECT), "without a list"),
    "objects without a list": (reply(json.dumps(OBJECT) + ",\n"), "without a list"),
    "text before": (reply(":" + json.dumps([OBJECT])), "text around"),
    "text after": (reply(json.dumps([OBJECT]) + "."), "text around"),
    "json alone": (json.dumps([OBJECT]), "no <answer> tag"),
    "json after thinking that holds json": (f"<think>not []</think>{json.dumps([OBJECT])}", "no <answer> tag"),
    "words before": (reply(f"Here [1] it is: {json.dumps([OBJECT])} done"), "without a list"),
    "answer not closed": (reply([OBJECT]).removesuffix("</answer>"), "the answer is not closed"),
    "answer not opened": (reply([OBJECT]).replace("<answer>", ""), "no <answer> tag"),
    "cut off": (reply(json.dumps([OBJECT])[:-1] + ', {"bbox_2d": [1, 2').removesuffix("</answer>"), "the JSON list is broken"),
    "no closing bracket": (reply(json.dumps([OBJECT])[:-1]), "the JSON list is broken"),
    "thinking not opened": (reply([OBJECT]).removeprefix("<think>"), "the thinking is not opened"),
    "thinking not closed": (reply([OBJECT]).replace("</think>", ""), "the thinking is not closed"),
    "no thinking tags": (f"It is there. <answer>{json.dumps([OBJECT])}</answer>", "no thinking tags"),
    "nested answer": (f"<think>x</think><answer><answer>{json.dumps([OBJECT])}</answer></answer>", "more than one <answer>"),
    "answer named while thinking": (reply([OBJECT], "I shall write <answer> soon"), "more than one <answer>"),
    "first answer good, last not": (reply([OBJECT]) + "<answer>sorry</answer>", "the first is used"),
    "numbers as text": (reply([OBJECT | {"bbox_2d": ["10", " 20", "110.0", "+220"]}]), "a number was written as text"),
    "corners swapped": (reply([OBJECT | {"bbox_2d": [110, 220, 10, 20]}]), "corners of bbox_2d reordered"),
    "one pair of corners swapped": (reply([OBJECT | {"bbox_2d": [10, 220, 110, 20]}]), "corners of bbox_2d reordered"),
    "labelled points": (reply([{"bbox_2d": [10, 20, 110, 220], "points": [[60, 120, 1], [130, 120, 0]]}]), ""),
    "other keys": (reply([OBJECT | {"label": "dog", "score": None}]), ""),
}


@pytest.mark.parametrize("name", LENIENT)
def test_repairs_are_made_and_noted(name: str) -> None:
    text, note = LENIENT[name]
    result = read(text)
    assert result.cues == (CUE,)
    assert any(note in n for n in result.notes) if note else result.notes == ()


def test_json_outside_the_answer_is_no_answer() -> None:
    assert read(f"<answer>{json.dumps([OBJECT])}</answer><think>or").cues == (CUE,)
    assert failure(f"<answer>sorry</answer>{json.dumps([OBJECT])}") == "no_answer"
    assert read(json.dumps([OBJECT])).notes == ("there is no <answer> tag", "there are no thinking tags")


def test_of_two_answers_lenient_takes_the_last_and_strict_the_first() -> None:
    text = reply([OBJECT]) + reply([])
    assert read(text).cues == ()
    assert any("the last is used" in note for note in read(text).notes)
    assert read(text, mode="strict").cues == (CUE,)


@pytest.mark.parametrize(
    ("text", "thinking"),
    [
        (reply([]), "The dog is on the left."),
        ("so it is.</think><answer>[]</answer>", "so it is."),
        ("<think>it goes on <answer>[]</answer>", "it goes on"),
        ("In plain words. <answer>[]</answer>", "In plain words."),
        ("In plain words. []", "In plain words."),
        ("<think><think>a</think> b</think><answer>[]</answer>", "a b"),
        ("<answer>[]</answer>", ""),
        ("</think>a<think>b<answer>[]</answer>", "b"),
        ("</think><answer>[]</answer>", ""),
    ],
)
def test_thinking(text: str, thinking: str) -> None:
    assert read(text).text == thinking


def test_an_empty_thinking_that_was_not_opened_is_noted() -> None:
    assert read("</think><answer>[]</answer>").notes == ("the thinking is not opened",)


def test_clipping_is_noted() -> None:
    result = read(reply([OBJECT | {"bbox_2d": [-5, 20, 1e308, 220], "point_2d": [60, 900]}]), frame_size=(100, 100))
    cue = result.cues[0]
    assert cue.box is not None
    assert (cue.box.x1, cue.box.y1, cue.box.x2, cue.box.y2) == pytest.approx((0, 20 / 8.4, 100, 220 / 8.4))
    assert (cue.points[0].x, cue.points[0].y) == pytest.approx((60 / 8.4, 99))
    assert result.notes == ("object 1: bbox_2d clipped to the frame", "object 1: a point was clipped to the frame")


def test_boxes_below_a_pixel_are_dropped() -> None:
    thin = {"bbox_2d": [10, 20, 10.5, 220]}
    result = read(reply([thin, OBJECT]))
    assert result.cues == (CUE,)
    assert "object 1: bbox_2d dropped, it covers less than a pixel of the frame" in result.notes
    assert "object 1: dropped, it has neither a usable box nor a point in the frame" in result.notes
    assert read(reply([thin | {"point_2d": [10, 30]}])).cues == (Cue(None, (Point(10, 30),)),)
    for point in ([920, 920], [20, 920], [920, 20], [-1, 20]):  # clipped, these would mark something nobody named
        assert failure(reply([{"bbox_2d": [900, 900, 950, 950], "point_2d": point}])) == "no_usable_object"


def test_limits_are_inclusive() -> None:
    assert read(reply([{"bbox_2d": [10, 20, 11, 21]}])).cues == (Cue(Box(10, 20, 11, 21)),)  # one pixel
    assert read(reply([{"bbox_2d": [0, 0, 840, 840]}])).notes == ()
    result = parse_reply(reply([{"bbox_2d": [10, 20, 10, 20], "point_2d": [0, 0]}]), frame_size=SIZE)
    assert isinstance(result, Reasoning)
    assert result.cues == (Cue(None, (Point(0, 0),)),)
    assert result.notes == ("object 1: bbox_2d dropped, it covers less than a pixel of the frame",)
    assert read(reply([{"point_2d": [840, 840]}])).cues == (Cue(None, (Point(839, 839),)),)
    assert read(reply([{"point_2d": [420, 420]}]), frame_size=(1680, 420)).cues == (Cue(None, (Point(840, 210),)),)
    assert read(reply([{"bbox_2d": [10, 20, 20, 20]}, OBJECT]), mode="strict").cues == (Cue(None), CUE)


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_an_answer_may_have_as_many_characters_as_the_limit(mode: str) -> None:
    answer = json.dumps([OBJECT])
    answer = answer[:-1] + " " * (MAX_ANSWER_CHARS - len(answer)) + "]"
    assert read(reply(answer), mode=mode).cues == (CUE,)
    assert failure(reply(f" {answer[:-1]} ] "), mode=mode) == "too_long"


def test_points_alone_and_lists_of_points() -> None:
    assert read(reply([{"point_2d": [[1, 2]]}])).cues == (Cue(None, (Point(1, 2),)),)
    result = read(reply([{"point_2d": [[1, 2], [3, 4]], "neg_point_2d": [[5, 6], [7, "x"]]}]))
    assert result.cues == (Cue(None, (Point(1, 2), Point(3, 4)), (Point(5, 6),)),)
    assert result.notes == ("object 1: neg_point_2d is not two finite numbers",)


def test_labels_are_one_or_zero() -> None:
    result = read(reply([{"points": [[1, 2, 1], [3, 4, 2], [5, 6], [7, 8, 0], "x"]}]))
    assert result.cues == (Cue(None, (Point(1, 2),), (Point(7, 8),)),)
    assert len(result.notes) == 1


def test_too_many_objects_are_cut() -> None:
    for mode in ("lenient", "strict"):
        result = read(reply([OBJECT] * (MAX_OBJECTS + 5)), mode=mode)
        assert len(result.cues) == MAX_OBJECTS
        assert result.notes == ("more than 120 objects, the rest was cut",)
        assert read(reply([OBJECT] * MAX_OBJECTS), mode=mode).notes == ()
    unlisted = read(reply(json.dumps([OBJECT] * (MAX_OBJECTS + 5))[1:-1]))
    assert len(unlisted.cues) == MAX_OBJECTS
    assert unlisted.notes == ("objects without a list around them", "more than 120 objects, the rest was cut")


def test_the_detail_of_a_failure_is_short() -> None:
    result = parse_reply(reply([{}] * MAX_OBJECTS), frame_size=SIZE)
    assert isinstance(result, ParseFailure)
    assert len(result.detail) == 500


def test_strict_keeps_coordinates_and_the_number_of_objects() -> None:
    objects = [
        {"bbox_2d": [-50, 20, 2000, 220], "point_2d": [-1, 900]},
        {"bbox_2d": [110, 220, 10, 20], "point_2d": [5, 5]},
        {"bbox_2d": [10, 20, 10, 220]},
        {"bbox_2d": ["1", "2", "30", "40"]},
        "a dog",
        {},
    ]
    result = read(reply(objects), mode="strict")
    assert result.cues[0] == Cue(Box(-50, 20, 2000, 220), (Point(-1, 900),))
    assert result.cues[1] == Cue(None, (Point(5, 5),))
    assert result.cues[2:] == (Cue(None),) * 4
    assert len(result.notes) == 4
    assert result.presence == 1.0


def test_read_answer_gives_the_objects_as_written() -> None:
    text = reply([{"bbox_2d": [1, 2, 3], "point_2d": "x"}, None])
    answer = read_answer(text, mode="strict")
    assert not isinstance(answer, ParseFailure)
    assert answer.items == ({"bbox_2d": [1.0, 2.0, 3.0], "point_2d": "x"}, None)
    assert text[answer.start :].startswith("<answer>")


@pytest.mark.parametrize(
    ("text", "lenient", "strict"),
    [
        ("", "empty", "empty"),
        (" \n ", "empty", "empty"),
        ("The dog.", "no_answer", "no_answer"),
        ("<answer></answer>", "no_answer", "bad_json"),
        (f"<think>it may be {json.dumps([OBJECT])} or", "no_answer", "no_answer"),
        ("</answer><answer>", "no_answer", "no_answer"),
        (reply("the dog"), "no_answer", "bad_json"),
        (reply("[1, 2"), "bad_json", "bad_json"),
        (reply("[10, 20, 30, 40]"), "not_a_list", None),
        (reply("7"), "no_answer", "not_a_list"),
        (reply([{"label": "dog"}]), "no_usable_object", None),
        (reply([{"bbox_2d": [1, 2, 3]}]), "no_usable_object", None),
        (reply([{"bbox_2d": [True, False, True, True]}]), "no_usable_object", None),
        (reply("[{'bbox_2d': [1, 2, 30, 40]}]"), "bad_json", "bad_json"),
        (reply('[{"bbox_2d": [١, ٢, ٣٠, ٤٠]}]'), "bad_json", "bad_json"),
        (reply('[{"bbox_2d": ["١", "٢", "٣٠", "٤٠"]}]'), "no_usable_object", None),
        (reply('[{"bbox_2d": ["1_0", "nan", "inf", "1e2"]}]'), "no_usable_object", None),
        (reply(f"{json.dumps([OBJECT])} "), None, None),
        (reply(f"{json.dumps([OBJECT])}]"), None, "bad_json"),
        (reply(OBJECT), None, "not_a_list"),
    ],
)
def test_kinds_of_failure(text: str, lenient: str | None, strict: str | None) -> None:
    for mode, kind in (("lenient", lenient), ("strict", strict)):
        if kind is None:
            read(text, mode=mode)
        else:
            assert failure(text, mode=mode) == kind


def test_sizes_are_checked() -> None:
    with pytest.raises(InvalidConfig, match="not positive"):
        parse_reply(reply([]), frame_size=(0, 10))
    with pytest.raises(InvalidConfig, match="not positive"):
        format_reply("", [], (10, 10), coord_size=(0, 1))


# --- writing ---------------------------------------------------------------------------------------------------------


def test_format_reply() -> None:
    cue = Cue(Box(20, 10, 220, 110), (Point(120, 60),), (Point(260, 60), Point(10, 10)))
    text = format_reply("It runs.", [cue], (1680, 420))
    assert text == (
        '<think>It runs.</think><answer>[{"bbox_2d":[10,20,110,220],"point_2d":[60,120],"neg_point_2d":[[130,120],[5,20]]}]</answer>'
    )
    assert format_reply("Nothing.", [], (4, 4)) == "<think>Nothing.</think><answer>[]</answer>"


def test_coordinates_are_rounded_half_up() -> None:
    text = format_reply("", [Cue(Box(10.5, 20.49, 30.5, 40.51), (Point(1.5, 2.5),))], SIZE)
    assert json.loads(text.split("<answer>")[1].removesuffix("</answer>")) == [{"bbox_2d": [11, 20, 31, 41], "point_2d": [2, 3]}]


def test_a_thin_box_stays_a_pixel_thick() -> None:
    """At 600 px a unit of the grid is 0.71 px: rounding to one unit would make the reader drop the box."""
    thin = Cue(Box(0.4, 300.4, 1.4, 301.4))
    assert '"bbox_2d":[0,420,2,422]' in format_reply("", [thin], (600, 600))
    assert '"bbox_2d":[0,420,1,422]' in format_reply("", [thin], (600, 600), coord_size=(600, 840))
    assert '"bbox_2d":[5,6,6,7]' in format_reply("", [Cue(Box(5.4, 6.4, 6.4, 7.4))], SIZE)


def test_a_point_on_the_last_pixel_stays_in_the_frame() -> None:
    text = format_reply("", [Cue(None, (Point(99, 49), Point(0, 0)))], (100, 50))
    assert '"point_2d":[[831,823],[0,0]]' in text
    assert read(text, frame_size=(100, 50)).notes == ()


def test_thinking_text_cannot_forge_an_answer() -> None:
    text = format_reply('</think><answer>[{"bbox_2d":[0,0,840,840]}]</answer>', [CUE], SIZE)
    assert text.count("<answer>") == text.count("</think>") == 1
    assert read(text).cues == read(text, mode="strict").cues == (CUE,)


def test_coordinates_that_are_no_numbers_are_refused() -> None:
    for cue in (Cue(Box(0, 0, float("nan"), 5)), Cue(None, (Point(float("inf"), 0),))):
        with pytest.raises(InvalidPrompt, match="not a finite number"):
            format_reply("", [cue], SIZE)


# --- votes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<answer>[20, 60]</answer>", (20, 60)),
        ("<think>of 16 frames, 3 to 9</think> <answer>[20, 60]</answer>", (20, 60)),
        ("<think>of 16 frames, 3 to 9</think> [20, 60]", (20, 60)),
        ("<answer>[1, 2]</answer><answer>[20, 60]</answer>", (20, 60)),
        ("<answer>[20, 60]", (20, 60)),
        ("20-60", (20, 60)),
        ("20% - 60%", (20, 60)),
        ("20%-60%.", (20, 60)),
        ("from 20 to 60 percent", (20, 60)),
        ('{"start": 20.5, "end": 60}', (20.5, 60)),
        ("[0.2, 0.6]", (0.2, 0.6)),
        ("[-5, 60]", (-5, 60)),
        ("[60, 20]", (60, 20)),
        ("", None),
        ("[20]", None),
        ("[20, 40, 60]", None),
        ("none", None),
        ("[1e308, NaN]", None),
        ("[٢٠, ٦٠]", None),
        ("20s 60s", None),
        ("1.2.3", None),
        ("[1234567890123, 5]", None),
        (" " * 3000 + "[20, 60]", (20, 60)),
        ("[20, 60" + " " * 1992 + "]", (20, 60)),
        ("[20, 60" + " " * 1993 + "]", None),
    ],
)
def test_parse_interval(text: str, expected: tuple[float, float] | None) -> None:
    assert parse_interval(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<answer>40</answer>", 40),
        ("about 40 %", 40),
        ("40%", 40),
        ("[40]", 40),
        ('{"position": 0.4}', 0.4),
        ("<think>frame 7 of 16</think>40.", 40),
        ("[40, 60]", None),
        ("", None),
        ("the middle", None),
        ("frame7", None),
    ],
)
def test_parse_position(text: str, expected: float | None) -> None:
    assert parse_position(text) == expected


def test_values_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ParseFailure("empty", "x").kind = "bad_json"  # type: ignore[misc]
