"""Boxes and points that a user gives: right ones pass, wrong ones are refused with what they may have meant."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.pipeline.cue_check import box_readings, check_cue, is_inside
from videoseg_r1.types import Box, Cue, Point

_SIZE = (160, 120)
_OPTION = re.compile(r"--(box|point|neg-point) (?:\S*=)?([-0-9.,e+]+)")


def _refusal(cue: Cue, size: tuple[int, int] = _SIZE, frame: int = 0, label: str = "") -> InvalidPrompt:
    with pytest.raises(InvalidPrompt) as caught:
        check_cue(cue, size, frame, label)
    return caught.value


@pytest.mark.parametrize(
    ("numbers", "written"),
    [
        ((0.1, 0.2, 0.3, 0.4), ["--box 16,24,48,48"]),
        ((0, 0, 1, 1), ["--box 0,0,160,120"]),
        ((0.5, 0.5, 0.2, 0.25), ["--box 32,30,80,60 if it is two corners", "--box 80,60,112,90 if it is x, y, width and height"]),
        ((40, 50, 10, 20), ["--box 10,20,40,50 if it is two corners", "--box 40,50,50,70 if it is x, y, width and height"]),
        ((10, 50, 40, 20), ["--box 10,20,40,50 if it is two corners", "--box 10,50,50,70 if it is x, y, width and height"]),
        ((140, 100, 20, 20), ["--box 20,20,140,100 if it is two corners", "--box 140,100,160,120 if it is x, y, width and height"]),
        ((150, 100, 20, 30), ["--box 20,30,150,100"]),
        ((-5, 10, 40, 50), ["--box 0,10,40,50"]),
        ((100, 40, 170, 80), ["--box 100,40,160,80"]),
        ((-3, -3, 1, 1), ["--box 0,0,2,2"]),
        ((10, 20, 10, 50), ["--box 10,20,20,70"]),
        ((200, 10, 300, 50), ["x1,y1,x2,y2 in pixels"]),
        ((float("nan"), 0, 10, 10), ["x1,y1,x2,y2 in pixels"]),
        ((0, 0, float("inf"), 10), ["x1,y1,x2,y2 in pixels"]),
        ((1e308, 1e308, -1e308, -1e308), ["--box 0,0,160,120"]),
    ],
)
def test_a_wrong_box_is_refused_with_what_it_may_have_meant(numbers: tuple[float, ...], written: list[str]) -> None:
    fix = _refusal(Cue(Box(*numbers))).fix
    assert all(text in fix for text in written), fix


@pytest.mark.parametrize(
    ("cue", "written"),
    [
        (Cue(None, (Point(0.25, 0.5),)), "write --point 40,60"),
        (Cue(Box(1, 2, 9, 9), (), (Point(0.99, 1),)), "write --neg-point 158,119"),
        (Cue(None, (Point(160, 20),)), "write --point 159,20, the nearest pixel"),
        (Cue(None, (Point(150, 130),)), "give x,y in pixels"),
        (Cue(None, (Point(50, 140),)), "write --point 140,50 if y came first"),
        (Cue(None, (Point(float("nan"), 1),)), "give x,y in pixels"),
        (Cue(None, (), (Point(3, 3),)), "give --box x1,y1,x2,y2 or --point x,y"),
    ],
)
def test_a_wrong_point_is_refused_with_what_it_may_have_meant(cue: Cue, written: str) -> None:
    assert written in _refusal(cue).fix


def test_the_corrected_option_names_the_object_and_the_frame() -> None:
    assert _refusal(Cue(Box(-1, 0, 5, 5)), frame=30, label="dog").fix == "write --box dog@30=0,0,5,5"
    assert _refusal(Cue(Box(-1, 0, 5, 5)), frame=30).fix == "write --box @30=0,0,5,5"
    assert "frame 30, object dog" in str(_refusal(Cue(None, (Point(-9, 1),)), frame=30, label="dog"))


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 15), (2, 2), (15, 15), (320, 8)], ids=str)
def test_the_whole_frame_is_a_box_of_it(size: tuple[int, int]) -> None:
    check_cue(Cue(Box(0, 0, *size), (Point(0, 0), Point(size[0] - 1, size[1] - 1))), size, 0)


_NUMBERS = st.one_of(
    st.floats(), st.integers(-400, 400), st.integers(-5, 20), st.floats(0, 1), st.floats(-1, 400), st.sampled_from([1e308, -1e308, 2**63])
)
_SIDES = st.one_of(st.integers(1, 15), st.integers(1, 400))


@given(st.tuples(_NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS), st.tuples(_SIDES, _SIDES))
def test_any_four_numbers_are_a_box_in_the_frame_or_refused_with_boxes_that_are(numbers: tuple[float, ...], size: tuple[int, int]) -> None:
    box = Box(*numbers)
    try:
        check_cue(Cue(box), size, 0)
    except InvalidPrompt as error:
        found = [text for _, text in _OPTION.findall(error.fix)]
        assert len(found) <= 2
        assert bool(found) == bool(box_readings(box, size))
        for text in found:
            check_cue(Cue(Box(*map(float, text.rstrip(",").split(",")))), size, 0)
    else:
        assert is_inside(box, size)
        assert 0 <= box.x1 < box.x2 <= size[0]
        assert 0 <= box.y1 < box.y2 <= size[1]
        assert box_readings(box, size) == {}


@given(st.tuples(_NUMBERS, _NUMBERS), st.tuples(_SIDES, _SIDES))
def test_any_two_numbers_are_a_point_in_the_frame_or_refused_with_one_that_is(numbers: tuple[float, float], size: tuple[int, int]) -> None:
    point = Point(*numbers)
    try:
        check_cue(Cue(None, (point,)), size, 0)
    except InvalidPrompt as error:
        for _, text in _OPTION.findall(error.fix):
            check_cue(Cue(None, (Point(*map(float, text.rstrip(",").split(","))),)), size, 0)
    else:
        assert 0 <= point.x < size[0]
        assert 0 <= point.y < size[1]
