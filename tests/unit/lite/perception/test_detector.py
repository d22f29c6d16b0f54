"""What is found in whole frames: real ones, and frames that are odd. tests/property has decoding and merging."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from helpers.lite_things import CPU
from videoseg_r1.lite.perception.detector import Detection, detect, prepared
from videoseg_r1.lite.perception.nanodet import load_detector
from videoseg_r1.masks.geometry import iou
from videoseg_r1.types import Box


def found_in(rgb, **options) -> tuple[Detection, ...]:
    return detect(rgb, load_detector(CPU), **options)


@pytest.fixture(scope="module")
def astronaut():
    from skimage.data import astronaut

    return astronaut()


PERSON = Box(13, 10, 365, 512)


def test_a_person_is_found_where_she_is_and_called_a_person(astronaut):
    best = found_in(astronaut)[0]
    assert best.name == "person"
    assert best.score == best.names[0][1] > 0.6
    assert iou(best.box, PERSON) > 0.8


def test_a_cat_has_one_box_and_other_names_beside_the_best():
    from skimage.data import chelsea

    (cat,) = found_in(chelsea())
    assert cat.name == "cat"
    assert cat.names[1][0] == "dog"
    assert [score for _, score in cat.names] == sorted((score for _, score in cat.names), reverse=True)


def test_the_same_frame_gives_the_same_things_and_is_left_as_it_was(astronaut):
    before = astronaut.copy()
    first = found_in(astronaut)
    found_in(astronaut[:100])
    assert found_in(astronaut) == first
    assert np.array_equal(astronaut, before)


@pytest.mark.parametrize("size", [(128, 128), (256, 512), (1536, 1536)])
def test_boxes_are_in_pixels_of_the_frame(size, astronaut):
    best = found_in(cv2.resize(astronaut, size, interpolation=cv2.INTER_AREA))[0]
    width, height = size[0] / 512, size[1] / 512
    assert best.name == "person"
    assert iou(best.box, Box(PERSON.x1 * width, PERSON.y1 * height, PERSON.x2 * width, PERSON.y2 * height)) > 0.7


@pytest.mark.parametrize("turned", [False, True])
def test_a_person_is_found_in_a_picture_thirty_times_as_wide_as_high(turned, astronaut):
    picture = np.full((256, 30 * 256, 3), 128, np.uint8)
    picture[:, 3000:3256] = cv2.resize(astronaut, (256, 256))
    if turned:
        picture = np.ascontiguousarray(np.concatenate(np.split(picture, 30, 1)))
        place = Box(0, 2816, 256, 3328)
    else:
        place = Box(3000, 0, 3256, 256)
    best = found_in(picture)[0]
    assert best.name == "person"
    assert place.x1 - 20 < best.box.center.x < place.x2 + 20
    assert place.y1 < best.box.center.y < place.y2


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (1, 5000), (48, 64)])
@pytest.mark.parametrize("level", [0, 255])
def test_a_frame_without_anything_has_nothing(shape, level):
    assert found_in(np.full((*shape, 3), level, np.uint8)) == ()


def test_boxes_of_a_pixel_stay_in_it():
    things = found_in(np.full((1, 1, 3), 90, np.uint8), threshold=0.001)
    assert things
    assert min(thing.score for thing in things) < 0.1
    for thing in things:
        assert 0 <= thing.box.x1 < thing.box.x2 <= 1
        assert 0 <= thing.box.y1 < thing.box.y2 <= 1


def test_a_lower_threshold_keeps_what_a_higher_one_finds(astronaut):
    few, many = found_in(astronaut, threshold=0.4), found_in(astronaut, threshold=0.2)
    assert 0 < len(few) < len(many)
    assert [thing.box for thing in many[: len(few)]] == [thing.box for thing in few]
    assert min(thing.score for thing in many) >= 0.2


def test_people_of_a_crowd_are_counted_one_by_one(astronaut):
    person = cv2.resize(astronaut[:, :380], (140, 180))
    crowd = np.tile(person, (2, 4, 1))
    people = [thing for thing in found_in(crowd) if thing.name == "person"]
    assert 6 <= len(people) <= 10


def test_fine_stripes_of_a_large_frame_are_averaged_and_not_skipped():
    stripes = np.zeros((1000, 2000, 3), np.uint8)
    stripes[:, ::2] = 255
    assert float(prepared(stripes, (448, 256)).std((2, 3)).max()) < 0.3


def test_a_network_that_sees_things_everywhere_gives_a_bounded_number_of_them():
    class Dreaming(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, pictures):
            cells = pictures.shape[2] * pictures.shape[3] * 21 // 32**2
            bins = torch.full((1, cells, 4, 11), -9.0)
            bins[..., 0] = 9.0
            return torch.full((1, cells, 80), 2.0), bins

    assert 500 < len(detect(np.zeros((256, 448, 3), np.uint8), Dreaming())) <= 1000
