"""AV1 without PyAV's only encoder of it: SVT-AV1 gives the whole process real-time priority where it may, which blocks the machine.

Pillow's AVIF encoder makes the pictures, and they are moved, as they are, into the container that is asked for.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image

from videoseg_r1.types import RgbImage


def write_av1(
    path: Path,
    frames: Sequence[RgbImage],
    *,
    rate: Fraction = Fraction(25),
    muxer: str | None = None,
    container_options: Mapping[str, str] | None = None,
    quality: int = 60,
) -> Path:
    """Write frames (H, W, 3) uint8 as AV1 at a rate, in the container of the path's ending or of the muxer named; return the path."""
    sequence = io.BytesIO()
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(sequence, "AVIF", save_all=True, append_images=others, quality=quality, speed=10, codec="aom", max_threads=1)
    sequence.seek(0)
    with (
        av.open(sequence, "r", format="mov") as source,
        av.open(str(path), "w", format=muxer, container_options=dict(container_options or {})) as target,
    ):
        pictures = source.streams.video[-1]  # before it is the still that stands for the sequence
        stream: Any = target.add_stream_from_template(pictures, opaque=True)
        for number, packet in enumerate(packet for packet in source.demux(pictures) if packet.size):
            packet.stream, packet.time_base = stream, 1 / rate
            packet.pts = packet.dts = number
            packet.duration = 1
            target.mux(packet)
    return path
