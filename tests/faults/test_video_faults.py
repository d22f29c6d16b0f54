"""Hostile and broken inputs and outputs: a named error in bounded time and memory, or a right result; never a hang, never a traceback."""

from __future__ import annotations

import errno
import os
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import videoseg_r1.video.memory
import videoseg_r1.video.write
from helpers.places import names_in
from videoseg_r1.config import Limits
from videoseg_r1.errors import CorruptVideo, LimitExceeded, NoVideoStream, OutputError, ShapeMismatch, UnsupportedSource, VideosegError
from videoseg_r1.types import RgbImage
from videoseg_r1.video import VideoWriter, open_video, write_video

EncodeVideo = Callable[..., Path]


def moving(num_frames: int = 24, width: int = 64, height: int = 48) -> RgbImage:
    rows, cols = np.mgrid[:height, :width]
    return np.stack(
        [np.stack([cols * 3 + 9 * i, rows * 4 + 5 * i, cols + rows + 13 * i], axis=-1).astype(np.uint8) for i in range(num_frames)]
    )


def cut(path: Path, part: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part) | 1])  # an odd number: packets of 188 bytes are cut as well
    return path


class TestNoVideoAtAll:
    @pytest.mark.parametrize(
        ("content", "error", "words"),
        [
            (b"", CorruptVideo, "empty"),
            (np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes(), UnsupportedSource, "bytes"),
            (b"hello, I am no video\n" * 50, UnsupportedSource, "plain text"),
            (b"\x00\x00\x00\x20ftypheic" + bytes(100), CorruptVideo, "HEIF"),
            (b"FLV\x01\x05" + bytes(100), (CorruptVideo, NoVideoStream), ""),
            (b"OggS" + bytes(100), CorruptVideo, "opened"),
            (b"\x00\x00\x00\x20ftypisom" + bytes(100), CorruptVideo, "opened"),
            (b"\x1a\x45\xdf\xa3" + bytes(100), CorruptVideo, "opened"),
            (b"RIFF\x10\x00\x00\x00AVI " + bytes(100), (CorruptVideo, NoVideoStream), ""),
            (b"\x89PNG\r\n\x1a\n" + bytes(100), CorruptVideo, "PNG"),
            (b"GIF89a" + bytes(3), CorruptVideo, "GIF"),
            (b"\xff\xd8\xff\xe0" + bytes(100), CorruptVideo, "JPEG"),
            (b"\x47" + bytes(187), UnsupportedSource, ""),
            ((b"\x47" + bytes(187)) * 30, (CorruptVideo, NoVideoStream), ""),
        ],
    )
    def test_it_is_refused_by_name(
        self, tmp_path: Path, content: bytes, error: type[Exception] | tuple[type[Exception], ...], words: str
    ) -> None:
        path = tmp_path / "clip.mp4"
        path.write_bytes(content)
        with pytest.raises(error) as caught:
            open_video(path)
        assert words in str(caught.value)
        assert "clip.mp4" in str(caught.value)

    def test_a_truncated_index_names_its_counts(self, tmp_path: Path) -> None:
        write_video(tmp_path / "a.mp4", moving())
        (tmp_path / "a.mp4").write_bytes((tmp_path / "a.mp4").read_bytes()[:400])
        with pytest.raises(CorruptVideo) as caught:
            open_video(tmp_path / "a.mp4")
        assert caught.value.to_dict()["decoded"] == 0


