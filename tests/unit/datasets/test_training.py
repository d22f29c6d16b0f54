"""What is drawn from clips for training: target frames in which all targets are to be seen, and a key segment around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from videoseg_r1.datasets.clip import Clip, Expression, TrueMasks
from videoseg_r1.datasets.training import LEAST_AREA, TrainingSource, draw_training_sample, training_pick
from videoseg_r1.errors import InvalidConfig
from videoseg_r1.stages.sampling.hierarchical import SamplerConfig
from videoseg_r1.video.indices import reference_frames


@dataclass(frozen=True)
class AreaMasks(TrueMasks):
    """Masks of 100 x 100 pixels; object k has as many pixels in a frame as the table says."""

    areas: list[tuple[int, ...]]

    @property
    def size(self) -> tuple[int, int]:
        return 100, 100

    def frames(self, object_ids: Sequence[str]) -> Sequence[int]:
        return range(len(self.areas))

    def read(self, object_ids: Sequence[str], index: int) -> np.ndarray:
        masks = np.zeros((len(object_ids), 100, 100), bool)
        for mask, name in zip(masks, object_ids, strict=True):
            mask.reshape(-1)[: self.areas[index][int(name)]] = True
        return masks


def drawn_source(areas: list[tuple[int, ...]]) -> TrainingSource:
    """A clip of 100 x 100 pixels whose objects have these numbers of pixels in each frame."""

    ids = tuple(str(n) for n in range(len(areas[0])))
    expression = Expression("0", "it", ids)
    names = tuple(f"{n:05d}" for n in range(len(areas)))
    clip = Clip("drawn", "train", "v", names, lambda: pytest.fail("no picture is needed"), (expression,), AreaMasks(areas))
    return TrainingSource(clip, expression)


def test_the_target_frame_shows_all_targets_and_larger_ones_are_drawn_more_often():
    source = drawn_source([(400, 0), (4, 900), (5, 95), (100, 200), (300, 300), (0, 0)])
    rng = np.random.default_rng(0)
    counts = Counter(draw_training_sample(source, rng).pick.target_frame for _ in range(3000))
    assert set(counts) == {2, 3, 4}
    for frame, weight in ((2, 0.1), (3, 0.3), (4, 0.6)):
        assert counts[frame] / 3000 == pytest.approx(weight, abs=0.03)


def test_a_clip_in_which_the_targets_are_never_together_gives_nothing():
    least = round(LEAST_AREA * 100 * 100)
    assert draw_training_sample(drawn_source([(400, least - 1), (0, 900)]), np.random.default_rng(0)) is None
    assert draw_training_sample(drawn_source([(400, least)]), np.random.default_rng(0)) is not None


def test_a_sample_has_the_masks_of_its_target_frame_and_the_same_seed_gives_it_again():
    source = drawn_source([(100 + 10 * n, 50) for n in range(30)])
    sample, again = (draw_training_sample(source, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(sample.masks, source.masks(sample.pick.target_frame))
    assert again.pick == sample.pick


@pytest.mark.parametrize("num_frames", [1, 2, 7, 36, 200])
def test_the_key_segment_is_as_long_as_the_sampler_makes_it_and_holds_the_target(num_frames):
    rng = np.random.default_rng(num_frames)
    config = SamplerConfig(delta=0.4, key_frames=4)
    places = []
    for _ in range(200):
        target = int(rng.integers(num_frames))
        pick = training_pick(rng, num_frames, target, config)
        start, end = pick.segment
        assert 0 <= start <= target <= end < num_frames
        assert end - start + 1 == max(1, round(0.4 * num_frames))
        assert set(pick.key_frames) <= set(range(start, end + 1))
        assert len(pick.key_frames) == min(4, end - start + 1)
        assert pick.reference_frames == reference_frames(num_frames, target)
        middle = training_pick(rng, num_frames, num_frames // 2, config)  # far from the ends of the video
        places.append((num_frames // 2 - middle.segment[0]) / max(1, end - start))
    if num_frames >= 36:
        assert np.std(places) > 0.15  # jittered, not always in the middle
        assert 0.05 < min(places) < max(places) < 0.95


def test_expressions_that_mean_nothing_give_no_sample():
    source = drawn_source([(400,)] * 5)
    absent = replace(source, expression=Expression("1", "nothing", (), "absent"))
    assert absent.areas.shape == (5, 0)
    assert draw_training_sample(absent, np.random.default_rng(0)) is None


def test_a_clip_without_true_masks_cannot_be_trained_on():
    source = drawn_source([(400,)])
    with pytest.raises(InvalidConfig, match="drawn/v"):
        draw_training_sample(replace(source, clip=replace(source.clip, masks=None)), np.random.default_rng(0))
