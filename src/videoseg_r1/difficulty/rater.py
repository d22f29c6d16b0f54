"""Ratings by a chat model: it sees eight frames and the query, and answers with five numbers.

Source: the paper rates offline with a vision-language model; frames, prompt and the handling of bad replies are ours
(docs/algorithm.md, "Difficulty").
Not here: what follows from the numbers (`levels`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from videoseg_r1.chat.base import VOTE, Chat, Message, Sampling, labelled
from videoseg_r1.config import Limits
from videoseg_r1.difficulty.cache import RatingCache, RatingKey, content_hash
from videoseg_r1.difficulty.levels import RATINGS, Difficulty, difficulty_of
from videoseg_r1.errors import InvalidDocument, OutputError, SourceNotFound
from videoseg_r1.prompts import DIFFICULTY, clean_query, parse_ratings
from videoseg_r1.video import OnCorrupt, open_video
from videoseg_r1.video.indices import uniform

_NUM_FRAMES = 8
_NUM_RETRIES = 2
_MAX_TOKENS = 512
_EXAMPLE = json.dumps(dict(zip(RATINGS, (3, 6, 2, 8, 5), strict=True)))
_SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "integer", "minimum": 1, "maximum": 10} for name in RATINGS},
    "required": list(RATINGS),
    "additionalProperties": False,
}


class Rater:
    """Rates how hard queries are.

    Args:
        chat: the model.
        cache: where ratings are stored; None stores none.
        limits: how large a video may be.
        on_corrupt: what is done with a damaged video, see `open_video`.
    """

    def __init__(
        self, chat: Chat, cache: RatingCache | None = None, limits: Limits | None = None, *, on_corrupt: OnCorrupt = "error"
    ) -> None:
        self._chat, self._cache, self._limits = chat, cache, limits
        self._on_corrupt: OnCorrupt = on_corrupt

    @property
    def id(self) -> str:
        """The model and the wording of the question: where either changes, ratings are made anew."""
        return f"{self._chat.description}, {DIFFICULTY.id} {DIFFICULTY.sha256[:12]}"

    def rate(self, video: str | Path, query: str) -> Difficulty:
        """Return how hard a query is for a video, a file or a folder of frames; it is stored unless it had to be imputed.

        Raises: InvalidQuery. InputError: the video cannot be read. ModelError, ResourceError: the model failed.
        """
        query = clean_query(query)
        if self._cache is None:
            return self._rated(video, query)
        notes: list[str] = []
        with open_video(video, limits=self._limits, on_corrupt=self._on_corrupt):  # refuses what is no video before anything is hashed
            rater = self.id if self._on_corrupt == "error" else f"{self.id}, {self._on_corrupt}"
            key = RatingKey(_hashed(Path(video)), query, rater)
        try:
            known = self._cache.get(key)
            if known is not None:
                return known
        except (InvalidDocument, SourceNotFound) as error:
            notes.append(f"an entry of the cache is damaged and was made anew: {error.where}")
        found = self._rated(video, query)
        if not found.imputed:
            try:
                self._cache.put(key, found)
            except OutputError as error:
                notes.append(f"{error.what}: {error.why}")
        return replace(found, notes=(*found.notes, *notes))

    def _rated(self, video: str | Path, query: str) -> Difficulty:
        """Return the first reply with enough ratings; a greedy one, then sampled ones."""
        messages = self._messages(video, query)
        num_failed, found = 0, difficulty_of({})
        for sampling in _attempts():
            reply = self._chat.ask(messages, sampling)[0]
            found = difficulty_of(parse_ratings(reply.text, RATINGS))
            if not found.imputed:
                break
            num_failed += 1
        if not num_failed:
            return found
        return replace(found, notes=(*found.notes, f"{num_failed} replies had no usable ratings"))

    def _messages(self, video: str | Path, query: str) -> list[Message]:
        with open_video(video, limits=self._limits, on_corrupt=self._on_corrupt) as opened:
            frames = opened.read(uniform(0, opened.num_frames - 1, _NUM_FRAMES))
        system, user = DIFFICULTY.render(num_frames=len(frames), query=query, example=_EXAMPLE)
        return [Message("system", (system,)), Message("user", (*labelled(frames, self._chat.family, "frame"), user))]


def _attempts() -> Iterator[Sampling]:
    yield Sampling(max_tokens=_MAX_TOKENS, schema=_SCHEMA)
    for seed in range(1, _NUM_RETRIES + 1):
        yield replace(VOTE, max_tokens=_MAX_TOKENS, seed=seed, schema=_SCHEMA)


def _hashed(video: Path) -> str:
    try:
        return content_hash(video)
    except OSError as error:
        raise SourceNotFound("the source cannot be read", where=str(video), why=error.strerror or str(error)) from error
