"""Loader of Ref-YouTube-VOS, training split. Not here: its valid and test splits, which have no masks.

    ROOT/meta_expressions/train/meta_expressions.json
    ROOT/train/JPEGImages/CLIP/FRAME.jpg
    ROOT/train/Annotations/CLIP/FRAME.png      palette, every 5th frame of the 30 fps source

Source: docs/algorithm.md, "Ref-YouTube-VOS". Checked on folders drawn in this layout, not on the real dataset.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from videoseg_r1.datasets.clip import Clip
from videoseg_r1.datasets.ref_vos_json import palette_clips, read_entries


def load_ref_youtube_vos(root: str | Path, videos: Collection[str] | None = None, split: str = "train") -> list[Clip]:
    """Return the clips of the split, or some of them, in the order of the JSON.

    Raises: SourceNotFound: no expressions in this folder. UnknownName: no clip of that name. InvalidDocument: the JSON does not
        follow its schema, or files are missing, all problems in one error.
    """
    meta = Path(root) / "meta_expressions" / split / "meta_expressions.json"
    folder = Path(root) / split
    return palette_clips("ref_youtube_vos", split, meta, read_entries(meta), folder / "JPEGImages", folder / "Annotations", videos)
