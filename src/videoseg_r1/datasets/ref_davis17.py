"""Loader of Ref-DAVIS17, training split, in the layout of Ref-YouTube-VOS or as it is downloaded. Not here: its validation clips.

    ROOT/meta_expressions/train/meta_expressions.json           converted: see `ref_vos_json`
    ROOT/train/{JPEGImages,Annotations}/CLIP/FRAME.{jpg,png}

    ROOT/DAVIS/{JPEGImages,Annotations_unsupervised}/480p/CLIP/FRAME.{jpg,png}       as it is downloaded
    ROOT/DAVIS/ImageSets/2017/train.txt
    ROOT/davis_text_annotations/Davis17_annot{1,2}{,_full_video}.txt        lines: CLIP OBJECT "EXPRESSION"

Expressions get the numbers of the conversion: four per object, by the objects' numbers as text, annotator 1 and 2 for the first
frame and for the full video. Source: docs/algorithm.md, "Ref-DAVIS17". Checked on folders drawn in these layouts, not on the real
dataset.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from videoseg_r1.datasets.clip import Clip
from videoseg_r1.datasets.problems import raise_problems
from videoseg_r1.datasets.ref_vos_json import ClipEntry, ExpressionEntry, palette_clips, read_entries
from videoseg_r1.errors import InvalidDocument, SourceNotFound, VideosegError

_DATASET = "ref_davis17"
_TEXTS = (  # in the order of the conversion
    ("Davis17_annot1.txt", "utf-8"),
    ("Davis17_annot1_full_video.txt", "utf-8"),
    ("Davis17_annot2.txt", "latin-1"),
    ("Davis17_annot2_full_video.txt", "latin-1"),
)
_MISSPELT = {"clasic-car": "classic-car", "dog-scale": "dogs-scale", "motor-bike": "motorbike"}
_LINE = re.compile(r'(\S+)\s+([0-9]+)\s+"(.+)"\s*')


def load_ref_davis17(root: str | Path, videos: Collection[str] | None = None, split: str = "train") -> list[Clip]:
    """Return the clips of the split, or some of them.

    Raises: SourceNotFound: a list is not in this folder. UnknownName: no clip of that name. InvalidDocument: a list does not follow
        its schema, or files are missing, all problems in one error.
    """
    root = Path(root)
    meta = root / "meta_expressions" / split / "meta_expressions.json"
    if meta.exists():
        folder = root / split
        return palette_clips(_DATASET, split, meta, read_entries(meta), folder / "JPEGImages", folder / "Annotations", videos)
    davis = root / "DAVIS"
    images, masks = davis / "JPEGImages" / "480p", davis / "Annotations_unsupervised" / "480p"
    texts = root / "davis_text_annotations"
    names = _read_text(davis / "ImageSets" / "2017" / f"{split}.txt", "utf-8").split()
    return palette_clips(_DATASET, split, texts, _text_entries(texts, names, images), images, masks, videos)


def _text_entries(texts: Path, names: Collection[str], images: Path) -> dict[str, ClipEntry]:
    """Return the named clips with the expressions of all annotators; the frames are those of their folders."""
    expressions: dict[str, dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict[int, str]))
    problems: list[VideosegError] = []
    for annotator, (file, encoding) in enumerate(_TEXTS):
        for number, line in enumerate(_read_text(texts / file, encoding).splitlines(), 1):
            found = _LINE.fullmatch(line)
            if found:
                name, object_id, text = found.groups()
                expressions[_MISSPELT.get(name, name)][object_id][annotator] = text
            elif line.strip():
                problems.append(InvalidDocument('a line is not CLIP OBJECT "EXPRESSION"', where=f"{file}, line {number}"))
    raise_problems("the expressions cannot be read", str(texts), problems, "download the text annotations again")
    return {name: _entry(expressions[name], images / name) for name in names}


def _entry(texts: dict[str, dict[int, str]], folder: Path) -> ClipEntry:
    frames = sorted(path.stem for path in folder.glob("*.jpg"))
    numbered = {
        str(len(_TEXTS) * rank + annotator): ExpressionEntry(text, object_id)
        for rank, (object_id, by_annotator) in enumerate(sorted(texts.items()))
        for annotator, text in sorted(by_annotator.items())
    }
    return ClipEntry(tuple(frames), numbered)


def _read_text(path: Path, encoding: str) -> str:
    try:
        return path.read_text(encoding=encoding)
    except OSError as error:
        fix = "give the folder that holds meta_expressions, or DAVIS and davis_text_annotations"
        raise SourceNotFound("a list cannot be read", where=str(path), why=error.strerror or "", fix=fix) from error
    except UnicodeDecodeError as error:
        raise InvalidDocument("not a text file", where=str(path), why=str(error)) from error
