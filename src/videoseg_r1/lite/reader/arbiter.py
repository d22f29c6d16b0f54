"""The trained reader and the matcher answer the same questions; the arbiters decide whose votes and whose answer stand.

The reader goes by names. Where the classifier has no name for a thing, or a wrong one, as with drawn figures, the reader says that nothing
is there. The matcher compares all class probabilities with the words, so it sees likeness where no name fits. It has to be sure before its
answer replaces one of the reader: sure that a thing is there, and which one, if the reader named another; or that the thing is absent,
which takes a noun that it knows. Votes for a target frame are replaced where they name a part of the video in which the thing is not seen.
Not here: how either comes to its answer (`trained`, `lite.language.matcher`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from videoseg_r1.lite.language.matcher import LiteVoter, Matcher, MatcherAnswer
from videoseg_r1.masks.geometry import iou
from videoseg_r1.stages.protocols import Context, Reasoner, Shown, Voter
from videoseg_r1.stages.sampling.hierarchical import usable_positions, voted_frame
from videoseg_r1.types import Box, Cue, Frame, Reasoning

SURE = 0.7
"""Presence from which the matcher's answer outweighs "nothing". On the development clips the presence was 0.75 and more for all fifty
targets that are there, and 0.53 and 0.67 for the two of ten absent targets that the matcher takes for something else."""
CLEAR = 0.7
"""Share of the score from which the matcher's answer outweighs one that names other things, where one thing is asked for."""
KNOWN = 0.9
"""How well a noun has to be known (`ParsedQuery.known`) for the matcher's "nothing" to outweigh an answer that names a thing."""
WITHOUT, WITH = 0.1, 0.25
"""Parts of a thing in the colour that the sentence names: with less it does not have that colour, from the second on it has."""
_SAME = 0.5  # IoU of boxes from which they are about one thing


def outweighs(matched: MatcherAnswer, read: Sequence[Cue] | None) -> bool:
    """Return whether the matcher's answer replaces the reader's: its cues, none where it says "nothing", None where it cannot be read."""
    if read is None:
        return True
    if not matched.reasoning.cues:
        return bool(read) and matched.query.known >= KNOWN
    if matched.reasoning.presence < SURE:
        return False
    if not read:
        return True
    if matched.query.several:
        return False
    boxes = [cue.box for cue in read if cue.box]
    return (matched.share >= CLEAR and not _same(boxes, matched.reasoning.boxes)) or _is_recoloured(matched, read)


def _is_recoloured(matched: MatcherAnswer, read: Sequence[Cue]) -> bool:
    """Return whether the reader chose a thing without the colour that the sentence names, and the matcher one that has it."""
    chosen, best = ([matched.colours.get(cue.track_id or 0) for cue in cues] for cues in (read, matched.reasoning.cues))
    return any(share is not None and share < WITHOUT for share in chosen) and all(share is not None and share >= WITH for share in best)


def _same(ones: Sequence[Box], others: Sequence[Box]) -> bool:
    return len(ones) == len(others) == 1 and iou(ones[0], others[0]) > _SAME


class VoteArbiter:
    """A `Voter`: the trained reader votes, and the matcher votes for it where the voted target frame cannot show what is asked for.

    A thing that is seen in a short part of the video alone is missed by votes for the middle. Where the matcher is sure (`SURE`) which
    thing is meant, and the reader's votes lead to a frame before its first or after its last view, the matcher's votes count.

    Args:
        reader: the trained model.
        matcher: the matcher as voter.
    """

    def __init__(self, reader: Voter, matcher: LiteVoter) -> None:
        self._reader, self._matcher = reader, matcher

    def intervals(self, frames: Shown, query: str, k: int) -> list[tuple[float, float] | None]:
        """Return the reader's votes. Raises: what it raises."""
        return self._reader.intervals(frames, query, k)

    def positions(self, frames: Shown, query: str, m: int) -> list[float | None]:
        """Return the reader's votes, or the matcher's, in percent of the frames shown. Raises: what the two raise."""
        votes = self._reader.positions(frames, query, m)
        seen = self._matcher.seen(frames, query, SURE)
        if seen is None:
            return votes
        target = voted_frame((frames.indices[0], frames.indices[-1]), usable_positions(votes))
        return votes if seen[0] <= target <= seen[1] else self._matcher.positions(frames, query, m)


class Arbiter:
    """A `Reasoner` that asks the trained reader and the matcher, and takes the matcher's answer where it `outweighs` the reader's.

    Args:
        reader: the trained model.
        matcher: the matcher.
    """

    def __init__(self, reader: Reasoner, matcher: Matcher) -> None:
        self._reader, self._matcher = reader, matcher

    def reason(self, target: Frame, context: Context, query: str) -> Reasoning:
        """Return the reader's answer; or the matcher's, after the reasoning text of both and with a note that says why.

        Raises: what the two raise.
        """
        read = self._reader.reason(target, context, query)
        answer = self._matcher.answer(target, context, query)
        matched, replaced = answer.reasoning, outweighs(answer, None if read.failed else read.cues)
        if read.cues and not replaced:
            return read
        text = f"{read.text}\nA second look. {matched.text}" if read.text else matched.text
        notes = (*read.notes, _note(read, matched, replaced=replaced), *matched.notes)
        both = replace(matched, text=text, num_tokens=read.num_tokens + matched.num_tokens, notes=notes)
        if replaced or not matched.cues:
            return both
        return replace(both, text=f"{text} That is not sure enough. No target.", cues=())


def _note(read: Reasoning, matched: Reasoning, *, replaced: bool) -> str:
    """Return what users are told of an answer that is not the reader's alone."""
    if read.failed:
        return "no reply of the model could be read; the matcher's answer was used"
    if read.cues:
        if matched.cues:
            return "the model named other objects than the matcher, whose answer fits the words better and was used"
        return "the model named an object that nothing in the scene resembles; the matcher's answer was used"
    if replaced:
        return "the model named no object; the matcher's answer was used"
    return f"the model named no object, and the matcher {'was not sure of its own' if matched.cues else 'found none either'}"
