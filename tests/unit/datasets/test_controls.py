"""Mosaics and shuffled text, over clips drawn here and over the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.drawn_davis import HEIGHT, LENGTHS, WIDTH, by_name, draw_davis, gold_mask, load
from videoseg_r1.datasets.controls import mosaic, shuffle_text
from videoseg_r1.errors import InputError, InvalidConfig, UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return draw_davis(tmp_path)


# ---- mosaics ----


def test_a_mosaic_shows_the_next_clip_and_takes_sides_in_turn(root: Path) -> None:
    joined = mosaic(load(root))
    assert len(joined) == 16
    assert [(s.video_id, s.expression_id) for s in joined[:4]] == [
        ("ant+bee", "ant-0"),
        ("bee+ant", "ant-1"),
        ("ant+bee", "ant-2"),
        ("bee+ant", "ant-3"),
    ]
    assert {s.video_id for s in joined if s.shown[0] == "doe"} == {"doe+ant", "ant+doe"}
    assert len({(s.video_id, s.expression_id) for s in joined}) == 16
    assert [s.query for s in joined] == [s.query for s in load(root)]


def test_only_the_own_half_of_a_mosaic_is_true(root: Path) -> None:
    joined = by_name(mosaic(load(root)))
    left, right, absent = joined["ant+bee/ant-0"], joined["bee+ant/ant-1"], joined["bee+ant/ant-3"]
    assert left.size == (2 * WIDTH, HEIGHT)
    np.testing.assert_array_equal(left.mask(3)[:, :WIDTH], gold_mask("ant", 3))
    assert not left.mask(3)[:, WIDTH:].any()
    np.testing.assert_array_equal(right.mask(3)[:, WIDTH:], gold_mask("ant", 3))
    assert not right.mask(3)[:, :WIDTH].any()
    assert not absent.mask(0).any()
    assert left.truth_key == joined["ant+bee/ant-2"].truth_key != right.truth_key


def test_a_mosaic_plays_to_the_shorter_clip(root: Path) -> None:
    sample = by_name(mosaic(load(root)))["bee+cow/bee-0"]
    assert (sample.num_frames, len(sample.frame_names), sample.expression.best_frame) == (5, 5, None)
    with sample.open() as video:
        assert (video.info.width, video.info.height, video.num_frames) == (2 * WIDTH, HEIGHT, 5)
        frames = list(video)
    assert [frame.index for frame in frames] == list(range(5))
    assert round(frames[2].rgb[:, : WIDTH - 4].mean()) == pytest.approx(50, abs=1)
    assert round(frames[2].rgb[:, WIDTH + 4 :].mean()) == pytest.approx(90, abs=1)


def test_a_mosaic_reads_by_index_and_backwards_like_forwards(root: Path) -> None:
    with by_name(mosaic(load(root)))["ant+bee/ant-0"].open() as video:
        forward = list(video)
        for frame, again in zip(forward[::-1], video.frames(reverse=True), strict=True):
            np.testing.assert_array_equal(frame.rgb, again.rgb)
        for index, frame in zip((3, 0, 3), video.read([3, 0, 3]), strict=True):
            assert frame.index == index
            np.testing.assert_array_equal(frame.rgb, forward[index].rgb)
        assert [frame.index for frame in video.frames(1, 3)] == [1, 2]
        assert len(list(video.frames(2, 99))) == 2
        assert list(video.frames(9)) == []


def test_closing_a_mosaic_closes_both_clips(root: Path) -> None:
    video = mosaic(load(root))[0].open()
    halves = video._videos
    video.close()
    for closed in (video, *halves):
        with pytest.raises(UsageError, match="closed"):
            closed.read([0])


def test_three_clips_in_a_row(root: Path) -> None:
    joined = mosaic(load(root), 3)
    assert [s.video_id for s in joined[:4]] == ["ant+bee+cow", "bee+ant+cow", "bee+cow+ant", "ant+bee+cow"]
    sample = joined[2]
    np.testing.assert_array_equal(sample.mask(1)[:, 2 * WIDTH :], gold_mask("ant", 1))
    assert sample.mask(1).sum() == gold_mask("ant", 1).sum()


@pytest.mark.parametrize("num_clips", [0, 1, 5])
def test_impossible_numbers_of_clips_are_refused(root: Path, num_clips: int) -> None:
    with pytest.raises(InvalidConfig, match="at least two"):
        mosaic(load(root), num_clips)


def test_clips_of_different_heights_are_refused(root: Path) -> None:
    meta = json.loads((root / "meta_expressions.json").read_text())
    (root / "Annotations" / "480p" / "ant").rename(root / "old_masks")
    (root / "JPEGImages" / "480p" / "ant").rename(root / "old_frames")
    meta["videos"]["ant"] = {"frames": ["0"], "expressions": {"0": {"exp": "x", "obj_id": "1"}}}
    for folder, name in (("JPEGImages", "0.jpg"), ("Annotations", "0.png")):
        (root / folder / "480p" / "ant").mkdir()
        Image.new("L", (WIDTH, HEIGHT + 8)).save(root / folder / "480p" / "ant" / name)
    (root / "meta_expressions.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match="ant: 40"):
        mosaic(load(root))


# ---- shuffled text ----


@pytest.mark.parametrize("seed", range(8))
def test_shuffled_text_comes_from_another_clip_and_the_truth_stays(root: Path, seed: int) -> None:
    samples = load(root)
    shuffled = shuffle_text(samples, seed)
    assert [(s.video_id, s.expression_id) for s in shuffled] == [(s.video_id, s.expression_id) for s in samples if s.target_present]
    givers = {}
    for sample, original in zip(shuffled, [s for s in samples if s.target_present], strict=True):
        giver = sample.query.split()[0]
        assert giver != sample.video_id
        assert sample.query_from.startswith(giver + "/")
        assert (sample.kind, sample.truth_key) == (original.kind, original.truth_key)
        assert sample.query.split()[1] == sample.kind
        givers.setdefault(sample.video_id, set()).add(giver)
    assert all(len(names) == 1 for names in givers.values())
    assert len(set.union(*givers.values())) == len(LENGTHS)
    assert len({s.query for s in shuffled}) == len(shuffled)


def test_shuffling_is_the_same_for_the_same_seed_only(root: Path) -> None:
    samples = load(root)
    queries = {seed: tuple(s.query for s in shuffle_text(samples, seed)) for seed in range(12)}
    assert queries[3] == tuple(s.query for s in shuffle_text(samples, 3))
    assert len(set(queries.values())) > 3


@pytest.mark.parametrize("seed", range(8))
def test_shuffled_text_of_a_mosaic_means_neither_half(root: Path, seed: int) -> None:
    shuffled = shuffle_text(mosaic(load(root)), seed)
    assert len(shuffled) == 12  # the absent ones are left out
    for sample in shuffled:
        assert sample.query.split()[0] not in sample.video_id.split("+")


def test_too_few_clips_cannot_exchange_their_text(root: Path) -> None:
    two = load(root, ["ant", "bee"])
    assert {s.query.split()[0] for s in shuffle_text(two) if s.video_id == "ant"} == {"bee"}
    with pytest.raises(InputError, match="too few clips"):
        shuffle_text(mosaic(two))
    with pytest.raises(InputError, match="too few clips"):
        shuffle_text(load(root, ["ant"]))


# ---- the real clips ----


def test_a_real_mosaic(shared_data: Path) -> None:
    sample = by_name(mosaic(load(shared_data / "davis16_dev")))["dog+car-shadow/car-shadow-1"]
    assert (sample.size, sample.num_frames) == ((1708, 480), 40)
    with sample.open() as video:
        frame = video.read([39])[0]
    assert frame.rgb.shape == (480, 1708, 3)
    own = np.asarray(Image.open(shared_data / "davis16_dev" / "JPEGImages" / "480p" / "car-shadow" / "00039.jpg")).astype(int)
    assert np.abs(frame.rgb[:, 854:].astype(int) - own).mean() < 3
