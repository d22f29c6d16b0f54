"""Silhouettes and surfaces of drawn things: a shape per family of kinds, facing right, and a texture in a thing's colours.

Shapes are recognisable to people rather than true to nature. Not here: where a thing is drawn (`render`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.types import BoolMask, RgbImage

_Polygon = npt.NDArray[np.float64]

PAINTS = {
    "black": (22, 20, 24),
    "white": (236, 236, 238),
    "grey": (132, 132, 134),
    "red": (200, 30, 34),
    "orange": (242, 134, 18),
    "brown": (112, 70, 32),
    "tan": (212, 182, 142),
    "yellow": (232, 218, 34),
    "green": (36, 150, 50),
    "blue": (34, 70, 200),
    "purple": (120, 40, 180),
    "pink": (240, 120, 180),
}
"""RGB of the names of `regions.PALETTE`."""
_TEXTURE = 64  # side of a texture before it is fitted to its thing
_PATTERN = 0.35  # of a thing that shows its second colour


def silhouette(shape: str, width: int, height: int, faces_left: bool) -> BoolMask:
    """Return (height, width) bool, a shape that touches all four sides."""
    canvas = np.zeros((height, width), np.uint8)
    for polygon in _shape(shape):
        points = polygon * (width - 1, height - 1)
        cv2.fillPoly(canvas, [np.round(points).astype(np.int32)], (1,))
    return (canvas[:, ::-1] if faces_left else canvas) > 0


def texture(rng: np.random.Generator, colours: Sequence[str]) -> RgbImage:
    """Return (64, 64, 3) uint8: the main colour, shaded, with stripes, spots or patches of the second one if there are two."""
    surface = np.empty((_TEXTURE, _TEXTURE, 3))
    surface[:] = PAINTS[colours[0]]
    if len(colours) > 1:
        surface[_pattern(rng)] = PAINTS[colours[1]]
    shade = 1 + 0.1 * smooth_noise(rng, _TEXTURE, 5) - np.linspace(-0.08, 0.08, _TEXTURE)[:, None]
    return np.clip(surface * shade[..., None], 0, 255).astype(np.uint8)


def smooth_noise(rng: np.random.Generator, side: int, cells: int) -> npt.NDArray[np.float64]:
    """Return (side, side) float64 in -1..1 that changes over about side / cells pixels."""
    coarse = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR), np.float64)


def _pattern(rng: np.random.Generator) -> BoolMask:
    """Return where the second colour goes, about _PATTERN of the surface."""
    rows, columns = np.mgrid[:_TEXTURE, :_TEXTURE] / _TEXTURE
    match int(rng.integers(4)):
        case 0:
            field = (columns * rng.integers(4, 8) + 0.3 * rows) % 1
        case 1:
            field = (rows * rng.integers(3, 6)) % 1
        case 2:
            field = np.hypot((columns * 5) % 1 - 0.5, (rows * 5) % 1 - 0.5)
        case _:
            field = smooth_noise(rng, _TEXTURE, 6)
    return field <= np.quantile(field, _PATTERN)


@lru_cache(maxsize=32)
def _shape(name: str) -> tuple[_Polygon, ...]:
    """Return the polygons of a shape, stretched to fill 0..1 both ways."""
    parts = _SHAPES[name]
    points = np.concatenate(parts)
    low, high = points.min(0), points.max(0)
    return tuple((part - low) / (high - low) for part in parts)


def _oval(x: float, y: float, rx: float, ry: float) -> _Polygon:
    angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], 1)


def _bar(x1: float, y1: float, x2: float, y2: float) -> _Polygon:
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])


def _of(*points: tuple[float, float]) -> _Polygon:
    return np.array(points)


_SHAPES: dict[str, tuple[_Polygon, ...]] = {
    "beast": (
        _oval(0.44, 0.48, 0.34, 0.2),
        _oval(0.84, 0.26, 0.15, 0.14),
        _of((0.58, 0.38), (0.74, 0.2), (0.9, 0.36), (0.7, 0.56)),
        _of((0.76, 0.18), (0.8, 0), (0.87, 0.16)),
        _of((0.14, 0.42), (0, 0.18), (0.04, 0.16), (0.2, 0.36)),
        *(_bar(x, 0.52, x + 0.09, 1) for x in (0.16, 0.28, 0.56, 0.67)),
    ),
    "bird": (
        _oval(0.46, 0.5, 0.32, 0.24),
        _oval(0.76, 0.2, 0.13, 0.14),
        _of((0.6, 0.4), (0.68, 0.2), (0.84, 0.26), (0.74, 0.5)),
        _of((0.86, 0.16), (1, 0.24), (0.86, 0.28)),
        _of((0.22, 0.42), (0, 0.3), (0.04, 0.56), (0.24, 0.6)),
        _bar(0.42, 0.7, 0.47, 1),
        _bar(0.54, 0.7, 0.59, 1),
    ),
    "fish": (
        _oval(0.58, 0.52, 0.42, 0.3),
        _of((0.24, 0.52), (0, 0.2), (0.07, 0.52), (0, 0.86)),
        _of((0.44, 0.3), (0.56, 0), (0.7, 0.28)),
        _of((0.5, 0.75), (0.56, 1), (0.66, 0.76)),
    ),
    "car": (
        _of((0, 0.5), (0.2, 0.44), (0.32, 0.05), (0.7, 0.05), (0.82, 0.42), (1, 0.5), (1, 0.8), (0, 0.8)),
        _oval(0.22, 0.8, 0.12, 0.2),
        _oval(0.78, 0.8, 0.12, 0.2),
    ),
    "truck": (
        _bar(0, 0, 0.72, 0.82),
        _of((0.72, 0.25), (0.9, 0.25), (1, 0.52), (1, 0.82), (0.7, 0.82)),
        *(_oval(x, 0.84, 0.09, 0.16) for x in (0.16, 0.42, 0.84)),
    ),
    "cycle": (
        _oval(0.2, 0.7, 0.2, 0.3),
        _oval(0.8, 0.7, 0.2, 0.3),
        _of((0.2, 0.66), (0.4, 0.3), (0.72, 0.26), (0.82, 0.66), (0.5, 0.78)),
        _of((0.66, 0.3), (0.62, 0), (0.8, 0), (0.8, 0.08), (0.74, 0.32)),
        _bar(0.28, 0.2, 0.48, 0.32),
    ),
    "plane": (
        _oval(0.5, 0.5, 0.5, 0.13),
        _of((0.46, 0.5), (0.2, 1), (0.32, 1), (0.66, 0.5)),
        _of((0.5, 0.46), (0.32, 0.14), (0.42, 0.14), (0.66, 0.46)),
        _of((0.02, 0.46), (0, 0), (0.1, 0), (0.24, 0.44)),
    ),
    "boat": (
        _of((0, 0.7), (1, 0.7), (0.84, 1), (0.14, 1)),
        _bar(0.46, 0, 0.5, 0.72),
        _of((0.5, 0.04), (0.86, 0.62), (0.5, 0.62)),
        _of((0.44, 0.14), (0.44, 0.6), (0.16, 0.6)),
    ),
    "person": (
        _oval(0.5, 0.12, 0.2, 0.12),
        _of((0.2, 0.26), (0.8, 0.26), (0.72, 0.62), (0.28, 0.62)),
        _of((0.2, 0.26), (0, 0.56), (0.12, 0.6), (0.34, 0.36)),
        _of((0.8, 0.26), (1, 0.5), (0.9, 0.56), (0.66, 0.36)),
        _of((0.28, 0.58), (0.2, 1), (0.38, 1), (0.52, 0.6)),
        _of((0.48, 0.6), (0.64, 1), (0.82, 1), (0.72, 0.58)),
    ),
    "ball": (_oval(0.5, 0.5, 0.5, 0.5),),
    "box": (
        _of((0.06, 0), (0.94, 0), (1, 0.62), (0, 0.62)),
        _bar(0.06, 0.6, 0.22, 1),
        _bar(0.78, 0.6, 0.94, 1),
        _bar(0.2, 0.6, 0.8, 0.76),
    ),
    "bug": (
        _oval(0.46, 0.46, 0.38, 0.4),
        _oval(0.88, 0.6, 0.12, 0.16),
        *(_of((x, 0.6), (x - 0.06, 1), (x + 0.06, 1)) for x in (0.2, 0.44, 0.68)),
        _of((0.12, 0.5), (0, 0.7), (0.14, 0.66)),
    ),
    "long": (
        _of((0, 0.74), (0.7, 0.16), (0.82, 0.28), (0.14, 1)),
        _oval(0.82, 0.2, 0.18, 0.2),
    ),
}
