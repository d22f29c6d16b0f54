"""Where weights lie on this machine, and whether they match the table.

One folder per model, with the files under their own names, so that they can also be put there by hand. The hash of a file that
has no pinned one is kept beside it, in the format of `sha256sum`. Not here: fetching (`pull`), loading.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import platformdirs

from videoseg_r1.errors import WeightsMissing
from videoseg_r1.files import write_whole
from videoseg_r1.models.weights.table import ModelFile, ModelRef

State: TypeAlias = Literal["ok", "trusted", "missing", "damaged"]
_NOT_PINNED = "not pinned: recorded at first pull (trust on first use)"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of a file: "ok" has the pinned hash, "trusted" has no pinned hash but still the one recorded first."""

    path: Path
    state: State
    detail: str = ""

    @property
    def good(self) -> bool:
        return self.state in ("ok", "trusted")


def models_folder() -> Path:
    """Return the folder of all weights: $VIDEOSEG_MODELS, or the user's data folder."""
    given = os.environ.get("VIDEOSEG_MODELS")
    return Path(given) if given else platformdirs.user_data_path("videoseg") / "models"


def folder_of(ref: ModelRef) -> Path:
    """Return the folder where the files of a model belong."""
    return models_folder() / ref.name


def missing_files(ref: ModelRef) -> list[ModelFile]:
    """Return the files that are not there, or not in the pinned size. Nothing is hashed."""
    return [file for file in ref.files if not _is_there(folder_of(ref) / file.name, file)]


def locate(ref: ModelRef) -> Path:
    """Return the folder of a model with all its files in it.

    Raises: WeightsMissing: which file to put where.
    """
    missing = missing_files(ref)
    if missing:
        raise WeightsMissing(
            f"the weights of {ref.name} are not on this machine",
            where=str(folder_of(ref)),
            why=f"missing or incomplete: {', '.join(file.name for file in missing)}",
            fix=f"run `videoseg models pull {ref.name}`, or {by_hand(ref, missing)}",
        )
    return folder_of(ref)


def by_hand(ref: ModelRef, files: Iterable[ModelFile]) -> str:
    """Return the sentence that says which file to put where."""
    lines = [f"{ref.url(file)} as {folder_of(ref) / file.name}" for file in files]
    return "\n    ".join(["fetch them on a machine that can, and put them there:", *lines])


def verify(ref: ModelRef) -> list[Verdict]:
    """Hash every file of a model. The hash of a file that is not pinned is recorded when it has no record yet."""
    return [verify_file(ref, file) for file in ref.files]


def verify_file(ref: ModelRef, file: ModelFile) -> Verdict:
    """Hash one file of a model. Raises OutputError: a first hash cannot be recorded."""
    path = folder_of(ref) / file.name
    if not path.is_file():
        return Verdict(path, "missing")
    if file.sha256 is not None:
        wrong = check(path, file)
        return Verdict(path, "damaged" if wrong else "ok", wrong)
    found, recorded = sha256_of(path), _recorded(path)
    if recorded is None:
        record(path, found)
        return Verdict(path, "trusted", f"not pinned: recorded now (trust on first use), {found}")
    if found != recorded:
        return Verdict(path, "damaged", f"its SHA-256 is {found}; recorded at first pull was {recorded}")
    return Verdict(path, "trusted", f"{_NOT_PINNED}, {found}")


def check(path: Path, file: ModelFile) -> str:
    """Return what is wrong with the content of a file, "" when it is the pinned one or none is pinned."""
    size = path.stat().st_size
    if file.num_bytes is not None and size != file.num_bytes:
        return f"it has {size} bytes instead of {file.num_bytes}"
    if file.sha256 is None:
        return ""
    found = sha256_of(path)
    return "" if found == file.sha256 else f"its SHA-256 is {found} instead of {file.sha256}"


def record(path: Path, sha256: str) -> None:
    """Write the hash of a file beside it, whole or not at all. Raises OutputError."""
    write_whole(_record_of(path), f"{sha256}  {path.name}\n", "the hash of a file cannot be recorded")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _recorded(path: Path) -> str | None:
    try:
        return _record_of(path).read_text(encoding="ascii").split()[0]
    except (OSError, UnicodeDecodeError, IndexError):
        return None


def _record_of(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _is_there(path: Path, file: ModelFile) -> bool:
    return path.is_file() and path.stat().st_size > 0 and file.num_bytes in (None, path.stat().st_size)
