"""Two who read the same scene: the trained reader first, and the matcher where the reader finds nothing.

The reader goes by names. Where the classifier has none for a thing, or a wrong one, as with drawn figures, it says that nothing is
there; the matcher compares the whole distribution over classes with the words, and sees likeness where no name fits. Against a reader
that looked and found nothing it has to be sure. Not here: how either comes to its answer (`reader`, `matcher`).
"""

from __future__ import annotations

from dataclasses import replace

from videoseg_r1.lite.matcher import Matcher
from videoseg_r1.stages import Context, Reasoner
from videoseg_r1.types import Frame, Reasoning

SURE = 0.7
"""Presence from which a second answer outweighs "nothing". On the development clips the matcher's was 0.75 and more for all fifty that
are there, and 0.53 and 0.67 for two of ten that are not and that it takes for something else."""


def outweighs(presence: float, *, understood: bool) -> bool:
    """Return whether a second answer with targets stands against a first one that has none, or that was not understood.

    Args:
        presence: how sure the second is that there is something, 0..1.
        understood: whether the first could be read: then it says "nothing".
    """
    return not understood or presence >= SURE


class SecondOpinion:
    """A `Reasoner` that asks a second one where the first finds nothing, or cannot be understood."""

    def __init__(self, first: Reasoner, second: Matcher) -> None:
        self._first, self._second = first, second

    def reason(self, target: Frame, context: Context, query: str) -> Reasoning:
        """Return the answer of the first, or of the second, after the thinking of both. Raises: what they raise."""
        one = self._first.reason(target, context, query)
        if one.cues:
            return one
        other = self._second.reason(target, context, query)
        text = f"{one.text}\nA second look. {other.text}" if one.text else other.text
        notes = (*one.notes, "the reader found nothing, so the matcher was asked", *other.notes)
        answer = replace(other, text=text, num_tokens=one.num_tokens + other.num_tokens, notes=notes)
        if not other.cues or outweighs(other.presence, understood=not one.failed):
            return answer
        return replace(answer, text=f"{text} That is not sure enough. No target.", cues=())

    def follow(self, meant: Reasoning, context: Context) -> dict[int, Reasoning]:
        """Return where what was meant is seen best; perception knows, whoever answered. See `stages.Follower`."""
        return self._second.follow(meant, context)
