"""Where scenes end: hard cuts, dissolves, changes through black; and what is none of these."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from helpers.scenes import cuts_of, mixed, pan, places, scene
from videoseg_r1.stages.propagation.cuts import with_cuts
from videoseg_r1.types import Frame
from videoseg_r1.video import open_video

_A, _B, _C = scene(1), scene(2), scene(3)
_BLACK, _WHITE = np.zeros_like(_A), np.full_like(_A, 255)


def _dimmed(picture, *shares):
    return [mixed(picture, _BLACK, 1 - share) for share in shares]


def test_a_cut_is_told_with_the_first_frame_seen_of_the_new_scene_and_dated_by_the_first_after_it_in_the_film():
    film = [_A] * 6 + [_B] * 6
    assert cuts_of(film, first=10) == [(16, 16)]
    assert cuts_of(film, "backwards", first=10) == [(15, 16)]


@pytest.mark.parametrize(("soft", "contrast"), [(1, 1.0), (2, 0.25), (2, 0.1), (4, 1.0)])
def test_a_cut_between_scenes_of_equal_colours_is_noticed(soft, contrast):
    one, other = (mixed(np.full_like(_A, 128), scene(seed, soft=soft), contrast) for seed in (1, 2))
    assert places([one] * 8 + [other] * 8) == [8]


def test_a_cut_between_moving_scenes_is_noticed():
    assert places(pan(scene(4, (200, 54)), 6, 10) + pan(scene(5, (200, 54)), 6, 10)) == [10]


def test_a_grey_film_is_cut_as_well():
    one, other = (np.repeat(picture.mean(2, keepdims=True), 3, 2).astype(np.uint8) for picture in (_A, _B))
    assert places([one] * 5 + [other] * 5) == [5]


def test_several_cuts_are_all_noticed():
    assert places([_A] * 5 + [_B] * 7 + [_C] * 4 + [_A] * 9) == [5, 12, 16]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 40), (320, 8), (15, 15), (64, 48)])
def test_pictures_of_any_size_are_looked_at(size):
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8) for _ in range(2))
    assert places([one] * 5 + [other] * 5) == ([] if size == (1, 1) else [5])


@pytest.mark.parametrize("film", [[], [_A], [_BLACK], [_A, _A], [_WHITE] * 20])
def test_films_of_one_picture_have_no_cut(film):
    assert places(film) == []


def test_a_film_of_two_scenes_of_one_frame_has_a_cut():
    assert places([_A, _B]) == [1]


@pytest.mark.parametrize("step", [1, 4, 9])
def test_a_pan_is_no_cut(step):
    assert places(pan(scene(6, (300, 54)), step, 20)) == []


@pytest.mark.parametrize("factor", [1.02, 1.08])
def test_a_zoom_is_no_cut(factor):
    views = [cv2.warpAffine(_A, cv2.getRotationMatrix2D((64, 36), 0, factor**t), (128, 72)) for t in range(16)]
    assert places(views) == []


def test_noise_is_no_cut():
    rng = np.random.default_rng(0)
    assert places([np.clip(_A + rng.normal(0, 20, _A.shape), 0, 255).astype(np.uint8) for _ in range(12)]) == []


def test_a_large_thing_that_crosses_the_picture_is_no_cut():
    film = pan(scene(6, (300, 54)), 1, 24)
    for t, picture in enumerate(film):
        picture[5:50, max(8 * t - 60, 0) : max(8 * t, 0)] = (200, 40, 40)
    assert places(film) == []


def test_a_thing_that_jumps_on_plain_ground_is_no_cut():
    film = [np.full_like(_A, 90) for _ in range(10)]
    for t, picture in enumerate(film):
        picture[20:40, 12 * (t * 5 % 9) : 12 * (t * 5 % 9) + 20] = (200, 40, 40)
    assert places(film) == []


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("light", ["white", "black", "bright middle", "another picture"])
def test_what_lasts_for_three_frames_or_less_is_a_flash_and_no_cut(light, length):
    lit = {"white": _WHITE, "black": _BLACK, "bright middle": _A.copy(), "another picture": _B}[light]
    if light == "bright middle":
        cv2.circle(lit, (64, 36), 30, (255, 255, 255), -1)
    assert places([_A] * 9 + [lit] * length + [_A] * 9) == []


def test_a_strobe_is_no_cut():
    assert places([_A, _B] * 5) == []
    assert places([_A, _A, _WHITE, _WHITE] * 3) == []


def test_a_flash_does_not_hide_a_cut():
    assert places([_A] * 8 + [_WHITE] * 2 + [_B] * 8) == [10]


def test_a_film_that_turns_black_or_comes_out_of_black_is_cut_there():
    assert places([_A] * 6 + [_BLACK] * 20) == [6]
    assert cuts_of([_A] * 6 + [_BLACK] * 20) == [(18, 6)]
    assert places([_BLACK] * 20 + [_A] * 6) == [20]
    assert places([_A] * 6 + [_BLACK] * 20 + [_B] * 6) == [6, 26]


def test_light_that_fades_and_comes_back_is_no_cut():
    down = (0.8, 0.6, 0.4, 0.2, 0.05)
    assert places([_A] * 8 + _dimmed(_A, *down) + [_BLACK] * 6 + _dimmed(_A, *reversed(down)) + [_A] * 8) == []
    assert places([_A] * 8 + [mixed(_A, _BLACK, 0.03 * t) for t in range(30)]) == []


def test_a_fade_through_black_into_another_scene_is_one_cut_where_that_appears():
    down = (0.8, 0.6, 0.4, 0.2)
    film = [_A] * 8 + _dimmed(_A, *down) + [_BLACK] * 6 + _dimmed(_B, *reversed(down)) + [_B] * 8
    assert places(film) == [18]


@pytest.mark.parametrize("length", [1, 2, 5, 10, 20])
def test_a_dissolve_is_dated_by_the_frame_from_which_on_the_new_scene_prevails(length):
    film = [_A] * 14 + [mixed(_A, _B, (k + 1) / (length + 1)) for k in range(length)] + [_B] * 14
    for direction in ("forwards", "backwards"):
        [(_, place)] = cuts_of(film, direction)
        assert abs(place - (14 + length / 2)) <= 1


def test_a_slow_pan_into_other_scenery_is_no_dissolve():
    assert places(pan(scene(7, (240, 54)), 3, 45)) == []


def test_damaged_pictures_are_not_looked_at():
    film = [_A] * 6 + [_C] * 5 + [_A] * 3 + [_B] * 6
    frames = [Frame(index, index / 25, rgb) for index, rgb in enumerate(film)]
    damaged = range(6, 11)
    cuts = [(frame.index, cut) for frame, cut in with_cuts(frames, "forwards", unseen=damaged) if cut]
    assert [(index, cut.frame_index) for index, cut in cuts] == [(14, 14)]
    assert [frame.index for frame, _ in with_cuts(frames, "forwards", unseen=damaged)] == list(range(20))


def test_frames_are_read_ahead_only_where_a_cut_is_suspected():
    read = []

    def frames():
        for t in range(20):
            read.append(t)
            yield Frame(t, t / 25, _A if t < 10 else _B)

    ahead = []
    for frame, _ in with_cuts(frames(), "forwards"):
        ahead.append(read[-1] - frame.index)
    assert ahead == [0] * 10 + [3, 2, 1, 0] + [0] * 6


@pytest.mark.parametrize("name", ["breakdance", "dog", "soapbox"])
def test_no_cut_is_seen_in_real_clips_that_have_none(shared_data, name):
    with open_video(shared_data / "davis16_dev/JPEGImages/480p" / name) as video:
        assert cuts_of([frame.rgb[::2, ::2] for frame in video.frames(20, 40)]) == []


def test_a_real_cut_between_scenes_of_equal_colours_is_noticed(shared_data):
    with open_video(shared_data / "faults/cut.mp4") as video:
        assert places([frame.rgb for frame in video.frames()]) == [20]
