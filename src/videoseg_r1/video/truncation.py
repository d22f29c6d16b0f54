"""Check whether a file ends before the end that its own structure states.

Decoders often reach the end of a cut file without any complaint, so the outer structure is compared with the size on disk. Formats
that do not state their length (live Matroska, JPEG, elementary streams) cannot be checked this way, nor can damage inside a complete
file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from videoseg_r1.video.boxes import outer_boxes
from videoseg_r1.video.ebml import SEGMENT, outer_elements

_MAX_CHUNKS = 2_000_000
_TAIL_BYTES = 1 << 17
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c 47a9 cf11 8ee4 00c00c205365")
_ASF_BROADCAST = 1
_Y4M_CHROMA = {"420": (2, 2, 2), "422": (2, 1, 2), "444": (1, 1, 2), "444alpha": (1, 1, 2), "411": (4, 1, 2), "mono": (1, 1, 0)}
"""How many pixels across and down share a value of colour, and the planes of colour."""


def is_cut_short(path: Path, kind: str) -> bool:
    """Return True when the file is surely incomplete; `kind` is a name of `sniff`."""
    check = _CHECKS.get(kind)
    if check is None:
        return False
    with path.open("rb") as file:
        return check(file, path.stat().st_size)


def _boxes_overrun(file: BinaryIO, size: int) -> bool:
    """Whether the last outer box ends beyond the file. Only boxes that hold pictures or their index count: some cameras append bytes
    that are no boxes at all.
    """
    return any(box.stop > size for box in outer_boxes(file) if box.name in (b"mdat", b"moof", b"moov"))


def _segment_overruns(file: BinaryIO, size: int) -> bool:
    """Compare the size of Matroska's one Segment with the file (RFC 9559, 5.1)."""
    second = next(islice(outer_elements(file), 1, 2), None)
    return second is not None and second.identifier == SEGMENT and second.stop is not None and second.stop > size


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


def _tail(file: BinaryIO, size: int, length: int = 1024) -> bytes:
    file.seek(max(0, size - length))
    return file.read()


def _asf_is_short(file: BinaryIO, size: int) -> bool:
    """Compare the file size in the file properties (ASF specification, 3.2) with the file. Broadcasts do not know theirs."""
    head = file.read(1 << 16)
    place = head.find(_ASF_FILE_PROPERTIES)
    stated, flags = head[place + 40 : place + 48], head[place + 88 : place + 92]
    is_known = place >= 0 and len(flags) == 4 and not flags[0] & _ASF_BROADCAST
    return is_known and int.from_bytes(stated, "little") > size


def _ogg_page_is_cut(file: BinaryIO, size: int) -> bool:
    """Whether the last page ends beyond the file (RFC 3533, 6)."""
    tail = _tail(file, size, _TAIL_BYTES)
    page = tail.rfind(b"OggS")
    if page < 0 or page + 27 > len(tail):
        return page >= 0
    table = tail[page + 27 : page + 27 + tail[page + 26]]
    return page + 27 + tail[page + 26] + sum(table) > len(tail)


def _program_packet_is_cut(file: BinaryIO, size: int) -> bool:
    """Whether the last packet ends beyond the file, counted from a pack header near the end (ISO 13818-1, 2.5.3)."""
    tail = _tail(file, size, _TAIL_BYTES)
    place = tail.find(b"\0\0\x01\xba")
    while 0 <= place < len(tail):
        head = tail[place : place + 14].ljust(14, b"\0")
        if head[:3] != b"\0\0\x01" or head[3] <= 0xB9:  # no packet, or the code of the end
            return False
        if head[3] == 0xBA:
            place += 12 if head[4] >> 4 == 2 else 14 + (head[13] & 7)
        else:
            place += 6 + int.from_bytes(head[4:6], "big")
    return place > len(tail)


def _dv_frame_is_cut(file: BinaryIO, size: int) -> bool:
    """Frames are 120,000 bytes, or 144,000 with 625 lines, and multiples of that at higher rates (SMPTE ST 314)."""
    return size % (144_000 if file.read(4)[3] & 0x80 else 120_000) != 0


