"""Recognise the format of a file by its first bytes; its name does not count.

Only single-file formats of the list are accepted. Playlists and scripts (ffconcat, HLS, DASH, SDP), which would make a decoder open
other files or the network, are refused by name before any library sees them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from videoseg_r1.errors import CorruptVideo, UnsupportedSource

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Container: TypeAlias = Literal["mov", "matroska", "avi", "mpegts"]
"""Read with PyAV; the value is FFmpeg's name of the format."""
Picture: TypeAlias = Literal["GIF", "PNG", "WEBP", "JPEG", "BMP", "TIFF"]
"""Read with Pillow; the value is Pillow's name of the format."""

_HEAD_BYTES = 4096
_MOV_BOXES = (b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"pnot", b"styp", b"sidx")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")
_PICTURES: tuple[tuple[bytes, Picture], ...] = (
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_SCRIPTS = (
    (b"ffconcat", "an ffconcat script"),
    (b"#extm3u", "an HLS playlist"),
    (b"v=0", "an SDP session description"),
    (b"<?xml", "an XML document"),
    (b"<mpd", "a DASH manifest"),
    (b"[playlist]", "a playlist"),
)
_OTHER_VIDEO = (
    (b"FLV\x01", "Flash video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (ASF)"),
    (b"OggS", "Ogg"),
    (b"\0\0\x01\xba", "MPEG program stream"),
    (b"YUV4MPEG2", "YUV4MPEG"),
    (b"\0\0\0\x01", "raw H.264 or HEVC"),
)


def sniff(path: Path) -> Container | Picture:
    """Return the format of a file by its first bytes.

    Raises: CorruptVideo: the file is empty. UnsupportedSource: anything that is not in the list of formats.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise CorruptVideo("the file is empty", where=str(path), why="it has 0 bytes")
    found = _container(head) or _picture(head)
    if found is None:
        raise _refusal(head, path)
    return found


def is_container(kind: Container | Picture) -> TypeIs[Container]:
    """Return whether a format is read with PyAV."""
    return kind in ("mov", "matroska", "avi", "mpegts")


def _container(head: bytes) -> Container | None:
    if head[4:8] in _MOV_BOXES and head[8:12] not in _HEIF_BRANDS:
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    return "mpegts" if _is_transport_stream(head) else None


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes begin with 0x47; Blu-ray puts four bytes of time before each."""
    for size, offset in ((188, 0), (192, 4)):
        marks = head[offset::size]
        if len(marks) >= 3 and set(marks) == {0x47}:
            return True
    return False


def _picture(head: bytes) -> Picture | None:
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    return next((name for magic, name in _PICTURES if head.startswith(magic)), None)


def _refusal(head: bytes, path: Path) -> UnsupportedSource:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for magic, name in _SCRIPTS:
        if text.startswith(magic):
            why = f"the content is {name}, which would make the decoder open other files"
            return UnsupportedSource("this is not a video", where=str(path), why=why, fix="give the video file itself")
    for magic, name in _OTHER_VIDEO:
        if head.startswith(magic):
            fix = "copy the streams into another container: ffmpeg -i INPUT -c copy OUTPUT.mkv"
            return UnsupportedSource("this container is not supported", where=str(path), why=f"the content is {name}", fix=fix)
    if head[4:8] == b"ftyp":
        why, fix = "the content is a HEIF picture", "convert it to JPEG or PNG"
    elif b"\0" not in head and head.isascii():
        why, fix = "the content is plain text", "give a video file, a folder of frames, or a picture"
    else:
        why, fix = f"nothing known begins with the bytes {head[:8].hex(' ')}", "accepted: mp4, mov, mkv, webm, avi, ts, gif, png, webp, jpg"
    return UnsupportedSource("this is not a video", where=str(path), why=why, fix=fix)
