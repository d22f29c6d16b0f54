"""Sound goes with the pictures: in time with them, in a form that is played where the file is meant for, and never in their way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from helpers.movies import loud_from_s, loudness, make_movie
from helpers.pictures import painted
from videoseg_r1.errors import SourceNotFound
from videoseg_r1.video import VideoWriter, open_video, write_video


def carried(movie: Path, target: Path, **options: Any) -> tuple[str, ...]:
    """Write the pictures of a clip with its sound, as the overlay is written. Returns the notes."""
    with open_video(movie) as video:
        frames = [frame.rgb for frame in video]
        if target.suffix == ".webm":
            frames = [np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)]) for rgb in frames]
            options |= {"codec": "vp9-alpha"}
        return write_video(target, frames, times=video.times, audio_from=movie, **options)


def sound_of(path: Path) -> tuple[str, int, int]:
    """Return codec, samples per second and channels of the sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return stream.codec_context.codec.canonical_name, stream.rate, len(stream.layout.channels)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mkv", "aac"), ("mkv", "libopus"), ("ts", "aac"), ("mkv", "libmp3lame")])
def test_what_browsers_play_is_copied_in_time_with_the_pictures(tmp_path: Path, suffix: str, codec: str) -> None:
    movie = make_movie(tmp_path / f"m.{suffix}", codec)
    with open_video(movie) as video:
        assert video.info.has_audio
        times = video.times
    assert carried(movie, tmp_path / "out.mp4") == ()
    assert loud_from_s(tmp_path / "out.mp4") == pytest.approx(0.5, abs=0.03)
    with open_video(tmp_path / "out.mp4") as video:
        assert video.times == pytest.approx(times, abs=1e-4)
        assert video.info.has_audio


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "layout", "becomes"),
    [
        ("mov", "pcm_mulaw", 8_000, "mono", (8_000, 1)),
        ("avi", "pcm_s16le", 44_100, "stereo", (44_100, 2)),
        ("avi", "pcm_s16le", 8_000, "mono", (8_000, 1)),
        ("mov", "pcm_s16be", 37_000, "mono", (44_100, 1)),
        ("mkv", "flac", 96_000, "stereo", (48_000, 2)),
        ("mkv", "ac3", 48_000, "5.1(side)", (48_000, 2)),
        ("mov", "alac", 44_100, "mono", (44_100, 1)),
        ("ts", "mp2", 48_000, "stereo", (48_000, 2)),
        ("avi", "adpcm_ms", 22_050, "mono", (22_050, 1)),
    ],
)
def test_other_sound_is_converted_in_time_with_the_pictures_and_said_so(
    tmp_path: Path, suffix: str, codec: str, rate: int, layout: str, becomes: tuple[int, int]
) -> None:
    movie = make_movie(tmp_path / f"m.{suffix}", codec, rate=rate, layout=layout)
    name = sound_of(movie)[0]
    assert carried(movie, tmp_path / "out.mp4") == (f"the sound is converted from {name} to AAC",)
    assert sound_of(tmp_path / "out.mp4") == ("aac", *becomes)
    assert loud_from_s(tmp_path / "out.mp4") == pytest.approx(0.5, abs=0.01)
    heard, rate = loudness(tmp_path / "out.mp4")
    assert len(heard) / rate == pytest.approx(1.0, abs=0.15)
    assert open_video(tmp_path / "out.mp4").times == pytest.approx(open_video(movie).times, abs=1e-4)


def test_webm_gets_opus(tmp_path: Path) -> None:
    movie = make_movie(tmp_path / "m.mp4", "aac")
    assert carried(movie, tmp_path / "out.webm") == ("the sound is converted from aac to Opus",)
    assert sound_of(tmp_path / "out.webm")[0] == "opus"
    assert loud_from_s(tmp_path / "out.webm") == pytest.approx(0.5, abs=0.02)
    assert carried(make_movie(tmp_path / "o.mkv", "libopus"), tmp_path / "copied.webm") == ()


def test_editors_get_pcm_as_it_is(tmp_path: Path) -> None:
    movie = make_movie(tmp_path / "m.mov", "pcm_s16le")
    frames = [np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)]) for rgb in painted(10)]
    assert write_video(tmp_path / "out.mov", frames, fps=10, codec="prores4444", audio_from=movie) == ()
    assert sound_of(tmp_path / "out.mov")[0] == "pcm_s16le"


@pytest.mark.parametrize("codec", ["aac", "flac"])
def test_sound_before_the_first_picture_is_dropped(tmp_path: Path, codec: str) -> None:
    movie = make_movie(tmp_path / "m.mkv", codec, video_start_s=1.0)
    carried(movie, tmp_path / "out.mp4")
    assert loud_from_s(tmp_path / "out.mp4") == pytest.approx(0.5, abs=0.03)
    assert open_video(tmp_path / "out.mp4").times[0] == 0.0


@pytest.mark.parametrize("codec", ["aac", "flac"])
def test_sound_that_begins_late_is_silent_until_then(tmp_path: Path, codec: str) -> None:
    movie = make_movie(tmp_path / "m.mkv", codec, sound_start_s=0.3)
    carried(movie, tmp_path / "out.mp4")
    heard, rate = loudness(tmp_path / "out.mp4")
    assert heard[: int(0.25 * rate)].max() < 0.01
    assert heard[int(0.35 * rate) : int(0.45 * rate)].max() > 0.03
    assert loud_from_s(tmp_path / "out.mp4") == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("codec", ["pcm_s16le", "flac"])
def test_gaps_stay_gaps(tmp_path: Path, codec: str) -> None:
    movie = make_movie(tmp_path / "m.mkv", codec, missing=(2, 3))
    carried(movie, tmp_path / "out.mp4")
    heard, rate = loudness(tmp_path / "out.mp4")
    assert heard[int(0.32 * rate) : int(0.38 * rate)].max() < 0.01
    assert heard[int(0.1 * rate) : int(0.15 * rate)].max() > 0.03
    assert loud_from_s(tmp_path / "out.mp4") == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_it_ends_with_the_pictures(tmp_path: Path, codec: str) -> None:
    movie = make_movie(tmp_path / "m.mkv", codec)
    write_video(tmp_path / "out.mp4", painted(3), fps=10, audio_from=movie)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0)) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_sound_never_stops_the_pictures(tmp_path: Path, seed: int) -> None:
    """Every packet of the sound is overwritten in part, those of the pictures stay."""
    movie = make_movie(tmp_path / "m.mkv", "flac" if seed % 2 else "ac3")
    data, random = bytearray(movie.read_bytes()), np.random.default_rng(seed)
    with av.open(str(movie)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.pos]
    for pos, size in places[:: 1 + seed]:
        data[pos + 20 : pos + size] = random.bytes(size - 20) if size > 20 else b""
    movie.write_bytes(data)
    notes = write_video(tmp_path / "out.mp4", painted(10), fps=10, audio_from=movie)
    assert notes
    assert all(note.startswith(("the sound", "some of the sound")) for note in notes)
    assert open_video(tmp_path / "out.mp4").num_frames == 10


def test_a_silent_source_needs_no_note(tmp_path: Path) -> None:
    write_video(tmp_path / "silent.mp4", painted(5))
    assert write_video(tmp_path / "out.mp4", painted(5), audio_from=tmp_path / "silent.mp4") == ()


def test_a_missing_source_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound):
        VideoWriter(tmp_path / "out.mp4", audio_from=tmp_path / "nothing.mp4")