class TestScripts:
    """Files that would make FFmpeg open other files. The victim lies beside them, so that opening it would succeed."""

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("ffconcat version 1.0\nfile victim.mp4\n", "ffconcat"),
            ("\ufeff#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nvictim.mp4\n#EXT-X-ENDLIST\n", "HLS"),
            ("v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", "SDP"),
            ('<?xml version="1.0"?><MPD><BaseURL>victim.mp4</BaseURL></MPD>', "XML"),
        ],
    )
    @pytest.mark.parametrize("name", ["clip.mp4", "clip.m3u8", "clip.mkv"])
    def test_they_are_refused_and_nothing_else_is_opened(self, tmp_path: Path, text: str, words: str, name: str) -> None:
        write_video(tmp_path / "victim.mp4", moving(3))
        (tmp_path / name).write_text(text)
        opened: list[str] = []
        listening = True
        sys.addaudithook(lambda event, args: opened.append(str(args[0])) if listening and event == "open" else None)
        with pytest.raises(UnsupportedSource) as caught:
            open_video(tmp_path / name)
        listening = False
        assert words in str(caught.value)
        assert not any("victim" in path for path in opened)

    def test_a_script_behind_real_magic_bytes_opens_nothing(self, tmp_path: Path) -> None:
        write_video(tmp_path / "victim.mp4", moving(3))
        (tmp_path / "clip.mp4").write_bytes(b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isom\nffconcat version 1.0\nfile victim.mp4\n")
        with pytest.raises(CorruptVideo):
            open_video(tmp_path / "clip.mp4")

    @pytest.mark.skipif(not Path("/usr/bin/strace").exists(), reason="strace is not here")
    def test_the_system_sees_no_other_file_and_no_socket(self, tmp_path: Path) -> None:
        write_video(tmp_path / "victim.mp4", moving(3))
        (tmp_path / "clip.mp4").write_text("ffconcat version 1.0\nfile victim.mp4\n")
        code = f"from videoseg_r1.video import open_video\ntry: open_video({str(tmp_path / 'clip.mp4')!r})\nexcept Exception: pass"
        done = subprocess.run(
            ["strace", "-f", "-e", "trace=open,openat,socket", sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert "clip.mp4" in done.stderr
        assert "victim" not in done.stderr
        assert "socket(" not in done.stderr


class TestDamage:
    @pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.avi", "a.ts", "frag.mp4", "front.mp4"])
    @pytest.mark.parametrize("part", [0.45, 0.6, 0.85])
    def test_a_cut_file_is_never_silently_short(self, encode_video: EncodeVideo, name: str, part: float) -> None:
        codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
        flags = {"frag.mp4": "frag_keyframe+empty_moov", "front.mp4": "+faststart"}.get(name)
        path = encode_video(
            name,
            moving(48, 128, 96),
            codec=codec,
            options={"g": "12", "bf": "0"} if codec == "libx264" else {"g": "12", "deadline": "realtime", "cpu-used": "8"},
            container_options={"movflags": flags} if flags else None,
        )
        whole = [frame.rgb for frame in open_video(path)]
        assert len(whole) == 48
        cut(path, part)
        with pytest.raises(CorruptVideo) as caught:
            list(open_video(path))
        decoded = caught.value.decoded
        assert 0 < decoded < 48
        assert name in str(caught.value)
        with open_video(path, on_corrupt="keep-prefix") as video:
            assert video.num_frames == decoded
            assert "damaged" in video.info.notes[-1]
            # the very last picture may show the cut where the container does not tell how long it should be
            for frame in video.frames(0, decoded - 1):
                np.testing.assert_array_equal(frame.rgb, whole[frame.index])

    def test_a_cut_that_leaves_no_picture_is_an_error_in_both_modes(self, encode_video: EncodeVideo) -> None:
        path = encode_video("a.mkv", moving(24))
        path.write_bytes(path.read_bytes()[:700])
        for mode in ("error", "keep-prefix"):
            with pytest.raises(CorruptVideo) as caught:
                open_video(path, on_corrupt=mode)  # pyright: ignore[reportArgumentType]
            assert (caught.value.decoded, caught.value.expected) == (0, 24)

    def test_a_lost_seek_table_alone_is_no_damage(self, encode_video: EncodeVideo) -> None:
        path = encode_video("a.mkv", moving(24))
        path.write_bytes(path.read_bytes()[:-20])
        with open_video(path) as video:
            assert video.num_frames == 24

    @pytest.mark.parametrize("seed", range(24))
    def test_flipped_bits_give_a_result_or_a_named_error(self, encode_video: EncodeVideo, seed: int) -> None:
        name = ("a.mp4", "a.mkv", "a.avi", "a.ts")[seed % 4]
        path = encode_video(name, moving(24), options={"g": "8", "bf": "2"})
        random = np.random.default_rng(seed)
        data = np.frombuffer(path.read_bytes(), np.uint8).copy()
        places = random.integers(0, len(data) if seed % 3 else 1500, random.choice([1, 10, 100]))
        data[places] ^= (1 << random.integers(0, 8, len(places))).astype(np.uint8)
        path.write_bytes(data.tobytes())
        begin = time.monotonic()
        for mode in ("error", "keep-prefix"):
            message = name
            try:
                with open_video(path, on_corrupt=mode) as video:  # pyright: ignore[reportArgumentType]
                    frames = [frame.rgb for frame in video]
                    assert len(frames) == video.num_frames
                    np.testing.assert_array_equal(video.read([len(frames) - 1])[0].rgb, frames[-1])
            except VideosegError as error:
                message = str(error)
            assert name in message
        assert time.monotonic() - begin < 10

    def test_a_change_of_size_is_named_with_its_frame(self, encode_video: EncodeVideo, tmp_path: Path) -> None:
        first, second = encode_video("1.ts", moving(5)), encode_video("2.ts", moving(5, 96, 80))
        (tmp_path / "both.ts").write_bytes(first.read_bytes() + second.read_bytes())
        with pytest.raises(UnsupportedSource) as caught:
            list(open_video(tmp_path / "both.ts"))
        assert "frame 5" in str(caught.value)
        assert "64x48 before, 96x80" in str(caught.value)

    def test_a_recording_that_begins_in_the_middle_is_no_damage(self, encode_video: EncodeVideo) -> None:
        path = encode_video("live.ts", moving(60), options={"g": "20", "bf": "0", "x264-params": "scenecut=0"})
        data = path.read_bytes()
        path.write_bytes(data[len(data) // 8 // 188 * 188 :])
        with open_video(path) as video:
            assert video.num_frames in (40, 41)
            assert video.times[0] == 0.0

    @pytest.mark.parametrize(("name", "options"), [("a.gif", {}), ("a.png", {}), ("a.webp", {"lossless": True})])
    def test_cut_animations(self, tmp_path: Path, name: str, options: dict[str, bool]) -> None:
        images = [Image.fromarray(rgb) for rgb in moving(8)]
        images[0].save(tmp_path / name, save_all=True, append_images=images[1:], duration=50, **options)
        cut(tmp_path / name, 0.6)
        with pytest.raises(CorruptVideo, match=name):
            list(open_video(tmp_path / name))
        if name != "a.webp":  # its decoder wants the whole file
            with open_video(tmp_path / name, on_corrupt="keep-prefix") as video:
                assert 1 <= video.num_frames < 8
                assert len(list(video)) == video.num_frames


class TestFolders:
    def fill(self, folder: Path, count: int = 4) -> Path:
        folder.mkdir()
        for index, rgb in enumerate(moving(count)):
            Image.fromarray(rgb).save(folder / f"{index:05}.png")
        return folder

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        folder = self.fill(tmp_path / "f")
        secret = tmp_path / "secret.png"
        Image.new("RGB", (64, 48), (1, 2, 3)).save(secret)
        (folder / "00002a.png").symlink_to(secret)
        with open_video(folder) as video:
            assert video.info.frame_names == ("00000", "00001", "00002", "00003")
            assert "1 symbolic links" in video.info.notes[0]

    def test_folders_and_other_files_between_the_frames_are_left_out(self, tmp_path: Path) -> None:
        folder = self.fill(tmp_path / "f")
        (folder / "00009.png").mkdir()
        (folder / "Thumbs.db").write_bytes(b"x")
        (folder / ".hidden.png").write_bytes(b"x")
        assert open_video(folder).num_frames == 4

    @pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(9), b"\0\0\0\x18ftypisom" + bytes(50)])
    def test_a_frame_that_is_no_picture(self, tmp_path: Path, content: bytes) -> None:
        folder = self.fill(tmp_path / "f")
        (folder / "00002.png").write_bytes(content)
        with pytest.raises(CorruptVideo) as caught:
            open_video(folder)
        assert (caught.value.decoded, caught.value.expected) == (2, 4)
        assert "00002.png" in str(caught.value)
        with open_video(folder, on_corrupt="keep-prefix") as video:
            assert video.info.frame_names == ("00000", "00001")
            assert len(list(video)) == video.num_frames == 2

    def test_a_frame_that_is_cut(self, tmp_path: Path) -> None:
        folder = self.fill(tmp_path / "f")
        cut(folder / "00002.png", 0.5)
        with pytest.raises(CorruptVideo) as caught:
            list(open_video(folder))
        assert (caught.value.decoded, caught.value.expected) == (2, 4)
        with open_video(folder, on_corrupt="keep-prefix") as video:
            assert video.num_frames == 2

    def test_mixed_sizes_name_the_odd_one(self, tmp_path: Path) -> None:
        folder = self.fill(tmp_path / "f")
        Image.new("RGB", (32, 48)).save(folder / "00000.png")
        with pytest.raises(ShapeMismatch, match=r"00000\.png"):
            open_video(folder)


class TestIterators:
    def test_a_frame_of_another_size_in_the_middle(self) -> None:
        def frames() -> Iterator[RgbImage]:
            yield from moving(3)
            yield moving(1, 32, 32)[0]

        with open_video(frames()) as video:
            seen: list[int] = []
            with pytest.raises(ShapeMismatch, match="frame 3"):
                seen.extend(frame.index for frame in video)
            assert seen == [0, 1, 2]

    def test_an_error_of_the_caller_passes_through(self) -> None:
        def frames() -> Iterator[RgbImage]:
            yield moving(1)[0]
            raise ZeroDivisionError("of the caller")

        with open_video(frames()) as video, pytest.raises(ZeroDivisionError):
            _ = video.num_frames

    def test_an_endless_one_is_stopped_by_the_limit(self) -> None:
        def frames() -> Iterator[RgbImage]:
            while True:
                yield moving(1, 4, 4)[0]

        with open_video(frames(), limits=Limits(max_frames=100)) as video, pytest.raises(LimitExceeded, match="max_frames"):
            _ = video.num_frames

    def test_a_full_disk_is_an_output_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Full:
            def seek(self, _: int) -> None: ...
            def write(self, _: memoryview) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            def close(self) -> None: ...

        monkeypatch.setattr(videoseg_r1.video.memory.tempfile, "TemporaryFile", lambda prefix: Full())
        with pytest.raises(OutputError, match="No space left"):
            open_video(iter(moving(3)))

    def test_no_file_stays_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(videoseg_r1.video.memory.tempfile, "tempdir", str(tmp_path))
        with open_video(iter(moving(3))) as video:
            assert video.num_frames == 3
        assert names_in(tmp_path) == []


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "name"),
        [
            (Limits(max_bytes=100), "max_bytes"),
            (Limits(max_width=63), "max_width"),
            (Limits(max_height=47), "max_height"),
            (Limits(max_frames=23), "max_frames"),
            (Limits(max_duration_s=0.5), "max_duration_s"),
        ],
    )
    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
    def test_every_limit_is_named(self, encode_video: EncodeVideo, limits: Limits, name: str, suffix: str) -> None:
        path = encode_video(f"a.{suffix}", moving(24))
        with pytest.raises(LimitExceeded) as caught:
            _ = open_video(path, limits=limits).num_frames
        assert f"Limits({name}=...)" in str(caught.value)
        assert f"a.{suffix}" in str(caught.value)

    def test_streams_are_counted(self, tmp_path: Path) -> None:
        with av.open(str(tmp_path / "many.mkv"), "w") as container:
            streams = [container.add_stream("ffv1", rate=24, width=16, height=16) for _ in range(4)]
            for stream in streams:
                container.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
                container.mux(stream.encode(None))
        assert open_video(tmp_path / "many.mkv", limits=Limits(max_streams=4)).num_frames == 1
        with pytest.raises(LimitExceeded, match="max_streams"):
            open_video(tmp_path / "many.mkv", limits=Limits(max_streams=3))

    @pytest.mark.parametrize("size", [12_000, 30_000])
    def test_a_picture_bomb_is_refused_by_its_header(self, tmp_path: Path, size: int) -> None:
        def chunk(name: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

        header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
        rows = zlib.compress(bytes(size * 3), 9)
        path = tmp_path / "bomb.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(LimitExceeded, match=r"bomb\.png"):
            open_video(path)
        (tmp_path / "f").mkdir()
        path.rename(tmp_path / "f" / "0.png")
        with pytest.raises(LimitExceeded, match=r"0\.png"):
            open_video(tmp_path / "f")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000

    def test_a_video_bomb_is_refused_without_decoding_it(self, encode_video: EncodeVideo) -> None:
        frames = np.zeros((1, 6000, 6000, 3), np.uint8)
        path = encode_video("bomb.mp4", frames, options={"preset": "ultrafast", "crf": "40"})
        code = (
            "import resource, sys\nfrom videoseg_r1.video import open_video\nfrom videoseg_r1.errors import LimitExceeded\n"
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "try: open_video(sys.argv[1])\nexcept LimitExceeded: pass\nelse: sys.exit('it was opened')\n"
            "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
            "sys.exit(f'{grown} KB more') if grown > 100_000 else None\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


class TestLeavingEarly:
    def test_leaving_a_loop_early_does_not_hang(self, encode_video: EncodeVideo) -> None:
        """PyAV issue 1861: with torchvision loaded and frame threads, closing after an early exit could wait for ever."""
        path = encode_video("a.mp4", moving(60), options={"bf": "3"})
        code = (
            "import sys, time\nimport torchvision\nfrom videoseg_r1.video import open_video\n"
            "begin = time.monotonic()\n"
            "for _ in range(5):\n"
            "    with open_video(sys.argv[1]) as video:\n"
            "        for frame in video:\n"
            "            if frame.index == 2: break\n"
            "took = time.monotonic() - begin\nsys.exit(f'{took} s') if took > 5 else None\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr

    def test_files_are_closed(self, encode_video: EncodeVideo) -> None:
        path = encode_video("a.mp4", moving(10))

        def open_files() -> int:
            return sum(link.is_symlink() and link.readlink() == path for link in Path("/proc/self/fd").iterdir())

        with open_video(path) as video:
            for _ in video:
                break
            video.read([3])
            assert open_files() >= 1
        assert open_files() == 0


class TestOutput:
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES])
    def test_a_full_disk_leaves_nothing_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        def fail(self: VideoWriter, *args: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(videoseg_r1.video.write.VideoWriter, "_encode_held", fail)
        with pytest.raises(OutputError) as caught:
            write_video(tmp_path / "a.mp4", moving(3))
        assert os.strerror(code) in str(caught.value)
        assert ("free some space" in str(caught.value)) == (code != errno.EACCES)
        assert names_in(tmp_path) == []

    def test_a_failing_last_step_keeps_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a.mp4").write_bytes(b"old")

        def fail(self: Path, target: Path) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(OutputError):
            write_video(tmp_path / "a.mp4", moving(3), overwrite=True)
        assert (tmp_path / "a.mp4").read_bytes() == b"old"
        assert names_in(tmp_path) == ["a.mp4"]

    @pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files")
    def test_a_real_size_limit_is_an_output_error(self, tmp_path: Path) -> None:
        """In a child process, as the limit would hold for the test run itself."""
        code = (
            "import resource, signal, sys\nimport numpy as np\nfrom videoseg_r1.video import write_video\n"
            "from videoseg_r1.errors import OutputError\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
            "noise = np.random.default_rng(0).integers(0, 256, (40, 96, 128, 3), np.uint8)\n"
            "try: write_video(sys.argv[1], noise)\nexcept OutputError as error: print(error)\nelse: sys.exit('it was written')\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.mp4")], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "a.mp4" in done.stdout
        assert names_in(tmp_path) == []
