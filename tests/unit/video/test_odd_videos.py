"""Every entry of shared/data/odd_videos behaves as its manifest says."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.places import SHARED_DATA
from videoseg_r1.errors import CorruptVideo, InputError, NoVideoStream, ShapeMismatch, UnsupportedSource
from videoseg_r1.types import RgbImage
from videoseg_r1.video import open_video

MANIFEST = SHARED_DATA / "odd_videos/manifest.json"
ENTRIES: list[dict[str, Any]] = json.loads(MANIFEST.read_text())["files"] if MANIFEST.is_file() else []
REFUSED = {
    "audio_only.m4a": (NoVideoStream, "audio"),
    "zero_byte.mp4": (CorruptVideo, "0 bytes"),
    "truncated_moov_lost.mp4": (CorruptVideo, "cut short"),
    "text_renamed.mp4": (UnsupportedSource, "plain text"),
    "frames_mixed_sizes/": (ShapeMismatch, "00001.jpg"),
}
DAMAGED = ("truncated_faststart_half.mp4", "garbage_middle.mp4")
WHOLE = [entry for entry in ENTRIES if entry["file"] not in REFUSED and entry["file"] not in DAMAGED]
ALPHA = ("alpha_vp9.webm", "alpha_qtrle.mov")
NOTES = {"interlaced.mp4": "interlaced"} | dict.fromkeys(ALPHA, "transparency is flattened on white")


def named(entries: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize(
        "entry", entries or [pytest.param({}, marks=pytest.mark.skip("shared/data is not here"))], ids=lambda e: e.get("file", "-")
    )


def luma(rgb: RgbImage) -> np.ndarray:
    return rgb @ np.array([0.299, 0.587, 0.114])


def quadrants(rgb: RgbImage) -> list[float]:
    grey, (height, width) = luma(rgb), rgb.shape[:2]
    top, left = height // 2, width // 2
    return [float(part.mean()) for part in (grey[:top, :left], grey[:top, left:], grey[top:, :left], grey[top:, left:])]


def psnr_to_source(rgb: RgbImage, index: int, source: dict[str, Any], shared_data: Path, *, alpha: bool = False) -> float:
    number = source["frames"][index]
    path = shared_data / "davis16_dev/JPEGImages/480p" / source["sequence"] / f"{number:05}.jpg"
    with Image.open(path) as image:
        wanted = np.asarray(image.resize(tuple(source["scaled_to"]), Image.Resampling.BOX), float)
    if alpha:  # the true mask, as the file was made with
        with Image.open(shared_data / "davis16_dev/Annotations/480p" / source["sequence"] / f"{number:05}.png") as image:
            mask = np.asarray(image.convert("L").resize(tuple(source["scaled_to"]), Image.Resampling.BOX), float)[..., None] / 255
        wanted = wanted * mask + 255 * (1 - mask)
    return float(10 * np.log10(255**2 / np.mean((rgb - wanted) ** 2)))


def test_the_manifest_is_the_one_these_tests_were_written_for(shared_data: Path) -> None:
    assert len(ENTRIES) == 33
    assert {*REFUSED, *DAMAGED} <= {entry["file"] for entry in ENTRIES}


@named(WHOLE)
def test_it_is_read_as_the_manifest_says(entry: dict[str, Any], shared_data: Path) -> None:
    with open_video(shared_data / "odd_videos" / entry["file"]) as video:
        frames = list(video)
        info = video.info
        assert video.num_frames == len(frames) == entry["frames"]
        assert (info.width, info.height) == (entry["width"], entry["height"])
        assert {frame.rgb.shape for frame in frames} == {(entry["height"], entry["width"], 3)}
        assert [frame.pts_s for frame in frames] == list(video.times)
    if entry["fps"] is None:
        assert info.fps is None
    else:
        assert info.fps == pytest.approx(entry["fps"], rel=1e-3)
    if "first_frame_quadrant_luma" in entry and entry["file"] not in ALPHA:  # the manifest counts the hidden colours
        assert quadrants(frames[0].rgb) == pytest.approx(entry["first_frame_quadrant_luma"], abs=1.0)
    if "timestamps_s" in entry:
        assert video_times(frames) == pytest.approx(entry["timestamps_s"], abs=1e-4)
    if "names" in entry:
        assert list(info.frame_names) == entry["names"]
    assert [note for note in info.notes if NOTES.get(entry["file"], "?") in note] == list(info.notes)
    assert len(info.notes) == (entry["file"] in NOTES)


def video_times(frames: list[Any]) -> list[float]:
    return [frame.pts_s for frame in frames]


@named([entry for entry in WHOLE if "psnr_to_source_min" in entry])
def test_the_pictures_are_those_they_were_made_from(entry: dict[str, Any], shared_data: Path) -> None:
    picked = sorted({0, entry["frames"] // 2, entry["frames"] - 1})
    with open_video(shared_data / "odd_videos" / entry["file"]) as video:
        alpha = entry["file"] in ALPHA
        scores = [psnr_to_source(frame.rgb, frame.index, entry["source"], shared_data, alpha=alpha) for frame in video.read(picked)]
    assert min(scores) >= entry["psnr_to_source_min"] - 0.5


@named(WHOLE)
def test_random_access_and_reverse_equal_a_pass_from_the_start(entry: dict[str, Any], shared_data: Path) -> None:
    with open_video(shared_data / "odd_videos" / entry["file"]) as video:
        frames = list(video)
        order = [*np.random.default_rng(0).permutation(len(frames)).tolist(), 0, 0, len(frames) - 1]
        backwards = list(video.frames(reverse=True))
    with open_video(shared_data / "odd_videos" / entry["file"]) as video:
        one_by_one = [video.read([index])[0] for index in order]
    assert frames
    for index, frame in zip(order, one_by_one, strict=True):
        assert frame.index == index
        np.testing.assert_array_equal(frame.rgb, frames[index].rgb)
    for frame, other in zip(backwards, reversed(frames), strict=True):
        assert (frame.index, frame.pts_s) == (other.index, other.pts_s)
        np.testing.assert_array_equal(frame.rgb, other.rgb)


@named([entry for entry in ENTRIES if entry["file"] in REFUSED])
def test_it_is_refused_at_once_with_a_reason(entry: dict[str, Any], shared_data: Path) -> None:
    kind, words = REFUSED[entry["file"]]
    begin = time.monotonic()
    with pytest.raises(InputError) as caught:
        open_video(shared_data / "odd_videos" / entry["file"])
    assert time.monotonic() - begin < 5
    assert type(caught.value) is kind
    assert entry["file"].rstrip("/") in str(caught.value)
    assert words in str(caught.value)


@named([entry for entry in ENTRIES if entry["file"] in DAMAGED])
def test_damage_is_an_error_that_counts(entry: dict[str, Any], shared_data: Path) -> None:
    low, high = entry["frames_range"]
    with open_video(shared_data / "odd_videos" / entry["file"]) as video:
        yielded = []
        with pytest.raises(CorruptVideo) as caught:
            yielded.extend(video)
        with pytest.raises(CorruptVideo):
            _ = video.num_frames
    error = caught.value
    assert low <= error.decoded <= high
    assert error.expected == entry["declared_frames"]
    assert entry["file"] in str(error)
    assert "keep-prefix" in str(error)


@named([entry for entry in ENTRIES if entry["file"] in DAMAGED])
def test_the_good_prefix_can_be_kept(entry: dict[str, Any], shared_data: Path) -> None:
    low, high = entry["frames_range"]
    with open_video(shared_data / "odd_videos" / entry["file"], on_corrupt="keep-prefix") as video:
        assert low <= video.num_frames <= high
        frames = list(video)
        assert len(frames) == video.num_frames == len(list(video.frames(reverse=True)))
        last = video.read([video.num_frames - 1])[0]
        assert any("damaged" in note and f"{video.num_frames} of {entry['declared_frames']}" in note for note in video.info.notes)
    np.testing.assert_array_equal(last.rgb, frames[-1].rgb)
    scores = [psnr_to_source(frame.rgb, frame.index, entry["source"], shared_data) for frame in frames]
    assert min(scores) >= entry["psnr_to_source_min"] - 0.5
