"""Say why a file is not read: scripts and playlists, sound, documents, and pictures and videos of other kinds."""

from __future__ import annotations

from pathlib import Path

from videoseg_r1.errors import NoVideoStream, UnsupportedSource

_SCRIPTS = (
    (b"ffconcat", "an ffconcat script"),
    (b"#extm3u", "an HLS playlist"),
    (b"v=0", "an SDP session description"),
    (b"<?xml", "an XML document"),
    (b"<mpd", "a DASH manifest"),
    (b"<asx", "an ASX playlist"),
    (b"<smil", "a SMIL presentation"),
    (b"[playlist]", "a playlist"),
    (b"[reference]", "a playlist of addresses"),
    (b"asf http", "a playlist of addresses"),
    (b"rtsptext", "a reference movie"),
    (b"smiltext", "a reference movie"),
    (b"http://", "a list of addresses"),
    (b"https://", "a list of addresses"),
    (b"rtsp://", "a list of addresses"),
    (b"file://", "a list of addresses"),
    (b";ffmetadata", "metadata of FFmpeg"),
    (b"# vobsub", "an index of DVD subtitles"),
)
_SOUND = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf1", b"fLaC", b".ra\xfd", b"#!AMR", b"caff")
_JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_OTHERS = (
    (b"DVDVIDEO-", "the index of a DVD", "give one of its .VOB files"),
    (b"MPLS0", "a playlist of a Blu-ray disc", "give one of its .m2ts files"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture", "convert it to PNG"),
    (b"8BPS", "a Photoshop picture", "export it as PNG"),
    (b"%PDF", "a PDF document", ""),
    (b"PK\x03\x04", "a ZIP archive", "unpack it"),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"MLVI", "a Magic Lantern recording, which goes on in other files", "develop it to MOV or to frames"),
)
_ACCEPTED = (
    "accepted are the formats of docs/formats.md, among them mp4, mov, mkv, webm, avi, ts, mpg, wmv, flv, gif, png, webp, jpg, avif, heic"
)


def refusal(head: bytes, path: Path) -> UnsupportedSource | NoVideoStream:
    """Return the error for a file of no known format that begins with these bytes.

    Returns: NoVideoStream for sound, else UnsupportedSource.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:64].lower()
    for magic, name in _SCRIPTS:
        if text.startswith(magic):
            why = f"the content is {name}, which would make the decoder open other files"
            return _error(path, why, "give the video file itself")
    if head.startswith(_SOUND) or head[8:12] in (b"WAVE", b"AIFF", b"AIFC"):
        return NoVideoStream("the file holds no video", where=str(path), why="the content is sound", fix="give a file with pictures")
    if head.startswith(_JXL):
        return _error(path, "the content is a JPEG XL picture, which is not read here", "convert it: djxl INPUT.jxl OUTPUT.png")
    for magic, name, fix in _OTHERS:
        if head.startswith(magic):
            return _error(path, f"the content is {name}", fix or "give a video file, a folder of frames, or a picture")
    if b"\0" not in head and head.isascii():
        return _error(path, "the content is plain text", "give a video file, a folder of frames, or a picture")
    return _error(path, f"nothing known begins with the bytes {head[:8].hex(' ')}", _ACCEPTED)


def _error(path: Path, why: str, fix: str) -> UnsupportedSource:
    return UnsupportedSource("this is not a video", where=str(path), why=why, fix=fix)
