"""Parsers of replies that are numbers: interval and position votes, the self-check, and ratings.

The numbers are returned as they were written, in percent or as fractions, in order or not; the caller interprets them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import islice
from typing import cast

from videoseg_r1.prompts.parser import ParseFailure, read_answer
from videoseg_r1.prompts.schema import ANSWER, ANSWER_END, THINK_END

MAX_VOTE_CHARS = 2000
"""Longer answers are no votes."""
MAX_LISTED = 64
"""Numbers that are read of a list."""

# a number that is not part of a word, of another number or of a range's dash; bounded, so that matching is linear
_NUMBER = re.compile(r"(?<![\w.%])-?[0-9]{1,9}(?:\.[0-9]{1,9})?(?!\.?\w)", re.ASCII)


def parse_interval(text: str) -> tuple[float, float] | None:
    """Return the two numbers of an interval vote, None unless there are exactly two: "[20, 60]", "20%-60%", '{"from": 20, "to": 60}'."""
    numbers = _numbers(text, 2)
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None


def parse_position(text: str) -> float | None:
    """Return the number of a position vote, None unless there is exactly one: "40", "40 %", '{"position": 40}'."""
    numbers = _numbers(text, 1)
    return numbers[0] if len(numbers) == 1 else None


def parse_numbers(text: str) -> tuple[int, ...]:
    """Return the whole numbers of a list in an answer, in their order; none of one that says none, or cannot be read."""
    return tuple(int(number) for number in _numbers(text, MAX_LISTED) if number.is_integer())


def parse_ratings(text: str, names: Sequence[str]) -> dict[str, float]:
    """Return the finite numbers that the JSON object of a reply has under these names, none of a reply that cannot be read.

    Numbers written as text and true or false are no numbers.
    """
    answer = read_answer(text)
    items = () if isinstance(answer, ParseFailure) else answer.items
    found = next((cast("dict[str, object]", item) for item in items if isinstance(item, dict)), {})
    values = ((name, found.get(name)) for name in names)
    return {name: value for name, value in values if isinstance(value, float) and math.isfinite(value)}


def _numbers(text: str, wanted: int) -> list[float]:
    """Return the numbers of the last answer, at most one more than wanted; none of an answer that is too long to be one."""
    tag = ANSWER if ANSWER in text else THINK_END
    content = text.rpartition(tag)[2].partition(ANSWER_END)[0].strip()
    found = _NUMBER.finditer(content) if len(content) <= MAX_VOTE_CHARS else ()
    return [float(match.group()) for match in islice(found, wanted + 1)]
