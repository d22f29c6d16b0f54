"""A segmentation that is handed out frame by frame: first what was understood, then masks as they are made.

Not here: the stages behind it (`segmenter`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from videoseg_r1.types import BoolMask, KeyframePick, Reasoning, TrackEvent


@dataclass(frozen=True, slots=True)
class StreamItem:
    """One frame of a running segmentation: masks (N, H, W) bool, a confidence each as in `TrackedFrame`, and what happened by then."""

    frame_index: int
    pts_s: float
    masks: BoolMask
    confidence: tuple[float, ...]
    events: tuple[TrackEvent, ...] = ()


class SegmentationStream(Iterator[StreamItem]):
    """What stages 1 and 2 found, and an iterator over the frames.

    The video stays open until the last frame is out, or until `close()`; use it in a `with` block where the frames may not all be read.

    Attributes:
        query: the sentence.
        num_frames: frames of the video.
        keyframes: result of stage 1.
        reasoning: result of stage 2.
        has_target: whether there is anything to mask. If not, the iterator is empty and `reasoning` says why.
    """

    def __init__(
        self,
        query: str,
        num_frames: int,
        keyframes: KeyframePick,
        reasoning: Reasoning,
        items: Iterator[StreamItem] | None,
        close: Callable[[], None],
    ) -> None:
        self.query, self.num_frames = query, num_frames
        self.keyframes, self.reasoning = keyframes, reasoning
        self.has_target = items is not None
        self._items = items or iter(())
        self._close = close
        if items is None:
            close()

    def __next__(self) -> StreamItem:
        try:
            return next(self._items)
        except BaseException:  # the end is one of them: whatever ends the stream frees the video
            self.close()
            raise

    def close(self) -> None:
        """Free the video; the stream ends. Closing twice is fine."""
        self._items = iter(())
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
