"""Which frames masks are made in: the best one of each part that the segmenter agrees about, and no much worse one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.lite_things import CPU, FRAMES, HEIGHT, WIDTH, scan_of, square_region
from videoseg_r1.lite.perception.perceived_video import PerceivedVideo
from videoseg_r1.lite.perception.seed_frames import best_frames, cue_of, view_quality
from videoseg_r1.lite.perception.tracks import ThingTrack
from videoseg_r1.video import open_video


class Segmenter:
    """Sees the whole box, or the upper part of it in some frames."""

    def __init__(self, shares=None):
        self.shares, self.asked = shares or {}, []

    def segment(self, frame, cues):
        self.asked.append(frame.index)
        masks = np.zeros((len(cues), HEIGHT, WIDTH), bool)
        for mask, cue in zip(masks, cues, strict=True):
            rows = round(30 * self.shares.get(frame.index, 1.0))
            mask[40 : 40 + rows, int(cue.box.x1) : int(cue.box.x2)] = True
        return masks


@pytest.fixture
def seen(monkeypatch):
    """Returns what is chosen of things, given as {frame: confidence}, in two parts of the video."""
    monkeypatch.setattr(PerceivedVideo, "unchanged", lambda self, region, scans: 0.0)

    def chosen(segmenter, *things):
        tracks = [
            ThingTrack({n: square_region(n, left=20 + 60 * k, confidence=value) for n, value in thing.items()}, k + 1)
            for k, thing in enumerate(things)
        ]
        scans = {n: scan_of(*(track.regions[n] for track in tracks if n in track.regions)) for n in range(FRAMES)}
        with open_video(np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8)) as video:
            return best_frames(video, PerceivedVideo(CPU), scans, tracks, [(0, 9), (10, 19)], segmenter)

    return chosen


def test_the_best_view_of_each_part(seen):
    assert list(seen(Segmenter(), {2: 0.8, 5: 0.9, 12: 0.9, 17: 0.85})) == [5, 12]


def test_a_view_that_the_segmenter_sees_otherwise_gives_way_to_the_next(seen):
    segmenter = Segmenter({5: 0.6})
    assert list(seen(segmenter, {2: 0.85, 5: 0.9, 7: 0.5, 12: 0.9})) == [2, 12]
    assert 7 not in segmenter.asked  # the two best alone are tried


def test_a_part_without_a_good_view_has_none(seen):
    assert list(seen(Segmenter(), {5: 0.9, 12: 0.5})) == [5]
    assert list(seen(Segmenter({12: 0.3}), {5: 0.9, 12: 0.9})) == [5]
    assert list(seen(Segmenter(), {5: 0.9})) == [5]


def test_the_only_view_is_taken_as_it_is(seen):
    assert list(seen(Segmenter({5: 0.2}), {5: 0.4})) == [5]


def test_of_several_things_the_one_that_is_seen_worst_counts(seen):
    views = seen(Segmenter(), {2: 0.8, 5: 0.95, 12: 0.9}, {2: 0.8, 5: 0.6, 14: 0.9})
    assert list(views) == [2]  # 12 and 14 show one of the two
    assert [(cue.box.x1, cue.track_id) for cue in views[2]] == [(20, 1), (80, 2)]


def test_better_views_are_larger_clearer_and_whole():
    good = square_region(3)
    assert view_quality(good, 0.5, 0.0) > view_quality(replace(good, area=0.03), 0.5, 0.0)
    assert view_quality(good, 0.5, 0.0) > view_quality(replace(good, cut=True), 0.5, 0.0)
    assert view_quality(good, 0.5, 0.0) > view_quality(good, 0.5, 0.2)
    assert view_quality(good, 0.5, 0.0) > view_quality(replace(good, confidence=0.8), 0.5, 0.0)


def test_a_cue_has_a_point_on_the_thing_and_one_beside_it():
    cue = cue_of(ThingTrack({3: square_region(3)}, 4), 3, (2 * WIDTH, 2 * HEIGHT))
    assert cue.track_id == 4
    assert 40 <= cue.points[0].x < 100
    assert not (40 <= cue.neg_points[0].x < 100 and 80 <= cue.neg_points[0].y < 140)
