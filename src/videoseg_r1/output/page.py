"""A small page layout: blocks with smooth shapes, and text with a fallback for letters that the font lacks.

Positions and sizes are page pixels; blocks are kept at twice that size and halved at the end, which smooths every edge. Text uses
Pillow's own font, and a font of the system where that one lacks a letter. What no font has is drawn without its accent, or as "?".
"""

from __future__ import annotations

import functools
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from typing import TypeAlias, cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from videoseg_r1.output.render import Color
from videoseg_r1.types import RgbImage

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

INK: Color = (22, 25, 31)
MUTED: Color = (104, 111, 124)
LINE: Color = (224, 227, 232)
PAPER: Color = (251, 251, 249)
WHITE: Color = (255, 255, 255)
_SCALE = 2
_MAX_LETTERS = 400
"""More than any line of the page holds."""
_NOT_A_LETTER = "\uffff"
_SYSTEM_FONTS = ("NotoSans-Regular.ttf", "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "arial.ttf", "Arial Unicode.ttf", "msyh.ttc")


class Block:
    """A rectangle of the page."""

    def __init__(self, width: float, height: float) -> None:
        self.image = Image.new("RGB", (round(width * _SCALE), round(height * _SCALE)), PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def text(self, at: tuple[float, float], text: str, size: int, color: Color = INK, anchor: str = "la") -> None:
        """Write one line; `anchor` is Pillow's: l, m, r across and a, m, s down."""
        font = _font_for(text, size)
        self._draw.text(_scaled(*at), _drawable(text, font), color, font, anchor)

    def lines(self, at: tuple[float, float], lines: Sequence[str], size: int, leading: int) -> None:
        """Write lines in one font, `leading` apart."""
        font = _font_for(" ".join(lines), size)
        for k, line in enumerate(lines):
            self._draw.text(_scaled(at[0], at[1] + k * leading), _drawable(line, font), INK, font)

    def box(
        self,
        corners: tuple[float, float, float, float],
        fill: Color | None = None,
        outline: Color | None = None,
        line: float = 1,
        radius: int = 0,
    ) -> None:
        """Draw a rectangle from (x1, y1) to the outer edge (x2, y2), rounded by `radius`."""
        x1, y1, x2, y2 = (round(value * _SCALE) for value in corners)
        area = (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))
        self._draw.rounded_rectangle(area, min(radius * _SCALE, (area[3] - y1) // 2), fill, outline, max(1, round(line * _SCALE)))

    def disc(self, at: tuple[float, float], radius: float, fill: Color, ring: Color = WHITE, line: float = 2) -> None:
        """Draw a disc with a ring around it."""
        x, y = at
        self._draw.ellipse((*_scaled(x - radius, y - radius), *_scaled(x + radius, y + radius)), fill, ring, round(line * _SCALE))

    def picture(self, at: tuple[float, float], size: tuple[int, int], rgb: RgbImage) -> None:
        """Put in a picture, (H, W, 3) uint8, brought to `size` = (width, height)."""
        drawn = Image.fromarray(np.ascontiguousarray(rgb)).resize((size[0] * _SCALE, size[1] * _SCALE), Image.Resampling.LANCZOS)
        self.image.paste(drawn, (round(at[0] * _SCALE), round(at[1] * _SCALE)))

    def put(self, at: tuple[float, float], block: Block, height: float) -> None:
        """Put in the upper `height` pixels of another block."""
        part = block.image.crop((0, 0, block.image.width, round(height * _SCALE)))
        self.image.paste(part, (round(at[0] * _SCALE), round(at[1] * _SCALE)))


def stack(blocks: Sequence[Block]) -> Image.Image:
    """Return the page with the blocks one below the other."""
    page = Image.new("RGB", (max(b.image.width for b in blocks), sum(b.image.height for b in blocks)), PAPER)
    y = 0
    for block in blocks:
        page.paste(block.image, (0, y))
        y += block.image.height
    return page.reduce(_SCALE)


def measure(text: str, size: int) -> float:
    """Return how wide one line is."""
    font = _font_for(text, size)
    return font.getlength(_drawable(text, font)) / _SCALE


def wrap(text: str, size: int, width: float, max_lines: int) -> list[str]:
    """Return the text in lines that fit `width`, at least one; the last of `max_lines` ends in "..." if something is left over.

    Blanks of all kinds and control characters separate words; words that are too long are broken.
    """
    clean = " ".join("".join(c if c.isprintable() else " " for c in text[: _MAX_LETTERS * max_lines]).split())
    font = _font_for(clean, size)

    def fits(line: str) -> bool:
        return font.getlength(_drawable(line, font)) <= width * _SCALE

    lines, line = list[str](), ""
    for word in clean.split(" "):
        longer = f"{line} {word}" if line else word
        if fits(longer):
            line = longer
            continue
        lines += [line] if line else []
        line = word
        while not fits(line) and len(line) > 1 and len(lines) <= max_lines:
            cut = max(1, bisect_left(range(1, min(len(line), _MAX_LETTERS)), True, key=lambda n, word=line: not fits(word[:n])))
            lines, line = [*lines, line[:cut]], line[cut:]
        if len(lines) > max_lines:
            break
    lines.append(line)
    if len(lines) <= max_lines and len(text) <= _MAX_LETTERS * max_lines:
        return lines
    last = lines[:max_lines][-1]
    while last and not fits(f"{last} ..."):
        last = last[:-1]
    return [*lines[: max_lines - 1], f"{last} ..."]


def _scaled(x: float, y: float) -> tuple[float, float]:
    return x * _SCALE, y * _SCALE


def _font_for(text: str, size: int) -> Font:
    """The first font that has every letter, else the one that lacks the fewest."""
    fonts = _fonts(size)
    letters = frozenset(text)
    return min(fonts, key=lambda font: len(_lacking(font, letters)))


@functools.lru_cache(maxsize=32)
def _fonts(size: int) -> tuple[Font, ...]:
    found = [ImageFont.load_default(size * _SCALE)]
    for name in _SYSTEM_FONTS:
        try:
            found.append(ImageFont.truetype(name, size * _SCALE))
        except OSError:
            continue
    return tuple(found)


@functools.lru_cache(maxsize=256)
def _lacking(font: Font, letters: frozenset[str]) -> frozenset[str]:
    """The letters that the font draws as its box for unknown ones, or cannot be given at all: halves of surrogate pairs."""
    unknown = _shape(font, _NOT_A_LETTER)
    return frozenset(c for c in letters if "\ud800" <= c <= "\udfff" or (not c.isspace() and _shape(font, c) == unknown))


def _shape(font: Font, letter: str) -> bytes:
    return bytes(cast("bytes", font.getmask(letter)))


def _drawable(text: str, font: Font) -> str:
    lacking = _lacking(font, frozenset(text))
    if not lacking:
        return text
    return "".join(_plainer(c, font) if c in lacking else c for c in text)


def _plainer(letter: str, font: Font) -> str:
    base = unicodedata.normalize("NFKD", letter)[0]
    return "?" if base == letter or _lacking(font, frozenset(base)) else base
