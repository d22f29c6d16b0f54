"""Whatever is given of whichever objects on whichever frames: every frame once, no two masks overlap, given masks come out as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from videoseg_r1.stages.propagation.both_ways import BothWays, Stepper, Tracked
from videoseg_r1.stages.propagation.flow import FlowStepper
from videoseg_r1.types import BoolMask, Given
from videoseg_r1.video import open_video

_SIZE = (24, 32)


class Guessing:
    """Finds the objects that it knows anywhere or nowhere, by numbers drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._known = np.zeros(0, bool)

    def step(self, rgb: np.ndarray, given: Given | None = None, search: object = None) -> Tracked:
        if given is not None:
            self._known = given.which | given.masks.any((1, 2)) if not len(self._known) else self._known | given.which
        masks = np.stack([self._anywhere() & known for known in self._known])
        masks = Given.of(masks).masks
        sure = self._random.random(len(masks)) * masks.any((1, 2))
        return Tracked(masks, tuple(sure.tolist())).corrected(given)

    def _anywhere(self) -> BoolMask:
        (top, bottom), (left, right) = (np.sort(self._random.integers(0, side + 1, 2)) for side in _SIZE)
        mask = np.zeros(_SIZE, bool)
        mask[top:bottom, left:right] = self._random.random() < 0.8
        return mask


@st.composite
def seeds(draw: st.DrawFn) -> tuple[int, dict[int, Given]]:
    """A number of frames, and of some frames which objects are given there, where, and perhaps as absent."""
    num_frames, num_objects = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    found: dict[int, Given] = {}
    for index in draw(st.lists(st.integers(0, num_frames - 1), min_size=1, max_size=4, unique=True)):
        which = np.array(draw(st.lists(st.booleans(), min_size=num_objects, max_size=num_objects)))
        masks = np.zeros((num_objects, *_SIZE), bool)
        for mask in masks:
            top, left = draw(st.integers(0, _SIZE[0] - 1)), draw(st.integers(0, _SIZE[1] - 1))
            mask[top : top + draw(st.integers(0, 20)), left : left + draw(st.integers(0, 20))] = True
        found[index] = Given(masks, which)
    first = min(found)
    found[first] = Given(found[first].masks, np.ones(num_objects, bool) if draw(st.booleans()) else found[first].which)
    if not any(one.which.any() for one in found.values()):
        found[first] = Given.of(found[first].masks)
    return num_frames, found


@settings(max_examples=60)
@given(drawn=seeds(), seed=st.integers(0, 9), flow=st.booleans(), damaged=st.sets(st.integers(0, 6), max_size=2))
@example(drawn=(1, {0: Given.of(np.ones((2, *_SIZE), bool))}), seed=0, flow=True, damaged=set())
def test_any_pattern_of_given_objects(drawn: tuple[int, dict[int, Given]], seed: int, flow: bool, damaged: set[int]) -> None:
    num_frames, found = drawn
    frames = np.random.default_rng(seed).integers(0, 255, (1, *_SIZE, 3), np.uint8).repeat(num_frames, 0)

    def run() -> dict[int, tuple[BoolMask, tuple[float, ...]]]:
        numbers = iter((seed, seed + 1))

        def new_stepper() -> Stepper:
            return FlowStepper() if flow else Guessing(next(numbers))

        with open_video(frames) as video:
            video._info = replace(video.info, damaged_frames=tuple(sorted(index for index in damaged if index < num_frames)))
            came = list(BothWays(new_stepper).run(video, found))
        assert sorted(one.index for one in came) == list(range(num_frames))
        return {one.index: (one.masks, one.confidence) for one in came}

    result = run()
    ever = np.logical_or.reduce([one.which for one in found.values()])
    for index, (masks, confidence) in result.items():
        assert masks.shape == (len(ever), *_SIZE)
        assert masks.sum(0).max() <= 1
        assert not masks[~ever].any()
        assert all((sure > 0) == mask.any() and 0 <= sure <= 1 for mask, sure in zip(masks, confidence, strict=True))
        if index in found:
            told = Given.of(found[index])
            assert (masks[told.which] == told.masks[told.which]).all()
            assert all(confidence[k] == told.masks[k].any() for k in np.flatnonzero(told.which))
    again = run()
    assert all((masks == again[index][0]).all() and sure == again[index][1] for index, (masks, sure) in result.items())
