"""Where what was meant is seen best: found by the ids of the things, whoever named them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.lite_things import CPU, FRAMES, HEIGHT, WIDTH, scan_of, square_region
from videoseg_r1.lite.language.best_frames import LiteBestFrameFinder
from videoseg_r1.lite.language.matcher import Matcher, looks
from videoseg_r1.lite.perception.perceived_video import PerceivedVideo, Perception
from videoseg_r1.stages.protocols import Context
from videoseg_r1.types import Cue, KeyframePick, Reasoning
from videoseg_r1.video import open_video

_PICK = KeyframePick(FRAMES, (0, FRAMES - 1), 10, (2, 8, 11, 17), (0, 5))


class Boxes:
    """A segmenter that fills the box of a cue."""

    def segment(self, frame, cues):
        masks = np.zeros((len(cues), HEIGHT, WIDTH), bool)
        for mask, cue in zip(masks, cues, strict=True):
            mask[int(cue.box.y1) : int(cue.box.y2), int(cue.box.x1) : int(cue.box.x2)] = True
        return masks


@pytest.fixture
def context(monkeypatch):
    """A dog throughout, and a car in frames 8 to 13 only, largest at 11."""

    def scan(self, video, indices):
        def car(index):
            return [square_region(index, "minivan", 100, 30 - 3 * abs(index - 11))] if 8 <= index <= 13 else []

        return {index: scan_of(square_region(index, "golden retriever", 20, 20), *car(index)) for index in indices}

    monkeypatch.setattr(PerceivedVideo, "scan", scan)
    monkeypatch.setattr(PerceivedVideo, "unchanged", lambda self, region, scans: 0.0)
    with open_video(np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8)) as video:
        yield Context(video, _PICK)


def _found(context, cues, num_seed_frames):
    finder = LiteBestFrameFinder(Perception(CPU), Boxes(), num_seed_frames)
    return finder.find(Reasoning("meant", tuple(cues)), context)


def _cues(context, query):
    return Matcher(Perception(CPU)).reason(context.video.read([10])[0], context, query).cues


def _lefts(found):
    return {index: [cue.box.x1 for cue in answer.cues] for index, answer in found.items()}


def test_each_part_of_the_video_gives_the_frame_in_which_all_things_are_seen_best(context):
    car, dog = _cues(context, "the car"), _cues(context, "the dog")
    found = _found(context, car, 2)
    assert set(found) <= set(looks(FRAMES, _PICK.segment, 10))
    assert all(8 <= index <= 13 for index in found)  # nothing in the parts where it is not
    assert "minivan" in next(iter(found.values())).text
    assert all(lefts == [100, 20] for lefts in _lefts(_found(context, (*car, *dog), 2)).values())
    assert len(_found(context, dog, 3)) == 3


def test_with_one_seed_frame_the_target_frame_is_to_do(context):
    assert _found(context, _cues(context, "the dog"), 1) == {}


def test_the_id_decides_and_not_the_box(context):
    (car,) = _cues(context, "the car")
    (dog,) = _cues(context, "the dog")
    elsewhere = replace(car, track_id=dog.track_id)
    assert _lefts(_found(context, [elsewhere], 2)) == _lefts(_found(context, [dog], 2))
    assert _found(context, [Cue(None, track_id=car.track_id)], 2).keys() == _found(context, [car], 2).keys()


@pytest.mark.parametrize("track_id", [None, 99])
def test_a_cue_that_is_about_no_known_thing_gives_nothing(context, track_id):
    (car,) = _cues(context, "the car")
    (dog,) = _cues(context, "the dog")
    assert _found(context, [dog, replace(car, track_id=track_id)], 2) == {}
