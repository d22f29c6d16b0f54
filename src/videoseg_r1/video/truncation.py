"""Check whether a file ends before the end that its own structure states.

Decoders often reach the end of a cut file without any complaint, so the outer structure is compared with the size on disk. Formats
that do not state their length (live Matroska, JPEG) cannot be checked this way, nor can damage inside a complete file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_MAX_BOXES = 100_000
_SEGMENT = 0x18538067


def is_cut_short(path: Path, kind: str) -> bool:
    """Return True when the file is surely incomplete; `kind` is a name of `sniff`."""
    check = _CHECKS.get(kind)
    if check is None:
        return False
    with path.open("rb") as file:
        return check(file, path.stat().st_size)


def _boxes_overrun(file: BinaryIO, size: int) -> bool:
    """Walk the outer boxes of ISO media (ISO 14496-12, 4.2). Only boxes that hold pictures or their index count: some cameras
    append bytes that are no boxes at all.
    """
    position = 0
    for _ in range(_MAX_BOXES):
        file.seek(position)
        head = file.read(16)
        if len(head) < 8:
            return False
        length, name = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0 means "up to the end of the file"; anything else below 8 is no box
            return False
        position += length
        if position > size:
            return name in (b"mdat", b"moof", b"moov")
    return False


def _segment_overruns(file: BinaryIO, size: int) -> bool:
    """Compare the size of Matroska's one Segment with the file (RFC 9559, 5.1)."""
    ebml_element(file)
    identifier, length = ebml_element(file, skip=False)
    return identifier == _SEGMENT and length is not None and file.tell() + length > size


def ebml_element(file: BinaryIO, *, skip: bool = True) -> tuple[int, int | None]:
    """Read the head of one EBML element (RFC 8794, 4-6) and return its id and length; None stands for an unknown length."""
    identifier, _ = _number(file, keep_marker=True)
    length, unknown = _number(file, keep_marker=False)
    if skip:
        file.seek(length, 1)
    return identifier, None if unknown else length


def _number(file: BinaryIO, *, keep_marker: bool) -> tuple[int, bool]:
    first = (file.read(1) or b"\0")[0]
    width = 9 - first.bit_length()
    if width > 8:
        return 0, True
    value = int.from_bytes(bytes([first]) + file.read(width - 1), "big")
    bits = 7 * width
    payload = value & ((1 << bits) - 1)
    return (value if keep_marker else payload), payload == (1 << bits) - 1


def _riff_overruns(file: BinaryIO, size: int) -> bool:
    """Compare the size of the outer RIFF chunk with the file. Writers disagree on the padding byte, and live ones write 0."""
    head = file.read(8)
    return 8 + int.from_bytes(head[4:8], "little") > size + 1


def _packet_is_cut(_file: BinaryIO, size: int) -> bool:
    """A transport stream consists of whole packets, see `sniff`."""
    return size % 188 != 0 and size % 192 != 0


def _gif_has_no_trailer(file: BinaryIO, size: int) -> bool:
    return not _tail(file, size).rstrip(b"\0").endswith(b";")


def _png_has_no_end(file: BinaryIO, size: int) -> bool:
    return b"IEND" not in _tail(file, size)


def _tail(file: BinaryIO, size: int) -> bytes:
    file.seek(max(0, size - 1024))
    return file.read()


_CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "mov": _boxes_overrun,
    "matroska": _segment_overruns,
    "avi": _riff_overruns,
    "WEBP": _riff_overruns,
    "mpegts": _packet_is_cut,
    "GIF": _gif_has_no_trailer,
    "PNG": _png_has_no_end,
}
