"""What each stage is given and gives back, as protocols of one method; every preset implements them, and so may users.

A stage knows only what it is given. `Shown` and `Context` read frames when they are asked for, so a stage that needs two frames
does not cause the others to be decoded. Not here: the order of the stages (`pipeline`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, overload, runtime_checkable

from videoseg_r1.types import BoolMask, Cue, Frame, Given, KeyframePick, Reasoning, TrackedFrame
from videoseg_r1.video import Video


class Shown(Sequence[Frame]):
    """The frames that a voter is shown: some indices of a video, read when they are asked for."""

    def __init__(self, video: Video, indices: Sequence[int]) -> None:
        self.video = video
        self.indices = tuple(indices)

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, item: int) -> Frame: ...
    @overload
    def __getitem__(self, item: slice) -> list[Frame]: ...
    def __getitem__(self, item: int | slice) -> Frame | list[Frame]:
        if isinstance(item, slice):
            return self.video.read(self.indices[item])
        return self.video.read([self.indices[item]])[0]

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.video.read(self.indices))


@dataclass(frozen=True)
class Context:
    """What surrounds the target frame: the video, and which of its frames stage 1 chose."""

    video: Video
    pick: KeyframePick

    def key_frames(self) -> list[Frame]:
        return self.video.read(self.pick.key_frames)

    def reference_frames(self) -> list[Frame]:
        return self.video.read(self.pick.reference_frames)


class Voter(Protocol):
    """Answers the sampler's two questions about the frames it is shown. Unusable answers are None, never dropped."""

    def intervals(self, frames: Shown, query: str, k: int) -> list[tuple[float, float] | None]:
        """Return k intervals, each (start, end) in percent of the frames shown, 0..100."""
        ...

    def positions(self, frames: Shown, query: str, m: int) -> list[float | None]:
        """Return m positions in percent of the frames shown, 0..100."""
        ...


class Sampler(Protocol):
    """Stage 1: chooses the key segment and the target frame."""

    def pick(self, video: Video, query: str) -> KeyframePick: ...


class Reasoner(Protocol):
    """Stage 2: says what the query means on the target frame, and why."""

    def reason(self, target: Frame, context: Context, query: str) -> Reasoning: ...


class BestFrameFinder(Protocol):
    """Finds the frames in which the objects of an answer are seen best, without asking the reasoner again."""

    def find(self, meant: Reasoning, context: Context) -> Mapping[int, Reasoning]:
        """Return where the same objects, in the same order, are seen best, by frame: at most one frame of each part of the video.

        A frame shows all of the objects. Nothing is returned where the seed masks are to be made in the target frame alone; otherwise the
        target frame is among the frames only if it is the best one of its part.

        Args:
            meant: the answer for the target frame of `context`; it has cues.
            context: that of the answer.
        """
        ...


class Segmenter(Protocol):
    """Stage 3a: turns cues into masks."""

    def segment(self, frame: Frame, cues: Sequence[Cue]) -> BoolMask:
        """Return bool (N, H, W), one mask per cue, in the order of the cues."""
        ...


class Propagator(Protocol):
    """Stage 3b: carries masks through the video."""

    def run(self, frames: Video, seeds: Mapping[int, Given | BoolMask]) -> Iterator[TrackedFrame]:
        """Carry masks through the video, all objects in one run.

        Args:
            frames: the video; read in both directions, a bounded number of frames at a time.
            seeds: frame index -> what is given there, the same N objects in the same order everywhere. Bool masks (N, H, W) give all of
                them.
        Yields: each frame once, in no particular order.
        """
        ...


class Checker(Protocol):
    """Looks at the masks that came out, beyond the paper."""

    def wrong(self, frames: Sequence[Frame], query: str) -> tuple[int, ...]:
        """Return the indices of the frames whose outlined regions are not what the query means.

        Args:
            frames: in order of time, with the masks drawn into the pictures (`render.overlay`).
            query: the sentence.
        """
        ...


@runtime_checkable
class HasNotes(Protocol):
    """A stage that tells what it gave up on the way: less memory, another device, a second attempt."""

    @property
    def notes(self) -> tuple[str, ...]: ...
