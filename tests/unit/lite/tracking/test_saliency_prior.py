"""The saliency prior: trusted as far as it has agreed with the masks, and moved with the picture between two runs of the network."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.lite_things import CPU
from helpers.shapes import square
from videoseg_r1.lite.perception.saliency import load_saliency
from videoseg_r1.lite.tracking import saliency_prior
from videoseg_r1.lite.tracking.crop import Crop
from videoseg_r1.lite.tracking.saliency_prior import SaliencyPrior

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

    monkeypatch.setattr(saliency_prior, "load_saliency", lambda device, quick: network)
    return asked


def test_there_is_no_trust_before_it_has_agreed_with_a_mask(looks):
    prior = SaliencyPrior(CPU, 4.0, 0.5, 1)
    assert not prior.odds(prior.look(picture(10), CROP)).any()


def test_what_agrees_is_trusted_and_what_does_not_is_not(looks):
    good, bad = SaliencyPrior(CPU, 4.0, 0.5, 1), SaliencyPrior(CPU, 4.0, 0.5, 1)
    saliency = good.look(picture(10), CROP)
    good.compare(saliency, shape_at(10))
    bad.compare(saliency, shape_at(60))
    odds = good.odds(saliency).numpy()
    assert odds[shape_at(10)].mean() > 2
    assert odds[~shape_at(10)].mean() < -2
    assert np.abs(odds).max() <= 4
    assert not bad.odds(saliency).any()


def test_trust_is_lost_by_and_by_and_an_empty_mask_changes_nothing(looks):
    prior = SaliencyPrior(CPU, 4.0, 0.5, 1)
    saliency = prior.look(picture(10), CROP)
    prior.compare(saliency, shape_at(10))
    strengths = [float(prior.odds(saliency).abs().mean())]
    for _ in range(4):
        prior.compare(saliency, shape_at(60))
        strengths.append(float(prior.odds(saliency).abs().mean()))
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[-1] == 0
    lost = SaliencyPrior(CPU, 4.0, 0.5, 1)
    lost.compare(saliency, np.zeros((64, 96), bool))
    assert not lost.odds(saliency).any()


def test_between_two_looks_what_stood_out_moves_with_the_picture(looks):
    prior = SaliencyPrior(CPU, 4.0, 0.5, 3)
    found = [prior.look(picture(10 + 3 * step), CROP) > 0.5 for step in range(4)]
    assert len(looks) == 2  # the first picture and the fourth
    for step, mask in enumerate(found):
        true = shape_at(10 + 3 * step)
        assert (mask & true).sum() / (mask | true).sum() > 0.8


def test_another_crop_is_looked_at_anew(looks):
    prior = SaliencyPrior(CPU, 4.0, 0.5, 3)
    prior.look(picture(10), CROP)
    prior.look(picture(12), Crop(1, 0, 97, 64, 96, 64))
    assert len(looks) == 2


def test_the_quick_network_sees_nearly_what_the_exact_one_sees_and_is_never_the_default():
    frame = picture(30)
    exact, quick = load_saliency(CPU), load_saliency(CPU, quick=True)
    one, other = exact(frame, (96, 64)), quick(frame, (96, 64))
    assert exact is not quick
    assert exact is load_saliency(CPU)
    assert one.max() > 0.5
    assert np.mean((one > 0.5) != (other > 0.5)) < 0.05
