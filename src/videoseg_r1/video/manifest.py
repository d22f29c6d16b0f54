"""Manifests: lists of questions about many videos, as JSON lines such as {"video": "race.mp4", "query": "the runner", "id": "r1"}.

Not here: opening the videos; whether they exist is found out then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from videoseg_r1.documents import build
from videoseg_r1.errors import InvalidDocument, SourceNotFound


@dataclass(frozen=True, slots=True)
class Item:
    """One question: the video, the query, and a name that is unique in its manifest."""

    video: Path
    query: str
    id: str


@dataclass(frozen=True, slots=True)
class _Line:
    video: str
    query: str
    id: str | None = None


def read_manifest(path: str | Path) -> list[Item]:
    """Return the items of a manifest, at least one; blank lines are skipped.

    Paths are relative to the folder of the manifest. An item without a name is called by the number of its line, counted from 1.
    Raises: SourceNotFound; InvalidDocument: it names the line that is wrong, or says that the manifest is empty.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise SourceNotFound("the manifest cannot be read", where=str(path), why=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise InvalidDocument("the manifest is not UTF-8", where=str(path), why=str(error)) from error
    items = list(_items(path, lines))
    if not items:
        raise InvalidDocument("the manifest is empty", where=str(path), fix='write lines such as {"video": "a.mp4", "query": "the dog"}')
    return items


def _items(path: Path, lines: list[str]) -> Iterator[Item]:
    seen: set[str] = set()
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        where = f"{path} line {number}"
        try:
            line = build(_Line, json.loads(text), where)
        except (ValueError, RecursionError) as error:
            raise InvalidDocument("a line of the manifest is not JSON", where=where, why=str(error)) from error
        item = Item(path.parent / line.video, line.query, str(number) if line.id is None else line.id)
        if item.id in seen:
            raise InvalidDocument("two items of the manifest have the same name", where=where, why=f"id is {item.id}")
        seen.add(item.id)
        yield item
