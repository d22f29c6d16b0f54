"""Every frame keeps its time, whatever the container, the codec, the order of decoding and the rate; from the source to every output."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.numbered import HEIGHT, WIDTH, encode_numbers, number_of, numbered_mask
from helpers.results import result_of
from videoseg_r1.output.reload import load_masks
from videoseg_r1.output.save import save
from videoseg_r1.output.trace import Trace, TracedVideo
from videoseg_r1.video import open_video
from videoseg_r1.video.timeline import Clock

X264, X265 = {"g": "8"}, {"g": "8", "x265-params": "log-level=none"}
FAST_VPX = {"g": "8", "deadline": "realtime", "cpu-used": "8"}
CONTAINERS = {
    "mp4": {"libx264": X264, "libx265": X265, "mpeg4": {"g": "8"}, "libvpx-vp9": FAST_VPX},
    "mov": {"libx264": X264, "prores_ks": {}},
    "mkv": {"libx264": X264, "libx265": X265, "ffv1": {}, "mpeg2video": {"g": "8"}},
    "webm": {"libvpx-vp9": FAST_VPX, "libvpx": FAST_VPX},
    "ts": {"libx264": X264, "mpeg2video": {"g": "8"}},
    "avi": {"libx264": X264, "mpeg4": {"g": "8"}, "mjpeg": {}, "mpeg2video": {"g": "8"}},
}
B_FRAMES = ("libx264", "libx265", "mpeg4", "mpeg2video")
RATES = (Fraction(25), Fraction(30), Fraction(24), Fraction(50))


class Clip(NamedTuple):
    """How a clip is made: `stamps` in milliseconds, or None for a constant rate."""

    container: str
    codec: str
    options: dict[str, str]
    rate: Fraction
    num_frames: int
    stamps: list[int] | None

    @property
    def times(self) -> list[float]:
        if self.stamps is None:
            return [float(number / self.rate) for number in range(self.num_frames)]
        return [(stamp - self.stamps[0]) / 1000 for stamp in self.stamps]


@st.composite
def clips(draw: st.DrawFn) -> Clip:
    container = draw(st.sampled_from(sorted(CONTAINERS)))
    codec = draw(st.sampled_from(sorted(CONTAINERS[container])))
    options = dict(CONTAINERS[container][codec])
    if codec in B_FRAMES:
        options["bf"] = str(draw(st.integers(0, 3)))
    if codec == "libx264" and draw(st.booleans()):
        options["x264-params"] = "open-gop=1:scenecut=0"
    count = draw(st.integers(2, 20))
    stamps = None
    # AVI has one rate, and MPEG-2 and MPEG-4 write rates of their own into the stream
    if container != "avi" and codec not in ("mpeg2video", "mpeg4", "prores_ks") and draw(st.booleans()):
        gaps = draw(st.lists(st.sampled_from([20, 33, 40, 50, 120, 700]), min_size=count - 1, max_size=count - 1))
        stamps = list(accumulate(gaps, initial=draw(st.sampled_from([0, 40, 5000]))))
    return Clip(container, codec, options, draw(st.sampled_from(RATES)), count, stamps)


def near(times: Sequence[float], wanted: Sequence[float]) -> bool:
    """Whether times agree to the millisecond, which is all that Matroska keeps."""
    return len(times) == len(wanted) and bool(np.allclose(times, wanted, rtol=0, atol=1.01e-3))


@given(clips())
@settings(max_examples=60, deadline=None)
def test_every_frame_is_read_with_its_number_and_its_time(clip: Clip) -> None:
    with TemporaryDirectory() as folder:
        path = encode_numbers(
            Path(folder) / f"clip.{clip.container}", clip.codec, clip.num_frames, rate=clip.rate, options=clip.options, stamps=clip.stamps
        )
        with open_video(path) as video:
            passed = [(number_of(frame.rgb), frame.pts_s) for frame in video]
            assert [number for number, _ in passed] == list(range(clip.num_frames))
            assert near([time_s for _, time_s in passed], clip.times)
            assert video.times == tuple(time_s for _, time_s in passed)
            backwards = [(number_of(frame.rgb), frame.pts_s) for frame in video.frames(reverse=True)]
            assert backwards == passed[::-1]
            order = np.random.default_rng(0).permutation(clip.num_frames).tolist()
            assert [(number_of(video.read([index])[0].rgb), video.pts_s(index)) for index in order] == [passed[index] for index in order]


@pytest.mark.parametrize(
    ("container", "codec", "stamps"),
    [
        ("avi", "libx264", None),
        ("mp4", "libx264", [80, 120, 160, 300, 340, 1000, 1040, 1060]),
        ("ts", "mpeg2video", None),
        ("webm", "libvpx-vp9", [0, 40, 80, 90, 500, 520, 560, 600]),
    ],
)
def test_every_output_shows_every_frame_at_its_time(tmp_path: Path, container: str, codec: str, stamps: list[int] | None) -> None:
    options = CONTAINERS[container][codec] | ({"bf": "2"} if codec in B_FRAMES else {})
    path = encode_numbers(tmp_path / f"clip.{container}", codec, 8, rate=Fraction(25), options=options, stamps=stamps)
    with open_video(path) as video:
        numbers, times, info = [number_of(frame.rgb) for frame in video], video.times, video.info
    trace = Trace("0", "the blocks", "none", 0, TracedVideo(path.name, len(times), (WIDTH, HEIGHT)), None, None)
    masks = {index: numbered_mask(number)[None] for index, number in enumerate(numbers)}
    result = result_of(trace, masks, times=times, info=info, source=path)
    written = save(result, tmp_path / "out", ["overlay", "matte", "cutout", "prores", "png", "rle"])
    for name in ("overlay", "matte", "cutout", "prores"):
        with open_video(written[name], background="black") as video:
            shown = [number_of(frame.rgb) for frame in video]
            assert shown == numbers == list(range(8)), name
            assert near(video.times, times), name
    pictures = sorted(written["png"].iterdir())
    assert [number_of(np.asarray(Image.open(file).convert("L"))[..., None] * np.uint8(99)) for file in pictures] == numbers
    assert [file.stem for file in pictures] == [f"{number:05d}" for number in numbers]
    rle = load_masks(written["rle"])
    assert rle.times == times
    assert [number_of(rle.mask(index)[..., None] * np.uint8(255)) for index in range(8)] == numbers


STAMPS = st.one_of(st.none(), st.integers(-50, 400))


def times_of(stamps: Sequence[int | None]) -> list[float]:
    clock = Clock(Fraction(1, 1000), 0.04)
    return [clock.time_s(stamp, following) for stamp, following in zip(stamps, [*stamps[1:], None], strict=True)]


@given(st.lists(STAMPS, min_size=1, max_size=40))
def test_any_stamps_give_times_that_increase_from_zero(stamps: list[int | None]) -> None:
    times = times_of(stamps)
    assert times[0] == 0
    assert bool((np.diff(times) > 0).all())


@given(st.lists(st.integers(1, 2000), min_size=3, max_size=40), st.integers(-10_000, 10_000), st.data())
def test_a_single_wrong_stamp_moves_no_other_frame(gaps: list[int], first: int, data: st.DataObject) -> None:
    right = list(accumulate(gaps, initial=first))
    place = data.draw(st.integers(1, len(right) - 2))
    off = data.draw(st.integers(0, 100_000))
    wrong = data.draw(st.sampled_from([None, right[place - 1], right[max(0, place - 2)] - off, right[place + 1] + 1 + off]))
    moved = times_of([*right[:place], wrong, *right[place + 1 :]])
    assert np.delete(moved, place).tolist() == np.delete(times_of(right), place).tolist()
    assert times_of(right) == pytest.approx([(stamp - first) / 1000 for stamp in right])


@given(st.integers(2, 30), st.integers(2, 30), st.integers(-5000, 5000))
def test_stamps_that_start_anew_go_on_counting(before: int, after: int, first: int) -> None:
    stamps = [*range(first, first + 40 * before, 40), *range(first, first + 40 * after, 40)]
    assert times_of(stamps) == pytest.approx([0.04 * number for number in range(before + after)])


@given(st.lists(STAMPS, min_size=1, max_size=20))
def test_a_stream_without_times_counts_frames_whatever_the_stamps(stamps: list[int | None]) -> None:
    clock = Clock(Fraction(1, 1000), 0.04, timeless=True)
    assert [clock.time_s(stamp, None) for stamp in stamps] == [number * 0.04 for number in range(len(stamps))]
