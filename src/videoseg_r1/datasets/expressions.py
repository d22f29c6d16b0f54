"""Clips with expressions in the manner of Ref-YouTube-VOS: one JSON of expressions, a folder of frames and one of palette masks.

    META       {"videos": {CLIP: {"frames": [FRAME], "expressions": {ID: {"exp": .., "obj_id": ".."}}}}}
    IMAGES/CLIP/FRAME.jpg
    MASKS/CLIP/FRAME.png      palette, the value of a pixel is the number of its object

The frame list of the JSON is the truth for order, names and count; folders may hold more. Names are checked when a folder is read,
pixels when they are asked for: a training set has hundreds of thousands of files. Not here: benchmarks (`davis`), drawing of
training samples (`training`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from videoseg_r1.datasets.sample import png_size, raise_problems, read_png_mask
from videoseg_r1.datasets.training import TrainingClip
from videoseg_r1.documents import build, read_json
from videoseg_r1.errors import InvalidDocument, SourceNotFound, VideosegError, unknown_name
from videoseg_r1.types import BoolMask

FIX = "complete the download, or leave these clips out"
_NAME = re.compile(r"\w[\w.-]*")  # names become paths: no separators, no leading dot
_Clip = TypeVar("_Clip")


@dataclass(frozen=True)
class Expression:
    """A sentence, and the number of the object that it means."""

    exp: str
    obj_id: str


@dataclass(frozen=True)
class Clip:
    """Frames and expressions of a clip, as in the JSON."""

    frames: tuple[str, ...]
    expressions: dict[str, Expression] = field(default_factory=dict[str, Expression])


@dataclass(frozen=True)
class Expressions:
    """The JSON of expressions."""

    videos: dict[str, Clip]


def read_expressions(path: Path) -> dict[str, Clip]:
    """Return the clips of a JSON of expressions. Raises SourceNotFound; InvalidDocument: it does not follow its schema."""
    return build(Expressions, read_json(path), str(path)).videos


def labelled_clips(
    dataset: str, where: Path, clips: Mapping[str, Clip], images: Path, masks: Path, videos: Collection[str] | None
) -> list[TrainingClip]:
    """Return every expression of these clips, in the order of the JSON.

    Args:
        dataset: name that the clips are given.
        where: the file that the clips were read from, for errors.
        clips: by name.
        images, masks: folders that hold a folder per clip.
        videos: names of the clips to take; all when not given.
    Raises: UnknownName: no clip of that name. InvalidDocument: a frame or mask is missing, a name is no file name, an object has no
        number; all problems in one error.
    """
    chosen = choose(clips, videos)
    problems: list[VideosegError] = []
    for name, clip in chosen.items():
        place = f"{where}: {name}"
        problems += file_problems(place, name, clip.frames, {images / name: ".jpg", masks / name: ".png"})
        wrong = [key for key, e in clip.expressions.items() if not re.fullmatch(r"[1-9][0-9]{0,2}", e.obj_id) or int(e.obj_id) > 254]
        problems += [InvalidDocument("Not the number of an object", where=f"{place}/{key}", why="1 to 254 are") for key in wrong]
    raise_problems(f"{dataset} cannot be read", str(where), problems, FIX)
    return [
        TrainingClip(
            dataset=dataset,
            video_id=name,
            expression_id=key,
            query=expression.exp,
            frames=tuple(images / name / f"{frame}.jpg" for frame in clip.frames),
            read_masks=partial(_palette_mask, masks / name, clip.frames, int(expression.obj_id)),
        )
        for name, clip in chosen.items()
        for key, expression in clip.expressions.items()
    ]


def choose(clips: Mapping[str, _Clip], videos: Collection[str] | None) -> dict[str, _Clip]:
    """Return the clips of these names, all when there are none given. Raises UnknownName."""
    unknown = sorted(set(videos or ()) - set(clips))
    if unknown:
        raise unknown_name("clip", unknown[0], clips)
    return {name: clip for name, clip in clips.items() if videos is None or name in videos}


def file_problems(place: str, name: str, frames: Iterable[str], folders: Mapping[Path, str]) -> list[VideosegError]:
    """Return what is wrong with the names of a clip, and every file that one of the folders lacks (folder -> suffix)."""
    names = list(frames)
    wrong = [n for n in (name, *names) if not all(_NAME.fullmatch(part) for part in n.split("/"))]
    if wrong:
        return [InvalidDocument("Not the name of a file", where=f"{place}: {n[:80]}") for n in wrong]
    if not names or len(set(names)) < len(names):
        return [InvalidDocument("A clip without frames" if not names else "A frame is listed twice", where=place)]
    problems: list[VideosegError] = []
    for folder, suffix in folders.items():
        present = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
        missing = [f"{frame}{suffix}" for frame in names if f"{frame}{suffix}" not in present]
        if missing:
            count = f"{len(missing)} of {len(names)} files, {missing[0]} the first"
            problems.append(SourceNotFound("Files are missing", where=str(folder), why=count))
    return problems


def _palette_mask(folder: Path, frames: tuple[str, ...], label: int, index: int) -> BoolMask:
    """Return (1, H, W) bool, the pixels of one object. Raises SourceNotFound, InvalidDocument, as `read_png_mask` does."""
    path = folder / f"{frames[index]}.png"
    return read_png_mask(path, png_size(path), label)[None]
