"""A bounded store of frames for propagation: anchors, which stay, and the latest frames.

What a frame's entry holds (features, keys, values) is up to the reader; the store decides only what is kept. Not here: reading,
and condensing frames into prototypes.

Source: Cheng and Schwing 2022 (XMem, working memory): the first memory frame never leaves, later ones leave first in, first out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class MemoryStore(Generic[Entry]):
    """Anchors and the latest frames, oldest first.

    Args:
        max_recent: how many frames without a given mask are kept.
        max_anchors: how many frames with a given mask are kept; the first of them never leaves.
    """

    def __init__(self, max_recent: int, max_anchors: int = 8) -> None:
        self._anchors: list[Entry] = []
        self._recent: deque[Entry] = deque()
        self._max_recent, self._max_anchors = max_recent, max_anchors

    def add(self, entry: Entry, *, anchor: bool = False) -> Entry | None:
        """Keep an entry. Returns the one that left because it no longer fits."""
        if not anchor:
            self._recent.append(entry)
            return self._recent.popleft() if len(self._recent) > self._max_recent else None
        self._anchors.append(entry)
        return self._anchors.pop(1) if len(self._anchors) > max(1, self._max_anchors) else None

    def take_oldest(self, count: int) -> list[Entry]:
        """Remove the oldest of the recent frames and return them."""
        return [self._recent.popleft() for _ in range(count)]

    def remove(self, entry: Entry) -> None:
        """Remove an entry, anchor or not. Raises: ValueError: it is not there."""
        (self._anchors if entry in self._anchors else self._recent).remove(entry)

    @property
    def anchors(self) -> tuple[Entry, ...]:
        return tuple(self._anchors)

    @property
    def recent(self) -> tuple[Entry, ...]:
        return tuple(self._recent)

    def __iter__(self) -> Iterator[Entry]:
        yield from self._anchors
        yield from self._recent

    def __len__(self) -> int:
        return len(self._anchors) + len(self._recent)
