"""Two who read the same scene: the trained reader, and the matcher, which speaks up where the reader finds nothing or takes another thing.

The reader goes by names. Where the classifier has none for a thing, or a wrong one, as with drawn figures, it says that nothing is
there; the matcher compares the whole distribution over classes with the words, and sees likeness where no name fits. Against a reader
that looked it has to be sure: that something is there, and, if the reader means something else, which thing; or that nothing is, of
what it has a word for. Not here: how either comes to its answer (`trained`, `lite.language.matcher`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from videoseg_r1.lite.language.matcher import Choice, Matcher
from videoseg_r1.masks.geometry import iou
from videoseg_r1.stages.protocols import Context, Reasoner
from videoseg_r1.types import Box, Frame, Reasoning

SURE = 0.7
"""Presence from which a second answer outweighs "nothing". On the development clips the matcher's was 0.75 and more for all fifty that
are there, and 0.53 and 0.67 for two of ten that are not and that it takes for something else."""
CLEAR = 0.7
"""Share of the score from which a second answer outweighs one that means other things, where one thing is asked for."""
KNOWN = 0.9
"""How well a noun has to be known for the second answer "nothing" to outweigh a first one that means something."""
_SAME = 0.5  # IoU of boxes from which they are about one thing


def outweighs(second: Choice, first: Sequence[Box] | None) -> bool:
    """Return whether a second answer stands against a first one: its boxes, none where it says "nothing", None where it cannot be read."""
    if first is None:
        return True
    if not second.answer.cues:
        return bool(first) and second.query.known >= KNOWN
    if second.answer.presence < SURE:
        return False
    if not first:
        return True
    return second.share >= CLEAR and not second.query.several and not _same(first, second.answer.boxes)


def _same(ones: Sequence[Box], others: Sequence[Box]) -> bool:
    return len(ones) == len(others) == 1 and iou(ones[0], others[0]) > _SAME


def _lacks(one: Reasoning, other: Reasoning) -> str:
    if not one.cues:
        return "found nothing"
    return "means other things" if other.cues else "means something, of what nothing looks like it"


class SecondOpinion:
    """A `Reasoner` that hears a second one, and goes by it where it `outweighs` the first."""

    def __init__(self, first: Reasoner, second: Matcher) -> None:
        self._first, self._second = first, second

    def reason(self, target: Frame, context: Context, query: str) -> Reasoning:
        """Return the answer of the first, or of the second, after the thinking of both. Raises: what they raise."""
        one = self._first.reason(target, context, query)
        second = self._second.choose(target, context, query)
        other, heard = second.answer, outweighs(second, None if one.failed else one.boxes)
        if one.cues and not heard:
            return one
        text = f"{one.text}\nA second look. {other.text}" if one.text else other.text
        notes = (*one.notes, f"the reader {_lacks(one, other)}, so the matcher was asked", *other.notes)
        answer = replace(other, text=text, num_tokens=one.num_tokens + other.num_tokens, notes=notes)
        if heard or not other.cues:
            return answer
        return replace(answer, text=f"{text} That is not sure enough. No target.", cues=())

    def follow(self, meant: Reasoning, context: Context) -> dict[int, Reasoning]:
        """Return where what was meant is seen best; perception knows, whoever answered. See `stages.Follower`."""
        return self._second.follow(meant, context)
