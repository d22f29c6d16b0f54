"""The tracker behind cuts: objects are found again by how they look, and nothing else is taken for them; what things look like."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.discs import BLUE, GREEN, RED, Disc, film, light_cuts, scene
from helpers.lite_things import CPU
from videoseg_r1.lite.tracking.likeness import describe_thing
from videoseg_r1.lite.tracking.propagator import lite_propagator
from videoseg_r1.metrics import region_similarity
from videoseg_r1.stages.propagation import both_ways
from videoseg_r1.stages.propagation.flow import flow_propagator
from videoseg_r1.video import open_video

_SIZE = (128, 96)


@pytest.fixture(autouse=True)
def _cuts_are_told(monkeypatch):
    """Detection of cuts has its own tests."""
    monkeypatch.setattr(both_ways, "with_cuts", light_cuts)


def _run(propagator, film_of_scenes, seeds):
    frames, masks = film_of_scenes
    with open_video(frames) as video:
        found = {one.index: one for one in propagator.run(video, {index: masks[index] for index in seeds})}
    return [found[index] for index in range(len(frames))]


def _events(found):
    return [(event.kind, event.frame_index, event.object_index) for one in found for event in one.events if event.kind != "drift"]


@pytest.fixture(scope="module")
def shots():
    """Shot, another shot, and the first again, in which the object has moved on."""
    first = scene(1, [Disc(RED, 30, 40, radius=14)], 3, _SIZE)
    other = scene(2, [Disc(BLUE, 32, 42, None, radius=14)], 3, _SIZE)
    return film(first, other, scene(1, [Disc(RED, 80, 60, radius=14)], 3, _SIZE))


def test_an_object_is_absent_in_the_other_shot_and_back_after_it_wherever_it_is(shots):
    found = _run(lite_propagator(CPU), shots, [0])
    assert not any(found[t].masks.any() for t in range(3, 6))
    assert [found[t].confidence for t in range(3, 6)] == [(0.0,)] * 3
    assert np.mean([region_similarity(found[t].masks[0], shots[1][t, 0]) for t in range(6, 9)]) > 0.7
    assert all(0 < found[t].confidence[0] < 1 for t in range(6, 9))
    assert _events(found) == [("cut", 3, None), ("lost", 3, 0), ("cut", 6, None), ("found", 6, 0)]


def test_backwards_from_the_last_shot_it_is_the_same(shots):
    found = _run(lite_propagator(CPU), shots, [8])
    assert not any(found[t].masks.any() for t in range(3, 6))
    assert np.mean([region_similarity(found[t].masks[0], shots[1][t, 0]) for t in range(3)]) > 0.7


def test_of_two_objects_the_one_in_the_new_scene_is_found():
    both = [Disc(RED, 30, 40, 0, radius=14), Disc(GREEN, 90, 50, 1, radius=14)]
    drawn = film(scene(1, both, 3, _SIZE, 2), scene(2, [Disc(GREEN, 40, 50, 1, radius=14)], 3, _SIZE, 2))
    found = _run(lite_propagator(CPU), drawn, [0])
    assert not any(found[t].masks[0].any() for t in range(3, 6))
    assert np.mean([region_similarity(found[t].masks[1], drawn[1][t, 1]) for t in range(3, 6)]) > 0.6


def test_flow_finds_nothing_again(shots):
    found = _run(flow_propagator(), shots, [0])
    assert all(found[t].masks.any() for t in range(3))
    assert not any(found[t].masks.any() or found[t].confidence[0] for t in range(3, 9))
    assert ("lost", 3, 0) in _events(found)


def test_a_given_frame_in_the_new_scene_begins_it(shots):
    found = _run(flow_propagator(), shots, [0, 6])
    assert [bool(one.masks.any()) for one in found] == [True] * 3 + [False] * 3 + [True] * 3


def test_a_thing_is_like_itself_and_less_like_others():
    def look(color, seed):
        frames, masks = scene(seed, [Disc(color, 30, 40, radius=14)], 1, _SIZE)
        return describe_thing(frames[0], masks[0, 0], device=CPU)

    red, again, blue = look(RED, 1), look(RED, 2), look(BLUE, 1)
    assert np.linalg.norm(red) == pytest.approx(1, abs=1e-5)
    assert red @ again > 0.75
    assert red @ again > red @ blue + 0.3


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 2)])
def test_things_of_any_size_can_be_described(size):
    vector = describe_thing(np.full((*size, 3), 90, np.uint8), np.ones(size, bool), device=CPU)
    assert vector.shape == (1536 + 352,)
    assert np.isfinite(vector).all()
