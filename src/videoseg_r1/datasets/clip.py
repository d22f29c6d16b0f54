"""The one description of a dataset's video: frames, expressions, and the true masks of its objects.

A loader per dataset makes clips from files; training and evaluation look at them through thin views. A clip may hold several objects
per expression, expressions that mean nothing, masks on some frames only, pixels that do not count, or no true masks at all.
Not here: the view of evaluation (`sample`), the view of training (`training`), which datasets there are (`registry`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from videoseg_r1.types import BoolMask
from videoseg_r1.video import Video

ABSENT = "absent"
"""Kind of the expressions that name nothing in the clip."""
ScoringProtocol: TypeAlias = Literal["expression"]
"""How a clip is evaluated. "expression": J and F of the union of an expression's objects, frame by frame, each expression on its own."""


class TrueMasks(ABC):
    """The true masks of the objects of one clip; a file is read when a mask in it is asked for."""

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """(width, height) of every mask. Raises SourceNotFound, InvalidDocument: no mask file tells it."""

    @abstractmethod
    def frames(self, object_ids: Sequence[str]) -> Sequence[int]:
        """Return the frames in which the masks of these objects are known, ascending: only these are scored."""

    @abstractmethod
    def read(self, object_ids: Sequence[str], index: int) -> BoolMask:
        """Return (N, H, W) bool, the masks of these objects in a frame, in their order; an object that is not to be seen is empty.

        Raises: SourceNotFound, InvalidDocument: a file is missing, damaged or of another size.
        """

    def ignored(self, index: int) -> BoolMask | None:  # noqa: ARG002 - most datasets count every pixel
        """Return (H, W) bool, the pixels of a frame that do not count in scores; None where all of them do."""
        return None


@dataclass(frozen=True)
class Expression:
    """A sentence about a clip, and what it means there.

    Attributes:
        id: name of the expression, unique in its clip.
        text: the sentence.
        object_ids: the objects of `Clip.masks` that it means; empty where it means none, or where nobody says which.
        kind: referring, attribute, motion, reasoning, absent, or whatever the dataset has.
        best_frame: the frame that shows the objects best, where somebody judged that.
        difficulty: ratings by dimension, 1 (easy) to 10, where somebody gave them.
    """

    id: str
    text: str
    object_ids: tuple[str, ...]
    kind: str = "referring"
    best_frame: int | None = None
    difficulty: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def target_present(self) -> bool:
        """Whether the expression names something in the clip."""
        return self.kind != ABSENT


@dataclass(frozen=True)
class Clip:
    """One video of a dataset; an image of an image dataset is a clip of one frame.

    Attributes:
        dataset, split: name in the registry, and the part of the dataset that the clip belongs to.
        name: name of the clip in the dataset, unique in its split.
        frame_names: name of every frame without suffix, in order; prediction files are named like this.
        open: opens the frames as a video, to be used as a context manager.
        expressions: what is asked about the clip, in the order of the dataset.
        masks: the true masks of the objects; None where they are not published.
        protocol: how predictions for this clip are scored.
        objects: the annotated objects, where the dataset lists them.
    """

    dataset: str
    split: str
    name: str
    frame_names: tuple[str, ...]
    open: Callable[[], Video]
    expressions: tuple[Expression, ...]
    masks: TrueMasks | None
    protocol: ScoringProtocol = "expression"
    objects: tuple[str, ...] = ()

    @property
    def object_ids(self) -> tuple[str, ...]:
        """The annotated objects: those the dataset lists, then those that only expressions name, each once."""
        return tuple(dict.fromkeys((*self.objects, *(name for one in self.expressions for name in one.object_ids))))
