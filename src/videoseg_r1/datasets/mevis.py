"""MeViS for training: several objects per expression, masks as run lengths.

    ROOT/SPLIT/meta_expressions.json
    ROOT/SPLIT/mask_dict.json          {ANNO: [RUN LENGTHS or null, one per frame]}
    ROOT/SPLIT/JPEGImages/CLIP/FRAME.jpg

SPLIT is train or valid_u; valid has no masks. Source: docs/algorithm.md, "MeViS". Checked on folders drawn in this layout, not on the
real set. Not covered: version 2 of the set, with sentences that mean nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from videoseg_r1.datasets.expressions import FIX, choose, file_problems
from videoseg_r1.datasets.sample import raise_problems
from videoseg_r1.datasets.training import TrainingClip
from videoseg_r1.documents import build, read_json
from videoseg_r1.errors import InvalidDocument, VideosegError
from videoseg_r1.masks import decode
from videoseg_r1.types import BoolMask


@dataclass(frozen=True)
class _Expression:
    exp: str
    anno_id: tuple[int, ...]


@dataclass(frozen=True)
class _Clip:
    frames: tuple[str, ...]
    expressions: dict[str, _Expression]


@dataclass(frozen=True)
class _Meta:
    videos: dict[str, _Clip]


def load(root: str | Path, videos: Collection[str] | None = None, split: str = "train") -> list[TrainingClip]:
    """Return every expression of a split, or of some of its clips, in the order of the JSON; one mask per object that it means.

    Raises: SourceNotFound: no expressions or masks in this folder. UnknownName: no clip of that name. InvalidDocument: a JSON does not
        follow its schema, or frames or masks are missing, all problems in one error.
    """
    folder = Path(root) / split
    meta = folder / "meta_expressions.json"
    clips = choose(build(_Meta, read_json(meta), str(meta)).videos, videos)
    masks = build(dict[str, list[Any]], read_json(folder / "mask_dict.json"), str(folder / "mask_dict.json"))
    images = folder / "JPEGImages"
    problems: list[VideosegError] = []
    for name, clip in clips.items():
        problems += file_problems(f"{meta}: {name}", name, clip.frames, {images / name: ".jpg"})
        problems += _mask_problems(f"{folder / 'mask_dict.json'}: {name}", clip, masks)
    raise_problems("mevis cannot be read", str(meta), problems, FIX)
    return [
        TrainingClip(
            dataset="mevis",
            video_id=name,
            expression_id=key,
            query=expression.exp,
            frames=tuple(images / name / f"{frame}.jpg" for frame in clip.frames),
            read_masks=partial(_masks_at, {anno: masks[str(anno)] for anno in expression.anno_id}),
        )
        for name, clip in clips.items()
        for key, expression in clip.expressions.items()
    ]


def _mask_problems(place: str, clip: _Clip, masks: Mapping[str, Sequence[object]]) -> list[VideosegError]:
    """Return every expression without objects, and every object whose masks are not one per frame, or all null."""
    problems: list[VideosegError] = []
    for key, expression in clip.expressions.items():
        if not expression.anno_id:
            problems.append(InvalidDocument("An expression without objects", where=f"{place}/{key}"))
        for anno in expression.anno_id:
            found = masks.get(str(anno), ())
            if len(found) != len(clip.frames) or all(rle is None for rle in found):
                why = f"{len(found)} for {len(clip.frames)} frames" if len(found) != len(clip.frames) else "all are null"
                problems.append(InvalidDocument("Masks are missing", where=f"{place}, object {anno}", why=why))
    return problems


def _masks_at(objects: Mapping[int, Sequence[object]], index: int) -> BoolMask:
    """Return (N, H, W) bool of a frame; an object that is not there is empty, at the size of the others' masks."""
    decoded = {anno: decode(rles[index], f"object {anno}, frame {index}") for anno, rles in objects.items() if rles[index] is not None}
    if not decoded:
        rles = next(iter(objects.values()))
        decoded = {-1: np.zeros_like(decode(next(rle for rle in rles if rle is not None)))}
    shapes = {mask.shape for mask in decoded.values()}
    if len(shapes) > 1:
        raise InvalidDocument(
            "Masks of one frame differ in size", where=f"objects {sorted(decoded)}, frame {index}", why=str(sorted(shapes))
        )
    empty = np.zeros(shapes.pop(), np.bool_)
    return np.stack([decoded.get(anno, empty) for anno in objects])