def _y4m_frame_is_cut(file: BinaryIO, size: int) -> bool:
    """Frames are a line and then planes of one size (yuv4mpeg(5)). Where lines have parameters, nothing is sure."""
    words = file.readline(4096).split()
    start = file.tell()
    tags = {word[:1]: word[1:].decode("ascii", "replace") for word in words[1:]}
    chroma = re.fullmatch(r"(420|422|444|411|mono|444alpha)(?:p|jpeg|paldv|mpeg2)?(\d*)", tags.get(b"C", "420"))
    if file.readline(16) != b"FRAME\n" or chroma is None or not (tags.get(b"W", "").isdigit() and tags.get(b"H", "").isdigit()):
        return False
    width, height = int(tags[b"W"]), int(tags[b"H"])
    across, down, planes = _Y4M_CHROMA[chroma[1]]
    samples = width * height * (2 if chroma[1] == "444alpha" else 1) + planes * -(-width // across) * -(-height // down)
    return (size - start) % (6 + samples * (2 if chroma[2] not in ("", "8") else 1)) != 0


def _swf_is_short(file: BinaryIO, size: int) -> bool:
    """Compare the length in the header with the file; in compressed files it is that of the content."""
    head = file.read(8)
    return head[:1] == b"F" and int.from_bytes(head[4:8], "little") > size


def _chunks_overrun(start: int, head_bytes: int, end_of: Callable[[bytes], int | None]) -> Callable[[BinaryIO, int], bool]:
    """Return a check that walks chunks, the first at `start`. `end_of` returns the bytes of a chunk by its head; None is no chunk."""

    def check(file: BinaryIO, size: int) -> bool:
        position = start
        for _ in range(_MAX_CHUNKS):
            if position >= size:
                break
            file.seek(position)
            head = file.read(head_bytes)
            length = end_of(head.ljust(head_bytes, b"\0"))
            if length is None or length < 1:
                return False
            position += length
        return position > size

    return check


def _flv_tag(head: bytes) -> int | None:
    """The size of the tag before, then a tag (FLV specification, annex E.3); the last one may be followed by its size alone."""
    return 15 + int.from_bytes(head[5:8], "big") if head[4] & 0x1F in (8, 9, 18) else None


def _mxf_item(head: bytes) -> int | None:
    """Key, length, value (SMPTE ST 336); a length of 0x83 stands in the three bytes behind it."""
    if head[:4] != b"\x06\x0e\x2b\x34":
        return None
    width = head[16] & 0x7F if head[16] & 0x80 else 0
    return 17 + width + (int.from_bytes(head[17 : 17 + width], "big") if width else head[16])


def _rm_chunk(head: bytes) -> int | None:
    """Chunks of RealMedia. FFmpeg states ten bytes too many for the data."""
    length = int.from_bytes(head[4:8], "big") - 10 * (head[:4] == b"DATA")
    return length if head[:4] in (b".RMF", b"PROP", b"MDPR", b"CONT", b"DATA", b"INDX") else None


def _ivf_frame(head: bytes) -> int:
    return 12 + int.from_bytes(head[:4], "little")


_CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "mov": _boxes_overrun,
    "matroska": _segment_overruns,
    "avi": _riff_overruns,
    "WEBP": _riff_overruns,
    "mpegts": _packet_is_cut,
    "GIF": _gif_has_no_trailer,
    "PNG": _png_has_no_end,
    "AVIF": _boxes_overrun,
    "asf": _asf_is_short,
    "ogg": _ogg_page_is_cut,
    "dv": _dv_frame_is_cut,
    "swf": _swf_is_short,
    "mpeg": _program_packet_is_cut,
    "yuv4mpegpipe": _y4m_frame_is_cut,
    "flv": _chunks_overrun(9, 8, _flv_tag),
    "mxf": _chunks_overrun(0, 26, _mxf_item),
    "rm": _chunks_overrun(0, 8, _rm_chunk),
    "ivf": _chunks_overrun(32, 12, _ivf_frame),
}
