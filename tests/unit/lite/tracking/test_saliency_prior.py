"""The witness of what stands out: believed as far as it has agreed with the masks, and carried along between two looks."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.shapes import square
from videoseg_r1.lite.perception.saliency import load_saliency
from videoseg_r1.lite.tracking import saliency_prior as outline
from videoseg_r1.lite.tracking.crop import Crop
from videoseg_r1.lite.tracking.saliency_prior import Outline

CROP = Crop(0, 0, 96, 64, 96, 64)


def shape_at(left: int) -> np.ndarray:
    return square((96, 64), left, 20, 24)


def picture(left: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    frame = rng.integers(90, 110, (64, 96, 3)).astype(np.uint8)
    texture = np.random.default_rng(1).integers(150, 255, (24, 24, 3)).astype(np.uint8)
    frame[20:44, left : left + 24] = texture
    return frame


@pytest.fixture
def looks(monkeypatch):
    """A network that knows where the square is, and counts how often it is asked."""
    asked = []

    def network(rgb, size):
        asked.append(size)
        return (rgb.mean(2) > 130).astype(np.float32) * 0.9 + 0.05

    monkeypatch.setattr(outline, "load_saliency", lambda device, quick: network)
    return asked


def test_nothing_is_believed_before_it_has_agreed_with_a_mask(looks):
    witness = Outline(4.0, 0.5, 1)
    assert not witness.odds(witness.look(picture(10), CROP)).any()


def test_what_agrees_is_believed_and_what_does_not_is_not(looks):
    good, bad = Outline(4.0, 0.5, 1), Outline(4.0, 0.5, 1)
    standing = good.look(picture(10), CROP)
    good.learn(standing, shape_at(10))
    bad.learn(standing, shape_at(60))
    odds = good.odds(standing).numpy()
    assert odds[shape_at(10)].mean() > 2
    assert odds[~shape_at(10)].mean() < -2
    assert np.abs(odds).max() <= 4
    assert not bad.odds(standing).any()


def test_belief_is_lost_by_and_by_and_an_empty_mask_teaches_nothing(looks):
    witness = Outline(4.0, 0.5, 1)
    standing = witness.look(picture(10), CROP)
    witness.learn(standing, shape_at(10))
    strengths = [float(witness.odds(standing).abs().mean())]
    for _ in range(4):
        witness.learn(standing, shape_at(60))
        strengths.append(float(witness.odds(standing).abs().mean()))
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[-1] == 0
    lost = Outline(4.0, 0.5, 1)
    lost.learn(standing, np.zeros((64, 96), bool))
    assert not lost.odds(standing).any()


def test_between_two_looks_what_stood_out_moves_with_the_picture(looks):
    witness = Outline(4.0, 0.5, 3)
    found = [witness.look(picture(10 + 3 * step), CROP) > 0.5 for step in range(4)]
    assert len(looks) == 2  # the first picture and the fourth
    for step, mask in enumerate(found):
        true = shape_at(10 + 3 * step)
        assert (mask & true).sum() / (mask | true).sum() > 0.8


def test_another_crop_is_looked_at_anew(looks):
    witness = Outline(4.0, 0.5, 3)
    witness.look(picture(10), CROP)
    witness.look(picture(12), Crop(1, 0, 97, 64, 96, 64))
    assert len(looks) == 2


def test_the_quick_network_sees_nearly_what_the_exact_one_sees_and_is_never_the_default():
    frame = picture(30)
    exact, quick = load_saliency(), load_saliency(quick=True)
    one, other = exact(frame, (96, 64)), quick(frame, (96, 64))
    assert exact is not quick
    assert exact is load_saliency()
    assert one.max() > 0.5
    assert np.mean((one > 0.5) != (other > 0.5)) < 0.05
