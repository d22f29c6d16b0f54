"""The terms for the form of a completion, independent of its content: tags, keys, repetition. Not here: coordinates (`matching`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from videoseg_r1.prompts.schema import ANSWER, ANSWER_END, THINK, THINK_END

_JUNCTION = re.compile(rf"{THINK_END}\s*{ANSWER}")


def think_span(text: str) -> str:
    """Return the part of a completion whose tokens are charged.

    It lies between the first `<think>` and the last `</think>`, so that closing the thinking early hides nothing; without an end it
    is everything after `<think>`, without a beginning the whole text, so that leaving out tags does not pay.
    Source: the paper charges "reasoning tokens"; these rules are ours (docs/algorithm.md, "Length penalty").
    """
    _, opened, rest = text.partition(THINK)
    if not opened:
        return text
    inside, closed, unclosed = rest.rpartition(THINK_END)
    return inside if closed else unclosed


def thinking_format(text: str) -> float:
    """Return 1.0 if the text is `<think>any</think><answer>any</answer>`, blanks between the two allowed and nothing around them.

    Source: VisionReasoner's code, docs/algorithm.md, "Form"; empty thinking passes.
    """
    if not text.startswith(THINK) or not text.endswith(ANSWER_END):
        return 0.0
    return float(_JUNCTION.search(text) is not None)


def non_repeat(text: str) -> float:
    """Return 0.0 if two or more of the pieces between full stops, answer included, have occurred before, else 1.0.

    Source: VisionReasoner's code, docs/algorithm.md, "Form".
    """
    pieces = [piece for piece in map(str.strip, text.split(".")) if piece]
    return float(len(pieces) - len(set(pieces)) < 2)


def answer_format(items: Sequence[object], *, negatives: bool, strict_parse: bool) -> float:
    """Return in 0..2 how many of the required parts the objects have, on average; whether the values make sense is not checked.

    Args:
        items: the objects of the answer, as JSON gave them.
        negatives: whether a negative point is asked for, besides a box and a point.
        strict_parse: stop counting at the first object where VisionReasoner's code runs into an exception.
    Source: VisionReasoner's code, docs/algorithm.md, "Form"; the part for negative points is ours.
    """
    found = 0
    for item in items:
        if isinstance(item, dict):
            found += _num_parts(cast("dict[str, object]", item), negatives)
        elif strict_parse and _cannot_be_asked(item):
            break
    return 2 * found / ((3 if negatives else 2) * len(items)) if items else 0.0


def is_complete(item: object) -> bool:
    """Return whether an object has a box of four numbers and a point of two, so that VisionReasoner's arrays can be built."""
    if not isinstance(item, dict):
        return False
    members = cast("dict[str, object]", item)
    return all(_has_length(members.get(key), count) and _all_numbers(members[key]) for key, count in (("bbox_2d", 4), ("point_2d", 2)))


def num_negatives(item: object) -> int:
    """Return how many negative points an object names, usable or not: in `neg_point_2d`, and in `points` under label 0."""
    if not isinstance(item, dict):
        return 0
    members = cast("dict[str, object]", item)
    value, labelled = members.get("neg_point_2d"), members.get("points")
    count = len(cast("list[object]", value)) if _is_nested(value) else int(value is not None)
    if isinstance(labelled, list):
        entries = cast("list[object]", labelled)
        count += sum(isinstance(entry, list) and cast("list[object]", entry)[-1:] == [0.0] for entry in entries)
    return count


def _num_parts(item: dict[str, object], negatives: bool) -> int:
    value = item.get("neg_point_2d")
    has_negative = negatives and (_has_length(value, 2) or _is_nested(value))
    return _has_length(item.get("bbox_2d"), 4) + _has_length(item.get("point_2d"), 2) + has_negative


def _has_length(value: object, count: int) -> bool:
    return isinstance(value, list) and len(cast("list[object]", value)) == count


def _all_numbers(value: object) -> bool:
    return all(isinstance(part, float) for part in cast("list[object]", value))


def _is_nested(value: object) -> bool:
    """Return whether this is a list of points, not one point."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def _cannot_be_asked(item: object) -> bool:
    """Return whether Python raises on looking for a key in this value or, finding it there, on taking it out."""
    return not isinstance(item, (str, list)) or "bbox_2d" in item or "point_2d" in item
