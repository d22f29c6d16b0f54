"""Flatten transparency on a plain colour.

Blending happens in the stored values, as in browsers and viewers: (colour * alpha + background * (255 - alpha)) / 255, rounded to the
nearest. Opaque pixels keep their values to the bit.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from videoseg_r1.errors import InvalidConfig
from videoseg_r1.types import RgbImage

PlainColor: TypeAlias = tuple[int, int, int]
_WHITE: PlainColor = (255, 255, 255)
_NAMES = {"white": _WHITE, "black": (0, 0, 0)}


def parse_color(text: str) -> PlainColor:
    """Return the colour of "white", "black" or "#rrggbb" as red, green, blue 0..255. Raises: InvalidConfig."""
    if text in _NAMES:
        return _NAMES[text]
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text, re.ASCII) is None:
        raise InvalidConfig("this is no colour", where=f"background {text}", fix="write white, black, or #rrggbb such as #00ff00")
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def color_name(color: PlainColor) -> str:
    """Return what `parse_color` reads as this colour."""
    return next((name for name, known in _NAMES.items() if color == known), "#{:02x}{:02x}{:02x}".format(*color))


def flattened_note(background: PlainColor) -> str:
    """Return the note of a source whose transparency is flattened."""
    return f"transparency is flattened on {color_name(background)}"


def flatten(rgb: RgbImage, alpha: npt.NDArray[np.uint8], background: PlainColor) -> RgbImage:
    """Return (H, W, 3) uint8 with `rgb` (H, W, 3) laid over a plain colour; `alpha` (H, W) is 255 where it is opaque."""
    if (alpha == 255).all():
        return rgb
    weight = alpha[..., None].astype(np.uint16)
    mixed = rgb * weight + np.array(background, np.uint16) * (255 - weight)  # at most 255 * 255, so 16 bits hold it
    return ((mixed + 127) // 255).astype(np.uint8)


def to_rgb(image: Image.Image, background: PlainColor) -> RgbImage:
    """Return (H, W, 3) uint8 of the current frame of a picture, its transparency flattened.

    16-bit grey keeps its upper 8 bits, where Pillow would clip it to white.
    """
    if image.mode.startswith("I"):
        values = np.asarray(image, np.int32)
        grey = np.repeat(np.clip(values >> 8, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        hidden = image.info.get("transparency")  # the one value that is transparent (PNG specification, 11.3.2.1)
        return grey if hidden is None else flatten(grey, np.where(values == hidden, 0, 255).astype(np.uint8), background)
    if not image.has_transparency_data:
        return np.array(image.convert("RGB"))
    rgba = np.asarray(image.convert("RGBA"))
    return flatten(np.ascontiguousarray(rgba[..., :3]), rgba[..., 3], background)


def is_transparent(image: Image.Image) -> bool:
    """Return whether the current frame of a picture has a pixel that is not opaque."""
    return image.has_transparency_data and bool((np.asarray(image.convert("RGBA").getchannel("A")) < 255).any())
