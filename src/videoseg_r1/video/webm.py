"""The displayed size in the header of a WebM file, which the muxer writes only for streams that PyAV cannot make.

Source of the format: RFC 9559 (Matroska), sections 5.1.4.1 (TrackEntry) and 5.1.4.1.28 (Video). Not here: reading Matroska (FFmpeg).
"""

from __future__ import annotations

from pathlib import Path

from videoseg_r1.types import Size

_HEAD_BYTES = 1 << 16
_TRACK_ENTRY, _VIDEO = b"\xae", b"\xe0"
_FLAG_LACING, _LANGUAGE = b"\x9c\x81\x00", b"\x22\xb5\x9c\x83und"
_DISPLAY_WIDTH, _DISPLAY_HEIGHT = b"\x54\xb0\x82", b"\x54\xba\x82"
_MAX_SIDE = 0xFFFF


def declare_display_size(path: Path, size: Size) -> bool:
    """Write (width, height) as the displayed size of the video track into a WebM file of FFmpeg's muxer; False where it has no room.

    The room is that of two elements that say nothing of a video: that its language is not known, and that frames are not laced. So no
    other byte of the file moves.
    """
    with path.open("r+b") as file:
        head = file.read(_HEAD_BYTES)
        begin = head.find(_FLAG_LACING + _LANGUAGE, head.find(b"\x16\x54\xae\x6b"))
        freed = len(_FLAG_LACING + _LANGUAGE)
        video = head.find(_VIDEO, head.find(b"V_VP9", begin))
        video_bytes = head[video + 1] & 0x7F if video > 0 else 0
        # sizes of one byte have their highest bit set; 127 stands for "unknown"
        if begin < 0 or video < 0 or head[video + 1] < 0x80 or video_bytes + freed >= 0x7F or not 0 < max(size) <= _MAX_SIDE:
            return False
        end = video + 2 + video_bytes
        display = _DISPLAY_WIDTH + size[0].to_bytes(2) + _DISPLAY_HEIGHT + size[1].to_bytes(2)
        between = head[begin + freed : video + 1]
        file.seek(begin)
        file.write(between + bytes([0x80 | video_bytes + freed]) + head[video + 2 : end] + display)
    return True
