"""What holds of the parser for every reply, and of writing and reading back."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from videoseg_r1.errors import InvalidQuery
from videoseg_r1.prompts import (
    MAX_OBJECTS,
    ParseFailure,
    clean_query,
    format_reply,
    neutralize_tags,
    parse_interval,
    parse_position,
    parse_reply,
    rounded_cue,
)
from videoseg_r1.types import Box, Cue, Point, Reasoning

coordinate = st.one_of(st.integers(-100, 1000), st.floats(-100, 1000), st.floats(), st.text(max_size=4), st.none(), st.booleans())
json_value = st.recursive(
    st.one_of(coordinate, st.integers()),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
part = st.one_of(st.lists(coordinate, min_size=2, max_size=4), json_value)
item = st.one_of(st.fixed_dictionaries({}, optional=dict.fromkeys(("bbox_2d", "point_2d", "neg_point_2d", "points"), part)), json_value)
pieces = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "```json\n",
        "```",
        "[",
        "]",
        "{",
        "}",
        ",",
        '"bbox_2d":',
        "[1,2,30,40]",
        "none",
        "NaN",
    ]
)
structured = st.lists(item, max_size=4).map(lambda items: f"<think>x</think><answer>{json.dumps(items)}</answer>")
broken = st.tuples(structured, st.integers(0, 200), st.integers(0, 5)).map(lambda t: t[0][: t[1]] + t[0][t[1] + t[2] :])
hostile = st.one_of(structured, broken, st.lists(st.one_of(pieces, st.text(max_size=5)), max_size=30).map("".join), st.text(max_size=200))
side = st.integers(1, 4000)


@settings(max_examples=10_000, deadline=None)
@given(hostile, side, side, st.sampled_from(["lenient", "strict"]))
@example("<answer>[{}]</answer>", 1, 1, "lenient")
def test_any_reply_gives_a_value(text: str, width: int, height: int, mode: Any) -> None:
    result = parse_reply(text, frame_size=(width, height), mode=mode)
    if isinstance(result, ParseFailure):
        assert result.detail
        return
    assert result.reply == text
    assert "<think>" not in result.text
    assert len(result.cues) <= MAX_OBJECTS
    assert not result.failed
    for cue in result.cues:
        points = [*cue.points, *cue.neg_points]
        values = [value for p in points for value in (p.x, p.y)] + ([cue.box.x1, cue.box.y1, cue.box.x2, cue.box.y2] if cue.box else [])
        assert all(map(math.isfinite, values))
        assert cue.box is None or (cue.box.width > 0 and cue.box.height > 0)
        if mode == "lenient":
            assert cue.box or cue.points
            assert all(0 <= p.x <= width - 1 and 0 <= p.y <= height - 1 for p in points)
            if cue.box:
                assert min(cue.box.width, cue.box.height) > 1 - 1e-5
                assert min(cue.box.x1, cue.box.y1) >= 0
                assert cue.box.x2 <= width
                assert cue.box.y2 <= height


@settings(max_examples=150, deadline=None)
@given(hostile)
def test_any_vote_gives_a_value(text: str) -> None:
    interval, position = parse_interval(text), parse_position(text)
    assert interval is None or all(map(math.isfinite, interval))
    assert position is None or math.isfinite(position)
    assert interval is None or position is None


@st.composite
def scenes(draw: st.DrawFn) -> tuple[tuple[int, int], list[Cue]]:
    width, height = draw(side), draw(side)

    def point() -> Point:
        return Point(draw(st.floats(0, width - 1)), draw(st.floats(0, height - 1)))

    cues: list[Cue] = []
    for _ in range(draw(st.integers(0, 4))):
        x1, y1 = draw(st.floats(0, width - 1)), draw(st.floats(0, height - 1))
        box = Box(x1, y1, draw(st.floats(x1 + 1, max(width, x1 + 1))), draw(st.floats(y1 + 1, max(height, y1 + 1))))
        points = tuple(point() for _ in range(draw(st.integers(0, 3))))
        negatives = tuple(point() for _ in range(draw(st.integers(0, 3))))
        keep_box = draw(st.booleans()) or not points
        cues.append(Cue(box if keep_box else None, points, negatives))
    return (width, height), cues


def flat(cue: Cue) -> list[float]:
    box = [cue.box.x1, cue.box.y1, cue.box.x2, cue.box.y2] if cue.box else []
    return box + [value for p in (*cue.points, *cue.neg_points) for value in (p.x, p.y)]


@settings(max_examples=300, deadline=None)
@given(scenes(), st.text(max_size=40), st.sampled_from([(840, 840), (1000, 1000), (832, 480)]))
@example(((70, 1), [Cue(Box(0.875, 0, 1.875, 1))]), "", (840, 840))  # 12 units of 1/12 px
def test_reading_back_what_was_written(scene: tuple[tuple[int, int], list[Cue]], text: str, coord_size: tuple[int, int]) -> None:
    frame_size, cues = scene
    written = format_reply(text, cues, frame_size, coord_size=coord_size)
    assert re.fullmatch(r"<think>.*</think>\s*<answer>.*</answer>", written, re.DOTALL)  # VisionReasoner's format reward
    unit = max(frame_size[0] / coord_size[0], frame_size[1] / coord_size[1])
    for mode in ("lenient", "strict"):
        back = parse_reply(written, frame_size=frame_size, coord_size=coord_size, mode=mode)  # type: ignore[arg-type]
        assert isinstance(back, Reasoning)
        assert back.text == neutralize_tags(text)[0].strip()
        assert len(back.cues) == len(cues)
        for ours, theirs in zip(cues, back.cues, strict=True):
            assert (ours.box is None) == (theirs.box is None)
            assert (len(ours.points), len(ours.neg_points)) == (len(theirs.points), len(theirs.neg_points))
            assert all(abs(a - b) <= unit + 1e-6 for a, b in zip(flat(ours), flat(theirs), strict=True))
        assert not [note for note in back.notes if "point" in note]


@settings(max_examples=300, deadline=None)
@given(scenes(), st.sampled_from([(840, 840), (1000, 1000), (832, 480)]))
@example(((854, 480), [Cue(Box(800.5, 400, 854, 480), (Point(853, 479),))]), (840, 840))
def test_a_rounded_cue_is_what_is_read_of_the_reply_that_it_is_written_in(
    scene: tuple[tuple[int, int], list[Cue]], coord_size: tuple[int, int]
) -> None:
    frame_size, cues = scene
    back = parse_reply(format_reply("", cues, frame_size, coord_size=coord_size), frame_size=frame_size, coord_size=coord_size)
    assert isinstance(back, Reasoning)
    assert [rounded_cue(cue, frame_size, coord_size=coord_size) for cue in cues] == list(back.cues)


@given(side, side, st.floats(0, 1), st.floats(0, 1), st.floats(1e-3, 1.2), st.floats(1e-3, 1.2))
def test_a_box_below_a_pixel_is_dropped_as_in_a_reply(width: int, height: int, at_x: float, at_y: float, dx: float, dy: float) -> None:
    point = Point(at_x * (width - 1), at_y * (height - 1))
    cue = Cue(Box(point.x, point.y, min(point.x + dx, width), min(point.y + dy, height)), (point,), track_id=3)
    back = parse_reply(format_reply("", [cue], (width, height)), frame_size=(width, height))
    assert isinstance(back, Reasoning)
    (read,) = back.cues
    rounded = rounded_cue(cue, (width, height))
    assert (rounded.box, rounded.points, rounded.track_id) == (read.box, read.points, 3)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_a_clean_query_stays_as_it_is(text: str) -> None:
    try:
        query = clean_query(text)
    except InvalidQuery:
        return
    assert clean_query(query) == query
    assert query == " ".join(query.split())
    assert not re.search(r"<[^<>\s]{1,64}>", query)
