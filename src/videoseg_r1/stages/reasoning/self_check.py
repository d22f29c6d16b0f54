"""The self-check, beyond the paper: the masks that came out are shown back to the chat model, once.

Not here: which frames are shown and what follows from the answer (`pipeline.corrections`, `pipeline.segmenter`).
"""

from __future__ import annotations

from collections.abc import Sequence

from videoseg_r1.chat.base import Chat, Message, Sampling, labelled
from videoseg_r1.prompts import SELF_CHECK, parse_numbers
from videoseg_r1.types import Frame

_MAX_TOKENS = 256


class ChatChecker:
    """A `Checker` on a chat model. One greedy reply; one that cannot be read finds nothing wrong.

    Args:
        chat: the model.
    """

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def wrong(self, frames: Sequence[Frame], query: str) -> tuple[int, ...]:
        """Return the indices of the frames whose outlined regions are not what the query means. Raises ModelError, ResourceError."""
        if not frames:
            return ()
        system, user = SELF_CHECK.render(num_frames=len(frames), query=query)
        messages = [Message("system", (system,)), Message("user", (*labelled(frames, self._chat.family, "picture"), user))]
        reply = self._chat.ask(messages, Sampling(max_tokens=_MAX_TOKENS))[0]
        named = parse_numbers(reply.text)
        return tuple(frame.index for number, frame in enumerate(frames, 1) if number in named)
