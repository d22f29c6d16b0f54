"""Stage 2 on a chat model: one question about the target frame, and what is done when the reply cannot be read.

First a greedy reply; then a greedy one to a reminder of the format; then two sampled ones; then the boxes alone, wherever one can be
found in these replies; and when all of that fails, an empty answer that says so. Beyond the paper, further sampled replies can vote
on whether a target is there at all. Not here: the prompt's wording and the parser (`prompts`), coordinates of a model (`chat.families`).

Source: the order of the pictures and the ladder are ours, docs/algorithm.md, "Stage 2: the reasoner".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

from videoseg_r1.chat.base import VOTE, Chat, Message, Reply, Sampling, labelled
from videoseg_r1.chat.families import Family
from videoseg_r1.prompts import FORMAT_REMINDER, MAX_ANSWER_CHARS, MAX_OBJECTS, REASONING, ParseFailure, Size, example_answer, parse_reply
from videoseg_r1.prompts.schema import ANSWER, ANSWER_END, THINK, THINK_END
from videoseg_r1.stages.protocols import Context
from videoseg_r1.types import Frame, Reasoning

_MAX_TOKENS = 1024
_NUM_SAMPLED = 2
_ABSTAIN_BELOW = 0.5

_NUMBER = r"\s{0,9}(-?[0-9]{1,6}(?:\.[0-9]{1,6})?)\s{0,9}"
_BOX = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]", re.ASCII)


@dataclass(frozen=True)
class Question:
    """What is asked about one frame, and how replies to it are read.

    Attributes:
        messages: the conversation so far.
        frame_size: (width, height) of the target frame in pixels.
        coord_size: (width, height) of the grid on which replies are written.
    """

    messages: tuple[Message, ...]
    frame_size: Size
    coord_size: Size

    def read(self, reply: Reply) -> Reasoning | ParseFailure:
        """Return what a reply says, in pixels of the target frame."""
        found = parse_reply(reply.text, frame_size=self.frame_size, coord_size=self.coord_size)
        if isinstance(found, Reasoning) and not reply.complete:
            return replace(found, notes=(*found.notes, "the reply was cut off at its greatest length"))
        return found

    def again(self, reply: Reply, failure: ParseFailure) -> Question:
        """Return the question with a reply that could not be read, and a reminder of the format."""
        _, user = FORMAT_REMINDER.render(reason=failure.kind, example=example_answer(self.coord_size))
        return replace(self, messages=(*self.messages, Message("assistant", (reply.text,)), Message("user", (user,))))

    def read_boxes(self, reply: Reply) -> Reasoning | ParseFailure:
        """Return the boxes that stand anywhere in the answer of a reply, whatever is wrong around them."""
        boxes = [{"bbox_2d": [float(number) for number in box.groups()]} for box in _boxes(reply.text)]
        if not boxes:
            return ParseFailure("no_answer", "there is no box")
        thought, closed, _ = reply.text.rpartition(THINK_END)
        return self.read(replace(reply, text=f"{thought}{closed}{ANSWER}{json.dumps(boxes)}{ANSWER_END}"))


def question(family: Family, target: Frame, references: Sequence[Frame], key_frames: Sequence[Frame], query: str) -> Question:
    """Return what is asked of a model: references, frames of the key segment, the target last and at its full size, then the words.

    Args:
        family: of the model.
        target: the frame that boxes and points are asked for.
        references: frames that stand for the whole video.
        key_frames: frames of the key segment; those that are shown anyway are left out.
        query: the sentence, through `clean_query`.
    """
    shown = {target.index, *(frame.index for frame in references)}
    others = [frame for frame in key_frames if frame.index not in shown]
    picture = family.fed(target.rgb, "target")
    fed_size = picture.shape[1], picture.shape[0]
    coord_size = family.coord_size(fed_size)
    system, user = REASONING.render(query=query, coordinates=family.convention(fed_size), example=example_answer(coord_size))
    parts = (
        *labelled(references, family, "frame of the whole video"),
        *labelled(others, family, "frame of the key segment"),
        f"target frame, t = {target.pts_s:.1f} s:",
        picture,
        user,
    )
    messages = Message("system", (system,)), Message("user", parts)
    return Question(messages, (target.rgb.shape[1], target.rgb.shape[0]), coord_size)


Asker: TypeAlias = Callable[[Frame, Context, str], Question]
"""Makes the question of a target frame, what surrounds it, and a sentence."""


class ChatReasoner:
    """A `Reasoner` on a chat model.

    Args:
        chat: the model.
        seed: of sampled replies.
        num_presence_votes: sampled replies that vote on whether a target is there, beyond the paper; 0 takes the answer's word.
        ask: makes the question; by default one with pictures (`question`).
    """

    def __init__(self, chat: Chat, seed: int = 0, num_presence_votes: int = 0, ask: Asker | None = None) -> None:
        self._chat = chat
        self._seed = seed
        self._num_presence_votes = num_presence_votes
        self._ask: Asker = ask or self._with_pictures

    @property
    def notes(self) -> tuple[str, ...]:
        """What the model had to give up so far."""
        return self._chat.notes

    def reason(self, target: Frame, context: Context, query: str) -> Reasoning:
        """Return the thinking and the cues for the target frame, in its pixels; `failed` when no reply could be read.

        Raises: ModelError: the model failed. ResourceError: memory ran out.
        """
        asked = self._ask(target, context, query)
        answer = self._answer(asked)
        if self._num_presence_votes and not answer.failed:
            answer = self._with_presence(asked, answer)
        return replace(answer, num_tokens=self._chat.num_tokens(answer.text))

    def _with_pictures(self, target: Frame, context: Context, query: str) -> Question:
        return question(self._chat.family, target, context.reference_frames(), context.key_frames(), query)

    def _answer(self, asked: Question) -> Reasoning:
        """Return the first answer that can be read, with notes on those before it."""
        replies: list[Reply] = []
        notes: list[str] = []
        for what, reply in self._attempts(asked):
            found = asked.read(reply)
            if isinstance(found, Reasoning):
                return replace(found, notes=(*notes, *found.notes))
            replies.append(reply)
            notes.append(f"{what} could not be read: {found.kind}, {found.detail}")
        for reply in replies:
            found = asked.read_boxes(reply)
            if isinstance(found, Reasoning):
                return replace(found, reply=reply.text, notes=(*notes, "nothing but boxes could be read", *found.notes))
        return Reasoning("", (), reply=replies[0].text, presence=0.0, failed=True, notes=tuple(notes))

    def _attempts(self, asked: Question) -> Iterator[tuple[str, Reply]]:
        """Yield replies and what they are, each asked for only when the ones before it could not be read."""
        first = self._chat.ask(asked.messages, Sampling(max_tokens=_MAX_TOKENS))[0]
        yield "the reply", first
        failure = asked.read(first)
        if isinstance(failure, ParseFailure):
            yield "the reply to a reminder", self._chat.ask(asked.again(first, failure).messages, Sampling(max_tokens=_MAX_TOKENS))[0]
        for number, reply in enumerate(self._sampled(asked, self._seed, _NUM_SAMPLED), 1):
            yield f"sampled reply {number}", reply

    def _sampled(self, asked: Question, seed: int, num_replies: int) -> list[Reply]:
        return self._chat.ask(asked.messages, replace(VOTE, max_tokens=_MAX_TOKENS, seed=seed), num_replies)

    def _with_presence(self, asked: Question, answer: Reasoning) -> Reasoning:
        """Return what the votes make of an answer: without cues where less than half of them found a target, else with some.

        The share is (k + 1) / (n + 2) for k of n votes (Laplace's rule of succession); replies that cannot be read are no votes. In
        place of an answer without cues stands the vote whose cues were given most often.
        """
        read = [asked.read(reply) for reply in self._sampled(asked, self._seed + 1, self._num_presence_votes)]
        votes = [one for one in read if isinstance(one, Reasoning)]
        finding = Counter(vote.cues for vote in votes if vote.cues)
        presence = (finding.total() + 1) / (len(votes) + 2)
        notes = [*answer.notes, f"a target was found by {finding.total()} of {len(votes)} votes"]
        if len(votes) < len(read):
            notes.append(f"{len(read) - len(votes)} votes could not be read")
        if presence < _ABSTAIN_BELOW and answer.cues:
            answer = replace(answer, cues=())
            notes.append("no target, by the votes, although the answer has one")
        elif presence >= _ABSTAIN_BELOW and finding and not answer.cues:
            (cues, _), *_ = finding.most_common(1)
            answer = next(vote for vote in votes if vote.cues == cues)
            notes.append("a target, by the votes, although the answer has none")
        return replace(answer, presence=presence, notes=tuple(notes))


def _boxes(text: str) -> Iterator[re.Match[str]]:
    """Yield what looks like a box behind the thinking; boxes in a thought are candidates, not the answer."""
    _, closed, after = text.rpartition(THINK_END)
    answer = after if closed or THINK not in text else ""
    return islice(_BOX.finditer(answer[:MAX_ANSWER_CHARS]), MAX_OBJECTS)
