"""Reading from every kind of source."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import videoseg_r1.video.container
import videoseg_r1.video.file
import videoseg_r1.video.timeline
from helpers.pictures import painted
from videoseg_r1.config import Limits
from videoseg_r1.errors import InvalidConfig, NoVideoStream, ShapeMismatch, SourceNotFound, UnsupportedSource, UsageError
from videoseg_r1.types import RgbImage
from videoseg_r1.video import Video, open_video, write_video


def noisy(num_frames: int, width: int = 64, height: int = 48) -> RgbImage:
    """Pictures that all differ much, so that a wrong frame cannot be taken for the right one."""
    rows, cols = np.mgrid[:height, :width]
    return np.stack(
        [np.stack([cols * 3 + 11 * i, rows * 5 + 7 * i, cols + rows + 17 * i], axis=-1).astype(np.uint8) for i in range(num_frames)]
    )


def save_frames(folder: Path, names: list[str], frames: RgbImage) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rgb in zip(names, frames, strict=True):
        Image.fromarray(rgb).save(folder / name)
    return folder


def as_array(tmp_path: Path) -> Video:
    return open_video(painted())


def as_list(tmp_path: Path) -> Video:
    return open_video(list(painted()))


def as_iterator(tmp_path: Path) -> Video:
    return open_video(iter(painted()))


def as_folder(tmp_path: Path) -> Video:
    return open_video(save_frames(tmp_path / "frames", [f"{i}.png" for i in range(6)], painted()))


def as_animation(tmp_path: Path) -> Video:
    images = [Image.fromarray(rgb) for rgb in painted()]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:], duration=50)
    return open_video(tmp_path / "a.png")


def as_file(tmp_path: Path) -> Video:
    write_video(tmp_path / "a.mp4", painted())
    return open_video(tmp_path / "a.mp4")


def as_borrowed(tmp_path: Path) -> Video:
    return open_video(open_video(painted()))


OPENERS = [as_array, as_list, as_iterator, as_folder, as_animation, as_file, as_borrowed]
every_kind = pytest.mark.parametrize("opened", OPENERS)
Opener = Callable[[Path], Video]


class TestEveryKind:
    @every_kind
    def test_iterates_from_the_start_every_time(self, opened: Opener, tmp_path: Path) -> None:
        with opened(tmp_path) as video:
            first = [next(iter(video)).index, next(iter(video)).index]
            rounds = [[(frame.index, frame.rgb.tobytes()) for frame in video] for _ in range(2)]
        assert first == [0, 0]
        assert rounds[0] == rounds[1]
        assert [index for index, _ in rounds[0]] == list(range(6))

    @every_kind
    def test_pixels_are_those_that_went_in(self, opened: Opener, tmp_path: Path) -> None:
        with opened(tmp_path) as video:
            for frame, wanted in zip(video, painted(), strict=True):
                assert frame.rgb.dtype == np.uint8
                assert frame.rgb.flags.c_contiguous
                assert np.abs(frame.rgb.astype(int) - wanted).max() <= (12 if video.info.kind == "file" else 0)
            assert (video.info.width, video.info.height) == (64, 48)

    @every_kind
    def test_reads_any_order_with_repeats(self, opened: Opener, tmp_path: Path) -> None:
        with opened(tmp_path) as video:
            frames = list(video)
            picked = video.read([5, 0, 3, 3, np.int64(1)])
            assert video.read([]) == []
        assert [frame.index for frame in picked] == [5, 0, 3, 3, 1]
        for frame in picked:
            np.testing.assert_array_equal(frame.rgb, frames[frame.index].rgb)
            assert frame.pts_s == frames[frame.index].pts_s

    @every_kind
    def test_streams_ranges_in_both_directions(self, opened: Opener, tmp_path: Path) -> None:
        with opened(tmp_path) as video:

            def indices(*args: int, reverse: bool = False) -> list[int]:
                return [frame.index for frame in video.frames(*args, reverse=reverse)]

            assert indices(2, 4) == [2, 3]
            assert indices(4) == [4, 5]
            assert indices(reverse=True) == [5, 4, 3, 2, 1, 0]
            assert indices(1, 4, reverse=True) == [3, 2, 1]
            assert indices(4, 100) == [4, 5]
            assert indices(6) == indices(100) == indices(3, 3) == indices(4, 2) == indices(4, 2, reverse=True) == []
            assert indices(0, 100, reverse=True) == [5, 4, 3, 2, 1, 0]

    @every_kind
    def test_times_ascend_from_zero_and_fit_the_frames(self, opened: Opener, tmp_path: Path) -> None:
        with opened(tmp_path) as video:
            assert video.num_frames == len(video.times) == 6
            assert video.times[0] == 0.0
            assert list(np.diff(video.times) > 0) == [True] * 5
            assert video.times == tuple(frame.pts_s for frame in video) == tuple(video.pts_s(index) for index in range(6))

    @every_kind
    @pytest.mark.parametrize("index", [-1, 6])
    def test_a_frame_that_is_not_there_is_a_usage_error(self, opened: Opener, tmp_path: Path, index: int) -> None:
        with opened(tmp_path) as video:
            with pytest.raises(UsageError, match="frames 0 to 5"):
                video.read([0, index])
            with pytest.raises(UsageError, match=str(index)):
                video.pts_s(index)

    @every_kind
    def test_negative_ranges_are_usage_errors(self, opened: Opener, tmp_path: Path) -> None:
        with opened(tmp_path) as video, pytest.raises(UsageError):
            video.frames(-1)

    @every_kind
    def test_writing_into_a_frame_changes_nothing_else(self, opened: Opener, tmp_path: Path) -> None:
        with opened(tmp_path) as video:
            before = video.read([2])[0].rgb.copy()
            for frame in (video.read([2])[0], next(video.frames(2))):
                frame.rgb[:] = 0
                np.testing.assert_array_equal(video.read([2])[0].rgb, before)

    @every_kind
    def test_a_closed_video_says_so(self, opened: Opener, tmp_path: Path) -> None:
        video = opened(tmp_path)
        running = iter(video)
        next(running)
        video.close()
        video.close()
        uses = [lambda: video.read([0]), lambda: list(video), video.frames, lambda: video.times]
        if opened is not as_borrowed:  # its running iterator belongs to the owner
            uses.append(lambda: next(running))
        for use in uses:
            with pytest.raises(UsageError, match="closed"):
                use()


class TestArraysAndIterators:
    def test_an_array_has_no_rate_unless_one_is_given(self) -> None:
        assert open_video(painted()).info.fps is None
        assert open_video(painted()).times[1] == 1 / 24
        with open_video(painted(), fps=10) as video:
            assert video.info.fps == 10
            assert video.times == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])

    def test_an_iterator_is_pulled_only_as_far_as_it_is_read(self) -> None:
        pulled: list[int] = []

        def frames() -> Iterator[RgbImage]:
            for index, rgb in enumerate(painted()):
                pulled.append(index)
                yield rgb

        with open_video(frames()) as video:
            assert next(iter(video)).index == 0
            assert pulled == [0]
            assert next(video.frames(2, 3)).index == 2
            assert pulled == [0, 1, 2]
            assert video.num_frames == 6

    def test_a_generator_may_reuse_its_buffer(self) -> None:
        def frames() -> Iterator[RgbImage]:
            buffer = np.zeros((4, 6, 3), np.uint8)
            for value in range(3):
                buffer[:] = value
                yield buffer

        with open_video(frames()) as video:
            assert [int(frame.rgb.max()) for frame in video.frames(reverse=True)] == [2, 1, 0]

    @pytest.mark.parametrize(
        ("source", "error", "words"),
        [
            (np.zeros((5, 6, 3), np.uint8), ShapeMismatch, "picture[None]"),
            (np.zeros((2, 5, 6), np.uint8), ShapeMismatch, "T, H, W, 3"),
            (np.zeros((2, 5, 6, 4), np.uint8), ShapeMismatch, "frame 0"),
            (np.zeros((2, 5, 6, 3), np.float32), UnsupportedSource, "float32"),
            (np.zeros((0, 5, 6, 3), np.uint8), NoVideoStream, "no frames"),
            ([], NoVideoStream, "no frames"),
            (iter([]), NoVideoStream, "no frames"),
            ([np.zeros((5, 6, 3), np.uint8), np.zeros((5, 7, 3), np.uint8)], ShapeMismatch, "frame 1"),
            (3, UsageError, "int"),
        ],
    )
    def test_what_is_no_video_is_refused(self, source: object, error: type[Exception], words: str) -> None:
        with pytest.raises(error) as caught:
            open_video(source)  # pyright: ignore[reportArgumentType]
        assert words in str(caught.value)

    def test_closing_a_borrowed_video_leaves_it_open(self) -> None:
        owner = open_video(painted())
        with open_video(owner) as borrowed:
            assert borrowed.info == owner.info
        assert owner.read([1])[0].index == 1


class TestPictures:
    def test_frames_come_in_natural_order_with_their_names(self, tmp_path: Path) -> None:
        names = ["1.png", "2.png", "10.png", "b2.png", "b10.png", "ümlaut 3.png"]
        save_frames(tmp_path / "f", names, painted())
        with open_video(tmp_path / "f") as video:
            assert [f"{name}.png" for name in video.info.frame_names] == names
            for frame, wanted in zip(video, painted(), strict=True):
                np.testing.assert_array_equal(frame.rgb, wanted)

    def test_one_file_per_stem_photos_before_masks(self, tmp_path: Path) -> None:
        save_frames(tmp_path / "f", ["00000.JPG", "00001.jpg"], painted(2))
        save_frames(tmp_path / "f", ["00000.png", "00001.PNG"], 255 - painted(2))
        with open_video(tmp_path / "f") as video:
            assert video.info.frame_names == ("00000", "00001")
            assert np.abs(next(iter(video)).rgb[0, 0].astype(int) - painted()[0, 0, 0]).max() < 10
            assert "2 pictures are left out" in video.info.notes[0]

    def test_orientation_turns_a_photo_but_not_a_frame(self, tmp_path: Path) -> None:
        image = Image.fromarray(painted(1)[0])
        exif = Image.Exif()
        exif[0x0112] = 6  # shown after a clockwise quarter turn
        (tmp_path / "f").mkdir()
        image.save(tmp_path / "f" / "0.png", exif=exif)
        with open_video(tmp_path / "f" / "0.png") as photo:
            assert (photo.info.kind, photo.info.width, photo.info.height, photo.info.rotation) == ("image", 48, 64, 270)
            np.testing.assert_array_equal(next(iter(photo)).rgb, np.rot90(painted(1)[0], -1))
        with open_video(tmp_path / "f") as folder:
            np.testing.assert_array_equal(next(iter(folder)).rgb, painted(1)[0])

    def test_16_bit_grey_is_scaled_and_not_clipped(self, tmp_path: Path) -> None:
        Image.fromarray(np.full((4, 6), 0x80FF, np.uint16)).save(tmp_path / "g.png")
        assert next(iter(open_video(tmp_path / "g.png"))).rgb[0, 0].tolist() == [0x80] * 3

    @pytest.mark.parametrize(("suffix", "options"), [("gif", {}), ("webp", {"lossless": True}), ("png", {})])
    def test_animations_keep_their_delays(self, tmp_path: Path, suffix: str, options: dict[str, bool]) -> None:
        images = [Image.fromarray(rgb) for rgb in painted(4)]
        images[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=images[1:], duration=[40, 100, 250, 60], **options)
        with open_video(tmp_path / f"a.{suffix}") as video:
            assert video.info.kind == "animation"
            assert video.times == pytest.approx([0, 0.04, 0.14, 0.39])
            assert video.info.fps == pytest.approx(4 / 0.45)

    def test_a_gif_without_delays_runs_at_ten_frames_per_second(self, tmp_path: Path) -> None:
        images = [Image.fromarray(rgb) for rgb in painted(3)]
        images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=0)
        assert open_video(tmp_path / "a.gif").times == pytest.approx([0, 0.1, 0.2])

    def test_a_folder_without_pictures_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("nothing")
        with pytest.raises(NoVideoStream, match="no pictures"):
            open_video(tmp_path)


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "codec", "options"),
        [
            ("b.mp4", "libx264", {"bf": "3", "g": "12"}),
            ("open.mp4", "libx264", {"bf": "3", "g": "12", "x264-params": "open-gop=1:scenecut=0"}),
            ("refresh.mp4", "libx264", {"bf": "0", "g": "12", "x264-params": "intra-refresh=1"}),
            ("b.mkv", "libx264", {"bf": "3", "g": "12"}),
            ("b.ts", "libx264", {"bf": "3", "g": "12"}),
            ("b.avi", "libx264", {"bf": "2", "g": "12"}),
            ("mpeg2.ts", "mpeg2video", {"bf": "2", "g": "9"}),
            ("mpeg4.avi", "mpeg4", {"bf": "2", "g": "12"}),
            ("vp9.webm", "libvpx-vp9", {"g": "12", "deadline": "realtime", "cpu-used": "8"}),
        ],
    )
    def test_random_access_is_exact(self, encode_video: Callable[..., Path], name: str, codec: str, options: dict[str, str]) -> None:
        path = encode_video(name, noisy(50), codec=codec, options=options)
        with open_video(path) as video:
            frames = list(video)
            assert len(frames) == video.num_frames == 50
            for index in np.random.default_rng(3).permutation(50).tolist():
                np.testing.assert_array_equal(video.read([index])[0].rgb, frames[index].rgb)
            for frame, wanted in zip(video.frames(reverse=True), reversed(frames), strict=True):
                np.testing.assert_array_equal(frame.rgb, wanted.rgb)
            assert np.diff(video.times).min() > 0
        wrong = [i for i, frame in enumerate(frames) if np.abs(frame.rgb.astype(int) - noisy(50)[i]).mean() > 40]
        assert wrong == []

    def test_reading_the_end_does_not_decode_the_beginning(
        self, encode_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = encode_video("long.mp4", noisy(120), options={"bf": "2", "g": "10", "x264-params": "scenecut=0"})
        decoded: list[int] = []
        with open_video(path) as video:
            assert video.num_frames == 120
            plain = videoseg_r1.video.timeline.checksum
            monkeypatch.setattr(videoseg_r1.video.timeline, "checksum", lambda picture: decoded.append(1) or plain(picture))
            video.read([118])
            assert len(decoded) <= 20
            decoded.clear()
            video.read([119])
            assert len(decoded) <= 1
            decoded.clear()
            video.read([118, 119])
            assert decoded == []

    def test_reverse_holds_few_frames_at_a_time(self, encode_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        path = encode_video("gop.mp4", noisy(70), options={"bf": "0", "g": "300"})
        ranges: list[tuple[int, int]] = []
        plain = videoseg_r1.video.file.FileVideo._forward

        def spied(self: videoseg_r1.video.file.FileVideo, start: int, stop: int) -> object:
            ranges.append((start, stop))
            return plain(self, start, stop)

        monkeypatch.setattr(videoseg_r1.video.file.FileVideo, "_forward", spied)
        with open_video(path) as video:
            assert [frame.index for frame in video.frames(reverse=True)] == list(range(69, -1, -1))
        assert ranges == [(38, 70), (6, 38), (0, 6)]

    @pytest.mark.parametrize("degrees", [90, 180, 270])
    def test_rotation_is_applied_once(self, encode_video: Callable[..., Path], degrees: int) -> None:
        turned = 180 - degrees if degrees == 270 else degrees
        path = encode_video("turn.mp4", painted(3), rotation=turned)
        with open_video(path) as video:
            assert video.info.rotation == degrees
            assert (video.info.width, video.info.height) == ((64, 48) if degrees == 180 else (48, 64))
            wanted = np.rot90(painted(1)[0], degrees // 90)
            assert np.abs(next(iter(video)).rgb.astype(int) - wanted).mean() < 4

    def test_times_are_relative_to_the_first_frame_and_uneven_as_they_were(self, encode_video: Callable[..., Path]) -> None:
        pts = [120, 121, 125, 126, 140, 141]
        for name in ("vfr.mkv", "vfr.ts"):
            with open_video(encode_video(name, painted(6), pts=pts)) as video:
                assert video.times == pytest.approx([(value - 120) / 24 for value in pts], abs=0.001)

    def test_negative_time_stamps_count_from_the_first_picture(self, encode_video: Callable[..., Path]) -> None:
        path = encode_video("neg.mkv", painted(6), pts=[-3, -2, -1, 0, 1, 2], container_options={"avoid_negative_ts": "disabled"})
        with open_video(path) as video:
            assert video.times == pytest.approx([i / 24 for i in range(6)], abs=0.001)

    @pytest.mark.parametrize(
        ("pix_fmt", "codec"), [("yuv420p10le", "libx264"), ("gray", "libx264"), ("yuv444p", "libx264"), ("yuvj420p", "mjpeg")]
    )
    def test_every_pixel_format_becomes_rgb(self, encode_video: Callable[..., Path], pix_fmt: str, codec: str) -> None:
        path = encode_video("p.mkv", painted(2), pix_fmt=pix_fmt, codec=codec)
        with open_video(path) as video:
            rgb = next(iter(video)).rgb
        wanted, tolerance = painted(1)[0].astype(int), 5
        if pix_fmt == "gray":
            # making the file, swscale puts full-range grey into a stream of limited range
            wanted, tolerance = np.repeat((wanted @ [0.299, 0.587, 0.114])[..., None], 3, axis=2), 10
        assert np.abs(rgb - wanted).mean() < tolerance

    def test_an_absurd_rate_does_not_matter(self, encode_video: Callable[..., Path]) -> None:
        with open_video(encode_video("fast.mp4", painted(4), fps=1_000_000)) as video:
            assert video.info.fps is None
            assert video.times == pytest.approx([0, 1e-6, 2e-6, 3e-6], abs=1e-8)
            assert [frame.index for frame in video.read([3, 1])] == [3, 1]

    def test_hdr_is_noted(self, encode_video: Callable[..., Path]) -> None:
        path = encode_video("hdr.mkv", painted(2), pix_fmt="yuv420p10le", color_trc=16)
        assert any("HDR (PQ)" in note for note in open_video(path).info.notes)

    def test_cover_art_is_not_the_video(self, tmp_path: Path, encode_video: Callable[..., Path]) -> None:
        path = tmp_path / "cover.mp4"
        cover, clip = encode_video("cover.avi", painted(1, 32, 32), codec="mjpeg", pix_fmt="yuvj420p"), encode_video("c.mp4", painted(4))
        join(path, [(cover, av.stream.Disposition.attached_pic), (clip, av.stream.Disposition(0))])
        with open_video(path) as video:
            assert (video.info.width, video.num_frames) == (64, 4)
        only = tmp_path / "only.mp4"
        join(only, [(cover, av.stream.Disposition.attached_pic)])
        with pytest.raises(NoVideoStream, match="cover art"):
            open_video(only)

    def test_of_two_videos_the_default_one_is_used_and_noted(self, tmp_path: Path, encode_video: Callable[..., Path]) -> None:
        small, large = encode_video("s.mp4", painted(3, 32, 32)), encode_video("l.mp4", painted(5))
        join(tmp_path / "two.mkv", [(small, av.stream.Disposition(0)), (large, av.stream.Disposition.default)])
        with open_video(tmp_path / "two.mkv") as video:
            assert (video.info.width, video.num_frames) == (64, 5)
            assert "2 videos" in video.info.notes[0]

    @pytest.mark.parametrize("count", [1, 2])
    def test_very_short_videos(self, tmp_path: Path, count: int) -> None:
        write_video(tmp_path / "s.mp4", painted(count))
        with open_video(tmp_path / "s.mp4") as video:
            assert [frame.index for frame in video] == list(range(count))
            assert [frame.index for frame in video.frames(reverse=True)] == list(range(count))[::-1]

    def test_the_header_is_a_hint_and_the_name_does_not_matter(self, encode_video: Callable[..., Path]) -> None:
        path = encode_video("a.mkv", painted(4))
        path = path.rename(path.with_suffix(".txt"))
        with open_video(path) as video:
            assert video.info.num_frames_hint is None
            assert video.num_frames == 4
            assert (video.info.codec, video.info.kind, video.info.fps, video.info.has_audio) == ("h264", "file", 24.0, False)


def join(path: Path, parts: list[tuple[Path, av.stream.Disposition]]) -> None:
    """Put the pictures of several files into one, each as a stream of its own."""
    with av.open(str(path), "w") as output:
        inputs = [av.open(str(part)) for part, _ in parts]
        streams = []
        for source, (_, disposition) in zip(inputs, parts, strict=True):
            stream = output.add_stream_from_template(source.streams.video[0], opaque=True)
            stream.disposition = disposition
            streams.append(stream)
        for source, stream in zip(inputs, streams, strict=True):
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    output.mux(packet)
        for source in inputs:
            source.close()


class TestOptions:
    @pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
    def test_fps_must_be_positive(self, fps: float) -> None:
        with pytest.raises(InvalidConfig, match="fps"):
            open_video(painted(), fps=fps)

    def test_on_corrupt_must_be_known(self) -> None:
        with pytest.raises(InvalidConfig, match="on_corrupt"):
            open_video(painted(), on_corrupt="ignore")  # pyright: ignore[reportArgumentType]

    def test_limits_must_be_positive(self) -> None:
        with pytest.raises(InvalidConfig, match="max_frames"):
            Limits(max_frames=0)

    @pytest.mark.parametrize("source", ["nowhere.mp4", "no\0where.mp4", "x" * 5000])
    def test_what_is_not_there_is_not_found(self, source: str) -> None:
        with pytest.raises(SourceNotFound):
            open_video(source)

    @pytest.mark.parametrize("address", ["https://example.org/a.mp4", "http://x", "rtsp://cam/1", "s3://bucket/key.mp4", "HTTPS://x/y"])
    @pytest.mark.parametrize("kind", [str, Path])
    def test_addresses_are_not_read(self, address: str, kind: type[str] | type[Path]) -> None:
        with pytest.raises(SourceNotFound, match="download it first") as caught:
            open_video(kind(address))
        assert "addresses are not read" in str(caught.value)
        assert address in str(caught.value)

    def test_an_address_of_a_file_is_a_path_too_much(self) -> None:
        with pytest.raises(SourceNotFound, match="give the path alone"):
            open_video("file:///tmp/a.mp4")

    @pytest.mark.parametrize("path", ["youtu.be/abc", "c:/clip.mp4", "a/b:c/d.mp4"])
    def test_what_is_no_address_is_just_not_there(self, path: str) -> None:
        with pytest.raises(SourceNotFound, match="no such file"):
            open_video(path)

    def test_pipes_are_not_read(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.mp4")
        with pytest.raises(UnsupportedSource, match="pipes"):
            open_video(tmp_path / "pipe.mp4")


class TestBareStreams:
    @pytest.mark.parametrize(("kind", "codec"), [("h264", "libx264"), ("hevc", "libx265")])
    def test_frames_are_counted_at_the_rate_that_the_stream_states(self, encode_video: Callable[..., Path], kind: str, codec: str) -> None:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {"bf": "2"}
        path = encode_video(f"a.{kind}", noisy(12), codec=codec, options=options, fps=30)
        with open_video(path) as video:
            frames = list(video)
            assert video.times == pytest.approx([index / 30 for index in range(12)])
            assert "its header says 30 frames per second" in video.info.notes[0]
            np.testing.assert_array_equal(video.read([7])[0].rgb, frames[7].rgb)
