"""Given objects: their numbers and names from what is given to the result, its files and the trace; objects of different frames."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from helpers.shapes import rectangle
from videoseg_r1.errors import Cancelled, InvalidDocument, InvalidPrompt
from videoseg_r1.masks import read_mask
from videoseg_r1.output.reload import load_masks, read_run
from videoseg_r1.output.trace import Trace
from videoseg_r1.pipeline.seed_input import GivenObjects, objects_of
from videoseg_r1.pipeline.segmenter import Stages, VideoSegmenter
from videoseg_r1.stages.propagation.flow import flow_propagator
from videoseg_r1.types import Box, Cue, Frame, Point
from videoseg_r1.video import open_video

SIZE = (40, 30)
FRAMES = np.random.default_rng(0).integers(0, 255, (1, 30, 40, 3), np.uint8).repeat(6, 0)
LEFT, RIGHT = rectangle(SIZE, 2, 3, 12, 20), rectangle(SIZE, 25, 8, 38, 28)


class Filled:
    """A segmenter whose masks fill the boxes; a point gets no mask."""

    def segment(self, frame: Frame, cues: list[Cue]) -> np.ndarray:
        size = frame.rgb.shape[1::-1]
        boxes = [cue.box or Box(0, 0, 0, 0) for cue in cues]
        return np.stack([rectangle(size, int(box.x1), int(box.y1), int(box.x2), int(box.y2)) for box in boxes])


def segmenter() -> VideoSegmenter:
    return VideoSegmenter(Stages(None, None, Filled, flow_propagator), "tiny")


def labels_of(**masks: np.ndarray) -> np.ndarray:
    """Return the label map of masks that are named o1, o5, ..."""
    labels = np.zeros(SIZE[::-1], np.uint8)
    for name, mask in masks.items():
        labels[mask] = int(name[1:])
    return labels


def test_numbers_and_names_go_through_result_files_trace_and_back(tmp_path: Path) -> None:
    result = segmenter().propagate(FRAMES, {0: labels_of(o7=LEFT, o100=RIGHT)}, names={100: "the cat"})
    assert [(track.object_id, track.name) for track in result.tracks] == [(7, ""), (100, "the cat")]
    saved = result.save(tmp_path / "out", ("png", "rle", "json", "trace", "card", "overlay"))
    assert np.unique(read_mask(saved["png"] / "00003.png")).tolist() == [0, 7, 100]
    assert [track.get("name") for track in json.loads(saved["json"].read_text())["tracks"]] == [None, "the cat"]
    assert [(one["id"], one.get("name")) for one in json.loads(saved["rle"].read_text())["annotations"]] == [(7, None), (100, "the cat")]

    again = segmenter().replay(Trace.read(saved["trace"]), FRAMES)
    for other in (load_masks(saved["rle"]), read_run(tmp_path / "out"), again):
        assert [(track.object_id, track.name) for track in other.tracks] == [(7, ""), (100, "the cat")]
        assert all((other.tracks[1].mask(index) == result.tracks[1].mask(index)).all() for index in range(6))
    assert again.trace.to_json() == result.trace.to_json()
    assert [track.object_id for track in load_masks(saved["png"]).tracks] == [7, 100]


def test_label_maps_are_matched_by_number() -> None:
    both, later = labels_of(o1=LEFT, o5=RIGHT), labels_of(o5=RIGHT)
    result = segmenter().propagate(FRAMES, {0: both, 4: later})
    assert [track.object_id for track in result.tracks] == [1, 5]
    for index in range(6):
        assert (result.label_map(index) == both).all(), index  # object 1 is carried where the second map lacks it


def test_objects_can_be_given_by_number_as_cues_or_masks_on_different_frames() -> None:
    given = {1: {9: Cue(Box(25, 8, 38, 28))}, 3: {2: LEFT, 9: RIGHT}, 5: {2: LEFT}}
    result = segmenter().propagate(FRAMES, given, names={2: "dog"})
    assert [(track.object_id, track.name) for track in result.tracks] == [(2, "dog"), (9, "")]
    expected = labels_of(o2=LEFT, o9=RIGHT)
    assert all((result.label_map(index) == expected).all() for index in range(6))
    assert {index: len([one for one in masks if one]) for index, masks in result.trace.seed_masks.items()} == {1: 1, 3: 2, 5: 1}
    again = segmenter().replay(Trace.from_dict(result.trace.to_dict()), FRAMES)
    assert all((again.label_map(index) == expected).all() for index in range(6))
    assert again.trace.to_json() == result.trace.to_json()


def test_objects_of_different_frames_never_overlap_and_a_given_mask_keeps_its_pixels() -> None:
    wide = rectangle(SIZE, 0, 0, 30, 30)
    result = segmenter().propagate(FRAMES, {0: {1: wide}, 5: {2: RIGHT}})
    assert all(result.masks(index).sum(0).max() <= 1 for index in range(6))
    assert (result.tracks[0].mask(0) == wide).all()
    assert (result.tracks[1].mask(5) == RIGHT).all()


def test_objects_of_several_frames_are_carried_in_one_run() -> None:
    told: list[tuple[int, int]] = []

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "propagate":
            told.append((done, total))

    result = segmenter().propagate(FRAMES, {0: {1: LEFT}, 5: {2: RIGHT}}, on_progress=tell)
    assert told == [(done, 6) for done in range(1, 7)]
    assert len(result.tracks) == 2


def test_a_listener_that_cancels_leaves_no_thread_behind() -> None:
    before = threading.active_count()

    def cancel(stage: str, done: int, total: int) -> None:
        if stage == "propagate" and done == 2:
            assert threading.active_count() == before + 1
            raise Cancelled("enough")

    with pytest.raises(Cancelled) as raised:
        segmenter().propagate(FRAMES, {0: {1: LEFT}}, on_progress=cancel)
    assert raised.value.__traceback__ is not None
    assert threading.active_count() == before


def test_stacks_and_cues_are_numbered_in_their_order() -> None:
    cues = [Cue(Box(25, 8, 38, 28)), Cue(Box(2, 3, 12, 20))]
    for given in ({0: np.stack([RIGHT, LEFT])}, {0: cues}, {0: np.stack([RIGHT, LEFT]), 3: cues}):
        result = segmenter().propagate(FRAMES, given)
        assert [track.object_id for track in result.tracks] == [1, 2]
        assert (result.label_map(4) == labels_of(o1=RIGHT, o2=LEFT)).all()


def test_a_mask_that_is_given_empty_says_that_the_object_is_not_there() -> None:
    result = segmenter().propagate(FRAMES, {0: np.stack([LEFT, RIGHT]), 5: np.stack([LEFT, np.zeros_like(RIGHT)])})
    assert not result.tracks[1].present(5)
    absent = segmenter().propagate(FRAMES, {0: {1: LEFT}, 5: {2: np.zeros_like(RIGHT)}}).tracks[1]
    assert (absent.object_id, absent.score, any(absent.present(index) for index in range(6))) == (2, 0.0, False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({0: np.stack([LEFT, RIGHT]), 2: np.stack([LEFT])}, "number of objects differs"),
        ({0: np.full(SIZE[::-1], 300)}, "1 to 254"),
        ({0: np.full(SIZE[::-1], -1)}, "1 to 254"),
        ({0: {255: LEFT}}, "1 to 254"),
        ({0: {0: LEFT}}, "1 to 254"),
        ({0: [Cue(Box(2, 3, 12, 20))] * 255}, "1 to 254"),
        ({0: {1: LEFT.astype(np.uint8)}}, "must be bool"),
        ({0: {1: np.stack([LEFT])}}, "must be bool"),
        ({0: {1: LEFT[1:]}}, "another size"),
        ({0: {}}, "nothing to propagate"),
        ({0: {1: LEFT}, 6: {2: RIGHT}}, "no such frame"),
        ({0: {1: Cue(Box(2, 3, 12, 20)), 2: Cue(Box(2, 3, 120, 20))}}, "not inside the frame: frame 0, object 2"),
        ({0: {1: Cue(Box(2, 3, 12, 20)), 2: Cue(None, (Point(3, 3),))}}, "no object was found at this prompt: frame 0, object 2"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict, message: str) -> None:
    with pytest.raises(InvalidPrompt, match=message):
        segmenter().propagate(FRAMES, given)


def test_a_name_needs_its_object_and_shows_in_the_corrected_box() -> None:
    with pytest.raises(InvalidPrompt, match="a name belongs to no object: object 3"):
        segmenter().propagate(FRAMES, {0: {1: LEFT}}, names={3: "dog"})
    with pytest.raises(InvalidPrompt, match="--box dog@2=0,3,12,20"):
        segmenter().propagate(FRAMES, {2: {3: Cue(Box(-4, 3, 12, 20))}}, names={3: "dog"})


def test_everything_is_checked_before_a_model_is_loaded() -> None:
    def load() -> Filled:
        raise AssertionError("a model was loaded")

    wrong = {0: {1: Cue(Box(2, 3, 12, 20))}, 4: {1: Cue(Box(0.1, 0.1, 0.5, 0.5))}}
    with open_video(FRAMES) as video, pytest.raises(InvalidPrompt, match="fractions of the frame: frame 4"):
        objects_of(video, wrong, load)


def test_seeds_say_which_objects_a_frame_gives() -> None:
    given = GivenObjects({0: {4: LEFT, 2: RIGHT}, 3: {}, 5: {3: RIGHT, 4: np.zeros_like(LEFT)}})
    assert given.object_ids == (2, 3, 4)
    seeds, nothing = given.seeds(), np.zeros_like(LEFT)
    assert {index: one.which.tolist() for index, one in seeds.items()} == {0: [True, False, True], 5: [False, True, True]}
    assert (seeds[0].masks == np.stack([RIGHT, nothing, LEFT])).all()
    assert (seeds[5].masks == np.stack([nothing, RIGHT, nothing])).all()


@pytest.mark.parametrize(
    ("key", "value"),
    [("object_ids", [1]), ("object_ids", [1, 1]), ("object_ids", [0, 5]), ("object_ids", [1, 255]), ("object_names", ["dog"])],
)
def test_a_trace_whose_objects_do_not_fit_is_refused(key: str, value: list[object]) -> None:
    document = segmenter().propagate(FRAMES, {0: labels_of(o1=LEFT, o5=RIGHT)}).trace.to_dict()
    assert Trace.from_dict(document).object_ids == (1, 5)
    with pytest.raises(InvalidDocument, match=r"object_ids|seed_masks"):
        Trace.from_dict(document | {key: value})
