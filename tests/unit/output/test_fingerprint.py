"""A trace knows its video: the same frames in any container, and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.pictures import painted
from videoseg_r1.errors import InvalidDocument
from videoseg_r1.output.fingerprint import Fingerprint, WitnessedVideo
from videoseg_r1.output.trace import TracedVideo, check_same_video
from videoseg_r1.types import RgbImage
from videoseg_r1.video import open_video


def scene(num_frames: int = 9, width: int = 64, height: int = 48) -> RgbImage:
    """A square that moves over a ground of its own."""
    rows, columns = np.mgrid[:height, :width]
    ground = np.stack([90 + 50 * np.sin(columns / 9), 120 + 40 * np.cos(rows / 7), 100 + rows], -1).astype(np.uint8)
    frames = np.repeat(ground[None], num_frames, 0)
    for index, frame in enumerate(frames):
        frame[10:26, 2 + 3 * index : 18 + 3 * index] = (230, 60, 40)
    return frames


def traced(frames: RgbImage) -> TracedVideo:
    with WitnessedVideo(open_video(frames)) as video:
        return TracedVideo("race.mp4", len(frames), (frames.shape[2], frames.shape[1]), str(video.fingerprint()))


def check(made_from: TracedVideo, frames: RgbImage) -> str:
    with open_video(frames) as video:
        return check_same_video(made_from, video)


def test_the_same_frames_are_the_same_in_any_container(tmp_path: Path, encode_video) -> None:
    mp4 = encode_video("a.mp4", scene())
    with WitnessedVideo(open_video(mp4)) as video:
        frames = np.stack([frame.rgb for frame in video])
        made_from = TracedVideo("a.mp4", 9, (64, 48), str(video.fingerprint()))
    (tmp_path / "frames").mkdir()
    for index, rgb in enumerate(frames):
        Image.fromarray(rgb).save(tmp_path / "frames" / f"{index}.png")
    for source in (mp4, encode_video("b.mkv", scene()), tmp_path / "frames", frames, iter(frames)):
        with open_video(source) as video:
            assert check_same_video(made_from, video) == ""


def mirrored(frames: RgbImage) -> RgbImage:
    return frames[:, :, ::-1].copy()


def later(frames: RgbImage) -> RgbImage:
    return np.concatenate([frames[1:], frames[-1:]])


def with_logo(frames: RgbImage) -> RgbImage:
    changed = frames.copy()
    changed[4, 40:46, 50:60] = 255
    return changed


def recolored(frames: RgbImage) -> RgbImage:
    return frames[..., ::-1].copy()


@pytest.mark.parametrize(("change", "first"), [(mirrored, 0), (later, 0), (with_logo, 4), (recolored, 0)])
def test_other_frames_of_the_same_size_and_length_are_refused(change, first: int) -> None:
    made_from = traced(scene())
    with pytest.raises(InvalidDocument, match="another video") as caught:
        check(made_from, change(scene()))
    assert caught.value.why == f"race.mp4 was segmented, with 9 frames of 64 x 48; its frame {first} shows another picture"
    assert caught.value.where == "array of 9 frames"


@pytest.mark.parametrize(("frames", "words"), [(scene(8), "8 frames of 64 x 48"), (scene(9, 62), "9 frames of 62 x 48")])
def test_another_size_or_length_is_told_in_words(frames: RgbImage, words: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        check(traced(scene()), frames)
    assert caught.value.why == f"race.mp4 was segmented, with 9 frames of 64 x 48; it has {words}"


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32))
def test_rounding_is_forgiven_and_more_is_not(num_frames: int, width: int, height: int, seed: int) -> None:
    frames = np.random.default_rng(seed).integers(2, 253, (num_frames, height, width, 3), dtype=np.uint8)
    made_from = traced(frames)
    assert check(made_from, frames) == ""
    assert check(made_from, frames + 1) == ""
    assert check(made_from, frames - 1) == ""
    frames[-1] += 3
    with pytest.raises(InvalidDocument, match=f"frame {num_frames - 1} "):
        check(made_from, frames)


def test_a_run_without_a_fingerprint_is_taken_and_said_so() -> None:
    made_from = replace(traced(scene()), fingerprint="")
    assert "only length and size were compared" in check(made_from, mirrored(scene()))


@pytest.mark.parametrize("text", ["x", "AAAA", "é", "AAAA" * 20_000])
def test_what_is_no_fingerprint_is_named(text: str) -> None:
    with pytest.raises(InvalidDocument, match=r"a\.json: video\.fingerprint"):
        Fingerprint.parse(text, 9, (64, 48), "a.json: video.fingerprint")


def test_frames_that_passed_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = open_video(painted(20))
    with WitnessedVideo(inner) as video:
        assert video.num_frames == 20
        for _ in video.frames(4):
            pass
        wanted: list[list[int]] = []
        read = inner.read
        monkeypatch.setattr(inner, "read", lambda indices: wanted.append(list(indices)) or read(indices))
        text = str(video.fingerprint())
        assert [index for indices in wanted for index in indices] == [0]
    assert text == traced(painted(20)).fingerprint
