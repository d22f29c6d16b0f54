"""The parser of replies: it returns `Reasoning`, with every repair noted, or `ParseFailure`, and raises nothing for what a model wrote.

Two modes. "strict" reads the first `<answer>` as a JSON list and takes coordinates as they are, so that a reward is paid for what
was written; an object that cannot be read keeps its place as an empty cue. "lenient" is for inference: the last `<answer>`, or
JSON found without tags, in a fence, cut off, or as a single object; boxes are reordered and clipped, what is of no use is dropped.

Linear in the length of the reply: tags are found with `str.find`, each character of an answer is decoded a fixed number of times,
and answers above `MAX_ANSWER_CHARS` are refused. Coordinates are read in the grid of `coord_size`; guessing another convention
from the numbers is unsafe and not tried.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias, cast

from videoseg_r1.prompts.items import read_cue
from videoseg_r1.prompts.schema import ANSWER, ANSWER_END, MAX_ANSWER_CHARS, MAX_OBJECTS, THINK, THINK_END, pixels_per_unit
from videoseg_r1.types import CANONICAL, Cue, Reasoning, Size

Mode: TypeAlias = Literal["lenient", "strict"]
FailureKind: TypeAlias = Literal["empty", "no_answer", "too_long", "too_deep", "bad_json", "not_a_list", "no_usable_object"]

_NO_TARGET_WORDS = frozenset({"no target", "none", "null"})
_SEPARATOR = re.compile(r"[\s,]*")
_decoder = json.JSONDecoder(parse_int=float)  # int() of 5000 digits raises; float() of them is inf, which is refused later


@dataclass(frozen=True, slots=True)
class ParseFailure:
    """Why a reply could not be used: a kind to branch on, and a sentence for people that quotes nothing of the reply."""

    kind: FailureKind
    detail: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The objects of a reply as JSON values with float numbers, before any coordinate is judged, and where the answer starts."""

    items: tuple[object, ...]
    start: int
    notes: tuple[str, ...] = ()


def parse_reply(text: str, *, frame_size: Size, mode: Mode = "lenient", coord_size: Size = CANONICAL) -> Reasoning | ParseFailure:
    """Read a reply of stage 2.

    Args:
        text: the reply as the model wrote it; untrusted.
        frame_size: (width, height) of the target frame; cues come back in its pixels, as plain multiples of what was written.
        mode: see the module's header.
        coord_size: (width, height) of the grid the reply is written in.
    Returns: Reasoning with one cue per object, no cue when the answer is "no target"; or the reason why there is none.
        `num_tokens` counts words.
    Raises: InvalidConfig: a size is not positive.
    """
    scale = pixels_per_unit(frame_size, coord_size)
    answer = read_answer(text, mode=mode)
    if isinstance(answer, ParseFailure):
        return answer
    thinking, notes = _thinking(text[: answer.start])
    notes = [*answer.notes, *notes]
    cues: list[Cue] = []
    for number, item in enumerate(answer.items, start=1):
        cue, remarks = read_cue(item, scale, frame_size, strict=mode == "strict")
        notes += [f"object {number}: {remark}" for remark in remarks]
        if cue is not None:
            cues.append(cue)
    if answer.items and not cues:
        return ParseFailure("no_usable_object", "; ".join(notes)[:500])
    return Reasoning(thinking, tuple(cues), len(thinking.split()), text, presence=1.0 if cues else 0.0, notes=tuple(notes))


def read_answer(text: str, *, mode: Mode = "lenient") -> Answer | ParseFailure:
    """Find and decode the list of objects in a reply, without judging what it holds; at most `MAX_OBJECTS` of them."""
    if not text.strip():
        return ParseFailure("empty", "the reply has no text")
    answer = _strict_answer(text) if mode == "strict" else _lenient_answer(text)
    if isinstance(answer, Answer) and len(answer.items) > MAX_OBJECTS:
        note = f"more than {MAX_OBJECTS} objects, the rest was cut"
        return Answer(answer.items[:MAX_OBJECTS], answer.start, (*answer.notes, note))
    return answer


def _strict_answer(text: str) -> Answer | ParseFailure:
    start = text.find(ANSWER)
    end = text.find(ANSWER_END, start)
    if min(start, end) < 0:
        return ParseFailure("no_answer", f"there is no {ANSWER}...{ANSWER_END}")
    content = text[start + len(ANSWER) : end].strip()
    if len(content) > MAX_ANSWER_CHARS:
        return _too_long(content)
    decoded = _decode_at(content, 0)
    if isinstance(decoded, ParseFailure):
        return decoded
    value, stop = decoded
    if stop != len(content):
        return ParseFailure("bad_json", f"text after the JSON value, from character {stop} of the answer")
    if not isinstance(value, list):
        return ParseFailure("not_a_list", f"the answer is a JSON {type(value).__name__}, not a list")
    return Answer(tuple(cast("list[object]", value)), start)


