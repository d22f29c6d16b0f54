"""`[OBJECT][@FRAME]=VALUE`: what masks, boxes and points on the command line mean, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videoseg_r1.cli.prompts import GivenOptions, given_by
from videoseg_r1.errors import InputError, InvalidDocument, InvalidPrompt, SourceNotFound
from videoseg_r1.types import Box, Cue, Point

A, B, C = Cue(Box(10, 20, 40, 50)), Cue(Box(110, 70, 140, 100)), Cue(Box(12, 22, 42, 52))
A_TEXT, B_TEXT, C_TEXT = "10,20,40,50", "110,70,140,100", "12,22,42,52"


def _given(
    *,
    mask: tuple[str, ...] = (),
    box: tuple[str, ...] = (),
    point: tuple[str, ...] = (),
    neg: tuple[str, ...] = (),
    frame: int | None = None,
) -> GivenOptions:
    return given_by(mask, box, point, neg, frame)


def _picture(path: Path, values: list[list[int]]) -> str:
    Image.fromarray(np.array(values, np.uint8)).save(path)
    return str(path)


@pytest.fixture
def two(tmp_path: Path) -> str:
    """A picture of the objects 1 and 5."""
    return _picture(tmp_path / "two.png", [[0, 1, 5]])


@pytest.fixture
def one(tmp_path: Path) -> str:
    """A picture of one object."""
    return _picture(tmp_path / "one.png", [[0, 255, 255]])


def test_boxes_without_label_are_objects_of_their_own() -> None:
    assert _given() == GivenOptions({}, {}, ())
    assert _given(box=(A_TEXT,)) == GivenOptions({0: {1: A}}, {}, ())
    assert _given(box=(A_TEXT, B_TEXT), frame=7).prompts == {7: {1: A, 2: B}}
    assert _given(box=(f"@30={A_TEXT}", B_TEXT)).prompts == {30: {1: A}, 0: {2: B}}
    assert _given(box=(A_TEXT, f"1={B_TEXT}")).prompts == {0: {1: B, 2: A}}  # a number that is given is never another object's


def test_a_label_groups_what_belongs_to_one_object() -> None:
    given = _given(box=(f"dog={A_TEXT}", f"cat={B_TEXT}", f"dog@30={C_TEXT}"), point=("dog=25,35", "5@9=1,2"), neg=("dog=44,52",))
    assert given.names == {1: "dog", 2: "cat"}
    assert given.prompts == {
        0: {1: Cue(A.box, (Point(25, 35),), (Point(44, 52),)), 2: B},
        30: {1: C},
        9: {5: Cue(None, (Point(1, 2),))},
    }


def test_points_without_label_belong_to_the_one_object_there_is() -> None:
    both = Cue(A.box, (Point(25, 35), Point(3, 4)), (Point(5, 6),))
    assert _given(box=(A_TEXT,), point=("25,35", "3,4"), neg=("5,6",)).prompts == {0: {1: both}}
    assert _given(box=(f"7={A_TEXT}",), point=("25,35", "3,4"), neg=("5,6",)).prompts == {0: {7: both}}
    assert _given(point=("25,35", "3 4"), neg=("5,6",)).prompts == {0: {1: Cue(None, both.points, both.neg_points)}}


def test_a_mask_has_the_numbers_of_its_picture_and_one_mask_can_have_a_name(two: str, one: str) -> None:
    given = _given(mask=(two, f"@12={two}", f"dog={one}", f"9@3={one}"))
    assert {frame: sorted(objects) for frame, objects in given.prompts.items()} == {0: [1, 2, 5], 12: [1, 5], 3: [9]}
    assert given.names == {2: "dog"}
    assert given.prompts[0][5].tolist() == [[False, False, True]]
    assert given.prompts[0][2].tolist() == [[False, True, True]]
    assert {*_given(mask=(two,), box=(f"2={A_TEXT}",)).prompts[0]} == {1, 2, 5}


def test_a_file_with_such_a_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("dog=1.png", "@3=1.png", "a@2x.png"):
        _picture(Path(name), [[0, 4]])
        assert list(_given(mask=(name,)).prompts[0]) == [4], name
        assert _given(mask=(f"cat@5={name}",)).names == {1: "cat"}, name
    with pytest.raises(SourceNotFound):
        _given(mask=("none@3.png",))
    with pytest.raises(InputError, match="x" * 300):
        _given(mask=("x" * 300,))


def test_what_was_done_to_a_picture_is_told(tmp_path: Path) -> None:
    notes = _given(mask=(_picture(tmp_path / "grey.png", [[0, 128, 255]]),)).notes
    assert notes == ("grey.png: white, 255, is object 1 here, beside 1 darker object",)


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({"box": (A_TEXT, B_TEXT), "point": ("25,35",)}, "--point 1=25,35, or --point 2=25,35"),
        ({"box": (f"dog={A_TEXT}", f"cat={B_TEXT}"), "neg": ("@3=25,35",)}, "--neg-point dog@3=25,35, or --neg-point cat@3=25,35"),
        ({"neg": ("1,2",)}, "add --mask, --box or --point"),
        ({"box": (f"dog={A_TEXT}",), "neg": ("dog@3=1,2",)}, "add a --box or --point for it on this frame"),
        ({"box": (f"dog={A_TEXT}", f"dog={B_TEXT}")}, "another number or name"),
        ({"box": (f"0={A_TEXT}",)}, f"--box dog@30={A_TEXT}"),
        ({"box": (f"255={A_TEXT}",)}, f"--box dog@30={A_TEXT}"),
        ({"box": (f"-1={A_TEXT}",)}, f"--box dog@30={A_TEXT}"),
        ({"box": (f"dog@x={A_TEXT}",)}, f"--box dog@30={A_TEXT}"),
        ({"box": (f"dog@-3={A_TEXT}",)}, f"--box dog@30={A_TEXT}"),
        ({"box": (f"={A_TEXT}",)}, f"--box dog@30={A_TEXT}"),
        ({"box": (f"10,20={A_TEXT}",)}, f"--box dog@30={A_TEXT}"),
        ({"box": ("dog=",)}, "--box dog=120,40,310,200"),
        ({"box": ("1,2,3",)}, "--box 120,40,310,200"),
        ({"box": ("nan,2,3,4",)}, "--box 120,40,310,200"),
        ({"point": ("dog@4=1",)}, "--point dog@4=215,120"),
        ({"frame": 3}, "add --mask, --box or --point"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_right_form(options: dict[str, tuple[str, ...]], fix: str) -> None:
    with pytest.raises(InvalidPrompt) as caught:
        _given(**options)
    assert fix in caught.value.fix


def test_a_mask_contradicts_a_box_of_its_object_on_its_frame(two: str, one: str) -> None:
    for options in (
        {"mask": (two,), "box": (f"5={A_TEXT}",)},
        {"mask": (f"dog={one}",), "point": ("1,0",)},
        {"mask": (two,), "box": (A_TEXT,)},
        {"mask": (two, two)},
        {"mask": (f"dog={one}", f"dog={one}")},
        {"mask": (f"dog={two}",)},
    ):
        with pytest.raises(InvalidPrompt):
            _given(**options)
    assert {*_given(mask=(two,), box=(f"5@3={A_TEXT}",)).prompts} == {0, 3}


def test_a_photograph_is_no_mask(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / "photo.png")
    with pytest.raises(InvalidDocument):
        _given(mask=(f"dog={tmp_path}/photo.png",))


def test_there_are_at_most_254_objects() -> None:
    assert max(_given(box=(A_TEXT,) * 254).prompts[0]) == 254
    with pytest.raises(InvalidPrompt, match="too many"):
        _given(box=(A_TEXT,) * 255)
