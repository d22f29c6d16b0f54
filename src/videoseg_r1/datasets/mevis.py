"""Loader of MeViS, version 1: several objects per expression, masks as run lengths.

    ROOT/SPLIT/meta_expressions.json
    ROOT/SPLIT/mask_dict.json          {ANNO: [RUN LENGTHS or null, one per frame]}
    ROOT/SPLIT/JPEGImages/CLIP/FRAME.jpg

SPLIT is train or valid_u; valid has no masks. Source: docs/algorithm.md, "MeViS". Checked on folders drawn in this layout, not on the
real dataset. Not here: version 2, with sentences that mean nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from videoseg_r1.datasets.clip import Clip, Expression
from videoseg_r1.datasets.listed_frames import ListedFrames
from videoseg_r1.datasets.problems import FIX, choose, file_problems, raise_problems
from videoseg_r1.datasets.true_masks import RleMasks, RunLengths
from videoseg_r1.documents import build, read_json
from videoseg_r1.errors import InvalidDocument, VideosegError


@dataclass(frozen=True)
class _ExpressionEntry:
    exp: str
    anno_id: tuple[int, ...]

    @property
    def object_ids(self) -> tuple[str, ...]:
        """The keys of its masks, each once."""
        return tuple(str(anno) for anno in dict.fromkeys(self.anno_id))


@dataclass(frozen=True)
class _ClipEntry:
    frames: tuple[str, ...]
    expressions: dict[str, _ExpressionEntry]


@dataclass(frozen=True)
class _Document:
    videos: dict[str, _ClipEntry]


def load_mevis(root: str | Path, videos: Collection[str] | None = None, split: str = "train") -> list[Clip]:
    """Return the clips of a split, or some of them, in the order of the JSON; an object is named by its annotation.

    Raises: SourceNotFound: no expressions or masks in this folder. UnknownName: no clip of that name. InvalidDocument: a JSON does not
        follow its schema, or frames or masks are missing, all problems in one error.
    """
    folder = Path(root) / split
    meta = folder / "meta_expressions.json"
    entries = choose(build(_Document, read_json(meta), str(meta)).videos, videos)
    masks = build(dict[str, list[Any]], read_json(folder / "mask_dict.json"), str(folder / "mask_dict.json"))
    images = folder / "JPEGImages"
    problems: list[VideosegError] = []
    for name, entry in entries.items():
        problems += file_problems(f"{meta}: {name}", name, entry.frames, {images / name: ".jpg"})
        problems += _mask_problems(f"{folder / 'mask_dict.json'}: {name}", entry, masks)
    raise_problems("mevis cannot be loaded", str(meta), problems, FIX)
    return [
        Clip(
            dataset="mevis",
            split=split,
            name=name,
            frame_names=entry.frames,
            open=partial(ListedFrames, [images / name / f"{frame}.jpg" for frame in entry.frames]),
            expressions=tuple(Expression(key, one.exp, one.object_ids) for key, one in entry.expressions.items()),
            masks=RleMasks({anno: masks[anno] for one in entry.expressions.values() for anno in one.object_ids}),
        )
        for name, entry in entries.items()
    ]


def _mask_problems(place: str, entry: _ClipEntry, masks: Mapping[str, RunLengths]) -> list[VideosegError]:
    """Return every expression without objects, and every object whose masks are not one per frame, or all null."""
    problems: list[VideosegError] = []
    for key, expression in entry.expressions.items():
        if not expression.object_ids:
            problems.append(InvalidDocument("an expression without objects", where=f"{place}/{key}"))
        for anno in expression.object_ids:
            found = masks.get(anno, ())
            if len(found) != len(entry.frames) or all(rle is None for rle in found):
                why = f"{len(found)} for {len(entry.frames)} frames" if len(found) != len(entry.frames) else "all are null"
                problems.append(InvalidDocument("masks are missing", where=f"{place}, object {anno}", why=why))
    return problems