def _lenient_answer(text: str) -> Answer | ParseFailure:
    """Return the first part of the reply that can be decoded, or why the most likely one cannot."""
    failure: ParseFailure | None = None
    for start, content, notes in _candidates(text):
        decoded = _decode_leniently(content)
        if not isinstance(decoded, ParseFailure):
            items, remarks = decoded
            return Answer(tuple(items), start, (*notes, *remarks))
        failure = failure or decoded
    return failure or ParseFailure("no_answer", "the thinking does not end and no answer follows")


def _candidates(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield (start, text, notes) of where an answer can be: the last `<answer>`, the first one, or the JSON after the thinking."""
    first, last = text.find(ANSWER), text.rfind(ANSWER)
    if first < 0:
        if THINK in text and THINK_END not in text:
            return  # objects named in a thought that never ended are candidates, not the answer
        before, tag, _ = text.rpartition(THINK_END)
        thought = len(before) + len(tag)
        start = max(thought, _json_start(text, thought))
        yield start, text[start:].partition(ANSWER_END)[0], [f"there is no {ANSWER} tag"]
        return
    for start in dict.fromkeys((last, first)):
        content, closed, _ = text[start + len(ANSWER) :].partition(ANSWER_END)
        notes = [] if closed else ["the answer is not closed"]
        if first != last:
            notes.append(f"more than one {ANSWER}, the {'last' if start == last else 'first'} is used")
        yield start, content, notes


def _json_start(text: str, start: int = 0) -> int:
    """Return where the first JSON list or object can begin, -1 if nowhere."""
    return min((at for at in (text.find("[", start), text.find("{", start)) if at >= 0), default=-1)


def _decode_leniently(content: str) -> tuple[list[object], list[str]] | ParseFailure:
    content = content.strip()
    if content.strip(' ."').casefold() in _NO_TARGET_WORDS:
        return [], ["no target, said in words"]
    begin = _json_start(content)
    if begin < 0:
        return ParseFailure("no_answer", "there is no JSON list or object in the answer")
    if len(content) > MAX_ANSWER_CHARS:
        return _too_long(content)
    decoded = _decode_at(content, begin)
    if not isinstance(decoded, ParseFailure):
        value, stop = decoded
        if isinstance(value, list):
            items = cast("list[object]", value)
            if not items or any(isinstance(item, dict) for item in items):
                return items, ["text around the JSON list was ignored"] if begin > 0 or stop < len(content) else []
    elif decoded.kind == "too_deep":
        return decoded
    return _salvage(content, decoded)


def _salvage(content: str, decoded: tuple[object, int] | ParseFailure) -> tuple[list[object], list[str]] | ParseFailure:
    """Take the objects that are whole, one after the other, from a list that is broken or not there."""
    items = list(islice(_whole_objects(content, content.find("{")), MAX_OBJECTS + 1))
    if isinstance(decoded, ParseFailure):
        return (items, ["the JSON list is broken, only whole objects were kept"]) if items else decoded
    return (items, ["objects without a list around them"]) if items else ParseFailure("not_a_list", "the answer holds no JSON object")


def _whole_objects(content: str, position: int) -> Iterator[object]:
    while 0 <= position < len(content) and content[position] == "{":
        decoded = _decode_at(content, position)
        if isinstance(decoded, ParseFailure):
            return
        yield decoded[0]
        separator = _SEPARATOR.match(content, decoded[1])
        position = separator.end() if separator else decoded[1]


def _decode_at(content: str, position: int) -> tuple[object, int] | ParseFailure:
    try:
        return _decoder.raw_decode(content, position)
    except RecursionError:
        return ParseFailure("too_deep", "the JSON is nested too deeply")
    except json.JSONDecodeError as error:
        return ParseFailure("bad_json", f"{error.msg} at character {error.pos} of the answer")


def _too_long(content: str) -> ParseFailure:
    return ParseFailure("too_long", f"the answer has {len(content)} characters, the limit is {MAX_ANSWER_CHARS}")


def _thinking(head: str) -> tuple[str, list[str]]:
    """Return the thinking text in what precedes the answer, without tags, and what was missing around it."""
    _, opened, rest = head.partition(THINK)
    inner, closed, last = (rest if opened else head).rpartition(THINK_END)
    notes: list[str] = []
    if not opened or not closed:
        notes.append("there are no thinking tags" if opened == closed else f"the thinking is not {'closed' if opened else 'opened'}")
    return (inner if closed else last).replace(THINK, "").replace(THINK_END, "").strip(), notes
