"""Pixels that are not square: read from any container, turned with the picture, and written into every kind of video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from helpers.pictures import painted
from videoseg_r1.errors import InvalidConfig
from videoseg_r1.types import VideoInfo
from videoseg_r1.video import open_video, write_video


def encode(path: Path, codec: str, aspect: Fraction, *, size: tuple[int, int] = (64, 48), rotation: int = 0) -> Path:
    """Write three frames whose pixels are declared to have this shape."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for rgb in painted(3, *size):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mov", "mpeg4"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.ts", "libx264")],
)
@pytest.mark.parametrize("aspect", [Fraction(2, 1), Fraction(16, 15), Fraction(8, 9)])
def test_the_shape_of_pixels_is_read(tmp_path: Path, name: str, codec: str, aspect: Fraction) -> None:
    with open_video(encode(tmp_path / name, codec, aspect)) as video:
        assert video.info.pixel_aspect == (aspect.numerator, aspect.denominator)
        assert (video.info.width, video.info.height) == (64, 48)
        assert video.info.shown_size == (round(64 * aspect), 48)
        assert any("not square" in note and f"{aspect.numerator}:{aspect.denominator}" in note for note in video.info.notes)


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(64, 45), (720, 576)), (Fraction(4, 3), (64, 48))])
def test_mpeg_2_says_it_in_the_coded_stream(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    """It knows 4:3 and 16:9 of the whole picture only."""
    with open_video(encode(tmp_path / "a.ts", "mpeg2video", aspect, size=size)) as video:
        assert video.info.pixel_aspect == (aspect.numerator, aspect.denominator)


def test_a_quarter_turn_turns_the_pixels(tmp_path: Path) -> None:
    with open_video(encode(tmp_path / "a.mp4", "libx264", Fraction(2, 1), rotation=90)) as video:
        assert (video.info.width, video.info.height) == (48, 64)
        assert video.info.pixel_aspect == (1, 2)
        assert video.info.shown_size == (24, 64)
    with open_video(encode(tmp_path / "b.mp4", "libx264", Fraction(2, 1), rotation=180)) as video:
        assert video.info.pixel_aspect == (2, 1)


@pytest.mark.parametrize("aspect", [Fraction(1, 1), Fraction(200, 1), Fraction(1, 150)])
def test_square_pixels_and_nonsense_need_no_note(tmp_path: Path, aspect: Fraction) -> None:
    with open_video(encode(tmp_path / "a.mp4", "libx264", aspect)) as video:
        assert video.info.pixel_aspect == (1, 1)
        assert not any("square" in note for note in video.info.notes)


@pytest.mark.parametrize(("name", "codec"), [("o.mp4", "h264"), ("o.webm", "vp9-alpha"), ("o.mov", "prores4444")])
@pytest.mark.parametrize(("aspect", "size"), [((2, 1), (64, 48)), ((64, 45), (720, 576)), ((8, 9), (720, 480)), ((1, 2), (48, 64))])
def test_every_kind_of_video_says_it(tmp_path: Path, name: str, codec: str, aspect: tuple[int, int], size: tuple[int, int]) -> None:
    frames = painted(2, *size)
    if codec != "h264":
        frames = np.concatenate([frames, np.full((*frames.shape[:3], 1), 255, np.uint8)], -1)
    write_video(tmp_path / name, frames, codec=codec, pixel_aspect=aspect)  # pyright: ignore[reportArgumentType]
    with open_video(tmp_path / name) as video:
        width, height = video.info.shown_size
        assert (video.info.width, video.info.height) == size
        assert abs(width - size[0] * aspect[0] / aspect[1]) <= 1
        assert height == size[1]
        assert len(list(video)) == 2
    with av.open(str(tmp_path / name)) as container:
        assert float(container.streams.video[0].sample_aspect_ratio or 0) == pytest.approx(aspect[0] / aspect[1], rel=0.01)


def test_odd_sizes_keep_their_shape_and_say_that_they_are_padded(tmp_path: Path) -> None:
    notes = write_video(tmp_path / "o.mp4", painted(2, 63, 47), pixel_aspect=(2, 1))
    assert notes == ("the pictures are padded from 63 x 47 to 64 x 48, with copies of their edge: H.264 has even sizes only",)
    assert open_video(tmp_path / "o.mp4").info.pixel_aspect == (2, 1)


@pytest.mark.parametrize("aspect", [(0, 1), (1, 0), (-2, 1)])
def test_no_pixel_has_such_a_shape(tmp_path: Path, aspect: tuple[int, int]) -> None:
    with pytest.raises(InvalidConfig, match="pixel_aspect"):
        write_video(tmp_path / "o.mp4", painted(1), pixel_aspect=aspect)


def test_the_shown_size_has_a_pixel_at_least() -> None:
    assert VideoInfo("a", "file", 3, 7, pixel_aspect=(1, 50)).shown_size == (1, 7)
