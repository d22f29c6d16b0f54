"""Drawn scenes: masks are exactly what was painted, where the scene says, in the colours it says, the same every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from videoseg_r1.datasets.sample import samples_of
from videoseg_r1.errors import UsageError
from videoseg_r1.lite.perception.regions import PALETTE, colour_fractions, colour_map
from videoseg_r1.masks import box_of
from videoseg_r1.training.world import Scene, draw_world_sample
from videoseg_r1.training.world.benchmark import rendered_clips
from videoseg_r1.training.world.names import KINDS
from videoseg_r1.training.world.render import RenderedScene
from videoseg_r1.training.world.sprites import PAINTS, silhouette, texture
from videoseg_r1.video import open_video

SMALL = (320, 180)


def scenes(count: int = 12) -> list[Scene]:
    return [replace(draw_world_sample(seed).scene, size=SMALL) for seed in range(count)]


def looks(scene: Scene) -> list[int]:
    return [0, scene.num_frames // 2, scene.num_frames - 1]


def test_masks_are_bool_one_per_thing_and_never_share_a_pixel():
    for scene in scenes():
        for index in looks(scene):
            masks = RenderedScene(scene).masks(index)
            assert (masks.dtype, masks.shape) == (np.bool_, (len(scene.things), 180, 320))
            assert masks.sum(0).max() <= 1


def test_a_thing_in_the_open_fills_its_box_and_a_nearer_one_hides_a_part():
    covered = 0
    for scene in scenes():
        drawn = RenderedScene(scene)
        for index in looks(scene):
            for thing, mask in enumerate(drawn.masks(index)):
                expected = scene.box(thing, index, SMALL)
                if scene.uncovered[thing, index] == 1 and scene.inside[thing, index] > 0.99 and min(expected.width, expected.height) > 4:
                    found = box_of(mask)
                    pairs = zip((found.x1, found.y1, found.x2, found.y2), (expected.x1, expected.y1, expected.x2, expected.y2), strict=True)
                    assert all(abs(a - b) <= 1.01 for a, b in pairs)
                elif 0.2 < scene.uncovered[thing, index] < 0.8:
                    alone = RenderedScene(replace(scene, things=(scene.things[thing],))).masks(index)[0]
                    assert not (mask & ~alone).any()
                    covered += int(mask.sum() < alone.sum())
    assert covered > 5


def test_outside_the_masks_there_is_only_background_and_inside_there_is_none():
    for scene in scenes(5):
        drawn = RenderedScene(scene, seed=3)
        empty = drawn._backdrop
        rgb, masks = drawn.draw(scene.num_frames // 2)
        union = masks.any(0)
        np.testing.assert_array_equal(rgb[~union], empty[~union])
        assert (rgb[union] != empty[union]).any(-1).mean() > 0.99


def test_what_has_left_or_not_come_yet_is_not_drawn():
    gone = 0
    for scene in scenes(40):
        for thing, index in np.argwhere(scene.inside[:, [0, -1]] == 0):
            gone += 1
            assert not RenderedScene(scene).masks([0, scene.num_frames - 1][index])[thing].any()
    assert gone > 5


def test_things_have_the_colours_the_scene_says():
    for seed in range(8):
        sample = draw_world_sample(seed, kind="colour_name")
        scene = replace(sample.scene, size=(640, 360))
        rgb, masks = RenderedScene(scene, seed).draw(sample.pick.target_frame)
        for thing in sample.targets:
            fractions = colour_fractions(colour_map(rgb), masks[thing])
            named = {PALETTE[i] for i in np.argsort(-fractions)[: len(scene.things[thing].colours)]}
            assert named == set(scene.things[thing].colours), (fractions, scene.things[thing].colours)


@pytest.mark.parametrize("name", PALETTE)
def test_every_paint_is_read_as_its_own_colour(name):
    surface = texture(np.random.default_rng(0), (name,))
    assert colour_fractions(colour_map(surface), np.ones((64, 64), bool))[PALETTE.index(name)] > 0.9
    assert len(np.unique(surface.reshape(-1, 3), axis=0)) > 5  # a surface, not a flat area
    assert set(PAINTS) == set(PALETTE)


def test_every_kind_has_a_shape_that_touches_all_sides_and_faces_both_ways():
    shapes = {kind.shape for kind in KINDS}
    right = {shape: silhouette(shape, 60, 40, faces_left=False) for shape in shapes}
    for shape, mask in right.items():
        assert mask.any(0).all()
        assert mask[[0, -1]].any(1).all()
        assert 0.25 < mask.mean() < 0.9
        np.testing.assert_array_equal(silhouette(shape, 60, 40, faces_left=True), mask[:, ::-1])
    assert len({mask.tobytes() for mask in right.values()}) == len(shapes) >= 10


def test_the_same_seed_gives_the_same_pixels_and_another_one_does_not():
    scene = scenes(1)[0]
    first, again, other = (RenderedScene(scene, seed).draw(3)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_given_background_is_stretched_behind_the_things():
    scene = scenes(1)[0]
    photo = np.zeros((30, 40, 3), np.uint8)
    photo[:, 20:] = (10, 200, 90)
    rgb, masks = RenderedScene(scene, background=photo).draw(0)
    free = ~masks.any(0)
    assert (rgb[:, :150][free[:, :150]] == 0).all()
    assert (rgb[:, 170:][free[:, 170:]] == (10, 200, 90)).all()


def test_a_drawn_scene_opens_as_a_video():
    scene = scenes(1)[0]
    drawn = RenderedScene(scene)
    with open_video(drawn) as video:
        assert (video.num_frames, video.info.width, video.info.height) == (scene.num_frames, *SMALL)
        np.testing.assert_array_equal(video.read([5])[0].rgb, drawn.draw(5)[0])


def test_there_is_nothing_to_draw_outside_the_video():
    scene = scenes(1)[0]
    for index in (-1, scene.num_frames):
        with pytest.raises(UsageError, match=f"frame {index}"):
            RenderedScene(scene).draw(index)


def test_rendered_clips_are_a_benchmark_whose_masks_are_those_of_the_targets():
    for seed, sample in enumerate(samples_of(rendered_clips(range(6), "ood"))):
        world = draw_world_sample(seed, "ood")
        assert (sample.query, sample.kind, sample.target_present) == (world.query.text, world.query.kind, bool(world.targets))
        assert len(sample.frame_names) == sample.num_frames == len(sample.scored_frames) == world.scene.num_frames
        frame = sample.expression.best_frame
        expected = RenderedScene(world.scene, seed).masks(frame)[list(world.targets)].any(0)
        np.testing.assert_array_equal(sample.mask(frame), expected)
        assert sample.mask(frame).any() == sample.target_present
        with sample.open() as video:
            assert (video.info.width, video.info.height) == sample.size
