"""Our NanoDet-g against the graph that its weights come from.

`nanodet.npz` was recorded by `tools/convert_nanodet.py` (its head has the command), whose interpreter runs the graph with numpy and knows
nothing of our network. The weights are stored in half precision in both, so the outputs differ by rounding only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.lite_things import CPU
from videoseg_r1.lite.perception.detector import prepared
from videoseg_r1.lite.perception.nanodet import load_detector

RECORDED = Path(__file__).with_name("nanodet.npz")


def _corner_of_the_astronaut():
    from skimage.data import astronaut

    return astronaut()[:416, :416]


@pytest.mark.parametrize("picture", ["drawn", "astronaut"])
@torch.inference_mode()
def test_outputs_equal_those_of_the_graph(picture):
    with np.load(RECORDED) as recorded:
        rgb = recorded["drawn"] if picture == "drawn" else _corner_of_the_astronaut()
        every = 1 if picture == "drawn" else int(recorded["astronaut_every"])
        scores, distances = recorded[f"{picture}_scores"], recorded[f"{picture}_distances"]
    logits, bins = load_detector(CPU)(prepared(rgb, rgb.shape[1::-1]))
    assert scores.max() > 0.25  # the network sees something
    np.testing.assert_allclose(torch.sigmoid(logits[0]).numpy()[::every], scores, atol=2e-5)
    np.testing.assert_allclose(bins[0].flatten(1).numpy()[::every], distances, atol=2e-4)
