"""What evaluation scores: one expression of one clip, with the union of its objects as the truth.

Not here: clips themselves (`clip`), harder versions of samples (`controls`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from videoseg_r1.datasets.clip import Clip, Expression, TrueMasks
from videoseg_r1.errors import InputError
from videoseg_r1.masks import union_of
from videoseg_r1.types import BoolMask
from videoseg_r1.video import Video


@dataclass(frozen=True)
class Sample:
    """One expression of one clip.

    Attributes:
        clip: what is shown.
        expression: what is asked.
        shown: names of the clips to be seen, the one that the expression belongs to first; several in a mosaic.
        query_from: "video/expression" that the text was borrowed from; "" when it is the sample's own.
    """

    clip: Clip
    expression: Expression
    shown: tuple[str, ...]
    query_from: str = ""

    @property
    def video_id(self) -> str:
        """Name of the clip; with `expression_id` it is unique among the samples of a benchmark."""
        return self.clip.name

    @property
    def expression_id(self) -> str:
        """Name of the expression in its clip."""
        return self.expression.id

    @property
    def query(self) -> str:
        """The sentence that is asked."""
        return self.expression.text

    @property
    def kind(self) -> str:
        """Kind of the expression."""
        return self.expression.kind

    @property
    def target_present(self) -> bool:
        """Whether the expression names something in the clip."""
        return self.expression.target_present

    @property
    def frame_names(self) -> tuple[str, ...]:
        """Name of every frame without suffix, in order."""
        return self.clip.frame_names

    @property
    def num_frames(self) -> int:
        """Number of frames of the clip."""
        return len(self.clip.frame_names)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the true masks. Raises InputError: the clip has none."""
        return self.true_masks.size

    @property
    def truth_key(self) -> tuple[str, tuple[str, ...]]:
        """Name of the true masks: two samples of a benchmark with the same key have the same masks."""
        return self.clip.name, self.expression.object_ids

    @property
    def scored_frames(self) -> Sequence[int]:
        """The frames whose true mask is known, ascending. Raises InputError: the clip has no true masks."""
        return self.true_masks.frames(self.expression.object_ids)

    def open(self) -> Video:
        """Open the frames of the clip, to be used as a context manager."""
        return self.clip.open()

    def mask(self, index: int) -> BoolMask:
        """Return (H, W) bool, the union of the expression's objects in a scored frame; empty where the target is absent.

        Raises: SourceNotFound, InvalidDocument: the mask is missing or damaged. InputError: the clip has no true masks.
        """
        return union_of(self.true_masks.read(self.expression.object_ids, index))

    def ignored(self, index: int) -> BoolMask | None:
        """Return (H, W) bool, the pixels of a scored frame that do not count; None where all do. Raises InputError, as `mask`."""
        return self.true_masks.ignored(index)

    @property
    def true_masks(self) -> TrueMasks:
        """The true masks of all objects of the clip. Raises InputError: the clip has none."""
        if self.clip.masks is None:
            fix = "predictions for it can be made, but only its authors can score them"
            raise InputError("the clip has no true masks", where=f"{self.clip.dataset}/{self.clip.name}", fix=fix)
        return self.clip.masks


def samples_of(clips: Iterable[Clip]) -> list[Sample]:
    """Return a sample for every expression of every clip, in their order."""
    return [Sample(clip, expression, (clip.name,)) for clip in clips for expression in clip.expressions]
