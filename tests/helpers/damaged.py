"""Clips that are damaged at random, and what a reader made of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np

from helpers.av1 import write_av1
from videoseg_r1.errors import VideosegError
from videoseg_r1.types import RgbImage
from videoseg_r1.video import open_video

CODECS = {
    "h264": ("libx264", {"g": "12", "bf": "2"}, ("mp4", "mkv", "ts")),
    "hevc": ("libx265", {"x265-params": "log-level=none:keyint=12", "preset": "ultrafast"}, ("mp4", "mkv", "ts")),
    "vp9": ("libvpx-vp9", {"g": "12", "crf": "34", "b": "0", "deadline": "realtime", "cpu-used": "8"}, ("webm", "mkv", "mp4")),
    "mpeg4": ("mpeg4", {"g": "12", "bf": "2", "q": "5"}, ("mp4", "avi", "mkv")),
    "av1": ("", {}, ("mp4", "mkv", "webm")),
}
"""Codec -> encoder of PyAV and its options, none for AV1 (`helpers.av1`), and the containers that its clips are in."""
DEEDS = ("one bit", "10 bits", "100 bits", "64 bytes", "400 bytes", "hole", "lost block", "cut")
Outcome = Literal["same", "refused", "silent"]


@dataclass(frozen=True)
class Reading:
    """What became of a damaged clip.

    Attributes:
        outcome: "same": all pictures are those of the whole clip; "refused": an error named the file; "silent": neither.
        num_unmarked: with "keep-all", pictures that differ from those of the whole clip and are not told to be damaged.
        seconds: the longer one of both readings.
    """

    outcome: Outcome
    num_unmarked: int
    seconds: float


def scene(num_frames: int = 36, width: int = 128, height: int = 96) -> RgbImage:
    """Return (T, H, W, 3) uint8: a disc that moves over a texture that moves, so that every block is coded in every frame."""
    rows, cols = np.mgrid[:height, :width].astype(float)
    frames = np.zeros((num_frames, height, width, 3), np.uint8)
    for index in range(num_frames):
        waves = [np.sin((cols + 2 * index) / a) * np.cos((rows - index) / b) for a, b in ((5, 7), (11, 4), (3, 13))]
        frames[index] = np.stack([128 + 90 * wave for wave in waves], axis=-1)
        frames[index][(cols - 20 - 2 * index) ** 2 + (rows - height / 2) ** 2 < 200] = (230, 40, 40)
    return frames


def encode_scene(path: Path, codec: str) -> Path:
    """Write the scene with a codec of `CODECS`, at 25 frames a second."""
    encoder, options, _ = CODECS[codec]
    frames = scene()
    if codec == "av1":
        return write_av1(path, list(frames))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def spoiled(data: bytes, deed: str, random: np.random.Generator) -> bytes:
    """Return the bytes of a file after a deed of `DEEDS`, anywhere in it."""
    bad, size = bytearray(data), len(data)
    if deed.endswith(("bit", "bits")):
        for place in random.integers(0, size, {"one bit": 1, "10 bits": 10}.get(deed, 100)):
            bad[place] ^= 1 << int(random.integers(8))
        return bytes(bad)
    length = {"64 bytes": 64, "hole": 512, "lost block": 300}.get(deed, 400)
    place = int(random.integers(0, size - length))
    if deed == "cut":
        return bytes(bad[:place])
    if deed == "lost block":
        del bad[place : place + length]
    else:
        bad[place : place + length] = bytes(length) if deed == "hole" else random.integers(0, 256, length, np.uint8).tobytes()
    return bytes(bad)


def read_damaged(path: Path, whole: list[RgbImage]) -> Reading:
    """Open a damaged clip as a user would, and once more with "keep-all". Raises: whatever is no error of this package."""
    begin = time.monotonic()
    outcome: Outcome = "refused"
    try:
        with open_video(path) as video:
            pictures = [frame.rgb for frame in video]
        same = len(pictures) == len(whole) and all(map(np.array_equal, pictures, whole))
        outcome = "same" if same else "silent"
    except VideosegError as error:
        _check_name(error, path)
    middle = time.monotonic()
    num_unmarked = 0
    try:
        with open_video(path, on_corrupt="keep-all") as video:
            times, marked = video.times, set(video.info.damaged_frames)
            assert list(times) == sorted(set(times))
            if len(times) == len(whole):  # otherwise it is not known which is which
                num_unmarked = sum(not np.array_equal(f.rgb, whole[f.index]) for f in video if f.index not in marked)
    except VideosegError as error:
        _check_name(error, path)
    return Reading(outcome, num_unmarked, max(middle - begin, time.monotonic() - middle))


def _check_name(error: VideosegError, path: Path) -> None:
    if path.name not in str(error):
        raise AssertionError(f"the file is not named: {error}")


def damaged_clips(folder: Path, codec: str, count: int, seed: int = 0) -> Iterator[tuple[str, Reading]]:
    """Yield what was done to each of so many clips of a codec, and what became of it; they take turns in containers and deeds."""
    containers = CODECS[codec][2]
    paths = [encode_scene(folder / f"whole_{codec}.{suffix}", codec) for suffix in containers]
    whole = []
    for path in paths:
        with open_video(path) as video:
            whole.append([frame.rgb for frame in video])
    for number in range(count):
        which, deed = number % len(paths), DEEDS[number % len(DEEDS)]
        bad = folder / f"damaged_{codec}_{number}.{containers[which]}"
        bad.write_bytes(spoiled(paths[which].read_bytes(), deed, np.random.default_rng([seed, number])))
        yield f"{containers[which]}, {deed}", read_damaged(bad, whole[which])
        bad.unlink()
