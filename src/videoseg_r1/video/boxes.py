"""Walk the boxes of ISO media files (ISO 14496-12, 4.2), by their heads alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_MAX_BOXES = 100_000


class IsoBox(NamedTuple):
    """One box: its name, where its payload begins, and where it says that it ends, which may be beyond the file."""

    name: bytes
    start: int
    stop: int


def outer_boxes(file: BinaryIO) -> Iterator[IsoBox]:
    """Yield the outermost boxes of a file, in order; the walk ends at the first bytes that are no box."""
    return inner_boxes(file, 0, file.seek(0, os.SEEK_END))


def inner_boxes(file: BinaryIO, start: int, stop: int) -> Iterator[IsoBox]:
    """Yield the boxes that begin between two places of a file, in order."""
    for _ in range(_MAX_BOXES):
        if start + 8 > stop:
            return
        file.seek(start)
        head = file.read(16)
        length, name, head_bytes = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, head_bytes = int.from_bytes(head[8:16], "big"), 16
        if length == 0:  # up to the end of what it lies in
            length = stop - start
        if length < head_bytes:
            return
        yield IsoBox(name, start + head_bytes, start + length)
        start += length


def boxes_at(file: BinaryIO, path: tuple[bytes, ...]) -> Iterator[IsoBox]:
    """Yield the boxes that a path of names leads to: (b"moov", b"trak", b"mdia") yields those of every track."""
    return _below(file, outer_boxes(file), path)


def _below(file: BinaryIO, boxes: Iterator[IsoBox], path: tuple[bytes, ...]) -> Iterator[IsoBox]:
    for box in boxes:
        if box.name == path[0]:
            if len(path) == 1:
                yield box
            else:
                yield from _below(file, inner_boxes(file, box.start, box.stop), path[1:])


def brands(head: bytes) -> list[bytes]:
    """Return what a file that begins with these bytes says it is: the main brand of its `ftyp` box, then the compatible ones."""
    if head[4:8] != b"ftyp":
        return []
    stop = min(int.from_bytes(head[:4], "big"), 1024)
    return [head[8:12], *(head[place : place + 4] for place in range(16, stop - 3, 4))]
