"""Clips with sound, whose loudness tells a place in time."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream

from helpers.pictures import painted


def make_movie(
    path: Path,
    audio_codec: str,
    *,
    layout: str = "mono",
    rate: int = 48_000,
    video_start_s: float = 0.0,
    sound_start_s: float = 0.0,
    missing: Collection[int] = (),
) -> Path:
    """Write a clip of one second at 10 frames per second with a tone whose loudness jumps at half a second, and return its path.

    Args:
        video_start_s: when the pictures begin on the clock of the file; the jump is half a second after that.
        sound_start_s: when the sound begins on that clock.
        missing: tenths of a second that have no sound at all: their samples are left out, and the stamps of the others stay.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = cast("AudioStream", container.add_stream(audio_codec, rate=rate, layout=layout))
        for index, rgb in enumerate(painted(10)):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index + round(video_start_s * 10), Fraction(1, 10)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        first, end = int(rate * sound_start_s), int(rate * (1 + video_start_s))
        step = audio.codec_context.frame_size or rate // 20
        channels = len(av.AudioLayout(layout).channels)
        for start in range(first, end - step + 1, step):
            seconds = np.arange(start, start + step) / rate
            if int(10 * seconds[0]) in missing:
                continue
            tone = np.sin(2 * np.pi * 440 * seconds) * np.where(seconds < 0.5 + video_start_s, 0.05, 0.8)
            values = np.repeat((tone * 32000).astype(np.int16), channels)[None]
            samples = av.AudioFrame.from_ndarray(values, format="s16", layout=layout)
            samples.pts, samples.sample_rate, samples.time_base = start, rate, Fraction(1, rate)
            container.mux(audio.encode(samples))
        container.mux(audio.encode(None))
    return path


def loudness(path: Path) -> tuple[np.ndarray, int]:
    """Return the absolute loudness (n,) of the first sound channel, 0..1, from time 0 of the file on, and samples per second."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("fltp", "mono", 48_000)
        heard = np.zeros(48_000 * 8, np.float32)
        end = 0
        for frame in container.decode(audio=0):
            start = round((frame.time or 0.0) * 48_000)
            values = np.concatenate([part.to_ndarray()[0] for part in resampler.resample(frame)] or [np.zeros(0, np.float32)])
            values = values[max(0, -start) :]
            start = max(0, start)
            heard[start : start + len(values)] = values
            end = max(end, start + len(values))
    return np.abs(heard[:end]), 48_000


def loud_from_s(path: Path) -> float:
    """Return when the tone of `make_movie` becomes loud."""
    heard, rate = loudness(path)
    loud = np.flatnonzero(heard > 0.3)
    assert loud.size, "the sound never becomes loud"
    return float(loud[0] / rate)
