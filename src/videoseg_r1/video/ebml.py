"""Walk the elements of Matroska and WebM files (RFC 8794, RFC 9559), by their heads alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

SEGMENT = 0x18538067
TRACK_ENTRY = (SEGMENT, 0x1654AE6B, 0xAE)
"""The way to what a file says of each of its streams (RFC 9559, 5.1.4)."""
_MAX_ELEMENTS = 1_000_000


class Element(NamedTuple):
    """One element: its identifier, where its payload begins, and where it says that it ends; None where it does not say."""

    identifier: int
    start: int
    stop: int | None


def outer_elements(file: BinaryIO) -> Iterator[Element]:
    """Yield the outermost elements of a file, in order."""
    return inner_elements(file, 0, file.seek(0, os.SEEK_END))


def inner_elements(file: BinaryIO, start: int, stop: int) -> Iterator[Element]:
    """Yield the elements that begin between two places of a file, in order, up to the first of unknown length."""
    for _ in range(_MAX_ELEMENTS):
        if start >= stop:
            return
        file.seek(start)
        identifier, length = _number(file, keep_marker=True), _number(file, keep_marker=False)
        if identifier is None:
            return
        begin = file.tell()
        yield Element(identifier, begin, None if length is None else begin + length)
        if length is None:
            return
        start = begin + length


def elements_at(file: BinaryIO, path: tuple[int, ...]) -> Iterator[Element]:
    """Yield the elements that a path of identifiers leads to, from the outermost on."""
    return _below(file, outer_elements(file), path, file.seek(0, os.SEEK_END))


def _below(file: BinaryIO, elements: Iterator[Element], path: tuple[int, ...], end: int) -> Iterator[Element]:
    for element in elements:
        if element.identifier == path[0]:
            if len(path) == 1:
                yield element
            else:
                stop = min(end, end if element.stop is None else element.stop)
                yield from _below(file, inner_elements(file, element.start, stop), path[1:], stop)


def _number(file: BinaryIO, *, keep_marker: bool) -> int | None:
    """Read a number of variable width (RFC 8794, 4); None where it is unknown or no number."""
    first = (file.read(1) or b"\0")[0]
    width = 9 - first.bit_length()
    if width > 8:
        return None
    value = int.from_bytes(bytes([first]) + file.read(width - 1), "big")
    unknown = (1 << 7 * width) - 1
    payload = value & unknown
    if keep_marker:
        return value
    return None if payload == unknown else payload
