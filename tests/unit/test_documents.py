"""Plain data equals what JSON reads back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoseg_r1.documents import to_json, to_plain
from videoseg_r1.errors import InvalidDocument


class _Color(StrEnum):
    RED = "red"


class _Level(IntEnum):
    HIGH = 3


class _Pair(NamedTuple):
    left: float
    right: object


@dataclass(frozen=True, slots=True)
class _Holder:
    item: object
    name: str = "x"


_SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
_TEXTS = st.text(st.characters(), max_size=8)  # with single surrogates, as in names that are not UTF-8
_NUMPY = (
    st.builds(np.float64, st.floats(-1e9, 1e9)) | st.builds(np.float32, st.floats(0, 1, width=32)) | st.builds(np.int16, st.integers(0, 99))
)
_OTHERS = st.sampled_from([_Color.RED, _Level.HIGH, Path("a/b"), np.bool_(True), np.int16(7), np.str_("ä")])


def _inside(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.dictionaries(_TEXTS, values, max_size=4)
    numbers = st.dictionaries(st.integers(-20, 20) | st.floats(-5, 5), values, max_size=4)
    return (
        st.lists(values, max_size=4)
        | st.builds(tuple, st.lists(values, max_size=3))
        | names
        | numbers
        | st.builds(MappingProxyType, names)
        | st.builds(_Holder, values, _TEXTS)
        | st.builds(_Pair, st.floats(0, 1), values)
    )


@given(st.recursive(_SCALARS | _TEXTS | _NUMPY | _OTHERS, _inside, max_leaves=20))
def test_plain_data_is_what_json_reads_back(value: object) -> None:
    plain, read = to_plain(value), json.loads(to_json(value))
    assert plain == read
    # also the order of keys, and that 1, 1.0 and True are told apart
    assert json.dumps(plain) == json.dumps(read)
    assert _kinds(plain) <= {dict, list, str, int, float, bool, type(None)}


def _kinds(value: object) -> set[type]:
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return {type(value)}.union(*map(_kinds, inner))


def test_halves_of_a_surrogate_pair_become_one_character() -> None:
    halves = "\ud83d" + "\ude00"
    assert to_plain({halves: [halves]}) == json.loads(to_json({halves: [halves]})) == {"😀": ["😀"]}


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [np.float32("inf")],
        {float("nan"): 1},
        {1, 2},
        b"x",
        {(1, 2): 3},
        {"a": 1, 2: 3},
        object(),
        np.zeros(2),
        {np.int64(1): 1},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_has_no_word_for_is_refused_by_both(value: object) -> None:
    for write in (to_json, to_plain):
        with pytest.raises(InvalidDocument, match="JSON"):
            write(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(InvalidDocument, match="JSON"):
        to_plain(endless)
