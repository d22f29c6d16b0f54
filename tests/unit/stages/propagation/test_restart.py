"""A stepper starts anew from the first and the newest frame, each once."""

from __future__ import annotations

import numpy as np

from videoseg_r1.stages.propagation.restart import RestartFrames


def test_the_first_and_the_newest_frame_are_kept():
    kept = RestartFrames()
    assert not kept
    assert list(kept) == []
    frames = [(np.full((2, 3, 3), value, np.uint8), np.full((1, 2, 3), value > 1)) for value in range(4)]
    for number, (rgb, masks) in enumerate(frames):
        kept.keep(rgb, masks)
        expected = frames[:1] if number == 0 else [frames[0], frames[number]]
        assert kept
        assert [rgb[0, 0, 0] for rgb, _ in kept] == [rgb[0, 0, 0] for rgb, _ in expected]
        assert all(found is there for (_, found), (_, there) in zip(kept, expected, strict=True))
