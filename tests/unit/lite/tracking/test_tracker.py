"""The stepper and the propagators on drawn videos and on a real clip."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.lite_things import CPU
from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.lite.tracking.propagator import lite_propagator
from videoseg_r1.lite.tracking.tracker import Tracker
from videoseg_r1.masks import read_mask
from videoseg_r1.metrics import region_similarity
from videoseg_r1.stages.propagation.flow import flow_propagator
from videoseg_r1.types import Given
from videoseg_r1.video import open_video

_SIZE = (120, 160)


def _two_discs(num_frames=8):
    """A red and a green disc that move towards the right and downwards over a textured ground; frames, masks (T, 2, H, W)."""
    rng = np.random.default_rng(1)
    ground = rng.integers(60, 120, (*_SIZE, 3), dtype=np.uint8)
    y, x = np.mgrid[: _SIZE[0], : _SIZE[1]]
    frames, masks = [], []
    for t in range(num_frames):
        red = (x - 40 - 4 * t) ** 2 + (y - 40) ** 2 < 18**2
        green = (x - 110) ** 2 + (y - 60 - 3 * t) ** 2 < 15**2
        frame = ground.copy()
        frame[red] = (220, 40, 40)
        frame[green] = (40, 200, 60)
        frames.append(frame)
        masks.append(np.stack([red, green]))
    return np.stack(frames), np.stack(masks)


def _mean_j(found, gold):
    return np.mean([region_similarity(found[t][n], gold[t][n]) for t in range(len(gold)) for n in range(gold.shape[1])])


@pytest.mark.parametrize("start", [0, 4, 7])
def test_objects_are_followed_both_ways_from_any_frame(start):
    frames, gold = _two_discs()
    with open_video(frames) as video:
        found = {one.index: one.masks for one in lite_propagator(CPU).run(video, {start: gold[start]})}
    assert sorted(found) == list(range(len(frames)))
    assert _mean_j(found, gold) > 0.8
    assert not any((masks.sum(0) > 1).any() for masks in found.values())


def test_permuting_the_objects_permutes_the_masks():
    frames, gold = _two_discs(5)
    with open_video(frames) as video:
        same = [one.masks for one in lite_propagator(CPU).run(video, {0: gold[0]})]
        other = [one.masks for one in lite_propagator(CPU).run(video, {0: gold[0][::-1]})]
    assert np.mean([(a == b[::-1]).mean() for a, b in zip(same, other, strict=True)]) > 0.999


def test_flow_baseline_follows_slow_objects():
    frames, gold = _two_discs(5)
    with open_video(frames) as video:
        found = {one.index: one.masks for one in flow_propagator().run(video, {2: gold[2]})}
    assert _mean_j(found, gold[:5]) > 0.7


def test_an_object_that_is_hidden_for_a_while_is_found_again():
    frames, gold = _two_discs(12)
    frames[4:7] = np.random.default_rng(2).integers(60, 120, (3, *frames.shape[1:]), dtype=np.uint8)
    tracker = Tracker(CPU)
    tracker.step(frames[0], Given.of(gold[0]))
    found = [tracker.step(frame).masks for frame in frames[1:]]
    hidden = np.mean([found[t - 1].mean() for t in range(4, 7)])
    after = np.mean([region_similarity(found[t - 1][0], gold[t][0]) for t in range(8, 12)])
    assert hidden < gold[3].mean() / 2
    assert after > 0.6


def test_an_object_that_was_given_as_absent_is_found_when_it_is_back():
    frames, gold = _two_discs(6)
    ground = frames[0][(~gold[0].any(0)) & (np.arange(_SIZE[0]) > 80)[:, None]]
    for t in (2, 3):
        frames[t][gold[t, 0]] = ground[: gold[t, 0].sum()]
    tracker, absent = Tracker(CPU), Given(np.zeros_like(gold[2]), np.array([True, False]))
    given = {0: Given.of(gold[0]), 2: absent}
    found = [tracker.step(frame, given.get(t)).masks for t, frame in enumerate(frames)]
    assert not found[2][0].any()
    assert region_similarity(found[5][0], gold[5][0]) > 0.6
    assert np.mean([region_similarity(found[t][1], gold[t][1]) for t in range(6)]) > 0.8


def test_an_object_that_comes_late_is_followed_from_there_and_to_there():
    frames, gold = _two_discs(5)
    seeds = {0: np.array([True, False]), 3: np.array([False, True])}
    given = {t: Given(gold[t] & which[:, None, None], which) for t, which in seeds.items()}
    with open_video(frames) as video:
        found = {one.index: one.masks for one in lite_propagator(CPU).run(video, given)}
    assert sorted(found) == list(range(len(frames)))
    assert _mean_j(found, gold) > 0.8
    assert not any((masks.sum(0) > 1).any() for masks in found.values())


def test_a_correction_on_the_way_is_taken_over():
    frames, gold = _two_discs(6)
    with open_video(frames) as video:
        found = {one.index: one.masks for one in lite_propagator(CPU).run(video, {0: gold[0], 3: gold[3]})}
    np.testing.assert_array_equal(found[3], gold[3])


@pytest.mark.parametrize("seeds", [{}, {0: np.ones((1, 5, 5), bool)}])
def test_masks_that_do_not_fit_are_refused(seeds):
    with open_video(_two_discs(2)[0]) as video, pytest.raises(InvalidPrompt):
        list(lite_propagator(CPU).run(video, seeds))


def test_the_first_frame_needs_masks():
    with pytest.raises(ValueError, match="masks"):
        Tracker(CPU).step(np.zeros((64, 64, 3), np.uint8))


def test_a_real_clip_beats_optical_flow(shared_data):
    root = shared_data / "davis16_dev"
    gold = [read_mask(path) > 0 for path in sorted((root / "Annotations/480p/dog").glob("*.png"))[:12]]
    with open_video(root / "JPEGImages/480p/dog") as video:
        frames = np.stack([frame.rgb for frame in video.frames(0, 12)])
    scores = {}
    for name, propagator in (("lite", lite_propagator(CPU)), ("flow", flow_propagator())):
        with open_video(frames) as video:
            found = {one.index: one.masks[0] for one in propagator.run(video, {0: gold[0][None]})}
        scores[name] = np.mean([region_similarity(found[t], gold[t]) for t in range(1, 12)])
    assert scores["lite"] > 0.8
    assert scores["lite"] > scores["flow"]
