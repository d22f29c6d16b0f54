"""What both runs through time compute alike of a frame: made by the run that passes it first, kept for the other as far as there is room.

Not here: what is computed (a stepper says), and which frames both runs pass (`both_ways`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, cast, runtime_checkable

_Made = TypeVar("_Made")


class FrameMemo:
    """Of each frame that both runs pass one thing, such as its features; of those, as many of the latest frames as there is room for.

    The forward run passes them in order and the backward run from the last to the first, so the latest are wanted soonest.

    Args:
        shared: the frames that both runs pass.
        max_bytes: what is kept at most.
    """

    def __init__(self, shared: range, max_bytes: int = 2**28) -> None:
        self._shared, self._max_bytes = shared, max_bytes
        self._kept: dict[int, tuple[object, int]] = {}
        self._index = -1

    def turn_to(self, index: int) -> None:
        """Say which frame the next step is about; `BothWays` does."""
        self._index = index

    def recall(self, make: Callable[[], _Made], num_bytes: Callable[[_Made], int]) -> _Made:
        """Return what is made of this frame: what the other run left, or what `make` returns, which is kept if there is room.

        Args:
            make: makes it anew. It must not depend on what is followed, or on anything else that the two runs see in their own ways.
            num_bytes: how large it is.
        """
        if self._index in self._kept:
            return cast("_Made", self._kept.pop(self._index)[0])  # nobody comes a third time
        made = make()
        if self._index in self._shared:
            self._kept[self._index] = made, num_bytes(made)
            while sum(size for _, size in self._kept.values()) > self._max_bytes:
                del self._kept[min(self._kept)]
        return made


@runtime_checkable
class SharesFrames(Protocol):
    """A stepper that computes something of a frame which is the same in both directions of time."""

    def share(self, memo: FrameMemo) -> None:
        """Take the memo of a run, before the first step."""
        ...
