"""Compare the checksums that a container keeps of its content.

Only Matroska has any that FFmpeg does not check: a CRC-32 in its clusters and its list of tracks, where the writer put one (FFmpeg does
in .mkv, not in .webm). Not here: the length of a file (`truncation`).
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import BinaryIO

from videoseg_r1.video.ebml import SEGMENT, inner_elements, outer_elements

_CLUSTER, _TRACKS = 0x1F43B675, 0x1654AE6B
_CRC_HEAD = b"\xbf\x84"
"""Id and length of a CRC-32 element; four bytes follow."""
_CRC_BYTES = 6
_CHUNK_BYTES = 1 << 20


def damaged_ranges(path: Path, kind: str) -> tuple[range, ...]:
    """Return the bytes of a file that do not fit their checksum; damaged tracks touch all of it. `kind` is a name of `sniff`."""
    if kind != "matroska":
        return ()
    found: list[range] = []
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        segment = next((element for element in outer_elements(file) if element.identifier == SEGMENT), None)
        for identifier, start, stop in inner_elements(file, segment.start, size) if segment else ():
            if stop is None or stop > size:  # live, cut short, or damaged in its structure, which the decoder sees
                break
            if identifier in (_CLUSTER, _TRACKS) and not _fits(file, start, stop - start):
                found.append(range(start, stop) if identifier == _CLUSTER else range(size))
    return tuple(found)


def _fits(file: BinaryIO, start: int, length: int) -> bool:
    """Whether the element whose content begins at a place fits its CRC-32, its first child (RFC 9559, 5.1); True if it has none."""
    file.seek(start)
    head = file.read(_CRC_BYTES)
    if head[:2] != _CRC_HEAD or length < _CRC_BYTES:
        return True
    crc, left = 0, length - _CRC_BYTES
    while left > 0 and (data := file.read(min(left, _CHUNK_BYTES))):
        crc, left = zlib.crc32(data, crc), left - len(data)
    return crc == int.from_bytes(head[2:], "little")
