"""Words, vocabulary, tracks and transcript of `lite`, and the networks behind them against independent implementations."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from helpers.lite_things import CPU, scan_of
from helpers.regions import region
from videoseg_r1.errors import ModelError, WeightsMissing
from videoseg_r1.lite.language.scoring import judge
from videoseg_r1.lite.language.sentences import load_encoder, model_folder
from videoseg_r1.lite.language.transcript import describe, label_words, likely_classes, name_words, transcript
from videoseg_r1.lite.language.vocabulary import CONCEPTS, NUM_CLASSES, class_names, membership
from videoseg_r1.lite.language.words import noun_phrase, understand
from videoseg_r1.lite.perception import saliency as saliency_module
from videoseg_r1.lite.perception.perceived_video import map_size
from videoseg_r1.lite.perception.regions import PALETTE, colour_fractions, colour_map, components, relative_velocity
from videoseg_r1.lite.perception.saliency import load_saliency
from videoseg_r1.lite.perception.tracks import ThingTrack, follow, likeness


def best(text, *regions):
    tracks = [ThingTrack({0: r}) for r in regions]
    tracks.sort(key=lambda t: -t.prominence)
    top = judge(understand(text), tracks, 0)[0]
    return next(i for i, r in enumerate(regions) if r is top.region)


@pytest.mark.parametrize(
    ("text", "noun"),
    [
        ("the black swan on the water", "swan"),
        ("the swan swimming in the canal", "swan"),
        ("which animal here could bark?", "animal"),
        ("which living thing in view could be milked?", "thing"),
        ("two animals here carry loads; which of them moves?", "animals"),
        ("the black and tan puppy", "puppy"),
        ("the home-made racing cart and the two people on it", "cart"),
        ("the fire engine parked next to the ramp", "engine"),
        ("the duckling following the swan", "duckling"),
        ("who won the race?", "person"),
        ("the one who spins on his head", "person"),
        ("the one that turns left", ""),
        ("the pair that leaps over the obstacle", ""),
        ("", ""),
        ("?!", ""),
    ],
)
def test_the_noun_that_a_sentence_is_about(text, noun):
    assert noun_phrase(text)[1] == noun


def test_weights_go_to_the_class_and_the_concepts_that_mean_it():
    query = understand("the camel walking in the foreground")
    top = int(query.weights.argmax())
    names = [*class_names(), *(concept.names for concept in CONCEPTS)]
    assert "camel" in names[top]
    assert query.weights.sum() == pytest.approx(1, abs=1e-4)
    assert query.known > 0.9
    assert query.places == ("front",)
    assert understand("the one that turns left").weights.sum() == 0


def test_direction_and_place_are_told_apart():
    assert understand("the one gliding slowly to the right").motions[0] == "right"
    assert understand("the one gliding slowly to the right").places == ()
    assert understand("the dog on the right").places == ("right",)
    assert understand("the dog on the right").motions == ()
    assert understand("the parked car").motions == ("still",)
    assert understand("the smallest dog").sizes == ("small",)


@pytest.mark.parametrize("text", ["all dogs", "every striped animal", "find both cats", "the people on the left", "the two on the right"])
def test_more_than_one_is_asked_for(text):
    assert understand(text).several


@pytest.mark.parametrize(
    "text", ["the bus", "the grass", "the dog", "Two animals are here; which of them stands?", "the cart and the two people on it"]
)
def test_one_is_asked_for(text):
    assert not understand(text).several


def test_concepts_hold_their_narrower_concepts():
    table = membership()
    position = {concept.names.split(",")[0]: n for n, concept in enumerate(CONCEPTS, NUM_CLASSES)}
    assert (table[:, position["animal"]] >= table[:, position["dog"]]).all()
    assert (table[:, position["vehicle"]] >= table[:, position["cart"]]).all()
    assert table[class_names().index("golden retriever"), position["dog"]] == 1
    assert table[class_names().index("minivan"), position["dog"]] == 0
    assert all(concept.parent in {"", *position} for concept in CONCEPTS)


def test_the_words_decide_between_things():
    dog, car = region(name="golden retriever", center=(0.25, 0.5)), region(name="minivan", center=(0.75, 0.5), colour="red")
    assert best("the dog", dog, car) == 0
    assert best("the vehicle", dog, car) == 1
    assert best("the red one", dog, car) == 1
    assert best("the one on the left", dog, car) == 0
    assert best("the one on the right", dog, car) == 1


def test_motion_and_size_decide_between_alike_things():
    goes_left, goes_right = region(velocity=(-0.05, 0), center=(0.3, 0.5)), region(velocity=(0.05, 0), center=(0.7, 0.5))
    assert best("the dog running to the right", goes_left, goes_right) == 1
    assert best("the dog running to the left", goes_left, goes_right) == 0
    large, small = region(half=(0.2, 0.2)), region(half=(0.1, 0.1))
    assert best("the largest dog", large, small) == 0
    assert best("the parked car", region(velocity=(0.05, 0)), region()) == 1


def test_colours_are_named_as_people_name_them():
    swatches = {"red": (200, 20, 20), "green": (30, 160, 40), "blue": (30, 60, 200), "white": (245, 245, 245), "black": (15, 12, 10)}
    swatches |= {
        "grey": (128, 128, 128),
        "yellow": (230, 220, 30),
        "brown": (110, 70, 30),
        "tan": (210, 180, 140),
        "orange": (250, 140, 20),
    }
    for name, rgb in swatches.items():
        picture = np.full((4, 4, 3), rgb, np.uint8)
        assert colour_fractions(colour_map(picture), np.ones((4, 4), bool))[PALETTE.index(name)] == 1, name


def test_regions_are_the_connected_salient_areas():
    saliency = np.zeros((60, 80), np.float32)
    saliency[10:30, 10:30], saliency[40:50, 50:70], saliency[0, 0] = 0.9, 0.8, 1.0
    masks = components(saliency)
    assert [int(m.sum()) for m in masks] == [400, 200]
    assert masks[0][15, 15]
    assert components(np.zeros((60, 80), np.float32)) == []


def test_velocity_is_relative_to_the_surroundings():
    flow = np.zeros((90, 160, 2), np.float32)
    flow[..., 0] = 3  # the camera pans
    mask = np.zeros((90, 160), bool)
    mask[30:50, 40:60] = True
    flow[mask, 0] += 2
    flow[:, 120:] = 50  # something else entirely, far away
    right, down = relative_velocity(flow, mask, mask)
    assert right == pytest.approx(2 / 20, abs=0.01)
    assert down == pytest.approx(0, abs=0.01)


def test_things_are_followed_through_frames_by_looks_and_place():
    scans = {i: [region(i, center=(0.2 + 0.02 * i, 0.5)), region(i, "minivan", (0.8, 0.5), colour="red")] for i in range(0, 12, 4)}
    scans[4] = scans[4][::-1]
    tracks = follow({index: scan_of(*regions) for index, regions in scans.items()})
    assert [track.track_id for track in tracks] == [1, 2]
    assert tracks[0].prominence >= tracks[1].prominence
    for track in tracks:
        assert len({int(r.classes.argmax()) for r in track.regions.values()}) == 1
        assert list(track.regions) == [0, 4, 8]
    assert likeness(scans[0][0], scans[8][0]) > 0.8 > likeness(scans[0][0], scans[8][1])


def test_a_line_says_what_where_and_when():
    track = ThingTrack({i: region(i, center=(0.2, 0.5), velocity=(0.08, 0.0)) for i in (2, 6)})
    line = describe(track, 6, 10, (640, 360))
    assert line == (
        "tan golden retriever 0.90 (animal 0.94); left; medium, 4.0%; moves fast right; frames 2 to 6; "
        "middle [165 415]; box [84 336 252 504]"
    )
    text = transcript([track], 6, 10, (640, 360))
    assert text.splitlines() == ["1 things seen in 2 of 10 frames; boxes at frame 6.", f"1. {line}"]


def seen_as(told: dict[str, float]) -> np.ndarray:
    classes = np.zeros(1000, np.float32)
    classes[[class_names().index(name) for name in told]] = list(told.values())
    return classes


@pytest.mark.parametrize(
    ("told", "line", "label"),
    [
        ({"tank": 0.4}, "tank 0.40", "tank"),
        (
            {"Australian terrier": 0.34, "ox": 0.16},
            "animal 0.50, perhaps Australian terrier 0.34, ox 0.16",
            "animal, perhaps Australian terrier",
        ),
        (
            {"sunglasses": 0.3, "unicycle": 0.25},
            "person 0.55, perhaps sunglasses 0.30 or unicycle 0.25",
            "person, perhaps sunglasses or unicycle",
        ),
        ({"barrow": 0.15, "pot": 0.14}, "perhaps barrow 0.15 or pot 0.14", "perhaps barrow or pot"),
        ({"bluetick": 0.33, "kelpie": 0.24}, "bluetick 0.33 or kelpie 0.24 (animal 0.57)", "bluetick or kelpie"),
    ],
)
def test_a_name_that_may_be_wrong_is_told_as_a_guess_after_the_sort_that_is_sure(told: dict[str, float], line: str, label: str):
    assert name_words(seen_as(told)) == line
    assert label_words(seen_as(told)) == label


def test_names_that_may_be_meant_as_well_come_after_or():
    classes = seen_as({"hare": 0.4, "wild boar": 0.3, "pillow": 0.2})
    assert name_words(classes) == "hare 0.40 or wild boar 0.30, pillow 0.20 (animal 0.70)"
    assert likely_classes(classes) == ["hare", "wild boar"]
    assert likely_classes(classes * (classes > 0.35)) == ["hare"]


def test_the_map_keeps_the_aspect_and_wide_pictures_keep_their_height():
    assert map_size(854, 480) == (432, 240)
    assert map_size(1708, 480)[1] >= 230
    assert map_size(64, 4096)[0] >= 64


def test_saliency_finds_what_stands_out():
    picture = np.full((96, 128, 3), 90, np.uint8)
    cv2.circle(picture, (70, 50), 25, (220, 40, 30), -1)
    full = load_saliency(CPU)(picture, (320, 320))
    assert full.shape == (96, 128)
    disc = cv2.circle(np.zeros((96, 128), np.uint8), (70, 50), 25, 1, -1) > 0
    found = full > 0.5
    assert (found & disc).sum() / (found | disc).sum() > 0.8


def test_sentence_vectors_agree_with_transformers(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    texts = ["the dog", "a much longer sentence about two animals that walk along a wooden fence", ""]
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder(), local_files_only=True)
    model = transformers.AutoModel.from_pretrained(model_folder(), local_files_only=True).eval()
    encoded = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**encoded).last_hidden_state
    mask = encoded["attention_mask"][..., None]
    expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    assert np.abs(load_encoder().encode(texts) - expected).max() < 1e-5
    assert load_encoder().encode([]).shape == (0, 384)


def test_missing_and_damaged_weights_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(saliency_module, "saliency_weights", lambda: tmp_path / "nothing")
    with pytest.raises(WeightsMissing, match="missing"):
        saliency_module.load_saliency.__wrapped__(CPU)
    damaged = tmp_path / "net.safetensors"
    damaged.write_bytes(b"\x0a\x05hello")
    monkeypatch.setattr(saliency_module, "saliency_weights", lambda: damaged)
    with pytest.raises(ModelError, match="cannot be read"):
        saliency_module.load_saliency.__wrapped__(CPU)
