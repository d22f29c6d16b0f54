"""Writing: what comes out can be read back, plays elsewhere, and is never half there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from helpers.movies import make_movie
from helpers.pictures import painted
from helpers.places import names_in
from videoseg_r1.errors import (
    InvalidConfig,
    NoVideoStream,
    OutputError,
    OutputExists,
    ShapeMismatch,
    UnknownName,
    UsageError,
)
from videoseg_r1.types import RgbImage
from videoseg_r1.video import VideoWriter, open_video, write_video


def with_alpha(frames: RgbImage) -> np.ndarray:
    """RGBA: the left half opaque, the right half half transparent."""
    alpha = np.full((*frames.shape[:3], 1), 255, np.uint8)
    alpha[:, :, frames.shape[2] // 2 :] = 128
    return np.concatenate([frames, alpha], axis=-1)


def test_h264_comes_back_and_is_made_for_browsers(tmp_path: Path) -> None:
    assert write_video(tmp_path / "a.mp4", painted(5), fps=12) == ()
    with open_video(tmp_path / "a.mp4") as video:
        assert (video.info.codec, video.info.fps, video.num_frames) == ("h264", 12.0, 5)
        for frame, wanted in zip(video, painted(5), strict=True):
            assert np.abs(frame.rgb.astype(int) - wanted).mean() < 3
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.pix_fmt, stream.codec_context.colorspace, stream.codec_context.color_range) == ("yuv420p", 1, 1)


@pytest.mark.parametrize(
    ("name", "codec", "tolerance_s"), [("v.mp4", "h264", 1e-5), ("v.webm", "vp9-alpha", 6e-4), ("v.mov", "prores4444", 1e-5)]
)
def test_uneven_times_are_kept(tmp_path: Path, name: str, codec: str, tolerance_s: float) -> None:
    times = [0, 0.0417, 0.0833, 0.125, 0.2917, 0.3333, 0.625, 1.25, 1.9583]
    frames = painted(9) if codec == "h264" else with_alpha(painted(9))
    write_video(tmp_path / name, frames, times=times, fps=6, codec=codec)  # pyright: ignore[reportArgumentType]
    with open_video(tmp_path / name) as video:
        assert video.times == pytest.approx(times, abs=tolerance_s)
        assert video.info.duration_hint_s == pytest.approx(1.9583 + 1 / 6, abs=0.02)


def test_without_a_rate_the_average_of_the_times_is_written(tmp_path: Path) -> None:
    write_video(tmp_path / "a.webm", with_alpha(painted(5)), times=[0, 0.1, 0.3, 0.6, 1.0], codec="vp9-alpha")
    assert open_video(tmp_path / "a.webm").info.fps == pytest.approx(4)


def test_frames_of_one_time_stay_apart(tmp_path: Path) -> None:
    write_video(tmp_path / "t.mp4", painted(4), times=[0, 0, 0, 0.1])
    with open_video(tmp_path / "t.mp4") as video:
        assert video.num_frames == 4
        assert video.times == pytest.approx([0, 0, 0, 0.1], abs=1e-4)


def test_odd_sizes_are_padded_with_their_edge(tmp_path: Path) -> None:
    frames = painted(2, 63, 47)
    write_video(tmp_path / "o.mp4", frames)
    with open_video(tmp_path / "o.mp4") as video:
        rgb = next(iter(video)).rgb.astype(int)
    assert rgb.shape == (48, 64, 3)
    assert np.abs(rgb[:47, :63] - frames[0]).mean() < 4
    assert np.abs(rgb[:, 63] - rgb[:, 62]).max() < 12
    assert np.abs(rgb[47] - rgb[46]).max() < 12


@pytest.mark.parametrize(("name", "codec", "reader"), [("a.webm", "vp9-alpha", "libvpx-vp9"), ("a.mov", "prores4444", "prores")])
def test_transparency_comes_back(tmp_path: Path, name: str, codec: str, reader: str) -> None:
    frames = with_alpha(painted(3))
    write_video(tmp_path / name, frames, codec=codec)  # pyright: ignore[reportArgumentType]
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        decoder = av.CodecContext.create(reader, "r")
        decoder.extradata = stream.codec_context.extradata
        pictures = [picture for packet in container.demux(stream) if packet.size for picture in decoder.decode(packet)]
        pictures += decoder.decode(None)
    assert len(pictures) == 3
    rgba = pictures[0].to_ndarray(format="rgba").astype(int)
    assert np.abs(rgba - frames[0]).mean() < 4
    assert np.abs(rgba[..., 3] - frames[0][..., 3]).max() < 12
    with open_video(tmp_path / name) as video:
        assert video.num_frames == 3
        assert "transparency" in video.info.notes[0]


class TestFileIsWholeOrNotThere:
    def test_an_existing_file_is_kept_unless_asked(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        path.write_bytes(b"precious")
        with pytest.raises(OutputExists):
            write_video(path, painted(5))
        assert path.read_bytes() == b"precious"
        write_video(path, painted(5), overwrite=True)
        assert open_video(path).num_frames == 5
        assert names_in(tmp_path) == ["a.mp4"]

    def test_it_appears_only_when_it_is_complete(self, tmp_path: Path) -> None:
        with VideoWriter(tmp_path / "a.mp4") as writer:
            for rgb in painted(5):
                writer.write(rgb)
                assert not (tmp_path / "a.mp4").exists()
        assert names_in(tmp_path) == ["a.mp4"]

    def test_a_failing_source_leaves_nothing(self, tmp_path: Path) -> None:
        def frames() -> Iterator[RgbImage]:
            yield from painted(5)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_video(tmp_path / "a.mp4", frames())
        assert names_in(tmp_path) == []

    @pytest.mark.parametrize(
        ("second", "words"),
        [
            (np.zeros((48, 65, 3), np.uint8), "one size"),
            (np.zeros((48, 64, 4), np.uint8), "(H, W, 3)"),
            (np.zeros((48, 64, 3)), "float64"),
        ],
    )
    def test_a_wrong_frame_leaves_nothing(self, tmp_path: Path, second: np.ndarray, words: str) -> None:
        with pytest.raises(ShapeMismatch) as caught:
            write_video(tmp_path / "a.mp4", [painted(1)[0], second])
        assert words in str(caught.value)
        assert "frame 1" in str(caught.value)
        assert names_in(tmp_path) == []

    def test_no_frames_leave_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no frame"):
            write_video(tmp_path / "a.mp4", [])
        assert names_in(tmp_path) == []

    @pytest.mark.parametrize(
        ("times", "error"),
        [
            ([0, 0.1], ShapeMismatch),
            ([0] * 6, ShapeMismatch),
            ([0, 0.2, 0.1, 0.3, 0.4], UsageError),
            ([0, float("nan"), 1, 2, 3], UsageError),
            ([-1, 0, 1, 2, 3], UsageError),
        ],
    )
    def test_times_must_fit_the_frames(self, tmp_path: Path, times: list[float], error: type[Exception]) -> None:
        with pytest.raises(error):
            write_video(tmp_path / "a.mp4", painted(5), times=times)
        assert names_in(tmp_path) == []

    def test_a_folder_that_is_missing_is_an_output_error(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="nowhere"):
            write_video(tmp_path / "nowhere" / "a.mp4", painted(5))


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="prores4444"):
        VideoWriter(tmp_path / "a.mp4", codec="divx")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match=r"\.webm"):
        VideoWriter(tmp_path / "a.mp4", codec="vp9-alpha")
    with pytest.raises(InvalidConfig, match="fps"):
        VideoWriter(tmp_path / "a.mp4", fps=0)


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Frames are pulled one at a time: the writer asks for the next one only when the last one is no longer needed."""
    alive: list[int] = []

    class Counted(np.ndarray):
        def __del__(self) -> None:
            alive.pop()

    def frames() -> Iterator[np.ndarray]:
        for rgb in painted(40):
            alive.append(1)
            yield rgb.copy().view(Counted)

    peaks: list[int] = []
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for rgb in frames():
            writer.write(rgb)
            peaks.append(len(alive))
    assert max(peaks) <= 2


def test_drawn_videos_have_the_masks_they_show(drawn_video: Callable[..., object]) -> None:
    drawn = drawn_video(num_frames=6)
    with open_video(drawn.path) as video:  # pyright: ignore[reportAttributeAccessIssue]
        assert video.num_frames == 6
        for frame in video:
            mask = drawn.masks[frame.index]  # pyright: ignore[reportAttributeAccessIssue]
            assert frame.rgb[mask].mean(axis=0) == pytest.approx((220, 40, 40), abs=20)
            assert abs(frame.rgb[~mask].mean(axis=0)[0] - 220) > 60


def test_a_source_without_video_is_no_video(tmp_path: Path) -> None:
    movie = make_movie(tmp_path / "m.mp4", "aac")
    with av.open(str(movie)) as source, av.open(str(tmp_path / "s.m4a"), "w", format="mp4") as output:
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    with pytest.raises(NoVideoStream, match="audio"):
        open_video(tmp_path / "s.m4a")
