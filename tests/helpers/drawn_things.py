"""Textured things on a textured, swaying ground, drawn so that the truth is exact: what of each thing is to be seen, to the pixel.

Edges are soft, every frame has sensor noise of its own, and nearer things hide farther ones. Where things are is said in `encounters`,
what became of them when they were followed in `identity`. Not here: shadows, motion blur, limbs.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.types import BoolMask, RgbImage, Size

Floats = npt.NDArray[np.float64]
Picture = npt.NDArray[np.float32]

_SKIN = 128
"""Side of a skin in pixels; it covers `_COVER` sizes of its thing to each side of the middle."""
_COVER = 1.3
_EDGE = 1.5
"""Pixels over which an edge goes from nothing to all."""
_NOISE = 4.0
"""Standard deviation of the sensor noise, of 255."""
_SWAY = 12.0
"""Farthest that the ground moves to each side, in pixels of a picture of 480 rows; at most 0.6 pixels a frame."""


@dataclass(frozen=True, eq=False)
class Thing:
    """Something that moves: a disc with or without lobes, or a bar.

    Attributes:
        skin: (128, 128, 3) float32, what is painted on it; it turns and grows with it.
        centers: (T, 2) float64, its middle in pixels, right and down.
        sizes: (T,) float64, radius of a disc or half the length of a bar, in pixels.
        turns: (T,) float64, radians.
        hue: of its skin, 0..1.
        half_width: of a bar, in pixels; None for a disc.
        lobes, wave: how many bulges a disc has, and how high they are, as a part of its radius.
        is_scenery: it hides what is behind it, and is no object.
    """

    skin: Picture
    centers: Floats
    sizes: Floats
    turns: Floats
    hue: float
    half_width: float | None = None
    lobes: int = 0
    wave: float = 0.0
    is_scenery: bool = False

    def depth(self, t: int, x: Picture, y: Picture) -> tuple[Picture, Picture, Picture]:
        """Return how deep pixels (h, w) lie inside the outline, in pixels and negative outside; and where on the skin, right and down."""
        right, down = x - self.centers[t, 0], y - self.centers[t, 1]
        cos, sin, size = np.cos(self.turns[t]), np.sin(self.turns[t]), self.sizes[t]
        u, v = right * cos + down * sin, down * cos - right * sin
        if self.half_width is not None:
            inside = np.minimum(size - np.abs(u), self.half_width - np.abs(v))
        else:
            inside = size * (1 + self.wave * np.cos(self.lobes * np.arctan2(v, u))) - np.hypot(u, v)
        return inside.astype(np.float32), (u / size).astype(np.float32), (v / size).astype(np.float32)

    def box(self, t: int, size: Size) -> tuple[slice, slice]:
        """Return the rows and columns of a picture of `size` (width, height) that it may touch."""
        reach = self.sizes[t] * (1 + self.wave) + (self.half_width or 0.0) + 2
        low, high = np.floor(self.centers[t] - reach), np.ceil(self.centers[t] + reach) + 1
        (x1, x2), (y1, y2) = (np.clip((low[k], high[k]), 0, size[k]).astype(int).tolist() for k in (0, 1))
        return slice(y1, y2), slice(x1, x2)


@dataclass(frozen=True, eq=False)
class DrawnClip:
    """Things in front of a ground; iterating gives the frames in order, any number of times, always with the same pixels.

    Attributes:
        name: kind and seed.
        size: (width, height).
        things: from back to front, each over the whole length.
        seed: of ground and noise.
    """

    name: str
    size: Size
    things: tuple[Thing, ...] = field(repr=False)
    seed: int

    def __len__(self) -> int:
        return len(self.things[0].sizes)

    def __iter__(self) -> Iterator[RgbImage]:
        return map(self.frame, range(len(self)))

    @cached_property
    def objects(self) -> tuple[Thing, ...]:
        """The N things that are objects, in the order of their masks."""
        return tuple(thing for thing in self.things if not thing.is_scenery)

    def frame(self, t: int) -> RgbImage:
        """Return a frame, (H, W, 3) uint8."""
        rgb = self._ground_at(t)
        for thing in self.things:
            rows, columns, inside, u, v = self._placed(thing, t)
            if inside.size:
                cover = np.clip(inside / _EDGE + 0.5, 0, 1)[..., None]
                rgb[rows, columns] += cover * (_painted(thing.skin, float(thing.sizes[t]), u, v) - rgb[rows, columns])
        noise = np.random.default_rng([self.seed, 2, t]).standard_normal(rgb.shape, np.float32)
        return np.clip(np.rint(rgb + _NOISE * noise), 0, 255).astype(np.uint8)

    def masks(self, t: int) -> BoolMask:
        """Return bool (N, H, W): of every object what is to be seen in a frame, the pixels of which it covers at least half."""
        width, height = self.size
        seen = np.full((height, width), -1, np.int16)
        numbers = {id(thing): number for number, thing in enumerate(self.objects)}
        for thing in self.things:
            rows, columns, inside, _, _ = self._placed(thing, t)
            seen[rows, columns][inside >= 0] = numbers.get(id(thing), -1)
        return seen[None] == np.arange(len(self.objects), dtype=np.int16)[:, None, None]

    def _placed(self, thing: Thing, t: int) -> tuple[slice, slice, Picture, Picture, Picture]:
        rows, columns = thing.box(t, self.size)
        y, x = np.mgrid[rows, columns].astype(np.float32)
        return rows, columns, *thing.depth(t, x, y)

    def _ground_at(self, t: int) -> Picture:
        sway, (across, down) = self._sway, self._phases
        shift = sway * (1 + np.array([np.sin(t / 25 + across), np.sin(t / 34 + down)]))
        move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        return np.asarray(cv2.warpAffine(self._ground, move, self.size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP), np.float32)

    @property
    def _sway(self) -> float:
        return _SWAY * self.size[1] / 480

    @cached_property
    def _phases(self) -> tuple[float, float]:
        across, down = np.random.default_rng([self.seed, 1]).uniform(0, 2 * np.pi, 2)
        return float(across), float(down)

    @cached_property
    def _ground(self) -> Picture:
        rng = np.random.default_rng([self.seed, 0])
        border = int(np.ceil(2 * self._sway)) + 2
        colour = colour_of(rng.random(), rng.uniform(0.1, 0.3), rng.uniform(0.35, 0.6))
        return textured(rng, (self.size[0] + border, self.size[1] + border), colour, (3, 9, 27, 81), 26.0, 14.0)


def colour_of(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    """Return red, green and blue, 0..255, of a hue, a saturation and a value in 0..1."""
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return 255 * red, 255 * green, 255 * blue


def skin_of(rng: np.random.Generator, hue: float, saturation: float, value: float) -> Picture:
    """Return a skin (128, 128, 3): any two of one colour have the same statistics, and no two have the same pattern."""
    return textured(rng, (_SKIN, _SKIN), colour_of(hue, saturation, value), (3, 8, 20), 22.0, 8.0)


def textured(
    rng: np.random.Generator, size: Size, colour: tuple[float, float, float], cells: tuple[int, ...], light: float, tint: float
) -> Picture:
    """Return (H, W, 3) float32: a colour with noise of several scales, of light (all channels alike) and of tint (each its own).

    Args:
        rng: draws the noise.
        size: (width, height).
        colour: mean red, green and blue.
        cells: of each scale, how many of its waves fit into the height.
        light, tint: standard deviations of the noise, of 255.
    """
    width, height = size
    noise = np.zeros((height, width, 4), np.float32)
    for count in cells:
        coarse = rng.standard_normal((count + 1, round(count * width / height) + 1, 4)).astype(np.float32)
        noise += cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    noise /= noise.std((0, 1))
    return np.array(colour, np.float32) + light * noise[..., :1] + tint * noise[..., 1:]


def _painted(skin: Picture, size: float, u: Picture, v: Picture) -> Picture:
    """Return the colours (h, w, 3) at places on a skin, which is first shrunk to the size of its thing."""
    side = min(_SKIN, max(4, round(2 * _COVER * size)))
    small = cv2.resize(skin, (side, side), interpolation=cv2.INTER_AREA)
    at = [(place / _COVER + 1) / 2 * side - 0.5 for place in (u, v)]
    return np.asarray(cv2.remap(small, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32)
