"""One small file per container and codec, drawn with the muxers and encoders that PyAV brings, and what reading it finds.

Every frame carries its number, so that a frame that is lost, doubled or out of place is seen. `docs/formats.md` is made of this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange
from PIL import Image

from helpers.av1 import write_av1
from helpers.heif import draw_heic
from videoseg_r1.types import RgbImage
from videoseg_r1.video import open_video
from videoseg_r1.video.base import DEFAULT_FPS

NUM_FRAMES = 6
SIZE = (64, 48)
_BITS = [(bit, divmod(bit, 4)) for bit in range(8)]


@dataclass(frozen=True)
class Drawn:
    """A file to draw: its ending, the container's title in the table, and the muxer and encoder of PyAV; "av1" is that of `helpers.av1`."""

    ending: str
    title: str
    muxer: str
    encoder: str
    codec: str = ""
    pixels: str = "yuv420p"
    size: tuple[int, int] = SIZE
    rate: Fraction = Fraction(25)
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    tolerance_s: float = 0.0011

    @property
    def name(self) -> str:
        return f"{self.muxer}-{self.encoder}.{self.ending}"


_FAST = {
    "libx264": {"preset": "ultrafast", "bf": "0"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1:bframes=0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "dnxhd": {"profile": "dnxhr_sq"},
}
_SMALL_DNXHR = (256, 128)
_PAL, _NTSC = (720, 576), (720, 480)
_CIF = (176, 144)
_MP4, _MKV, _AVI, _TS = "MP4, MOV, 3GP", "Matroska, WebM", "AVI", "MPEG transport stream"
_PS, _FLV, _ASF, _MXF = "MPEG program stream, VOB", "Flash video", "Windows Media (ASF)", "MXF"

DRAWN: tuple[Drawn, ...] = (
    Drawn("mp4", _MP4, "mp4", "libx264"),
    Drawn("mp4", _MP4, "mp4", "libx265"),
    Drawn("mp4", _MP4, "mp4", "av1", size=(64, 64)),
    Drawn("mp4", _MP4, "mp4", "libvpx-vp9"),
    Drawn("f4v", _MP4, "f4v", "libx264"),
    Drawn("ismv", _MP4, "ismv", "libx264"),
    Drawn("3g2", _MP4, "3g2", "mpeg4"),
    Drawn("3gp", _MP4, "3gp", "h263", size=_CIF),
    Drawn("mov", _MP4, "mov", "prores_ks", pixels="yuv422p10le"),
    Drawn("mov", _MP4, "mov", "qtrle", pixels="rgb24"),
    Drawn("mov", _MP4, "mov", "mjpeg", pixels="yuvj420p"),
    Drawn("mov", _MP4, "mov", "png", pixels="rgb24"),
    Drawn("mov", _MP4, "mov", "cfhd", pixels="yuv422p10le"),
    Drawn("mkv", _MKV, "matroska", "libx264"),
    Drawn("mkv", _MKV, "matroska", "ffv1"),
    Drawn("mkv", _MKV, "matroska", "mpeg2video"),
    Drawn("webm", _MKV, "webm", "libvpx"),
    Drawn("webm", _MKV, "webm", "libvpx-vp9"),
    Drawn("webm", _MKV, "webm", "av1", size=(64, 64)),
    Drawn("avi", _AVI, "avi", "mpeg4"),
    Drawn("avi", _AVI, "avi", "mjpeg", pixels="yuvj420p"),
    Drawn("avi", _AVI, "avi", "huffyuv", pixels="yuv422p"),
    Drawn("avi", _AVI, "avi", "utvideo", pixels="gbrp"),
    Drawn("avi", _AVI, "avi", "msmpeg4v2"),
    Drawn("avi", _AVI, "avi", "rawvideo", pixels="bgr24"),
    Drawn("avi", _AVI, "avi", "msvideo1", pixels="rgb555le"),
    Drawn("avi", _AVI, "avi", "zmbv", pixels="bgr0"),
    Drawn("ts", _TS, "mpegts", "libx264"),
    Drawn("ts", _TS, "mpegts", "libx265"),
    Drawn("ts", _TS, "mpegts", "mpeg2video"),
    Drawn("mpg", _PS, "mpeg", "mpeg1video"),
    Drawn("mpg", _PS, "mpeg", "mpeg2video"),
    Drawn("mpg", _PS, "mpeg", "libx264"),
    Drawn("mpg", _PS, "svcd", "mpeg2video"),
    Drawn("mpg", _PS, "vcd", "mpeg1video"),
    Drawn("vob", _PS, "vob", "mpeg2video"),
    Drawn("flv", _FLV, "flv", "flv"),
    Drawn("flv", _FLV, "flv", "libx264"),
    Drawn("flv", _FLV, "flv", "libx265"),
    Drawn("flv", _FLV, "flv", "flashsv", pixels="bgr24"),
    Drawn("swf", "Flash animation (SWF), its video alone", "swf", "flv"),
    Drawn("swf", "Flash animation (SWF), its video alone", "swf", "mjpeg", pixels="yuvj420p"),
    Drawn("wmv", _ASF, "asf", "wmv1"),
    Drawn("wmv", _ASF, "asf", "wmv2"),
    Drawn("asf", _ASF, "asf", "msmpeg4"),
    Drawn("asf", _ASF, "asf", "libx264"),
    Drawn("wtv", "Windows recorded TV (WTV)", "wtv", "mpeg2video"),
    Drawn("ogv", "Ogg", "ogg", "libvpx"),
    Drawn("mxf", _MXF, "mxf", "mpeg2video", pixels="yuv422p"),
    Drawn("mxf", _MXF, "mxf", "libx264"),
    Drawn("mxf", _MXF, "mxf", "dnxhd", pixels="yuv422p", size=_SMALL_DNXHR),
    Drawn("mxf", _MXF, "mxf", "prores_ks", pixels="yuv422p10le"),
    Drawn("mxf", _MXF, "mxf", "jpeg2000"),
    Drawn("mxf", _MXF, "mxf", "ffv1"),
    Drawn("mxf", _MXF, "mxf_opatom", "dnxhd", pixels="yuv422p", size=_SMALL_DNXHR),
    Drawn("gxf", "GXF", "gxf", "mpeg2video", size=_PAL, tolerance_s=0.0201),  # FFmpeg counts fields, and puts the last picture one early
    Drawn("dv", "DV", "dv", "dvvideo", size=_PAL),
    Drawn("dv", "DV", "dv", "dvvideo", size=_NTSC, pixels="yuv411p", rate=Fraction(30000, 1001)),
    Drawn("nut", "NUT", "nut", "ffv1"),
    Drawn("nut", "NUT", "nut", "libx264"),
    Drawn("nut", "NUT", "nut", "rawvideo", pixels="rgb24"),
    Drawn("ivf", "IVF", "ivf", "libvpx", rate=Fraction(30)),
    Drawn("ivf", "IVF", "ivf", "libvpx-vp9", rate=Fraction(30)),
    Drawn("ivf", "IVF", "ivf", "av1", size=(64, 64), rate=Fraction(30)),
    Drawn("y4m", "Y4M", "yuv4mpegpipe", "rawvideo", rate=Fraction(30)),
    Drawn("rm", "RealMedia", "rm", "rv10"),
    Drawn("rm", "RealMedia", "rm", "rv20"),
    Drawn("roq", "id RoQ", "roq", "roqvideo", pixels="yuvj444p", size=(64, 64), rate=Fraction(30)),
    Drawn("cpk", "Sega FILM", "film_cpk", "cinepak", pixels="rgb24"),
    Drawn("h264", "H.264 stream", "h264", "libx264"),
    Drawn("hevc", "HEVC stream", "hevc", "libx265"),
    Drawn("m1v", "MPEG-1 and MPEG-2 video stream", "mpeg1video", "mpeg1video", rate=Fraction(30)),
    Drawn("m2v", "MPEG-1 and MPEG-2 video stream", "mpeg2video", "mpeg2video", rate=Fraction(30)),
    Drawn("m4v", "MPEG-4 part 2 stream", "m4v", "mpeg4", rate=Fraction(30)),
    Drawn("obu", "AV1 stream (OBU)", "obu", "av1", size=(64, 64)),
    Drawn("mjpeg", "Motion JPEG stream", "mjpeg", "mjpeg", pixels="yuvj420p"),
    Drawn("h263", "H.263 stream", "h263", "h263", size=_CIF),
    Drawn("dnxhd", "DNxHD stream", "dnxhd", "dnxhd", pixels="yuv422p", size=_SMALL_DNXHR),
)
PICTURES: tuple[tuple[str, str], ...] = (
    ("gif", "GIF"),
    ("png", "PNG, APNG"),
    ("webp", "WebP"),
    ("avif", "AVIF"),
    ("heic", "HEIC"),
    ("jpg", "JPEG"),
    ("bmp", "BMP"),
    ("tif", "TIFF"),
)
"""Ending and title of what Pillow reads: animations where the format has any, else one picture."""
_ANIMATED = ("gif", "png", "webp", "avif")


@dataclass(frozen=True)
class Found:
    """What `open_video` made of a file: the codec it names, the times, the numbers in the frames, and its notes."""

    codec: str
    times: tuple[float, ...]
    numbers: tuple[int, ...]
    notes: tuple[str, ...]


def number_frame(number: int, width: int = SIZE[0], height: int = SIZE[1]) -> RgbImage:
    """Return (H, W, 3) uint8: eight big fields, light where the number has a bit and dark where it has none."""
    frame = np.empty((height, width, 3), np.uint8)
    for bit, (row, column) in _BITS:
        top, left = row * height // 2, column * width // 4
        frame[top : top + (height + 1) // 2, left : left + (width + 3) // 4] = 208 if number >> bit & 1 else 48
    return frame


def read_number(rgb: RgbImage) -> int:
    """Return the number that `number_frame` drew, from the middle of each field; -1 where a field is neither light nor dark."""
    height, width = rgb.shape[:2]
    number = 0
    for bit, (row, column) in _BITS:
        top, left = row * height // 2 + height // 8, column * width // 4 + width // 16
        value = float(rgb[top : top + height // 4, left : left + width // 8].mean())
        if 80 < value < 176:
            return -1
        number |= (value > 128) << bit
    return number


def draw(folder: Path, one: Drawn, num_frames: int = NUM_FRAMES, *, noise: int = 0) -> Path:
    """Write the file and return its path; `noise` on the pixels makes it larger and leaves the numbers readable."""
    random = np.random.default_rng(num_frames)
    path = folder / one.name
    width, height = one.size
    if one.encoder == "av1":
        frames = [number_frame(number, width, height) for number in range(num_frames)]
        noisy = [(frame + random.integers(-noise, noise + 1, (height, width, 1))).astype(np.uint8) for frame in frames]
        return write_av1(path, noisy, rate=one.rate, muxer=one.muxer, container_options=one.container_options)
    with av.open(str(path), "w", format=one.muxer, container_options=one.container_options) as container:
        stream: Any = container.add_stream(one.encoder, rate=one.rate, options=_FAST.get(one.encoder, {}) | one.options)
        stream.width, stream.height, stream.pix_fmt = width, height, one.pixels
        stream.codec_context.qmin, stream.codec_context.qmax = (2, 6) if "vpx" not in one.encoder else (0, 40)
        for number in range(num_frames):
            rgb = number_frame(number, width, height) + random.integers(-noise, noise + 1, (height, width, 1))
            picture = av.VideoFrame.from_ndarray(rgb.astype(np.uint8), format="rgb24")
            full = {"dst_color_range": ColorRange.JPEG} if one.pixels.startswith("yuvj") else {}
            picture = picture.reformat(format=one.pixels, **full)
            picture.pts, picture.time_base = number, 1 / one.rate
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def draw_picture(folder: Path, ending: str) -> Path:
    """Write an animation of `NUM_FRAMES` frames at 10 frames per second, or one picture with the number 0, and return the path."""
    path = folder / f"picture.{ending}"
    if ending == "heic":
        return draw_heic(path, number_frame(0))
    images = [Image.fromarray(number_frame(number)) for number in range(NUM_FRAMES)]
    animated: dict[str, Any] = {"save_all": True, "append_images": images[1:], "duration": 100} if ending in _ANIMATED else {}
    images[0].save(path, **animated)
    return path


def found_in(path: Path, **how: Any) -> Found:
    """Read a file from its beginning and return what came of it."""
    with open_video(path, **how) as video:
        numbers = tuple(read_number(frame.rgb) for frame in video)
        return Found(video.info.codec, video.times, numbers, video.info.notes)


def is_read_right(found: Found, rate: Fraction | float, num_frames: int = NUM_FRAMES, tolerance_s: float = 0.0011) -> bool:
    """Whether every frame came once, in order, and at its time; times in files are rounded to a millisecond at worst."""
    times = [number / float(rate) for number in range(num_frames)]
    return found.numbers == tuple(range(num_frames)) and np.allclose(found.times, times, rtol=0, atol=tolerance_s)


def formats_table(folder: Path) -> str:
    """Draw and read every file, and return the rows of the table in `docs/formats.md`: container, endings, codecs, times.

    Raises: AssertionError: a file is not read as it should be.
    """
    rows: dict[str, tuple[list[str], list[str], list[str]]] = {}
    for one in DRAWN:
        found = found_in(draw(folder, one))
        untimed = next((note for note in found.notes if "states no times" in note), "")
        rate = DEFAULT_FPS if "assumed" in untimed else one.rate
        assert is_read_right(found, rate, tolerance_s=one.tolerance_s), f"{one.name}: {found}"
        times = "own" if not untimed else "assumed: 24 per second, or `fps`" if "assumed" in untimed else "from the rate in the header"
        _collect(rows.setdefault(one.title, ([], [], [])), one.ending, found.codec, times)
    for ending, title in PICTURES:
        found = found_in(draw_picture(folder, ending))
        animated = ending in _ANIMATED
        assert is_read_right(found, 10, NUM_FRAMES if animated else 1), f"{ending}: {found}"
        _collect(rows.setdefault(title, ([], [], [])), ending, found.codec, "own" if animated else "one picture")
    return "\n".join(f"| {title} | {' | '.join(', '.join(cell) for cell in cells)} |" for title, cells in rows.items())


def _collect(cells: tuple[list[str], ...], *values: str) -> None:
    for cell, value in zip(cells, values, strict=True):
        if value not in cell:
            cell.append(value)
