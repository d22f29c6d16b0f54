"""What is damaged is known by number, and what is done about it is one choice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from av import logging as libav
from PIL import Image

from helpers.damaged import encode_scene, scene
from videoseg_r1.errors import CorruptVideo
from videoseg_r1.video import open_video
from videoseg_r1.video.checksums import damaged_ranges
from videoseg_r1.video.libav_log import LibavErrors
from videoseg_r1.video.nal_units import NalUnits

EncodeVideo = Callable[..., Path]
GOP = 12


def packets_of(path: Path) -> list[tuple[int, int]]:
    """Return (place, size) of the packets in the file, in the order of decoding."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def spoil(path: Path, number: int, count: int = 60) -> Path:
    """Overwrite bytes in the middle of a packet."""
    place, size = packets_of(path)[number]
    data = bytearray(path.read_bytes())
    begin = place + size // 3
    data[begin : begin + min(count, size // 2)] = np.random.default_rng(number).integers(0, 256, min(count, size // 2), np.uint8).tobytes()
    path.write_bytes(data)
    return path


@pytest.fixture
def damaged(encode_video: EncodeVideo) -> Path:
    """A clip of three groups of twelve frames, without B-frames; the first frame of the second group is damaged and made up."""
    path = encode_video("d.mp4", scene(), options={"g": "12", "bf": "0", "x264-params": "scenecut=0"})
    return spoil(path, GOP)


def test_the_error_tells_all_counts_and_every_way_out(damaged: Path) -> None:
    with open_video(damaged) as video:
        seen = []
        with pytest.raises(CorruptVideo) as caught:
            seen.extend(frame.index for frame in video)
        assert seen == list(range(GOP))
        with pytest.raises(CorruptVideo):
            _ = video.num_frames
    error = caught.value
    assert (error.decoded, error.decodable, error.damaged, error.expected) == (12, 36, 12, 36)
    assert {"decoded": 12, "decodable": 36, "damaged": 12}.items() <= error.to_dict().items()
    assert "12 of 36 frames are good, from the first on; 36 can be decoded, 12 of them damaged" in str(error)
    assert "--on-corrupt keep-prefix (on_corrupt='keep-prefix') uses the first 12 frames" in str(error)
    assert "--on-corrupt keep-all (on_corrupt='keep-all') uses all 36, marks the 12 damaged ones" in str(error)


def test_the_good_prefix_ends_before_the_damage(damaged: Path) -> None:
    with open_video(damaged, on_corrupt="keep-prefix") as video:
        assert [frame.index for frame in video] == list(range(GOP))
        assert video.num_frames == len(video.times) == GOP
        assert video.info.damaged_frames == ()
        assert "the first 12 of 36 frames are used" in video.info.notes[0]
        assert [frame.index for frame in video.frames(reverse=True)] == list(range(GOP))[::-1]


def test_all_is_used_and_the_damaged_frames_are_named(damaged: Path) -> None:
    with open_video(damaged, on_corrupt="keep-all") as video:
        frames = [frame.rgb for frame in video]
        assert len(frames) == video.num_frames == 36
        assert video.info.damaged_frames == tuple(range(12, 24))
        assert "12 of 36 frames are damaged: 12 to 23" in video.info.notes[0]
        assert video.times == pytest.approx([index / 24 for index in range(36)])
        order = np.random.default_rng(0).permutation(36).tolist()
        for index in order:
            np.testing.assert_array_equal(video.read([index])[0].rgb, frames[index])


def test_damage_in_the_first_frame_leaves_only_one_way(encode_video: EncodeVideo) -> None:
    path = spoil(encode_video("d.mp4", scene(), options={"g": "60", "bf": "0"}), 0)
    for mode in ("error", "keep-prefix"):
        with pytest.raises(CorruptVideo) as caught:
            list(open_video(path, on_corrupt=mode))  # pyright: ignore[reportArgumentType]
        assert (caught.value.decoded, caught.value.decodable) == (0, 36)
        assert "keep-all" in str(caught.value)
        assert "uses the first" not in str(caught.value)
    with open_video(path, on_corrupt="keep-all") as video:
        assert len(list(video)) == 36
        assert video.info.damaged_frames == tuple(range(36))


@pytest.mark.parametrize("number", range(1, 24, 5))
def test_no_frame_that_differs_is_left_unnamed_with_b_frames(encode_video: EncodeVideo, number: int) -> None:
    path = encode_video("b.mp4", scene(), options={"g": "12", "bf": "3", "x264-params": "scenecut=0:cabac=0"})
    with open_video(path) as video:
        whole = [frame.rgb for frame in video]
    with open_video(spoil(path, number), on_corrupt="keep-all") as video:
        differ = {frame.index for frame in video if not np.array_equal(frame.rgb, whole[frame.index])}
        assert video.num_frames == 36
        assert differ
        assert differ <= set(video.info.damaged_frames) < set(range(36))


def test_where_every_frame_stands_alone_damage_stays_in_one(encode_video: EncodeVideo) -> None:
    path = spoil(encode_video("f.avi", scene(12), codec="ffv1", options={"level": "3", "slicecrc": "1", "g": "1"}), 5, 200)
    with open_video(path, on_corrupt="keep-all") as video:
        assert len(list(video)) == 12
        assert video.info.damaged_frames == (5,)
    with pytest.raises(CorruptVideo, match="5 of 12 frames are good"):
        list(open_video(path))


def test_a_lost_frame_leaves_a_gap_in_time(encode_video: EncodeVideo) -> None:
    path = spoil(encode_video("p.avi", scene(12), codec="png", pix_fmt="rgb24"), 5, 200)
    with pytest.raises(CorruptVideo, match="5 of 12 frames are good, from the first on; 11 can be decoded"):
        list(open_video(path))
    with open_video(path, on_corrupt="keep-all") as video:
        assert video.times == pytest.approx([index / 24 for index in range(12) if index != 5])
        assert video.info.damaged_frames == ()
        assert "1 of 12 frames cannot be decoded" in video.info.notes[0]


def test_strict_decoders_notice_what_others_pass_over_and_lose_no_frame_of_it(tmp_path: Path) -> None:
    path = encode_scene(tmp_path / "a.webm", "vp9")
    place, size = packets_of(path)[20]
    data = bytearray(path.read_bytes())
    data[place + size // 2] ^= 64
    path.write_bytes(data)
    with open_video(path, on_corrupt="keep-all") as video:
        assert video.num_frames == 36
        assert 20 in video.info.damaged_frames
        assert set(video.info.damaged_frames) <= set(range(12, 36))


def test_a_checksum_marks_the_cluster_in_which_no_decoder_noticed_anything(tmp_path: Path) -> None:
    path = encode_scene(tmp_path / "a.mkv", "hevc")
    assert damaged_ranges(path, "matroska") == ()
    data = bytearray(path.read_bytes())
    begin = data.index(b"\x1f\x43\xb6\x75")
    data[begin + 8] ^= 1  # the checksum itself: the pictures are as they were
    path.write_bytes(data)
    (spoiled,) = damaged_ranges(path, "matroska")
    assert begin < spoiled.start < spoiled.stop < len(data)
    with open_video(path, on_corrupt="keep-all") as video:
        assert video.num_frames == len(video.info.damaged_frames) == 36
        assert "checksum" in video.info.notes[0]


def test_a_gap_in_the_middle_of_a_broadcast_is_damage_but_not_its_beginning(encode_video: EncodeVideo) -> None:
    path = encode_video("live.ts", scene(), options={"g": "12", "bf": "2", "x264-params": "open-gop=1:scenecut=0"})
    data, places = path.read_bytes(), [place for place, _ in packets_of(path)]
    late = data[: 3 * 188] + data[places[4] :]
    path.write_bytes(late)
    with open_video(path) as video:
        assert video.num_frames < 36
        assert video.info.notes == ()
    path.write_bytes(data[: places[15]] + data[places[15] + 188 :])
    with pytest.raises(CorruptVideo):
        list(open_video(path))


def test_folders_keep_their_numbers(tmp_path: Path) -> None:
    for index, rgb in enumerate(scene(5)):
        Image.fromarray(rgb).save(tmp_path / f"{index}.png")
    for index in (0, 3):
        (tmp_path / f"{index}.png").write_bytes((tmp_path / f"{index}.png").read_bytes()[:-60])
    with open_video(tmp_path, on_corrupt="keep-all") as video:
        frames = list(video)
        assert video.info.frame_names == ("0", "1", "2", "3", "4")
        assert video.info.damaged_frames == (0, 3)
        assert "2 of 5 frames are damaged: 0, 3" in video.info.notes[0]
    for index, shown in enumerate((1, 1, 2, 2, 4)):
        np.testing.assert_array_equal(frames[index].rgb, scene(5)[shown])


class TestNalUnits:
    @pytest.mark.parametrize(
        ("unit", "broken"),
        [
            (b"\x65\x88\1\2\3", False),
            (b"\x65\0\0\3\0\0\3\1", False),
            (b"\x65\x88\0\0\0", False),  # zeros at the end fill up
            (b"\x65\x88\0\0\0\7", True),
            (b"\x65\0\0\2\7", True),
            (b"\x06\0\0\2\7", False),  # no picture data
        ],
    )
    def test_with_lengths(self, unit: bytes, broken: bool) -> None:
        assert NalUnits("h264", 4).are_broken(len(unit).to_bytes(4, "big") + unit) is broken

    @pytest.mark.parametrize(
        ("packet", "broken"), [(b"\0\0\0\1\x65\x88\0\0\0\1\x41\7\0\0", False), (b"\0\0\1\x65\0\0\0\0\7", True), (b"\0\0\1\x65\0\0\2", True)]
    )
    def test_with_start_codes(self, packet: bytes, broken: bool) -> None:
        assert NalUnits("h264", 0).are_broken(packet) is broken


class TestLibavErrors:
    def test_only_errors_of_the_calls_that_are_listened_to_count(self) -> None:
        errors = LibavErrors(own_thread=True)
        libav.log(libav.ERROR, "test", "before")
        with errors:
            for _ in range(2):  # alike ones too
                libav.log(libav.ERROR, "test", "inside")
            libav.log(libav.WARNING, "test", "no error")
        assert errors.count == 2
        with errors:
            pass
        assert errors.count == 0
        assert libav.get_level() is None
        assert libav.get_skip_repeated()

    def test_what_other_threads_say_counts_only_when_asked_for(self, caplog: pytest.LogCaptureFixture) -> None:
        counts = []
        for own_thread in (True, False):
            with LibavErrors(own_thread=own_thread) as errors:
                other = threading.Thread(target=libav.log, args=(libav.ERROR, "test", "elsewhere"))
                other.start()
                other.join()
            counts.append(errors.count)
        assert counts == [0, 1]
        assert caplog.text == ""


def test_joined_recordings_are_whole_and_go_on_counting(encode_video: EncodeVideo) -> None:
    path = encode_video("live.ts", scene(30), options={"g": "12", "bf": "2"})
    path.write_bytes(path.read_bytes() * 2)
    with open_video(path) as video:
        assert video.num_frames == 60
        assert video.times == pytest.approx([index / 24 for index in range(60)], abs=1e-3)
        assert video.info.notes == ()
