"""Clips with expressions as Ref-YouTube-VOS publishes them: one JSON of expressions, a folder of frames and one of palette masks.

    META       {"videos": {CLIP: {"frames": [FRAME], "expressions": {ID: {"exp": .., "obj_id": ".."}}}}}
    IMAGES/CLIP/FRAME.jpg
    MASKS/CLIP/FRAME.png      palette, the value of a pixel is the number of its object

The frame list of the JSON is the truth for order, names and count; folders may hold more. Names are checked when a folder is loaded,
pixels when they are asked for: a training set has hundreds of thousands of files. Not here: where a dataset keeps these files (its
loader), drawing of training samples (`training`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from videoseg_r1.datasets.clip import Clip, Expression
from videoseg_r1.datasets.listed_frames import ListedFrames
from videoseg_r1.datasets.problems import FIX, choose, file_problems, raise_problems
from videoseg_r1.datasets.true_masks import PngMasks
from videoseg_r1.documents import build, read_json
from videoseg_r1.errors import InvalidDocument, VideosegError


@dataclass(frozen=True)
class ExpressionEntry:
    """A sentence of the JSON, and the number of the object that it means."""

    exp: str
    obj_id: str


@dataclass(frozen=True)
class ClipEntry:
    """Frames and expressions of a clip, as in the JSON."""

    frames: tuple[str, ...]
    expressions: dict[str, ExpressionEntry] = field(default_factory=dict[str, ExpressionEntry])


@dataclass(frozen=True)
class _Document:
    videos: dict[str, ClipEntry]


def read_entries(path: Path) -> dict[str, ClipEntry]:
    """Return the clips of a JSON of expressions by name. Raises SourceNotFound; InvalidDocument: it does not follow its schema."""
    return build(_Document, read_json(path), str(path)).videos


def palette_clips(
    dataset: str, split: str, where: Path, entries: Mapping[str, ClipEntry], images: Path, masks: Path, videos: Collection[str] | None
) -> list[Clip]:
    """Return the clips of these entries, in their order.

    Args:
        dataset, split: names that the clips are given.
        where: the file that the entries were read from, for errors.
        entries: frames and expressions by name of the clip.
        images, masks: folders that hold a folder per clip.
        videos: names of the clips to take; all when not given.
    Raises: UnknownName: no clip of that name. InvalidDocument: a frame or mask is missing, a name is no file name, an object has no
        number; all problems in one error.
    """
    chosen = choose(entries, videos)
    problems: list[VideosegError] = []
    for name, entry in chosen.items():
        place = f"{where}: {name}"
        problems += file_problems(place, name, entry.frames, {images / name: ".jpg", masks / name: ".png"})
        wrong = [key for key, e in entry.expressions.items() if not re.fullmatch(r"[1-9][0-9]{0,2}", e.obj_id) or int(e.obj_id) > 254]
        problems += [InvalidDocument("not the number of an object", where=f"{place}/{key}", why="1 to 254 are") for key in wrong]
    raise_problems(f"{dataset} cannot be loaded", str(where), problems, FIX)
    return [
        Clip(
            dataset=dataset,
            split=split,
            name=name,
            frame_names=entry.frames,
            open=partial(ListedFrames, [images / name / f"{frame}.jpg" for frame in entry.frames]),
            expressions=tuple(Expression(key, one.exp, (one.obj_id,)) for key, one in entry.expressions.items()),
            masks=PngMasks({index: masks / name / f"{frame}.png" for index, frame in enumerate(entry.frames)}),
        )
        for name, entry in chosen.items()
    ]
