"""Known things for tests of `lite`: squares and scans that stand in for what perception would see."""

from __future__ import annotations

import numpy as np
import torch

from helpers.regions import region
from videoseg_r1.lite.perception.regions import FrameScan, Region

CPU = torch.device("cpu")
WIDTH, HEIGHT, FRAMES = 160, 96, 20


def square_region(index: int, name: str = "golden retriever", left: int = 20, side: int = 30, confidence: float = 0.9) -> Region:
    """Return a square of a class in frame `index`, `left` pixels from the left border and 40 from the top."""
    center, half = ((left + side / 2) / WIDTH, (40 + side / 2) / HEIGHT), (side / 2 / WIDTH, side / 2 / HEIGHT)
    return region(index, name, center, half, confidence=confidence, grid=(WIDTH, HEIGHT), scale=1)


def scan_of(*regions: Region) -> FrameScan:
    """Return the scan of a black frame with these regions."""
    return FrameScan(regions, np.zeros((HEIGHT, WIDTH), np.uint8))
