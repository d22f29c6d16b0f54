"""Unknown names are answered with what may have been meant; of long foreign messages the first line is kept."""

from __future__ import annotations

import pytest

from videoseg_r1.errors import UnknownName, first_line, name_hint, unknown_name


def test_the_nearest_name_comes_first_then_all():
    error = unknown_name("preset", "lit", {"lite": 1, "7b": 2})
    assert isinstance(error, UnknownName)
    assert str(error) == "no such preset: lit\n  did you mean lite? known are lite, 7b"


def test_nothing_near():
    assert name_hint("zebra", ["lite", "7b"]) == "known are lite, 7b"


def test_a_long_list_is_cut():
    hint = name_hint("clip-0077", [f"clip-{number:03}" for number in range(30)])
    assert hint.startswith("did you mean clip-007? known are clip-000, ")
    assert hint.endswith("clip-023 and 6 more")


@pytest.mark.parametrize(("text", "line"), [("one\ntwo", "one"), ("\n one ", "one"), ("", "ValueError"), (" \n", "ValueError")])
def test_the_first_line_of_a_message(text, line):
    assert first_line(ValueError(text)) == line
