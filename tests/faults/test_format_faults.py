"""Containers that are hostile, encrypted, empty or cut: a named error, and no other file is opened."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import videoseg_r1.video.container
from helpers.formats import DRAWN, Drawn, draw, draw_picture, found_in, number_frame, read_number
from helpers.heif import draw_heic
from videoseg_r1.config import Limits
from videoseg_r1.errors import CorruptVideo, InputError, LimitExceeded, NoVideoStream, UnsupportedSource, VideosegError
from videoseg_r1.video import open_video
from videoseg_r1.video.sniff import sniff


def drawn(muxer: str, encoder: str | None = None) -> Drawn:
    return next(one for one in DRAWN if one.muxer == muxer and encoder in (None, one.encoder))


def changed(path: Path, *changes: tuple[bytes, bytes]) -> Path:
    """Replace bytes of a file by others of the same length."""
    data = path.read_bytes()
    for old, new in changes:
        assert old in data
        assert len(old) == len(new)
        data = data.replace(old, new)
    path.write_bytes(data)
    return path


def box(name: bytes, *parts: bytes) -> bytes:
    payload = b"".join(parts)
    return struct.pack(">I", 8 + len(payload)) + name + payload


def outcome(path: Path) -> str:
    """Read a file to its end, and return its path where that went well, else the message of the named error."""
    try:
        with open_video(path, on_corrupt="keep-prefix") as video:
            assert len(list(video)) == video.num_frames
            return video.info.source
    except VideosegError as error:
        return str(error)


class TestEncrypted:
    def refused(self, path: Path) -> None:
        with pytest.raises(UnsupportedSource, match="encrypted") as caught:
            open_video(path)
        assert path.name in str(caught.value)

    @pytest.mark.parametrize("encoder", ["libx264", "av1"])
    def test_mp4(self, tmp_path: Path, encoder: str) -> None:
        keys = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00112233445566778899aabbccddeeff", "encryption_kid": "0" * 32}
        size = (64, 64) if encoder == "av1" else (64, 48)
        self.refused(draw(tmp_path, Drawn("mp4", "", "mp4", encoder, size=size, container_options=keys)))

    def test_matroska(self, tmp_path: Path) -> None:
        """The name of the track gives its place to the elements that say how it is encrypted."""
        path = tmp_path / "a.mkv"
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.metadata["title"] = "x" * 20
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
            container.mux(stream.encode(None))
        name = b"\x53\x6e\x94" + b"x" * 20
        algorithm = b"\x47\xe1\x81\x05"
        encryption = b"\x50\x35" + bytes([0x80 | 11]) + algorithm + b"\xec\x85" + bytes(5)
        encoding = b"\x62\x40" + bytes([0x80 | len(encryption) + 3]) + encryption + b"\xec\x81\x00"
        assert len(encoding) == 20
        self.refused(changed(path, (name, b"\x6d\x80" + bytes([0x80 | 20]) + encoding)))

    def test_asf(self, tmp_path: Path) -> None:
        clock = bytes.fromhex("40a4d0d2 07e3 d211 97f0 00a0c95ea850")  # FFmpeg's extended description
        path = draw(tmp_path, drawn("asf"))
        self.refused(changed(path, (clock, bytes.fromhex("fbb31122 23bd d211 b4b7 00a0c955fc6e"))))

    def test_transport_stream(self, tmp_path: Path) -> None:
        path = draw(tmp_path, drawn("mpegts"), num_frames=30)
        packets = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 188).copy()
        packets[packets[:, 1] & 0x1F == 1, 3] |= 0x80  # those of the pictures
        path.write_bytes(packets.tobytes())
        self.refused(path)

    def test_program_stream(self, tmp_path: Path) -> None:
        path = draw(tmp_path, drawn("vob"), num_frames=30)
        data = bytearray(path.read_bytes())
        place = data.find(b"\0\0\x01\xe0")
        assert place > 0
        while place > 0:
            data[place + 6] |= 0x10
            place = data.find(b"\0\0\x01\xe0", place + 6)
        path.write_bytes(bytes(data))
        self.refused(path)


class TestElsewhere:
    """Films whose pictures are in other files. The victim is there, so that opening it would succeed."""

    @pytest.fixture
    def victim(self, tmp_path: Path) -> Path:
        (tmp_path / "other").mkdir()
        return draw(tmp_path / "other", drawn("mp4")).rename(tmp_path / "other" / "victim.mp4")

    def external(self, path: Path, entry: bytes) -> Path:
        """Give the track of a film another data reference, at the end, so that no place in the file moves."""
        one = draw(path.parent, drawn("mp4"))
        data = one.read_bytes()
        own = box(b"dref", bytes(4), b"\0\0\0\1", box(b"url ", b"\0\0\0\1"))
        assert own in data
        new = box(b"dref", bytes(4), b"\0\0\0\1", entry)
        grown = len(new) - len(own)
        data = data.replace(own, new)
        for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
            place = data.index(name) - 4
            data = data[:place] + struct.pack(">I", int.from_bytes(data[place : place + 4], "big") + grown) + data[place + 4 :]
        path.write_bytes(data)
        return path

    @pytest.mark.parametrize("kind", [b"url ", b"alis"])
    def test_data_references(self, tmp_path: Path, victim: Path, kind: bytes) -> None:
        path = self.external(tmp_path / "ref.mov", box(kind, bytes(4), b"other/victim.mp4\0"))
        with pytest.raises(UnsupportedSource, match="other files"):
            open_video(path)

    def test_a_reference_movie(self, tmp_path: Path) -> None:
        reference = box(b"rmda", box(b"rdrf", bytes(4), b"url ", struct.pack(">I", 17), b"other/victim.mp4\0"))
        (tmp_path / "ref.mov").write_bytes(box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + box(b"moov", box(b"rmra", reference)))
        with pytest.raises(UnsupportedSource, match="reference movie"):
            open_video(tmp_path / "ref.mov")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('<asx version="3.0"><entry><ref href="other/victim.mp4"/></entry></asx>', "ASX"),
            ("[Reference]\r\nRef1=http://127.0.0.1/victim.mp4\r\n", "addresses"),
            ("[playlist]\nFile1=other/victim.mp4\n", "playlist"),
            ("RTSPtext\nrtsp://127.0.0.1/victim\n", "reference"),
            ("rtsp://127.0.0.1/victim.rm\n", "addresses"),
            ("<smil><body><video src='other/victim.mp4'/></body></smil>", "SMIL"),
            (";FFMETADATA1\ntitle=x\n", "metadata"),
            ('<MPD><BaseURL>other/victim.mp4</BaseURL></MPD>', "DASH"),
            ("# VobSub index file, v7\n", "subtitles"),
            ("other/victim.mp4\n", "plain text"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("name", ["clip.mp4", "clip.wmv", "clip.png"])
    def test_scripts_by_content(self, tmp_path: Path, victim: Path, text: str, words: str, name: str) -> None:
        (tmp_path / name).write_text(text)
        with pytest.raises(UnsupportedSource, match=words):
            open_video(tmp_path / name)

    @pytest.mark.skipif(not Path("/usr/bin/strace").exists(), reason="strace is not here")
    def test_the_system_sees_no_other_file_and_no_socket(self, tmp_path: Path, victim: Path) -> None:
        folder = tmp_path / "given"
        folder.mkdir()
        for one in DRAWN:
            draw(folder, one)
        for ending in ("heic", "avif", "gif"):
            draw_picture(folder, ending)
        script = b"\nffconcat version 1.0\nfile ../other/victim.mp4\n#EXTM3U\n../other/victim.mp4\n"
        for number, path in enumerate(sorted(folder.iterdir())):  # the same heads, with a script behind
            (folder / f"script{number}").write_bytes(path.read_bytes()[:16] + script * 20)
        self.external(folder / "ref.mov", box(b"alis", bytes(4), b"../other/victim.mp4\0"))
        code = (
            "import os, sys\nfrom videoseg_r1.video import open_video\nfrom videoseg_r1.errors import VideosegError\n"
            "os.chdir(sys.argv[1])\nread = 0\n"
            "for name in sorted(os.listdir()):\n    try:\n        with open_video(name) as video: read += len(list(video)) > 0\n"
            "    except VideosegError: pass\nprint(read)\n"
        )
        command = ["strace", "-f", "-e", "trace=open,openat,socket,connect", sys.executable, "-c", code, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert int(done.stdout) >= len({one.name for one in DRAWN})
        assert done.stderr.count("script1") > 1
        assert "victim" not in done.stderr
        assert "socket(" not in done.stderr


class TestCodecs:
    @pytest.mark.parametrize(
        ("muxer", "encoder", "old", "new", "label"),
        [
            ("mp4", "libx265", b"hev1", b"evc1", "evc"),
            ("mp4", "libx264", b"avc1", b"QQQ1", "'QQQ1'"),
            ("avi", "mpeg4", b"FMP4", b"QQQ2", "'QQQ2'"),
            ("asf", "wmv2", b"WMV2", b"QQQ3", "'QQQ3'"),
            ("matroska", "ffv1", b"V_FFV1", b"V_QQQ4", "'V_QQQ4'"),
        ],
    )
    def test_a_codec_without_a_decoder_is_named(self, tmp_path: Path, muxer: str, encoder: str, old: bytes, new: bytes, label: str) -> None:
        path = changed(draw(tmp_path, drawn(muxer, encoder)), (old, new))
        with pytest.raises(UnsupportedSource, match="no decoder") as caught:
            open_video(path)
        assert f"its codec is {label}" in str(caught.value)
        assert path.name in str(caught.value)

    @pytest.mark.parametrize("name", ["a.mkv", "a.ogg", "a.mp4", "a.ts", "a.asf", "a.flv", "a.nut", "a.wav", "a.mp3", "a.flac", "a.aiff"])
    def test_sound_alone_is_no_video(self, tmp_path: Path, name: str) -> None:
        codec = {"a.ogg": "libopus", "a.wav": "pcm_s16le", "a.mp3": "libmp3lame", "a.flac": "flac", "a.aiff": "pcm_s16be"}.get(name, "aac")
        with av.open(str(tmp_path / name), "w") as container:
            rate = 48_000 if codec == "libopus" else 44_100
            stream: Any = container.add_stream(codec, rate=rate, layout="mono")
            sample = "fltp" if codec in ("aac", "libmp3lame") else "s16"
            for number in range(4):
                frame = av.AudioFrame(format=sample, layout="mono", samples=1152)
                for plane in frame.planes:
                    plane.update(bytes(plane.buffer_size))
                frame.sample_rate, frame.pts = rate, number * 1152
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with pytest.raises(NoVideoStream, match=r"audio|sound"):
            open_video(tmp_path / name)

    def test_jpeg_xl_says_how_to_convert_it(self, tmp_path: Path) -> None:
        for head in (b"\xff\x0a\xfa\x1f", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl "):
            (tmp_path / "a.jxl").write_bytes(head + bytes(100))
            with pytest.raises(UnsupportedSource, match="djxl"):
                open_video(tmp_path / "a.jxl")


class TestEmptyAndCut:
    @pytest.mark.parametrize("muxer", ["mp4", "matroska", "avi", "flv", "asf", "nut", "ivf", "yuv4mpegpipe"])
    def test_zero_frames(self, tmp_path: Path, muxer: str) -> None:
        encoder = {"ivf": "libvpx", "yuv4mpegpipe": "rawvideo", "flv": "flv"}.get(muxer, "mpeg4")
        path = tmp_path / "empty.bin"
        with av.open(str(path), "w", format=muxer) as container:
            stream: Any = container.add_stream(encoder, rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            container.start_encoding()
        assert path.stat().st_size > 0
        with pytest.raises((CorruptVideo, NoVideoStream)) as caught:
            open_video(path)
        assert path.name in str(caught.value)

    @pytest.mark.parametrize("muxer", ["flv", "asf", "ogg", "mxf", "dv", "ivf", "rm", "swf", "mpeg", "nut", "yuv4mpegpipe", "gxf", "wtv"])
    @pytest.mark.parametrize("part", [0.57, 0.83])
    def test_a_cut_file_is_never_silently_short(self, tmp_path: Path, muxer: str, part: float) -> None:
        path = draw(tmp_path, drawn(muxer), num_frames=20, noise=40)
        assert len(found_in(path).numbers) == 20
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * part) | 1])
        with pytest.raises(CorruptVideo) as caught:
            list(open_video(path))
        assert caught.value.decoded < 20

    @pytest.mark.parametrize(
        ("muxer", "encoder", "spoil"),
        [
            ("avi", "mjpeg", lambda data: data[: data.rindex(b"idx1") + 8] + b"\x55" * (len(data) - data.rindex(b"idx1") - 8)),
            ("avi", "mpeg4", lambda data: data.replace(b"idx1", b"JUNK")),
            ("matroska", "libx264", lambda data: data.replace(b"\x1c\x53\xbb\x6b", b"\x1c\x53\xbb\x6c")),
            ("mp4", "libx264", lambda data: data.replace(b"stss", b"free")),
        ],
    )  # fmt: skip
    def test_a_damaged_index_that_can_be_done_without(
        self, tmp_path: Path, muxer: str, encoder: str, spoil: Callable[[bytes], bytes]
    ) -> None:
        path = draw(tmp_path, drawn(muxer, encoder), num_frames=20)
        data = path.read_bytes()
        assert spoil(data) != data
        path.write_bytes(spoil(data))
        with open_video(path) as video:
            assert [read_number(frame.rgb) for frame in video] == list(range(20))
            assert [read_number(frame.rgb) for frame in video.read([19, 3, 11])] == [19, 3, 11]
            assert [read_number(frame.rgb) for frame in video.frames(reverse=True)] == list(range(20))[::-1]

    def test_a_lost_index_that_cannot_is_an_error(self, tmp_path: Path) -> None:
        path = changed(draw(tmp_path, drawn("mp4")), (b"stsz", b"xxxx"))
        with pytest.raises(InputError, match=path.name):
            list(open_video(path))


class TestHostile:
    HEADS = (
        b"FLV\x01\x05\0\0\0\x09",
        b"OggS\0\x02",
        b"\0\0\x01\xba\x44",
        b"\0\0\x01\xb3\x04\0\x30\x15\0\0\x01\0",
        b"\0\0\0\x01\x67\x64\0\x0a\0\0\0\x01\x68",
        b"\0\0\0\x01\x42\x01\0\0\0\x01\x44\x01",
        b"\0\0\x01\0\x79\0\0\x01\0\x81",
        b"\0\0\x01\xb0\x01\0\0\x01\x20\0\0\x01\xb6",
        b"\0\0\x01\x0f\xc0\0\0\x01\x0d",
        b"\0\0\x80\x02\x08\0\0\x80\x02\x08",
        b"\x12\0\x0a\x0a",
        b"BBCD\0",
        b"\0\0\x02\x80\x01",
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
        b"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d",
        b"YUV4MPEG2 W64 H48 F25:1\nFRAME\n",
        b"DKIF\0\0\x20\0VP80",
        b".RMF\0\0\0\x12",
        b"nut/multimedia container\0",
        b"\x1f\x07\x00\xbf",
        b"\0\0\0\0\x01\xbc",
        b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02",
        b"FWS\x06",
        b"CWS\x06",
        b"NSVf",
        b"NuppelVideo\0",
        b"\x84\x10\xff\xff\xff\xff\x1e\0",
        b"FILM\0\0\0\xa00.00\0\0\0\0FDSC",
        b"BIKi",
        b"SMK2",
        b"\x80\0\0\0\x12\xaf",
        b"\0\0\0\x18ftypavif\0\0\0\0avifmif1",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x18ftyphevc\0\0\0\0hevcmsf1",
        b"RIFF\0\x10\0\0AVI LIST",
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67",
        b"\xff\xd8\xff\xdb\0\x04\0\0",
        b"MM\0*",
        b"BM",
    )

    @pytest.mark.parametrize("head", HEADS, ids=lambda head: head[:24].hex())
    def test_rubbish_behind_a_known_head(self, tmp_path: Path, head: bytes) -> None:
        path = tmp_path / "clip.bin"
        for seed in range(3):
            rubbish = np.random.default_rng(seed).integers(0, 256, 20_000, np.uint8)
            rubbish[np.random.default_rng(seed + 9).random(20_000) < 0.3 * seed] = 0
            path.write_bytes(head + rubbish.tobytes())
            begin = time.monotonic()
            assert "clip.bin" in outcome(path)
            assert time.monotonic() - begin < 10

    @pytest.mark.parametrize("one", DRAWN, ids=lambda one: f"{one.name}-{one.size[1]}")
    def test_spoiled_files_give_frames_or_a_named_error(self, tmp_path: Path, one: Drawn) -> None:
        path = draw(tmp_path, one)
        data = np.frombuffer(path.read_bytes(), np.uint8)
        for seed in range(3):
            random = np.random.default_rng(seed)
            spoiled = data.copy()
            spoiled[random.integers(0, min(len(data), (300, 3000, 1 << 30)[seed]), 20)] = random.integers(0, 256, 20)
            path.write_bytes(spoiled.tobytes())
            begin = time.monotonic()
            assert one.name in outcome(path)
            assert time.monotonic() - begin < 10

    @pytest.mark.parametrize("one", DRAWN, ids=lambda one: f"{one.name}-{one.size[1]}")
    def test_the_limits_hold_for_every_container(self, tmp_path: Path, one: Drawn) -> None:
        path = draw(tmp_path, one)
        width, height = one.size
        for limits, name in (
            (Limits(max_bytes=100), "max_bytes"),
            (Limits(max_width=width - 1), "max_width"),
            (Limits(max_height=height - 1), "max_height"),
            (Limits(max_frames=4), "max_frames"),
        ):
            with pytest.raises(LimitExceeded, match=name):
                _ = open_video(path, limits=limits).num_frames

    def test_a_search_without_an_end_is_given_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(videoseg_r1.video.container, "_OPENING_TIMEOUT_S", 0.1)
        head = b"\x78\0\x05\x5f\0\0\x0f\xa0\0\0\x0c\x01\0"
        data = zlib.compress(head + bytes(200 << 20), 1)
        (tmp_path / "a.swf").write_bytes(b"CWS\x06" + struct.pack("<I", 200 << 20) + data)
        begin = time.monotonic()
        with pytest.raises(CorruptVideo, match=r"within 0\.1 seconds"):
            open_video(tmp_path / "a.swf")
        assert time.monotonic() - begin < 3

    def test_bombs_are_refused_by_their_headers(self, tmp_path: Path) -> None:
        Image.fromarray(number_frame(0)).save(tmp_path / "a.avif")
        small = struct.pack(">II", 64, 48)
        changed(tmp_path / "a.avif", (small, struct.pack(">II", 60_000, 60_000)))
        changed(draw_heic(tmp_path / "a.heic", number_frame(0)), (small, struct.pack(">II", 60_000, 60_000)))
        (tmp_path / "a.y4m").write_bytes(b"YUV4MPEG2 W60000 H60000 F25:1 C420\nFRAME\n" + bytes(5000))
        for name in ("a.avif", "a.heic", "a.y4m"):
            with pytest.raises((LimitExceeded, CorruptVideo), match=name):
                open_video(tmp_path / name)


@pytest.mark.parametrize("head", TestHostile.HEADS, ids=lambda head: head[:24].hex())
def test_every_head_of_these_tests_is_known(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a").write_bytes(head + bytes(300))
    assert sniff(tmp_path / "a")
