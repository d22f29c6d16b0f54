"""What one run made of a frame serves the other, in bounded memory."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from videoseg_r1.stages.propagation.both_ways import BothWays, Tracked
from videoseg_r1.stages.propagation.frame_memo import FrameMemo
from videoseg_r1.types import BoolMask, Given, RgbImage
from videoseg_r1.video import open_video

_FRAMES = np.broadcast_to(np.arange(10, dtype=np.uint8)[:, None, None, None], (10, 20, 30, 3)).copy()
_SEED = np.zeros((1, 20, 30), bool)
_SEED[0, 5:15, 5:15] = True


class Describing:
    """Keeps its masks where they are, and makes something of every frame: its grey value."""

    def __init__(self, made: Counter[int], num_bytes: int) -> None:
        self.made, self.num_bytes = made, num_bytes
        self.masks: BoolMask | None = None

    def share(self, memo: FrameMemo) -> None:
        self.memo = memo

    def step(self, rgb: RgbImage, given: Given | None = None, search: object = None) -> Tracked:
        def make() -> int:
            self.made[int(rgb[0, 0, 0])] += 1
            return int(rgb[0, 0, 0])

        assert self.memo.recall(make, lambda _: self.num_bytes) == rgb[0, 0, 0]
        self.masks = self.masks if given is None else given.masks
        assert self.masks is not None
        return Tracked(self.masks, (0.9,))


def _made(seeds: list[int], num_bytes: int = 1) -> list[int]:
    """Return how often something was made of each frame."""
    made = Counter[int]()
    with open_video(_FRAMES) as video:
        assert len(list(BothWays(lambda: Describing(made, num_bytes)).run(video, dict.fromkeys(seeds, _SEED)))) == 10
    return [made[index] for index in range(10)]


@pytest.mark.parametrize("seeds", [[0], [9], [4], [2, 7], [0, 9], [0, 3, 6]])
def test_what_was_made_of_a_frame_is_not_made_again(seeds: list[int]) -> None:
    assert _made(seeds) == [1] * 10


def test_without_room_it_is_made_for_each_run() -> None:
    assert _made([2, 7], num_bytes=2**28 + 1) == [1, 1, 2, 2, 2, 2, 2, 2, 1, 1]


def test_with_a_little_room_the_frames_that_come_next_are_kept() -> None:
    assert _made([2, 7], num_bytes=2**27) == [1, 1, 2, 2, 2, 2, 1, 1, 1, 1]


def test_only_frames_that_both_runs_pass_are_kept() -> None:
    memo = FrameMemo(range(2, 5))
    for index in range(8):
        memo.turn_to(index)
        memo.recall(lambda index=index: index, lambda _: 1)
    assert sorted(memo._kept) == [2, 3, 4]
