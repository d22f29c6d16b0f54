"""Recognise elementary streams: coded pictures without a container, told apart by the codes between them.

None of them states the time of a picture; at best a rate is in their headers.
"""

from __future__ import annotations

import re
from typing import BinaryIO, Literal, TypeAlias, get_args

Elementary: TypeAlias = Literal["h264", "hevc", "vvc", "mpegvideo", "m4v", "vc1", "obu", "mjpeg", "h263", "dnxhd", "dirac"]
"""FFmpeg's names of the formats."""

ELEMENTARY: frozenset[str] = frozenset(get_args(Elementary))
_START_CODE = re.compile(rb"\x00\x00\x01(?=(..))", re.DOTALL)
_MAX_CODES = 20_000
_SIGNATURES: tuple[tuple[bytes, Elementary], ...] = (
    (b"\x12\x00\x0a", "obu"),  # temporal delimiter, sequence header (AV1 specification, 5.3)
    (b"BBCD\0", "dirac"),  # a sequence header follows (SMPTE ST 2042-1, 10.4)
    (b"\0\0\x02\x80\x01", "dnxhd"),
    (b"\0\0\x02\x80\x02", "dnxhd"),
    (b"\0\0\x02\x80\x03", "dnxhd"),  # SMPTE ST 2019-1, 5.2
)
_JPEG_BYTES = 64 << 20
"""A JPEG picture beyond this size is a photo."""


def elementary_stream(head: bytes) -> Elementary | None:
    """Return the format of a file that begins with these bytes; None where it is no elementary stream that is known here."""
    for magic, name in _SIGNATURES:
        if head.startswith(magic):
            return name
    if re.match(rb"\x00{2,64}\x01", head):
        return _by_start_codes(head)
    return "h263" if _is_h263(head) else None


def _by_start_codes(head: bytes) -> Elementary | None:
    """The codes of the MPEG family overlap, so each is known by two that belong together."""
    codes = [found[1] for found, _ in zip(_START_CODE.finditer(head), range(_MAX_CODES), strict=False)]
    first = {code[0] for code in codes}
    if 0xB6 in first and first & set(range(0x20, 0x30)):  # object plane, object layer (ISO 14496-2, 6.2.1)
        return "m4v"
    if {0xB3, 0x00} <= first:  # sequence header, picture (ISO 13818-2, 6.2.1)
        return "mpegvideo"
    if 0x0D in first and any(code[0] == 0x0F and code[1] >> 6 == 3 for code in codes):  # frame, sequence header (SMPTE ST 421, annex E)
        return "vc1"
    return _by_units(codes)


def _by_units(codes: list[bytes]) -> Elementary | None:
    """Streams of units (NAL) hold a sequence and a picture parameter set before their first picture."""
    if {b"\x42\x01", b"\x44\x01"} <= set(codes):  # types 33 and 34 of layer 0 (H.265, table 7-1)
        return "hevc"
    if {b"\x00\x79", b"\x00\x81"} <= set(codes):  # types 15 and 16 of layer 0 (H.266, table 5)
        return "vvc"
    types = {code[0] & 0x1F for code in codes if code[0] < 0x80 and code[0] & 0x60}
    return "h264" if {7, 8} <= types else None  # H.264, table 7-1; both are marked as referred to


def _is_h263(head: bytes) -> bool:
    """Two or more pictures with the same source format (H.263, 5.1)."""
    if not _is_h263_picture(head[:5]):
        return False
    following = (head[found.start() : found.start() + 5] for found in re.compile(rb"\x00\x00[\x80-\x83]").finditer(head, 5))
    return sum(map(_is_h263_picture, following)) > 0


def _is_h263_picture(start: bytes) -> bool:
    # 22 bits of start code, 8 of time, then 1, 0, three flags, and a source format that is not 0
    return len(start) == 5 and start[:2] == b"\0\0" and start[2] >> 2 == 0x20 and start[3] & 3 == 2 and start[4] >> 2 & 7 not in (0, 6)


def is_motion_jpeg(file: BinaryIO) -> bool:
    """Return whether a file of JPEG data is a stream of pictures of one size.

    A photo ends with its first picture. Phones append further views, which the photo's MPF segment lists (CIPA DC-007).
    """
    file.seek(0)
    data = file.read(_JPEG_BYTES)
    first = _jpeg_size(data, 0)
    end = data.find(b"\xff\xd9", first[1]) if first else -1
    if first is None or end < 0 or b"MPF\0" in data[: first[1]]:
        return False
    following = re.compile(rb"\x00{0,4096}(?=\xff\xd8\xff)").match(data, end + 2)
    second = _jpeg_size(data, following.end()) if following else None
    return second is not None and second[0] == first[0]


def _jpeg_size(data: bytes, start: int) -> tuple[bytes, int] | None:
    """Return the height and width (4 bytes) of the JPEG picture at a place, and where its coded pixels begin (ITU T.81, annex B)."""
    place, size = start + 2, b""
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = data[place + 5 : place + 9]
        place += 2 + length
        if marker == 0xDA:
            return (size, place) if size else None
    return None
