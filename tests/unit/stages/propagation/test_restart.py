"""A stepper starts anew from the first and the newest frame, each once."""

from __future__ import annotations

import numpy as np

from videoseg_r1.stages.propagation.restart import RestartFrames
from videoseg_r1.types import Given


def test_the_first_and_the_newest_frame_are_kept():
    kept = RestartFrames()
    assert not kept
    assert list(kept) == []
    frames = [(np.full((2, 3, 3), value, np.uint8), np.full((1, 2, 3), value > 1)) for value in range(4)]
    for number, (rgb, masks) in enumerate(frames):
        kept.keep(rgb, masks, None)
        expected = frames[:1] if number == 0 else [frames[0], frames[number]]
        assert kept
        assert [rgb[0, 0, 0] for rgb, _ in kept] == [rgb[0, 0, 0] for rgb, _ in expected]
        assert all(found.masks is there for (_, found), (_, there) in zip(kept, expected, strict=True))


def test_an_object_is_known_from_the_frame_in_which_it_is_given_or_seen():
    kept, rgb, nothing = RestartFrames(), np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2, 3), bool)
    seen = nothing.copy()
    seen[0] = True
    kept.keep(rgb, seen, Given(seen, np.array([True, False, False])))
    assert kept.known.tolist() == [True, False, False]
    kept.keep(rgb, nothing, Given(nothing, np.array([False, False, True])))
    kept.keep(rgb, nothing, None)
    assert kept.known.tolist() == [True, False, True]
    assert [given.which.tolist() for _, given in kept] == [[True, False, False], [True, False, True]]
