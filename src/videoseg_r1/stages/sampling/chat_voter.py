"""Stage 1 on a chat model: many sampled replies to one question about a clip, read as votes.

Both questions follow the pictures, so a back end that keeps what it has computed of them answers the second one for little. Not here:
which frames are shown and how votes become one (`hierarchical`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from videoseg_r1.chat.base import VOTE, Chat, Message, labelled
from videoseg_r1.prompts import INTERVAL_VOTE, INTERVAL_VOTE_SECONDS, POSITION_VOTE, PromptTemplate, parse_interval, parse_position
from videoseg_r1.stages.protocols import Shown
from videoseg_r1.stages.sampling.hierarchical import Unit
from videoseg_r1.types import Frame

_MAX_TOKENS = 256

_log = logging.getLogger(__name__)


class ChatVoter:
    """A `Voter`: the same seed, model, frames and query give the same votes, as far as the model's back end promises it.

    Args:
        chat: the model.
        seed: of its replies.
        unit: in which intervals are asked for; models trained on time stamps may do better with "seconds".
    Source: the numbers of votes and the sampling are ours, docs/algorithm.md, "Stage 1: the frame sampler".
    """

    def __init__(self, chat: Chat, seed: int = 0, *, unit: Unit = "percent") -> None:
        self._chat = chat
        self._seed = seed
        self._unit: Unit = unit

    def intervals(self, frames: Shown, query: str, k: int) -> list[tuple[float, float] | None]:
        """Return k intervals in percent of the frames shown, None where a reply could not be read. Raises ModelError, ResourceError."""
        shown = list(frames)
        duration_s = shown[-1].pts_s - shown[0].pts_s
        if self._unit == "percent" or duration_s <= 0:
            return [parse_interval(text) for text in self._ask(INTERVAL_VOTE, shown, query, k)]
        start_s = shown[0].pts_s
        example = [round(start_s + share * duration_s, 1) for share in (0.2, 0.6)]
        times = f"runs from {start_s:.1f} s to {shown[-1].pts_s:.1f} s"
        replies = self._ask(INTERVAL_VOTE_SECONDS, shown, query, k, times=times, example=example)
        return [_percent(parse_interval(text), start_s, duration_s) for text in replies]

    def positions(self, frames: Shown, query: str, m: int) -> list[float | None]:
        """Return m positions in percent of the frames shown, None where a reply could not be read. Raises ModelError, ResourceError."""
        return [parse_position(text) for text in self._ask(POSITION_VOTE, list(frames), query, m)]

    def _ask(self, prompt: PromptTemplate, frames: Sequence[Frame], query: str, num_replies: int, **more: object) -> list[str]:
        system, user = prompt.render(num_frames=len(frames), query=query, **more)
        messages = [Message("system", (system,)), Message("user", (*labelled(frames, self._chat.family, "frame"), user))]
        sampling = replace(VOTE, max_tokens=_MAX_TOKENS, seed=self._seed)
        replies = [reply.text for reply in self._chat.ask(messages, sampling, num_replies)]
        _log.debug("%s: %s", prompt.id, replies)
        return replies


def _percent(interval: tuple[float, float] | None, start_s: float, duration_s: float) -> tuple[float, float] | None:
    """Return an interval of seconds in whole percent, which nobody can take for fractions."""
    if interval is None:
        return None
    low, high = (float(round(100 * (time_s - start_s) / duration_s)) for time_s in interval)
    return low, high
