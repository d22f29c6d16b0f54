"""What loaders check before anything is computed: names, files and counts; all problems of a dataset in one error.

Not here: the content of mask files (`mask_files`), the schema of a JSON document (each loader).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from videoseg_r1.errors import InvalidDocument, SourceNotFound, VideosegError, unknown_name

FIX = "complete the download, or leave these clips out"
"""What a user can do about a dataset whose files are incomplete."""
_NAME = re.compile(r"\w[\w.-]*")  # names become paths: no separators, no leading dot
_MAX_LISTED = 10
_ClipEntry = TypeVar("_ClipEntry")


def raise_problems(what: str, where: str, problems: Sequence[VideosegError], fix: str) -> None:
    """Raise one InvalidDocument that lists the problems, each once; do nothing when there are none."""
    lines = list(dict.fromkeys(": ".join(part for part in (p.what, p.where, p.why) if part) for p in problems))
    if lines:
        more = [f"and {len(lines) - _MAX_LISTED} more"] if len(lines) > _MAX_LISTED else []
        raise InvalidDocument(what, where=where, why="\n  ".join(lines[:_MAX_LISTED] + more), fix=fix)


def choose(clips: Mapping[str, _ClipEntry], videos: Collection[str] | None) -> dict[str, _ClipEntry]:
    """Return the clips of these names in the order of `clips`; all of them when `videos` is None. Raises UnknownName."""
    unknown = sorted(set(videos or ()) - set(clips))
    if unknown:
        raise unknown_name("clip", unknown[0], clips)
    return {name: clip for name, clip in clips.items() if videos is None or name in videos}


def file_problems(place: str, name: str, frames: Iterable[str], folders: Mapping[Path, str]) -> list[VideosegError]:
    """Return what is wrong with the names of a clip, and every file that a folder lacks.

    Args:
        place: document and clip, for the errors.
        name: of the clip.
        frames: names of its frames, without suffix.
        folders: folder -> suffix of the files that it must hold, one per frame.
    """
    names = list(frames)
    wrong = [n for n in (name, *names) if not all(_NAME.fullmatch(part) for part in n.split("/"))]
    if wrong:
        return [InvalidDocument("not the name of a file", where=f"{place}: {n[:80]}") for n in wrong]
    if not names or len(set(names)) < len(names):
        return [InvalidDocument("a clip without frames" if not names else "a frame is listed twice", where=place)]
    problems: list[VideosegError] = []
    for folder, suffix in folders.items():
        present = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
        missing = [f"{frame}{suffix}" for frame in names if f"{frame}{suffix}" not in present]
        if missing:
            count = f"{len(missing)} of {len(names)} files, {missing[0]} the first"
            problems.append(SourceNotFound("files are missing", where=str(folder), why=count))
    return problems
