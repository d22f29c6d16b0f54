"""Ref-YouTube-VOS for training. Not here: its valid and test sets, which have no masks.

    ROOT/meta_expressions/train/meta_expressions.json
    ROOT/train/JPEGImages/CLIP/FRAME.jpg
    ROOT/train/Annotations/CLIP/FRAME.png      palette, every 5th frame of the 30 fps source

Source: docs/algorithm.md, "Ref-YouTube-VOS". Checked on folders drawn in this layout, not on the real set.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from videoseg_r1.datasets.expressions import labelled_clips, read_expressions
from videoseg_r1.datasets.training import TrainingClip


def load(root: str | Path, videos: Collection[str] | None = None) -> list[TrainingClip]:
    """Return every expression of the training set, or of some of its clips, in the order of the JSON.

    Raises: SourceNotFound: no expressions in this folder. UnknownName: no clip of that name. InvalidDocument: the JSON does not
        follow its schema, or files are missing, all problems in one error.
    """
    root = Path(root)
    meta = root / "meta_expressions" / "train" / "meta_expressions.json"
    folder = root / "train"
    return labelled_clips("ref-youtube-vos", meta, read_expressions(meta), folder / "JPEGImages", folder / "Annotations", videos)
