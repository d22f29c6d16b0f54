"""Loader of DAVIS-2016 and DAVIS-2017 with expressions: frames and masks in DAVIS' folders, expressions like those of Ref-YouTube-VOS.

    ROOT/JPEGImages/480p/CLIP/FRAME.jpg
    ROOT/Annotations/480p/CLIP/FRAME.png      grey 0/255: one object; or palette: the value is the object's id, 255 does not count
    ROOT/meta_expressions.json                {"videos": {CLIP: {"frames": [FRAME], "expressions": {ID: {"exp": .., "obj_id": ..}}}}}

The frame list of the JSON is the truth for order, names and count; the folders must agree with it. `obj_id` is the id of an object, ids
joined by commas ("1,2") where the expression means them together, or null where it has no target. The ids that `objects` of a clip lists
are its annotated objects, also those that no expression means. Files are checked when the folder is loaded, because a benchmark is small
and a run over it long. Not here: several objects in one grey mask, the official lists of DAVIS, Ref-DAVIS17 (`ref_davis17`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator

from videoseg_r1.datasets.clip import ABSENT, Clip, Expression
from videoseg_r1.datasets.mask_files import png_size, wrong_size
from videoseg_r1.datasets.problems import choose, raise_problems
from videoseg_r1.datasets.true_masks import PngMasks
from videoseg_r1.errors import InputError, InvalidDocument, SourceNotFound
from videoseg_r1.video import open_video

META = "meta_expressions.json"

# names become paths: no separators, no leading dot
_Name = Annotated[str, StringConstraints(pattern=r"^\w[\w.-]*$")]
_ID = r"([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-4])"  # 1 to 254: 0 is the background, 255 void
_ObjectId = Annotated[str, StringConstraints(pattern=f"^{_ID}$")]


class _ExpressionEntry(BaseModel):
    exp: Annotated[str, StringConstraints(min_length=1)]
    obj_id: Annotated[str, StringConstraints(pattern=f"^{_ID}(,{_ID})*$")] | None
    kind: str = ""
    best_frame: int | None = None
    difficulty: dict[str, float] = {}

    @model_validator(mode="after")
    def _kind_agrees(self) -> _ExpressionEntry:
        self.kind = self.kind or ("referring" if self.obj_id else ABSENT)
        if (self.kind == ABSENT) != (self.obj_id is None):
            raise ValueError(f"kind {self.kind!r} and obj_id {self.obj_id!r} disagree: absent means null")
        if len(set(self.object_ids)) < len(self.object_ids):
            raise ValueError(f"obj_id {self.obj_id!r} names an object twice")
        return self

    @property
    def object_ids(self) -> tuple[str, ...]:
        return tuple(self.obj_id.split(",")) if self.obj_id else ()


class _ClipEntry(BaseModel):
    frames: Annotated[list[_Name], Field(min_length=1)]
    expressions: dict[_Name, _ExpressionEntry]
    width: int | None = None
    height: int | None = None
    objects: dict[_ObjectId, Any] = {}

    @model_validator(mode="after")
    def _references_exist(self) -> _ClipEntry:
        if len(set(self.frames)) != len(self.frames):
            raise ValueError("a frame is listed twice")
        for key, expression in self.expressions.items():
            unknown = [name for name in expression.object_ids if self.objects and name not in self.objects]
            if unknown:
                raise ValueError(f"expression {key}: unknown obj_id {unknown[0]!r}, known are {sorted(self.objects, key=int)}")
            if expression.best_frame is not None and not 0 <= expression.best_frame < len(self.frames):
                raise ValueError(f"expression {key}: best_frame {expression.best_frame} is not in 0..{len(self.frames) - 1}")
        return self


class _Meta(BaseModel):
    videos: dict[_Name, _ClipEntry]


def load_davis16(root: str | Path, videos: Collection[str] | None = None, split: str = "all") -> list[Clip]:
    """Return the clips of a folder of DAVIS-2016, in the order of its JSON.

    Args:
        root: folder that holds JPEGImages, Annotations and meta_expressions.json.
        videos: names of the clips to take; all when not given.
        split: name that the clips are given; a folder has one part.
    Raises: SourceNotFound: no such folder or JSON. InvalidDocument: the JSON does not follow its schema, or the files do not
        agree with it (missing, unexpected, of another size), all problems in one error. UnknownName: no clip of that name.
    """
    return _load("davis16", root, videos, split)


def load_davis17(root: str | Path, videos: Collection[str] | None = None, split: str = "all") -> list[Clip]:
    """Return the clips of a folder of DAVIS-2017, several objects in a clip; arguments, order and errors as for `load_davis16`."""
    return _load("davis17", root, videos, split)


def _load(dataset: str, root: str | Path, videos: Collection[str] | None, split: str) -> list[Clip]:
    root = Path(root)
    chosen = choose(_read_meta(root / META).videos, videos)
    problems: list[InputError] = []
    for name, clip in chosen.items():
        try:
            size = _size(root, name, clip)
        except InputError as error:
            problems.append(error)
        else:
            problems.extend(_file_problems(root, name, clip.frames, size))
    raise_problems("the files do not agree with " + META, str(root), problems, "restore the files, or leave these clips out")
    return [_clip(dataset, root, split, name, clip) for name, clip in chosen.items()]


def _read_meta(path: Path) -> _Meta:
    try:
        text = path.read_bytes()
    except OSError as error:
        fix = "give the folder that holds JPEGImages, Annotations and " + META
        raise SourceNotFound("no expressions", where=str(path), why=error.strerror or "", fix=fix) from error
    try:
        return _Meta.model_validate_json(text)
    except ValidationError as error:
        lines = [f"{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        raise InvalidDocument("not a list of expressions", where=str(path), why="\n  ".join(lines[:10])) from error


def _size(root: Path, name: str, clip: _ClipEntry) -> tuple[int, int]:
    if clip.width and clip.height:
        return clip.width, clip.height
    return png_size(_mask_path(root, name, clip.frames[0]))


def _mask_path(root: Path, name: str, frame: str) -> Path:
    return root / "Annotations" / "480p" / name / f"{frame}.png"


def _frame_folder(root: Path, name: str) -> Path:
    return root / "JPEGImages" / "480p" / name


def _file_problems(root: Path, name: str, frames: list[str], size: tuple[int, int]) -> Iterator[InputError]:
    folder = _frame_folder(root, name)
    for frame in frames:
        for path, read in ((folder / f"{frame}.jpg", _jpeg_size), (_mask_path(root, name, frame), png_size)):
            try:
                found = read(path)
            except InputError as error:
                yield error
            else:
                if found != size:
                    yield wrong_size(path, found, size)
    if folder.is_dir():
        # the whole folder is opened as the video, so one more frame would shift all masks
        pictures = (p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        extra = sorted(p for p in pictures if p.stem not in frames and not p.name.startswith("."))
        yield from (InvalidDocument("a frame that is not listed", where=str(path)) for path in extra)


def _jpeg_size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size
    except FileNotFoundError as error:
        raise SourceNotFound("no frame", where=str(path)) from error
    except (OSError, Image.DecompressionBombError) as error:
        raise InvalidDocument("not a picture", where=str(path)) from error


def _clip(dataset: str, root: Path, split: str, name: str, entry: _ClipEntry) -> Clip:
    return Clip(
        dataset=dataset,
        split=split,
        name=name,
        frame_names=tuple(entry.frames),
        open=partial(open_video, _frame_folder(root, name)),
        expressions=tuple(_expression(key, one) for key, one in entry.expressions.items()),
        masks=PngMasks({index: _mask_path(root, name, frame) for index, frame in enumerate(entry.frames)}, has_void=True),
        objects=tuple(entry.objects),
    )


def _expression(key: str, entry: _ExpressionEntry) -> Expression:
    return Expression(key, entry.exp, entry.object_ids, entry.kind, entry.best_frame, entry.difficulty)
