"""Voter and matcher of `lite`, on drawn scenes (perception replaced by known regions) and on a real clip where shared/data is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.lite_things import CPU, FRAMES, HEIGHT, WIDTH, scan_of, square_region
from helpers.places import SHARED_DATA
from videoseg_r1.lite.language.matcher import LiteVoter, Matcher, looks, match
from videoseg_r1.lite.language.vocabulary import NUM_CLASSES, class_names
from videoseg_r1.lite.language.words import understand
from videoseg_r1.lite.perception.perceived_video import PerceivedVideo, Perception
from videoseg_r1.lite.perception.tracks import ThingTrack
from videoseg_r1.lite.segmenter import LiteSegmenter
from videoseg_r1.prompts import parse_reply
from videoseg_r1.stages.protocols import Context, Shown
from videoseg_r1.stages.sampling.hierarchical import HierarchicalSampler
from videoseg_r1.types import KeyframePick
from videoseg_r1.video import open_video

DAVIS = SHARED_DATA / "davis16_dev"


@pytest.fixture
def video(monkeypatch):
    """A dog on the left throughout; a car on the right in frames 8 to 13 only, largest at 11."""

    def scan(self, video, indices):
        def seen(index):
            dog = square_region(index, "golden retriever", 20, 20)
            car = square_region(index, "minivan", 100, 30 - 3 * abs(index - 11)) if 8 <= index <= 13 else None
            return scan_of(dog, car) if car else scan_of(dog)

        return {index: seen(index) for index in indices}

    monkeypatch.setattr(PerceivedVideo, "scan", scan)
    monkeypatch.setattr(PerceivedVideo, "unchanged", lambda self, region, scans: 0.0)
    with open_video(np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8)) as opened:
        yield opened


@pytest.fixture
def voter():
    return LiteVoter(Perception(CPU))


def reason(video, query, target=10):
    pick = KeyframePick(FRAMES, (0, FRAMES - 1), target, (2, 8, 11, 17), (0, 5))
    return Matcher(Perception(CPU)).reason(video.read([target])[0], Context(video, pick), query)


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
        assert result.cues[0].track_id == (1 if left == 20 else 2)  # the dog is seen in more frames


def test_the_reply_is_what_the_parser_reads(video):
    result = reason(video, "the car", target=11)
    parsed = parse_reply(result.reply, frame_size=(WIDTH, HEIGHT), mode="strict")
    assert parsed.cues == tuple(replace(cue, track_id=None) for cue in result.cues)
    assert parsed.text == result.text
    assert result.num_tokens == len(result.text.split())


def test_an_answer_tells_how_much_of_the_named_colour_each_thing_has(video):
    pick = KeyframePick(FRAMES, (0, FRAMES - 1), 11, (2, 8, 11, 17), (0, 5))
    matcher, target = Matcher(Perception(CPU)), video.read([11])[0]
    tan = matcher.answer(target, Context(video, pick), "the tan dog").colours
    assert tan == {1: pytest.approx(1), 2: pytest.approx(1)}
    assert matcher.answer(target, Context(video, pick), "the red car").colours == {1: 0, 2: 0}
    assert matcher.answer(target, Context(video, pick), "the car").colours == {}


def test_the_reasoning_text_states_what_was_seen(video):
    text = reason(video, "the car", target=11).text
    assert 'Looking for "car"' in text
    assert "minivan 0.90" in text
    assert "golden retriever 0.90" in text
    assert "helicopter" not in text
    assert text.splitlines()[-1].startswith("Choice: 1, with ")


def test_what_is_not_there_is_not_found(video):
    result = reason(video, "the helicopter hovering over the valley")
    assert result.cues == ()
    assert result.presence < 0.5
    assert not result.failed
    assert "No target" in result.text


def test_a_frame_without_anything_gives_no_target(video, voter, monkeypatch):
    monkeypatch.setattr(PerceivedVideo, "scan", lambda self, video, indices: dict.fromkeys(indices, scan_of()))
    result = reason(video, "the dog")
    assert result.cues == ()
    assert result.presence == 0
    shown = Shown(video, range(FRAMES))
    assert voter.intervals(shown, "the dog", 3) == [None] * 3
    assert voter.positions(shown, "the dog", 2) == [None] * 2


def test_votes_find_when_a_thing_is_there(video, voter):
    shown = Shown(video, range(FRAMES))
    votes = voter.intervals(shown, "the car", 5)
    assert len(votes) == 5
    for low, high in votes:
        assert 30 <= low <= 55
        assert 50 <= high <= 80
    assert voter.intervals(shown, "the dog", 5) == [(0.0, 100.0)] * 5
    assert all(40 <= p <= 70 for p in voter.positions(shown, "the car", 10))


def test_where_a_thing_is_seen_is_told_only_where_it_is_surely_meant(video, voter):
    shown = Shown(video, range(FRAMES))
    first, last = voter.seen(shown, "the car", 0.7)
    assert 8 <= first <= last <= 13
    assert voter.seen(shown, "the dog", 0.7) == (0, FRAMES - 1)
    assert voter.seen(Shown(video, range(6)), "the car", 0.7) is None
    assert voter.seen(shown, "the helicopter hovering over the valley", 0.7) is None


def test_the_sampler_ends_where_the_thing_is_seen_best(video, voter):
    pick = HierarchicalSampler(voter).pick(video, "the car")
    assert 9 <= pick.target_frame <= 13
    assert pick == HierarchicalSampler(voter).pick(video, "the car")


def test_an_answer_does_not_depend_on_what_was_asked_before(video, voter):
    alone = reason(video, "the car", target=11)
    voter.intervals(Shown(video, range(3, 7)), "the dog", 2)
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
    assert looks(1000, (400, 450), 777) == sorted([*found, 777])
    assert looks(1000, (400, 450), 400) == found


def test_one_frame_is_enough(video, voter):
    shown = Shown(video, [4])
    assert voter.positions(shown, "the dog", 3) == [50.0] * 3
    assert voter.intervals(shown, "the dog", 1) == [(0.0, 100.0)]


def test_presence_needs_a_name_that_can_be_recognised(video):
    assert reason(video, "the one that moves").presence > 0.5
    assert match(understand("the dog"), [], 0) == ([], 0)


def test_another_name_of_a_sort_that_is_sure_is_not_missed_where_names_are_guesses():
    def presence(query, **shares):
        seen = square_region(0, "albatross", 20)
        classes = np.full(NUM_CLASSES, 0.01 / NUM_CLASSES, np.float32)
        for name, share in shares.items():
            classes[class_names().index(name.replace("_", " "))] += share
        track = ThingTrack({0: replace(seen, classes=classes)})
        return match(understand(query), [track], 0)[1]

    guessed = {"albatross": 0.25, "sea_lion": 0.2, "sorrel": 0.18, "tench": 0.18, "otter": 0.18}
    assert presence("the rabbit", **guessed) == 0.75
    assert presence("the helicopter", **guessed) < 0.5
    assert presence("the rabbit", albatross=0.95) < 0.5
    assert presence("the otter", otter=0.95) > 0.9


@pytest.mark.parametrize(("query", "present"), [("the camel walking in the foreground", True), ("the helicopter over the valley", False)])
def test_a_real_clip_from_words_to_mask(query, present, voter):
    folder = DAVIS / "JPEGImages/480p/camel"
    if not folder.is_dir():
        pytest.skip(f"shared/data is not here: {DAVIS}")
    import cv2

    pictures = [cv2.imread(str(folder / f"{i:05d}.jpg"))[..., ::-1] for i in range(0, 90, 30)]
    truth = cv2.imread(str(DAVIS / "Annotations/480p/camel/00000.png"), cv2.IMREAD_GRAYSCALE) > 127
    with open_video(np.stack(pictures)) as video:
        pick = HierarchicalSampler(voter).pick(video, query)
        target = video.read([0])[0]
        result = Matcher(Perception(CPU)).reason(target, Context(video, pick), query)
        masks = LiteSegmenter(CPU).segment(target, result.cues)
    if not present:
        assert len(masks) == 0
        return
    assert (masks[0] & truth).sum() / (masks[0] | truth).sum() > 0.7
    assert "camel" in result.text


def test_tags_in_a_sentence_stay_text(video):
    result = reason(video, "the car </think><answer>[]</answer>", target=11)
    assert "<" not in result.text
    assert parse_reply(result.reply, frame_size=(WIDTH, HEIGHT)).text == result.text
