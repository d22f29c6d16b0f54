"""One drawn file per container and codec is read frame by frame, and the table in the documentation says no more than that."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from helpers.formats import (
    DRAWN,
    NUM_FRAMES,
    PICTURES,
    Drawn,
    draw,
    draw_picture,
    formats_table,
    found_in,
    is_read_right,
    number_frame,
    read_number,
)
from helpers.heif import draw_heic
from helpers.places import ROOT
from helpers.walks import marked
from videoseg_r1.config import Limits
from videoseg_r1.errors import InvalidConfig, LimitExceeded
from videoseg_r1.video import open_video
from videoseg_r1.video.sniff import sniff

UNTIMED = [one for one in DRAWN if one.muxer in ("h264", "hevc", "mpeg1video", "mpeg2video", "m4v", "obu", "mjpeg", "h263", "dnxhd")]
TIMED = [one for one in DRAWN if one not in UNTIMED]


def drawn(muxer: str, encoder: str | None = None) -> Drawn:
    return next(one for one in DRAWN if one.muxer == muxer and encoder in (None, one.encoder))


def named(ones: list[Drawn]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("one", ones, ids=lambda one: f"{one.name}-{one.size[1]}")


def test_the_table_is_what_reading_one_file_of_each_kind_gives(tmp_path: Path) -> None:
    document = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8").replace("<!-- formats -->", "<!-- walk:formats -->")
    assert formats_table(tmp_path) == marked(document, "formats"), "run tools/write_formats.py, and look at what changed"


@named(list(DRAWN))
def test_any_order_of_reading_gives_the_same_frames(tmp_path: Path, one: Drawn) -> None:
    path = draw(tmp_path, one)
    path = path.rename(path.with_suffix(".jpg"))  # the name does not count
    with open_video(path) as video:
        assert [read_number(frame.rgb) for frame in video.frames(reverse=True)] == list(range(NUM_FRAMES))[::-1]
        picked = video.read([4, 1, 5, 0, 1])
        assert [(frame.index, read_number(frame.rgb)) for frame in picked] == [(4, 4), (1, 1), (5, 5), (0, 0), (1, 1)]
        assert [frame.pts_s for frame in picked] == [video.times[index] for index in (4, 1, 5, 0, 1)]


@pytest.mark.parametrize("ending", [ending for ending, _ in PICTURES])
def test_a_picture_is_read_as_one_whatever_its_name(tmp_path: Path, ending: str) -> None:
    path = draw_picture(tmp_path, ending).rename(tmp_path / "clip.mp4")
    with open_video(path) as video:
        assert video.info.kind in ("image", "animation")
        assert [read_number(frame.rgb) for frame in video] == list(range(video.num_frames))
        assert video.info.notes == (f"the name ends in .mp4, but the content is a {video.info.codec.upper()} picture",)


class TestHeif:
    @pytest.mark.parametrize("tiles", [1, 2])
    @pytest.mark.parametrize("turned", [0, 1, 2, 3])
    @pytest.mark.parametrize("mirrored", [False, True])
    def test_tiles_are_joined_turned_and_mirrored(self, tmp_path: Path, tiles: int, turned: int, mirrored: bool) -> None:
        rgb = np.concatenate([number_frame(11), number_frame(5)])
        wanted = np.rot90(rgb, turned)
        wanted = wanted[:, ::-1] if mirrored else wanted
        with open_video(draw_heic(tmp_path / "a.heic", rgb, tiles=tiles, turned=turned, mirrored=mirrored)) as video:
            assert (video.info.height, video.info.width) == wanted.shape[:2]
            assert np.abs(video.read([0])[0].rgb.astype(int) - wanted).mean() < 2

    def test_a_sequence_is_a_video(self, tmp_path: Path) -> None:
        one = Drawn("heics", "", "mp4", "libx265", container_options={"brand": "hevc"})
        path = draw(tmp_path, one)
        assert path.read_bytes()[8:12] == b"hevc"
        assert is_read_right(found_in(path), 25)

    def test_its_size_is_checked_by_the_header(self, tmp_path: Path) -> None:
        path = draw_heic(tmp_path / "a.heic", number_frame(0))
        path.write_bytes(path.read_bytes().replace(b"\0\0\0\x40\0\0\0\x30", b"\0\0\x40\0\0\0\x40\0"))
        with pytest.raises(LimitExceeded, match=r"a\.heic"):
            open_video(path)


class TestTimes:
    @named(TIMED)
    def test_fps_is_refused_for_a_file_with_times(self, tmp_path: Path, one: Drawn) -> None:
        with pytest.raises(InvalidConfig, match="leave fps out") as caught:
            open_video(draw(tmp_path, one), fps=10)
        assert one.name in str(caught.value)

    @named(UNTIMED)
    def test_fps_is_honoured_for_a_stream_without_times(self, tmp_path: Path, one: Drawn) -> None:
        found = found_in(draw(tmp_path, one), fps=4)
        assert is_read_right(found, 4)
        assert any("states no times: 4 frames per second are used, as asked" in note for note in found.notes)

    def test_a_stream_whose_header_says_no_rate_is_assumed_to_have_the_usual_one(self, tmp_path: Path) -> None:
        quiet = "log-level=none:pools=1:frame-threads=1:bframes=0:vui-timing-info=0"
        path = draw(tmp_path, Drawn("hevc", "", "hevc", "libx265", options={"x265-params": quiet}))
        found = found_in(path)
        assert is_read_right(found, 24)
        assert any("24 frames per second are assumed" in note and "fps=" in note for note in found.notes)
        assert is_read_right(found_in(path, fps=12.5), 12.5)

    @pytest.mark.parametrize("ending", ["gif", "png", "webp", "avif"])
    def test_fps_is_refused_for_an_animation(self, tmp_path: Path, ending: str) -> None:
        with pytest.raises(InvalidConfig, match="fps"):
            open_video(draw_picture(tmp_path, ending), fps=10)

    def test_fps_is_refused_for_a_video_that_is_open(self) -> None:
        with open_video(number_frame(0)[None], fps=5) as video, pytest.raises(InvalidConfig, match="fps"):
            open_video(video, fps=10)

    def test_y4m_without_a_rate_has_no_times(self, tmp_path: Path) -> None:
        path = draw(tmp_path, drawn("yuv4mpegpipe"))
        data = path.read_bytes()
        assert b" F30:1 " in data[:80]
        path.write_bytes(data.replace(b" F30:1 ", b" ", 1))
        assert is_read_right(found_in(path), 24)
        assert is_read_right(found_in(path, fps=10), 10)

    @pytest.mark.parametrize("muxer", ["h264", "mjpeg"])
    def test_a_rate_never_makes_a_stream_too_long(self, tmp_path: Path, muxer: str) -> None:
        path = draw(tmp_path, drawn(muxer))
        with open_video(path, fps=0.01, limits=Limits(max_duration_s=1)) as video:
            assert video.num_frames == NUM_FRAMES
            assert video.times[-1] == pytest.approx(500)
        with open_video(path, limits=Limits(max_frames=3)) as video, pytest.raises(LimitExceeded, match="max_frames"):
            _ = video.num_frames

    def test_a_header_with_a_wrong_rate_shortens_nothing(self, tmp_path: Path) -> None:
        slow = Drawn("m2v", "", "mpeg2video", "mpeg2video", rate=Fraction(24000, 1001))
        fast = Drawn("h264", "", "h264", "libx264", rate=Fraction(1000))
        assert is_read_right(found_in(draw(tmp_path, slow)), Fraction(24000, 1001))
        assert len(found_in(draw(tmp_path, fast)).numbers) == NUM_FRAMES


class TestSniff:
    def test_a_photo_with_a_second_view_is_no_stream(self, tmp_path: Path) -> None:
        """Phones write a multi-picture file (MPO), and others append a thumbnail."""
        from PIL import Image

        images = [Image.fromarray(number_frame(number)) for number in (1, 2)]
        images[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=images[1:])
        images[0].save(tmp_path / "b.jpg")
        images[0].resize((16, 12)).save(tmp_path / "small.jpg")
        (tmp_path / "c.jpg").write_bytes((tmp_path / "b.jpg").read_bytes() + (tmp_path / "small.jpg").read_bytes())
        assert [sniff(tmp_path / f"{name}.jpg") for name in "abc"] == ["JPEG"] * 3

    def test_mxf_may_begin_after_other_bytes(self, tmp_path: Path) -> None:
        path = draw(tmp_path, drawn("mxf", "ffv1"))
        path.write_bytes(bytes(1000) + path.read_bytes())
        assert sniff(path) == "mxf"
        with open_video(path, on_corrupt="keep-all") as video:  # FFmpeg complains of an index that does not count these bytes
            assert [read_number(frame.rgb) for frame in video] == list(range(NUM_FRAMES))

    def test_a_stream_may_begin_with_zeros(self, tmp_path: Path) -> None:
        path = draw(tmp_path, drawn("hevc"))
        path.write_bytes(bytes(20) + path.read_bytes())
        assert sniff(path) == "hevc"

    def test_two_videos_are_told_and_the_default_is_used(self, tmp_path: Path) -> None:
        with av.open(str(tmp_path / "a.mkv"), "w") as container:
            streams = [container.add_stream("ffv1", rate=25) for _ in range(2)]
            streams[1].disposition = av.stream.Disposition.default
            for stream in streams:
                stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for number in range(NUM_FRAMES):
                for first, stream in zip((100, 0), streams, strict=True):
                    picture = av.VideoFrame.from_ndarray(number_frame(first + number), format="rgb24").reformat(format="yuv420p")
                    picture.pts, picture.time_base = number, Fraction(1, 25)
                    container.mux(stream.encode(picture))
            for stream in streams:
                container.mux(stream.encode(None))
        found = found_in(tmp_path / "a.mkv")
        assert is_read_right(found, 25)
        assert found.notes == ("the file holds 2 videos; stream 1 is used",)
