"""HEIC pictures, put together by hand around what libx265 encodes: no library here writes them (ISO 23008-12)."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from videoseg_r1.types import RgbImage


def draw_heic(path: Path, rgb: RgbImage, *, tiles: int = 1, turned: int = 0, mirrored: bool = False) -> Path:
    """Write (H, W, 3) uint8 as HEIC and return the path.

    `tiles` columns of equal width make a grid; `turned` counts quarter turns counter-clockwise at display, then `mirrored` left to right.
    """
    width = rgb.shape[1] // tiles
    coded = [_encode(rgb[:, place : place + width]) for place in range(0, rgb.shape[1], width)]
    payloads = [data for data, _ in coded]
    items = [(number, b"hvc1") for number in range(1, tiles + 1)]
    properties = [
        _box(b"hvcC", coded[0][1]),
        _full(b"ispe", struct.pack(">II", width, len(rgb))),
        _full(b"ispe", struct.pack(">II", rgb.shape[1], len(rgb))),
        _box(b"irot", bytes([turned])),
        _box(b"imir", b"\1"),
    ]
    shown = ([4] if turned else []) + ([5] if mirrored else [])
    links = {number: [1, 2] for number, _ in items}
    reference = b""
    primary = 1
    if tiles > 1:
        primary = tiles + 1
        items.append((primary, b"grid"))
        payloads.append(struct.pack(">BBBBHH", 0, 0, 0, tiles - 1, rgb.shape[1], len(rgb)))
        links[primary] = [3]
        reference = _full(b"iref", _box(b"dimg", struct.pack(f">HH{tiles}H", primary, tiles, *range(1, tiles + 1))))
    links[primary] += shown
    head = _box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    for base in (0, len(head) + len(_meta(items, properties, links, reference, payloads, primary, 0)) + 8):
        meta = _meta(items, properties, links, reference, payloads, primary, base)
    path.write_bytes(head + meta + _box(b"mdat", *payloads))
    return path


def _meta(
    items: list[tuple[int, bytes]],
    properties: list[bytes],
    links: dict[int, list[int]],
    reference: bytes,
    payloads: list[bytes],
    primary: int,
    base: int,
) -> bytes:
    infos = [_full(b"infe", struct.pack(">HH", number, 0), kind, b"\0", version=2) for number, kind in items]
    places = b""
    for (number, _), data in zip(items, payloads, strict=True):
        places += struct.pack(">HHHII", number, 0, 1, base, len(data))
        base += len(data)
    linked = b"".join(struct.pack(f">HB{len(to)}B", number, len(to), *to) for number, to in links.items())
    return _full(
        b"meta",
        _full(b"hdlr", bytes(4), b"pict", bytes(13)),
        _full(b"pitm", struct.pack(">H", primary)),
        _full(b"iinf", struct.pack(">H", len(items)), *infos),
        _full(b"iloc", b"\x44\0", struct.pack(">H", len(items)), places),
        reference,
        _box(b"iprp", _box(b"ipco", *properties), _full(b"ipma", struct.pack(">I", len(links)), linked)),
    )


def _encode(rgb: RgbImage) -> tuple[bytes, bytes]:
    """Return one intra picture, and its decoder configuration as MP4 has it."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {"preset": "ultrafast", "qp": "4", "x265-params": "log-level=none:pools=1:frame-threads=1:bframes=0"}
        stream = container.add_stream("libx265", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(format="yuv420p")
        picture.pts, picture.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with av.open(io.BytesIO(file.getvalue())) as container:
        packet = next(container.demux(video=0))
        extradata = container.streams.video[0].codec_context.extradata
        assert extradata is not None
        return bytes(packet), extradata


def _box(name: bytes, *parts: bytes) -> bytes:
    payload = b"".join(parts)
    return struct.pack(">I", 8 + len(payload)) + name + payload


def _full(name: bytes, *parts: bytes, version: int = 0) -> bytes:
    return _box(name, bytes([version, 0, 0, 0]), *parts)
