"""What is noticed while masks are carried: cuts, losses, returns and drift; and what is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.shapes import square
from videoseg_r1.stages.propagation.watch import Watch, with_cuts
from videoseg_r1.types import Frame
from videoseg_r1.video import open_video

_SIZE = (72, 128)


def _scene(seed, tint=(1.0, 1.0, 1.0)):
    """A picture of smooth blobs, as film is: neighbouring pixels are alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (9, 16, 3)).astype(np.float32)
    full = np.kron(coarse, np.ones((16, 16, 1), np.float32))
    return np.clip(full * tint, 0, 255).astype(np.uint8)


def _pan(scene, step, count):
    """A camera that moves to the right by `step` pixels a frame."""
    return [scene[: _SIZE[0], t * step : t * step + _SIZE[1]] for t in range(count)]


def _object(x=40, y=20, side=20):
    return square(_SIZE[::-1], x, y, side)[None]


def _watch(frames, masks, confidence=None, direction="forwards", given=()):
    """Return (kind, frame, object) of every event; the frame visited first is a given one."""
    watch, events = Watch(direction), []
    order = list(range(len(frames)))[:: 1 if direction == "forwards" else -1]
    for frame, cut in with_cuts((Frame(t, 0.0, frames[t]) for t in order), direction):
        t = frame.index
        sure = (1.0 if confidence is None else confidence[t],)
        events += [] if cut is None else [cut]
        events += watch.observe(t, masks[t], sure, given=t in (order[0], *given), after_cut=cut is not None)
    return [(event.kind, event.frame_index, event.object_index) for event in events]


@pytest.mark.parametrize("direction", ["forwards", "backwards"])
def test_a_cut_is_dated_by_the_first_frame_after_it_whichever_way_time_runs(direction):
    frames = _pan(_scene(1, (1, 0.4, 0.3)), 2, 8) + _pan(_scene(2, (0.3, 0.6, 1)), 2, 8)
    assert _watch(frames, [_object()] * 16, direction=direction) == [("cut", 8, None)]


@pytest.mark.parametrize("step", [0, 4, 12])
def test_a_pan_is_no_cut(step):
    assert _watch(_pan(_scene(3), step, 10), [_object()] * 10) == []


def test_a_flash_of_light_is_no_cut():
    frames = _pan(_scene(3), 1, 10)
    frames[5] = np.clip(frames[5].astype(int) + 60, 0, 255).astype(np.uint8)
    assert _watch(frames, [_object()] * 10) == []


@pytest.mark.parametrize("name", ["breakdance", "camel", "dog", "soapbox"])
def test_no_cut_is_seen_in_real_clips_that_have_none(shared_data, name):
    with open_video(shared_data / "davis16_dev/JPEGImages/480p" / name) as video:
        cuts = [cut for _, cut in with_cuts(video.frames(0, 40), "forwards")]
    assert cuts == [None] * 40


def test_a_lost_object_and_its_return_are_told_once_each():
    gone = np.zeros((1, *_SIZE), bool)
    masks = [_object(), _object(42), gone, gone, gone, _object(50), _object(52)]
    assert _watch(_pan(_scene(4), 1, 7), masks) == [("lost", 2, 0), ("found", 5, 0)]


def test_a_mask_that_jumps_or_bursts_is_a_drift():
    still = [_object(10)] * 3
    assert _watch(_pan(_scene(4), 1, 4), [*still, _object(100)]) == [("drift", 3, 0)]
    assert _watch(_pan(_scene(4), 1, 4), [*still, _object(10, 5, 60)]) == [("drift", 3, 0)]
    assert _watch(_pan(_scene(4), 1, 4), [*still, _object(22)]) == []


def test_low_confidence_is_a_drift_told_once_in_a_while():
    events = _watch(_pan(_scene(5), 1, 20), [_object()] * 20, confidence=[1.0] * 3 + [0.3] * 17)
    assert events == [("drift", 3, 0), ("drift", 15, 0)]


def test_a_correction_by_the_user_is_no_drift():
    assert _watch(_pan(_scene(5), 1, 4), [_object(10), _object(10), _object(100), _object(100)], given=(2,)) == []


def test_behind_a_cut_an_object_may_be_elsewhere():
    frames = _pan(_scene(1, (1, 0.4, 0.3)), 2, 4) + _pan(_scene(2, (0.3, 0.6, 1)), 2, 4)
    assert _watch(frames, [_object(10)] * 4 + [_object(100)] * 4) == [("cut", 4, None)]
