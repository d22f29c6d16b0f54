"""A chat model that says what it is told to say, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Sequence

from videoseg_r1.chat.base import Message, Reply, Sampling
from videoseg_r1.chat.families import Family, family_of


class ScriptedChat:
    """Gives the texts one after another; `asked` holds (messages, sampling, number of replies) of every question.

    A text that ends in "..." is a reply that was cut off.
    """

    def __init__(self, *texts: str, model_type: str = "qwen2_5_vl") -> None:
        self.family: Family = family_of(model_type)
        self.description = "scripted"
        self.notes: tuple[str, ...] = ("something was given up",)
        self.asked: list[tuple[list[Message], Sampling, int]] = []
        self._texts = list(texts)

    def ask(self, messages: Sequence[Message], sampling: Sampling, num_replies: int = 1) -> list[Reply]:
        self.asked.append((list(messages), sampling, num_replies))
        said, self._texts = self._texts[:num_replies], self._texts[num_replies:]
        assert len(said) == num_replies, "the script is at its end"
        return [Reply(text.removesuffix("..."), not text.endswith("...")) for text in said]

    def num_tokens(self, text: str) -> int:
        return 2 * len(text.split())


def words(message: Message) -> str:
    """Return the texts of a message, with [width x height] for each picture."""
    return " ".join(part if isinstance(part, str) else f"[{part.shape[1]} x {part.shape[0]}]" for part in message.parts)
