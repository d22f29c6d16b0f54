"""Voter and matcher of `lite`, on drawn scenes (perception replaced by known regions) and on a real clip where shared/data is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.places import SHARED_DATA
from helpers.regions import region
from videoseg_r1.lite.language.matcher import LiteVoter, Matcher, looks, match
from videoseg_r1.lite.language.vocabulary import NUM_CLASSES, class_names
from videoseg_r1.lite.language.words import understand
from videoseg_r1.lite.perception.scene import Scene
from videoseg_r1.lite.perception.tracks import Track
from videoseg_r1.lite.segmenter import LiteSegmenter
from videoseg_r1.prompts import parse_reply
from videoseg_r1.stages.protocols import Context, Shown
from videoseg_r1.stages.sampling.hierarchical import HierarchicalSampler
from videoseg_r1.types import Box, Cue, KeyframePick, Reasoning
from videoseg_r1.video import open_video

DAVIS = SHARED_DATA / "davis16_dev"
WIDTH, HEIGHT, FRAMES = 160, 96, 20


def square_region(index, name, left, side=20):
    center, half = ((left + side / 2) / WIDTH, (40 + side / 2) / HEIGHT), (side / 2 / WIDTH, side / 2 / HEIGHT)
    return region(index, name, center, half, grid=(WIDTH, HEIGHT), scale=1)


@pytest.fixture
def video(monkeypatch):
    """A dog on the left throughout; a car on the right in frames 8 to 13 only, largest at 11."""

    def scan(self, video, indices):
        for index in indices:
            found = [square_region(index, "golden retriever", 20)]
            if 8 <= index <= 13:
                found.append(square_region(index, "minivan", 100, 30 - 3 * abs(index - 11)))
            self._scans[index] = tuple(found)
        return {index: self._scans[index] for index in indices}

    monkeypatch.setattr(Scene, "scan", scan)
    monkeypatch.setattr(Scene, "unchanged", lambda self, region, others: 0.0)
    with open_video(np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8)) as opened:
        yield opened


def reason(video, query, target=10):
    pick = KeyframePick(FRAMES, (0, FRAMES - 1), target, (2, 8, 11, 17), (0, 5))
    return Matcher().reason(video.read([target])[0], Context(video, pick), query)


def test_the_matcher_points_at_what_is_named(video):
    for query, left in (("the dog", 20), ("the car", 100), ("the vehicle on the right", 100), ("which animal is it?", 20)):
        result = reason(video, query, target=11)
        assert len(result.cues) == 1
        assert result.cues[0].box is not None
        assert abs(result.cues[0].box.x1 - left) <= 1
        assert result.presence > 0.5
        (point,) = result.cues[0].points
        assert left < point.x < left + 30
        assert 40 < point.y < 70


def test_what_was_meant_is_looked_for_where_it_is_seen_best_in_each_part_of_the_segment(video):
    pick = KeyframePick(FRAMES, (0, FRAMES - 1), 10, (2, 8, 11, 17), (0, 5))
    context = Context(video, pick)
    car, dog = reason(video, "the car").cues, reason(video, "the dog").cues

    def seen(cues, num_views):
        found = Matcher(num_views=num_views).follow(Reasoning("meant", cues), context)
        return {index: [cue.box.x1 for cue in answer.cues] for index, answer in found.items()}

    assert set(seen(car, 2)) <= set(looks(FRAMES, pick.segment)) | {10}
    assert all(8 <= index <= 13 for index in seen(car, 2))  # nothing in the parts where it is not
    assert all(lefts == [100, 20] for lefts in seen((*car, *dog), 2).values())
    assert len(seen(dog, 3)) == 3
    assert seen(dog, 1) == {}  # the target frame is to do
    box = car[0].box
    assert seen((Cue(Box(box.x1 + 0.5, box.y1, box.x2, box.y2 - 0.5)),), 2) == seen(car, 2)  # as rounded
    assert seen((Cue(Box(box.x1 + 3, box.y1, box.x2, box.y2)),), 2) == {}  # nothing has this box
    text = Matcher(num_views=2).follow(Reasoning("meant", car), context).popitem()[1].text
    assert "minivan" in text


def test_the_reply_is_what_the_parser_reads(video):
    result = reason(video, "the car", target=11)
    parsed = parse_reply(result.reply, frame_size=(WIDTH, HEIGHT), mode="strict")
    assert parsed.cues == result.cues
    assert parsed.text == result.text
    assert result.num_tokens == len(result.text.split())


def test_the_thinking_states_what_was_seen(video):
    text = reason(video, "the car", target=11).text
    assert 'Looking for "car"' in text
    assert "minivan 0.90" in text
    assert "golden retriever 0.90" in text
    assert "helicopter" not in text


def test_what_is_not_there_is_not_found(video):
    result = reason(video, "the helicopter hovering over the valley")
    assert result.cues == ()
    assert result.presence < 0.5
    assert not result.failed
    assert "No target" in result.text


def test_a_frame_without_anything_gives_no_target(video, monkeypatch):
    monkeypatch.setattr(Scene, "scan", lambda self, video, indices: dict.fromkeys(indices, ()))
    result = reason(video, "the dog")
    assert result.cues == ()
    assert result.presence == 0
    shown = Shown(video, range(FRAMES))
    assert LiteVoter().intervals(shown, "the dog", 3) == [None] * 3
    assert LiteVoter().positions(shown, "the dog", 2) == [None] * 2


def test_votes_find_when_a_thing_is_there(video):
    shown = Shown(video, range(FRAMES))
    votes = LiteVoter().intervals(shown, "the car", 5)
    assert len(votes) == 5
    for low, high in votes:
        assert 30 <= low <= 55
        assert 50 <= high <= 80
    assert LiteVoter().intervals(shown, "the dog", 5) == [(0.0, 100.0)] * 5
    assert all(40 <= p <= 70 for p in LiteVoter().positions(shown, "the car", 10))


def test_the_sampler_ends_where_the_thing_is_seen_best(video):
    pick = HierarchicalSampler(LiteVoter()).pick(video, "the car")
    assert 9 <= pick.target_frame <= 13
    assert pick == HierarchicalSampler(LiteVoter()).pick(video, "the car")


def test_an_answer_does_not_depend_on_what_was_asked_before(video):
    alone = reason(video, "the car", target=11)
    LiteVoter().intervals(Shown(video, range(3, 7)), "the dog", 2)
    reason(video, "the dog", target=3)
    assert reason(video, "the car", target=11) == alone


def test_frames_looked_at_cover_video_and_segment():
    assert looks(1, (0, 0)) == [0]
    assert looks(5, (0, 4)) == [0, 1, 2, 3, 4]
    found = looks(1000, (400, 450))
    assert found[0] == 0
    assert found[-1] == 999
    assert {400, 450} <= set(found)
    assert len(found) <= 16


def test_one_frame_is_enough(video):
    shown = Shown(video, [4])
    assert LiteVoter().positions(shown, "the dog", 3) == [50.0] * 3
    assert LiteVoter().intervals(shown, "the dog", 1) == [(0.0, 100.0)]


def test_presence_needs_a_name_that_can_be_recognised(video):
    assert reason(video, "the one that moves").presence > 0.5
    assert match(understand("the dog"), [], 0) == ([], 0)


def test_another_name_of_a_sort_that_is_sure_is_not_missed_where_names_are_guesses():
    def presence(query, **shares):
        seen = square_region(0, "albatross", 20)
        classes = np.full(NUM_CLASSES, 0.01 / NUM_CLASSES, np.float32)
        for name, share in shares.items():
            classes[class_names().index(name.replace("_", " "))] += share
        track = Track({0: replace(seen, classes=classes)})
        return match(understand(query), [track], 0)[1]

    guessed = {"albatross": 0.25, "sea_lion": 0.2, "sorrel": 0.18, "tench": 0.18, "otter": 0.18}
    assert presence("the rabbit", **guessed) == 0.75
    assert presence("the helicopter", **guessed) < 0.5
    assert presence("the rabbit", albatross=0.95) < 0.5
    assert presence("the otter", otter=0.95) > 0.9


@pytest.mark.parametrize(("query", "present"), [("the camel walking in the foreground", True), ("the helicopter over the valley", False)])
def test_a_real_clip_from_words_to_mask(query, present):
    folder = DAVIS / "JPEGImages/480p/camel"
    if not folder.is_dir():
        pytest.skip(f"shared/data is not here: {DAVIS}")
    import cv2

    pictures = [cv2.imread(str(folder / f"{i:05d}.jpg"))[..., ::-1] for i in range(0, 90, 30)]
    truth = cv2.imread(str(DAVIS / "Annotations/480p/camel/00000.png"), cv2.IMREAD_GRAYSCALE) > 127
    with open_video(np.stack(pictures)) as video:
        pick = HierarchicalSampler(LiteVoter()).pick(video, query)
        target = video.read([0])[0]
        result = Matcher().reason(target, Context(video, pick), query)
        masks = LiteSegmenter().segment(target, result.cues)
    if not present:
        assert len(masks) == 0
        return
    assert (masks[0] & truth).sum() / (masks[0] | truth).sum() > 0.7
    assert "camel" in result.text
