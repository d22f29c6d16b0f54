"""What is known of open videos: the same whoever asks first, safe with threads, and gone with the video."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep
from weakref import ref

import numpy as np
import pytest

from helpers.lite_things import CPU
from videoseg_r1.lite.perception import perceived_video
from videoseg_r1.lite.perception.perceived_video import Perception
from videoseg_r1.lite.perception.regions import PALETTE
from videoseg_r1.lite.perception.tracks import follow
from videoseg_r1.video import open_video

_NUM_FRAMES, _NUM_THREADS = 12, 6


def _frames(seed):
    """Return frames in which a bright square moves over noise."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(60, 100, (_NUM_FRAMES, 64, 96, 3), np.uint8)
    for index, frame in enumerate(frames):
        frame[20:40, 10 + 4 * index : 30 + 4 * index] = 230
    return frames


@pytest.fixture
def runs(monkeypatch):
    """Replaces the networks by a threshold and a flat distribution. Returns the frames that were looked at, by their mean."""
    seen = []

    def saliency(rgb, size):
        seen.append(float(rgb.mean()))
        sleep(0.002)  # so that other threads get between
        return (rgb.mean(2) > 150).astype(np.float32) * 0.9

    monkeypatch.setattr(perceived_video, "load_saliency", lambda device: saliency)
    monkeypatch.setattr(perceived_video, "load_backbone", lambda device: None)
    monkeypatch.setattr(perceived_video, "classify", lambda backbone, rgb, mask, box: np.full(1000, 1e-3, np.float32))
    return seen


def _known(scans, perceived):
    """Return all that is known of the things, in a form that can be compared."""
    return [
        (track.track_id, index, region.box, region.velocity, perceived.unchanged(region, scans), region.mask.tobytes())
        for track in follow(scans)
        for index, region in track.regions.items()
    ]


def _ask(perception, video, indices):
    perceived = perception.of(video)
    scans = perceived.scan(video, indices)
    return _known(scans, perceived)


def test_threads_on_one_video_and_on_two_know_the_same_as_one_thread(runs):
    questions = [list(range(start, _NUM_FRAMES, 2)) for start in (0, 1)] * (_NUM_THREADS // 2)
    with open_video(_frames(0)) as one, open_video(_frames(1)) as other:
        expected = [_ask(Perception(CPU), video, indices) for video in (one, other) for indices in questions]
        runs.clear()
        shared, start = Perception(CPU), Barrier(2 * _NUM_THREADS)

        def ask(question):
            start.wait()
            return _ask(shared, *question)

        with ThreadPoolExecutor(2 * _NUM_THREADS) as threads:
            found = list(threads.map(ask, [(video, indices) for video in (one, other) for indices in questions]))
    assert found == expected
    assert all(found)
    assert len(runs) == len(set(runs)) == 2 * _NUM_FRAMES  # each frame was looked at once, whoever asked


def test_what_was_returned_stays_when_other_frames_push_it_out(runs, monkeypatch):
    monkeypatch.setattr(perceived_video, "_MAX_SCANS", 3)
    perception = Perception(CPU)
    with open_video(_frames(0)) as video:
        perceived = perception.of(video)
        scans = perceived.scan(video, range(6))
        perceived.scan(video, range(6, 12))
        assert _known(scans, perceived) == _ask(Perception(CPU), video, range(6))


def test_a_borrowed_view_of_a_video_is_the_same_video(runs):
    perception = Perception(CPU)
    with open_video(_frames(0)) as video, open_video(video) as view:
        assert perception.of(view) is perception.of(video)
        assert Perception(CPU).of(video) is not perception.of(video)


def test_what_is_known_goes_with_the_video(runs):
    perception = Perception(CPU)
    video = open_video(_frames(0))
    known = ref(perception.of(video))
    perception.of(video).scan(video, [0, 5])
    assert known() is not None
    video.close()
    del video
    gc.collect()
    assert known() is None


def test_a_region_is_measured_on_the_grid_of_the_map(runs):
    with open_video(_frames(0)) as video:
        scan = Perception(CPU).of(video).scan(video, [3])[3]
    (region,) = scan.regions
    assert scan.grey.shape == region.mask.shape
    assert region.colours[PALETTE.index("white")] > 0.9
    assert abs(region.box.x1 - 22) <= 1
