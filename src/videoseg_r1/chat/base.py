"""The interface of every chat model: messages of text and pictures in, sampled replies out.

A back end (`local`, `endpoint`) turns messages into whatever its model wants; its callers (`stages`, `difficulty`) know
neither. Not here: the prompts (`videoseg_r1.prompts`), coordinates (`families`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from videoseg_r1.chat.families import Family, Role
from videoseg_r1.types import Frame, RgbImage

Part: TypeAlias = "str | RgbImage"
"""Text, or a picture (H, W, 3) uint8 at the size at which it is fed to the model (`Family.fed`)."""


@dataclass(frozen=True, eq=False)
class Message:
    """One turn of a conversation: text and pictures in their order."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How replies are drawn.

    Attributes:
        temperature: 0 is greedy: always the likeliest token.
        top_p: the likeliest tokens of this much probability together are drawn from, in (0, 1].
        max_tokens: greatest length of a reply, in tokens of the model.
        seed: of the random draw; the same seed, model and messages give the same replies, as far as the back end can promise it.
        schema: JSON schema that the whole reply should follow; not every back end can enforce it.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 768
    seed: int = 0
    schema: Mapping[str, object] | None = None


VOTE = Sampling(temperature=0.7, top_p=0.9)
"""How votes, ratings and second attempts are drawn: likely replies that still differ from each other."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model wrote, special tokens removed and the thinking prefix of its template restored; `complete` unless cut off."""

    text: str
    complete: bool = True


def labelled(frames: Sequence[Frame], family: Family, name: str, role: Role = "context") -> list[Part]:
    """Return frames as pictures, each after a label such as "frame 2 of 16, t = 1.2 s:"."""
    parts: list[Part] = []
    for number, frame in enumerate(frames, 1):
        parts += [f"{name} {number} of {len(frames)}, t = {frame.pts_s:.1f} s:", family.fed(frame.rgb, role)]
    return parts


class Chat(Protocol):
    """A model that answers messages."""

    @property
    def family(self) -> Family: ...

    @property
    def description(self) -> str:
        """The model and its revision, for the trace."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user on degraded operation so far: steps taken when memory ran out, retries."""
        ...

    def ask(self, messages: Sequence[Message], sampling: Sampling, num_replies: int = 1) -> list[Reply]:
        """Return `num_replies` replies to the same messages, drawn independently; with temperature 0 they are equal.

        Raises: ModelError: the model or its server failed. ResourceError: memory ran out.
        """
        ...

    def num_tokens(self, text: str) -> int:
        """Return the length of a text in tokens of the model; words where it has no tokenizer here."""
        ...
