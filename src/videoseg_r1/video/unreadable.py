"""Refuse what a file says of itself that no decoder can help with: it is encrypted, or its pictures lie in other files.

FFmpeg would decode encrypted pictures to noise, or find no pictures where they lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from videoseg_r1.errors import UnsupportedSource
from videoseg_r1.video.boxes import boxes_at, inner_boxes
from videoseg_r1.video.ebml import TRACK_ENTRY, elements_at

_HEAD_BYTES = 1 << 18
_MANY = 16
"""So many encrypted packets are no accident."""
_ASF_PROTECTION = (
    bytes.fromhex("fbb31122 23bd d211 b4b7 00a0c955fc6e"),  # content encryption object
    bytes.fromhex("14e68a29 2226 174c b935 dae07ee9289c"),  # extended content encryption object (ASF specification, 10.3)
)
_CONTENT_ENCRYPTION = (*TRACK_ENTRY, 0x6D80, 0x6240, 0x5035)
"""ContentEncodings, ContentEncoding, ContentEncryption (RFC 9559, 5.1.4.1.31)."""
_TRACK_MEDIA = (b"moov", b"trak", b"mdia", b"minf")


def check_readable(path: Path, kind: str) -> None:
    """Raise UnsupportedSource when a file of a sniffed format is encrypted, or its pictures lie in another file."""
    with path.open("rb") as file:
        check = _ENCRYPTED.get(kind)
        if check is not None and check(file):
            raise UnsupportedSource(
                "the video is encrypted",
                where=str(path),
                why="its pictures can be read only with a key, and keys are not used here",
                fix="give a copy without copy protection",
            )
        if kind == "mov" and _points_elsewhere(file):
            raise UnsupportedSource(
                "the pictures are not in this file",
                where=str(path),
                why="it is a reference movie: it names other files, which are not opened",
                fix="give the file with the pictures, or write a self-contained one: ffmpeg -i INPUT -c copy OUTPUT.mp4",
            )


def _mov_is_encrypted(file: BinaryIO) -> bool:
    """Whether a video track has protected samples (ISO 14496-12, 8.12)."""
    for description in boxes_at(file, (*_TRACK_MEDIA, b"stbl", b"stsd")):
        # after version, flags and the number of entries
        if any(entry.name in (b"encv", b"drmi") for entry in inner_boxes(file, description.start + 8, description.stop)):
            return True
    return False


def _points_elsewhere(file: BinaryIO) -> bool:
    if any(boxes_at(file, (b"moov", b"rmra"))):
        return True
    return any(_is_external(file, media.start, media.stop) for media in boxes_at(file, _TRACK_MEDIA))


def _is_external(file: BinaryIO, start: int, stop: int) -> bool:
    """Whether a track is one of pictures, and its data reference names a place (ISO 14496-12, 8.7.2)."""
    inside = {box.name: box for box in inner_boxes(file, start, stop)}
    if b"vmhd" not in inside or b"dinf" not in inside:
        return False
    for references in inner_boxes(file, inside[b"dinf"].start, inside[b"dinf"].stop):
        for entry in inner_boxes(file, references.start + 8, references.stop):
            file.seek(entry.start)
            payload = file.read(min(1024, max(0, entry.stop - entry.start)))
            is_own = len(payload) < 4 or payload[3] & 1 or not payload[4:].strip(b"\0")
            if references.name == b"dref" and not is_own:
                return True
    return False


def _matroska_is_encrypted(file: BinaryIO) -> bool:
    return any(elements_at(file, _CONTENT_ENCRYPTION))


def _asf_is_encrypted(file: BinaryIO) -> bool:
    """Whether the header has one of the objects that say how the packets are encrypted."""
    file.seek(16)
    header = file.read(min(int.from_bytes(file.read(8), "little"), _HEAD_BYTES))
    return any(guid in header for guid in _ASF_PROTECTION)


def _transport_is_encrypted(file: BinaryIO) -> bool:
    """Count packets that are scrambled (ISO 13818-1, 2.4.3.2); a few may be bit errors."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    size, offset = (188, 0) if head[:1] == b"\x47" else (192, 4)
    packets = [head[place : place + 4] for place in range(offset, len(head) - 3, size)]
    scrambled = sum(packet[0] == 0x47 and packet[3] >= 0x80 for packet in packets)
    return scrambled >= min(_MANY, max(1, len(packets) // 2))


def _program_is_encrypted(file: BinaryIO) -> bool:
    """Count packets of pictures that are scrambled, as on most DVDs (ISO 13818-1, 2.4.3.7)."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    scrambled = count = 0
    place = head.find(b"\0\0\x01\xe0")
    while 0 <= place < len(head) - 7:
        flags = head[place + 6]
        count += 1
        scrambled += flags >> 6 == 2 and flags & 0x30 != 0
        place = head.find(b"\0\0\x01\xe0", place + 6 + int.from_bytes(head[place + 4 : place + 6], "big"))
    return scrambled >= min(_MANY, max(1, count // 4))


_ENCRYPTED: dict[str, Callable[[BinaryIO], bool]] = {
    "mov": _mov_is_encrypted,
    "matroska": _matroska_is_encrypted,
    "asf": _asf_is_encrypted,
    "mpegts": _transport_is_encrypted,
    "mpeg": _program_is_encrypted,
}
