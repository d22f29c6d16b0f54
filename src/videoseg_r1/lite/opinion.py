"""Two who read the same scene: the trained reader first, and the matcher where the reader finds nothing.

The reader goes by names. Where the classifier has none for a thing, or a wrong one, as with drawn figures, it says that nothing is
there; the matcher compares the whole distribution over classes with the words, and sees likeness where no name fits. Both must find
nothing before nothing is answered. Not here: how either comes to its answer (`reader`, `matcher`).
"""

from __future__ import annotations

from dataclasses import replace

from videoseg_r1.stages import Context, Reasoner
from videoseg_r1.types import Frame, Reasoning


class SecondOpinion:
    """A `Reasoner` that asks a second one where the first finds nothing, or cannot be understood."""

    def __init__(self, first: Reasoner, second: Reasoner) -> None:
        self._first, self._second = first, second

    def reason(self, target: Frame, context: Context, query: str) -> Reasoning:
        """Return the answer of the first, or of the second, after the thinking of both. Raises: what they raise."""
        one = self._first.reason(target, context, query)
        if one.cues:
            return one
        other = self._second.reason(target, context, query)
        text = f"{one.text}\nA second look. {other.text}" if one.text else other.text
        notes = (*one.notes, "the reader found nothing, so the matcher was asked", *other.notes)
        return replace(other, text=text, num_tokens=one.num_tokens + other.num_tokens, notes=notes)
