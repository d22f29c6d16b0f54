"""From box and points to a mask: drawn scenes with known masks, and real frames where shared/data is there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from helpers.lite_things import CPU
from helpers.places import SHARED_DATA
from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.lite import segmenter
from videoseg_r1.lite.segmenter import LiteSegmenter
from videoseg_r1.masks.geometry import box_of, center_of
from videoseg_r1.types import Box, Cue, Frame, Point

DAVIS = SHARED_DATA / "davis16_dev"


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def scene():
    """Two ellipses on a textured ground: (frame, mask of the red one, mask of the blue one)."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(90, 150, (20, 30, 3), np.uint8), (300, 200), interpolation=cv2.INTER_CUBIC)
    masks = []
    for centre, axes, colour in (((90, 100), (45, 30), (210, 40, 40)), ((220, 90), (30, 50), (40, 60, 210))):
        mask = cv2.ellipse(np.zeros((200, 300), np.uint8), centre, axes, 20, 0, 360, 1, -1).astype(bool)
        ground[mask] = colour
        masks.append(mask)
    return Frame(0, 0.0, ground), masks[0], masks[1]


def test_one_mask_per_cue_in_their_order():
    frame, red, blue = scene()
    masks = LiteSegmenter(CPU).segment(frame, [Cue(box_of(blue), (center_of(blue),)), Cue(box_of(red))])
    assert masks.shape == (2, 200, 300)
    assert masks.dtype == np.bool_
    assert overlap(masks[0], blue) > 0.85
    assert overlap(masks[1], red) > 0.85


def test_no_cue_gives_no_mask():
    assert LiteSegmenter(CPU).segment(scene()[0], []).shape == (0, 200, 300)


def test_a_point_alone_is_enough():
    frame, red, _ = scene()
    (mask,) = LiteSegmenter(CPU).segment(frame, [Cue(None, (center_of(red),))])
    assert overlap(mask, red) > 0.7


def test_the_mask_stays_in_its_box_and_a_negative_point_takes_a_thing_out():
    frame, red, blue = scene()
    box = box_of(red | blue)
    cue = Cue(box, (center_of(red),), (center_of(blue),))
    (mask,) = LiteSegmenter(CPU).segment(frame, [cue])
    assert overlap(mask, red) > 0.7
    assert not (mask & blue).sum() > 0.2 * blue.sum()
    outside = np.ones(mask.shape, bool)
    outside[int(box.y1) : int(np.ceil(box.y2)), int(box.x1) : int(np.ceil(box.x2))] = False
    assert not (mask & outside).any()


def test_a_box_on_plain_ground_still_gives_a_mask():
    flat = Frame(0, 0.0, np.full((60, 80, 3), 128, np.uint8))
    (mask,) = LiteSegmenter(CPU).segment(flat, [Cue(Box(20, 20, 40, 40))])
    assert mask.any()
    assert not mask[:20].any()


@pytest.mark.parametrize("box", [Box(-1, -1, 2, 2), Box(79.5, 59.5, 90, 70), Box(-10, -10, 500, 500), Box(40.2, 30.1, 40.4, 30.3)])
def test_tiny_and_overhanging_boxes_are_cut_at_the_border(box):
    frame = Frame(0, 0.0, np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8))
    (mask,) = LiteSegmenter(CPU).segment(frame, [Cue(box)])
    assert mask.shape == (60, 80)
    assert mask.any()


def test_the_same_cue_gives_the_same_mask():
    frame, red, blue = scene()
    cue = Cue(box_of(red | blue), (center_of(red),), (center_of(blue),))
    first, second = (LiteSegmenter(CPU).segment(frame, [cue]) for _ in range(2))
    assert (first == second).all()


def test_unusable_cues_are_named():
    frame, _, _ = scene()
    with pytest.raises(InvalidPrompt, match="box or a point"):
        LiteSegmenter(CPU).segment(frame, [Cue(None)])
    with pytest.raises(InvalidPrompt, match="does not overlap"):
        LiteSegmenter(CPU).segment(frame, [Cue(Box(400, 10, 420, 30))])
    with pytest.raises(InvalidPrompt, match="outside"):
        LiteSegmenter(CPU).segment(frame, [Cue(None, (Point(400.0, 10.0),))])


@pytest.mark.parametrize(("clip", "index"), [("camel", 40), ("car-shadow", 10), ("horsejump-high", 6)])
def test_real_things_from_their_true_box(clip, index):
    if not DAVIS.is_dir():
        pytest.skip(f"shared/data is not here: {DAVIS}")
    picture = cv2.imread(str(DAVIS / f"JPEGImages/480p/{clip}/{index:05d}.jpg"))
    assert picture is not None
    truth = cv2.imread(str(DAVIS / f"Annotations/480p/{clip}/{index:05d}.png"), cv2.IMREAD_GRAYSCALE) > 127
    frame = Frame(index, 0.0, np.ascontiguousarray(picture[..., ::-1]))
    (mask,) = LiteSegmenter(CPU).segment(frame, [Cue(box_of(truth), (center_of(truth),))])
    assert overlap(mask, truth) > 0.75


def _noise():
    """Return a picture of noise, BGR, and a state in which GrabCut has to guess: (picture, state)."""
    picture = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    picture[20:45, 25:60] = picture[20:45, 25:60] // 3 + 150
    picture = cv2.GaussianBlur(picture, (5, 5), 0)
    state = np.full((60, 80), cv2.GC_BGD, np.uint8)
    state[10:52, 15:70] = cv2.GC_PR_FGD
    return picture, state


def test_grab_cut_gives_what_it_gives_in_a_thread_that_was_seeded_with_zero():
    picture, state = _noise()

    def here(seed):
        found = state.copy()
        cv2.setRNGSeed(seed)
        cv2.grabCut(picture, found, None, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
        return found

    expected, other = here(0), here(99)
    assert (expected != other).any()  # the seed matters here
    assert (segmenter._grab_cut(picture, state.copy()) == expected).all()


def test_the_random_numbers_of_the_caller_go_on_as_if_nothing_had_happened():
    def drawn():
        return cv2.randu(np.zeros((4, 4), np.uint8), 0, 255).tolist()

    cv2.setRNGSeed(7)
    expected = [drawn(), drawn()]
    cv2.setRNGSeed(7)
    first = drawn()
    segmenter._grab_cut(*_noise())
    assert [first, drawn()] == expected


def test_an_error_in_grab_cut_reaches_the_caller():
    picture, state = _noise()
    with pytest.raises(cv2.error):
        segmenter._grab_cut(picture, state[:10].copy())
