"""Known things for tests of `lite`: regions and scans that stand in for what perception would see."""

from __future__ import annotations

import numpy as np
import torch

from videoseg_r1.lite.language.vocabulary import NUM_CLASSES, class_names
from videoseg_r1.lite.perception.regions import PALETTE, FrameScan, Region
from videoseg_r1.types import Box

CPU = torch.device("cpu")
WIDTH, HEIGHT, FRAMES = 160, 96, 20


def square_region(
    index: int,
    name: str = "golden retriever",
    left: int = 20,
    side: int = 30,
    confidence: float = 0.9,
    velocity: tuple[float, float] = (0.0, 0.0),
) -> Region:
    """Return a black square of a class in frame `index`, `left` pixels from the left border and 40 from the top."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[40 : 40 + side, left : left + side] = True
    classes = np.full(NUM_CLASSES, 0.05 / NUM_CLASSES, np.float32)
    classes[class_names().index(name)] += 0.95
    colours = np.eye(len(PALETTE), dtype=np.float32)[0]
    box = Box(float(left), 40.0, float(left + side), float(40 + side))
    center = ((left + side / 2) / WIDTH, (40 + side / 2) / HEIGHT)
    return Region(index, mask, box, center, float(mask.mean()), confidence, classes, colours, velocity, cut=False)


def scan_of(*regions: Region) -> FrameScan:
    """Return the scan of a black frame with these regions."""
    return FrameScan(regions, np.zeros((HEIGHT, WIDTH), np.uint8))
