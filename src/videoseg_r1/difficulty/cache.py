"""A cache of ratings on disk, by the content of the video, the query and the rater: one small JSON file per rating.

Files appear whole (`files`), so processes that share the folder need no lock: the last writer wins, with
the same content. A file that is damaged counts as not there. Not here: what is rated (`rater`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from videoseg_r1.difficulty.levels import Difficulty, difficulty_of
from videoseg_r1.documents import build, check_schema, read_json, to_json
from videoseg_r1.errors import InvalidDocument
from videoseg_r1.files import write_whole
from videoseg_r1.models.weights.files import sha256_of

_SCHEMA = "videoseg-rating/1"


@dataclass(frozen=True, slots=True)
class RatingKey:
    """The key of a rating. `video` is the SHA-256 of its content, `rater` names the model and the prompt."""

    video: str
    query: str
    rater: str

    @property
    def file_name(self) -> str:
        text = json.dumps([self.video, self.query, self.rater])
        return f"{hashlib.sha256(text.encode()).hexdigest()}.json"


@dataclass(frozen=True)
class _Entry:
    key: RatingKey
    ratings: Mapping[str, float]


class RatingCache:
    """The ratings in a folder, by default in the user's cache folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or platformdirs.user_cache_path("videoseg") / "ratings"

    def get(self, key: RatingKey) -> Difficulty | None:
        """Return the stored ratings, None if there are none. Raises InvalidDocument: the file is damaged."""
        path = self.folder / key.file_name
        if not path.is_file():
            return None
        entry = build(_Entry, check_schema(read_json(path), _SCHEMA, str(path)), str(path))
        found = difficulty_of(entry.ratings)
        if entry.key != key or found.imputed:
            raise InvalidDocument("an entry of the cache of ratings does not fit its name", where=str(path))
        return found

    def put(self, key: RatingKey, difficulty: Difficulty) -> None:
        """Store the ratings of a difficulty that is not imputed, whole or not at all. Raises OutputError: they cannot be written."""
        document = to_json({"schema": _SCHEMA, **asdict(_Entry(key, difficulty.ratings))})
        write_whole(self.folder / key.file_name, document, "a rating cannot be stored")


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of the names and contents of its files, in order of names."""
    if not path.is_dir():
        return sha256_of(path)
    files = sorted(file for file in path.iterdir() if file.is_file())
    return hashlib.sha256("".join(f"{sha256_of(file)}  {file.name}\n" for file in files).encode("utf-8", "surrogateescape")).hexdigest()
