"""Recognise the format of a file by its content; its name does not count.

Every format here lives in one file: FFmpeg's reader for it opens nothing else.

Not here: streams that only start codes tell apart (`elementary`), and why other files are refused (`refused`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeAlias, get_args

from videoseg_r1.errors import CorruptVideo
from videoseg_r1.video.boxes import brands, outer_boxes
from videoseg_r1.video.elementary import Elementary, elementary_stream, is_motion_jpeg
from videoseg_r1.video.refused import refusal

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Container: TypeAlias = Literal[
    Elementary,
    "mov",
    "matroska",
    "avi",
    "mpegts",
    "mpeg",
    "flv",
    "asf",
    "ogg",
    "mxf",
    "gxf",
    "nut",
    "ivf",
    "yuv4mpegpipe",
    "dv",
    "rm",
    "wtv",
    "swf",
    "nsv",
    "nuv",
    "roq",
    "film_cpk",
    "flic",
    "bink",
    "smk",
]
"""Read with PyAV; the value is FFmpeg's name of the format."""
Picture: TypeAlias = Literal["GIF", "PNG", "WEBP", "JPEG", "BMP", "TIFF", "AVIF", "HEIF"]
"""Read with Pillow; the value is Pillow's name of the format."""

_PICTURES = frozenset(get_args(Picture))
_HEAD_BYTES = 1 << 17
"""MXF may begin after 64 KiB of other bytes (SMPTE ST 377-1, 6.5); start codes are counted in the same head."""
_MXF_KEY = b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02"
_MOV_BOXES = (b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"pnot", b"styp", b"sidx")
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2"}
_HEIF_SEQUENCE_BRANDS = {b"hevc", b"hevx", b"hevm", b"hevs", b"msf1"}
"""ISO 23008-12, annex B and clause 10: brands of pictures, and of sequences, which are tracks like those of any MP4 file."""
_MAGIC: tuple[tuple[bytes, Container | Picture], ...] = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"FLV\x01", "flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", "asf"),
    (b"OggS", "ogg"),
    (b"\0\0\x01\xba", "mpeg"),
    (b"\0\0\0\0\x01\xbc", "gxf"),
    (b"nut/multimedia container\0", "nut"),
    (b"DKIF", "ivf"),
    (b"YUV4MPEG2", "yuv4mpegpipe"),
    (b"\x1f\x07\x00\x3f", "dv"),
    (b"\x1f\x07\x00\xbf", "dv"),
    (b".RMF", "rm"),
    (b"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d", "wtv"),
    (b"FWS", "swf"),
    (b"CWS", "swf"),
    (b"NSVf", "nsv"),
    (b"NSVs", "nsv"),
    (b"NuppelVideo\0", "nuv"),
    (b"MythTVVideo\0", "nuv"),
    (b"\x84\x10\xff\xff\xff\xff", "roq"),
    (b"BIK", "bink"),
    (b"SMK2", "smk"),
    (b"SMK4", "smk"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_RIFF: dict[bytes, Container | Picture] = {b"AVI ": "avi", b"AVIX": "avi", b"AMV ": "avi", b"WEBP": "WEBP"}


def sniff(path: Path) -> Container | Picture:
    """Return the format of a file by its content.

    Raises: CorruptVideo: the file is empty. UnsupportedSource: anything that is not in the list of formats.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if not head:
            raise CorruptVideo("the file is empty", where=str(path), why="it has 0 bytes")
        found = _with_signature(head) or _with_structure(head) or elementary_stream(head)
        if found == "mov":
            return _iso_media(file, head)
        if found == "JPEG" and is_motion_jpeg(file):
            return "mjpeg"
    if found is None:
        raise refusal(head, path)
    return found


def is_container(kind: Container | Picture) -> TypeIs[Container]:
    """Return whether a format is read with PyAV."""
    return kind not in _PICTURES


def _with_signature(head: bytes) -> Container | Picture | None:
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def _with_structure(head: bytes) -> Container | None:
    """Formats that are known by more than their first bytes."""
    if head[4:8] in _MOV_BOXES:
        return "mov"
    if head.startswith(b"FILM") and head[16:20] == b"FDSC":
        return "film_cpk"
    if head[4:6] in (b"\x11\xaf", b"\x12\xaf") and len(head) >= 128:
        return "flic"
    if _is_transport_stream(head):
        return "mpegts"
    return "mxf" if _MXF_KEY in head else None


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes begin with 0x47; Blu-ray puts four bytes of time before each."""
    for size, offset in ((188, 0), (192, 4)):
        marks = head[offset:4096:size]
        if len(marks) >= 3 and set(marks) == {0x47}:
            return True
    return False


def _iso_media(file: BinaryIO, head: bytes) -> Container | Picture:
    """Tell films from the pictures that share their boxes. The first brand is the one that the writer puts above the others."""
    named = brands(head)
    if _AVIF_BRANDS & set(named):
        return "AVIF"
    if not named or named[0] not in _HEIF_BRANDS | _HEIF_SEQUENCE_BRANDS:
        return "mov"
    is_sequence = named[0] in _HEIF_SEQUENCE_BRANDS and any(box.name == b"moov" for box in outer_boxes(file))
    return "mov" if is_sequence else "HEIF"
