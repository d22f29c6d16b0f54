"""Regions as the perception of `lite` finds them, without a picture: where, of which class and colour, how fast."""

from __future__ import annotations

import numpy as np

from videoseg_r1.lite.language.vocabulary import NUM_CLASSES, class_names
from videoseg_r1.lite.perception.regions import PALETTE, Region, touches_border
from videoseg_r1.types import Box


def region(
    index: int = 0,
    name: str = "golden retriever",
    center: tuple[float, float] = (0.5, 0.5),
    half: tuple[float, float] = (0.1, 0.1),
    *,
    colour: str = "tan",
    velocity: tuple[float, float] = (0.0, 0.0),
    confidence: float = 0.9,
    grid: tuple[int, int] = (160, 90),
    scale: float = 4.0,
) -> Region:
    """Return a rectangular region.

    Args:
        index: frame.
        name: ImageNet class that nearly all of the probability is on.
        center, half: middle and half the sides, (right, down) in 0..1 of the frame.
        colour: the one colour it has.
        velocity: as `Region.velocity`.
        confidence: mean saliency, 0..1.
        grid: (width, height) of its mask.
        scale: pixels of the frame per pixel of the mask.
    """
    width, height = grid
    x, y = round(center[0] * width), round(center[1] * height)
    dx, dy = round(half[0] * width), round(half[1] * height)
    mask = np.zeros((height, width), bool)
    mask[max(0, y - dy) : y + dy, max(0, x - dx) : x + dx] = True
    classes = np.full(NUM_CLASSES, 0.1 / NUM_CLASSES, np.float32)
    classes[class_names().index(name)] += 0.9
    colours = np.zeros(len(PALETTE), np.float32)
    colours[PALETTE.index(colour)] = 1
    box = Box(scale * (x - dx), scale * (y - dy), scale * (x + dx), scale * (y + dy))
    return Region(index, mask, box, center, float(mask.mean()), confidence, classes, colours, velocity, touches_border(mask))
