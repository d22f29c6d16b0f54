"""A small page layout: blocks with smooth shapes, and text of any script, broken into lines.

Positions and sizes are page pixels; blocks are kept at twice that size and halved at the end, which smooths every edge. Not here: a single
line of text (`typeset`).
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw

from videoseg_r1.output.typeset import JOINERS, clusters, direction_of, lay_out
from videoseg_r1.types import Color, RgbImage

INK: Color = (22, 25, 31)
MUTED: Color = (104, 111, 124)
LINE: Color = (224, 227, 232)
PAPER: Color = (251, 251, 249)
WHITE: Color = (255, 255, 255)
_SCALE = 2
_MAX_LETTERS = 400
"""More than any line of the page holds."""


class Block:
    """A rectangle of the page."""

    def __init__(self, width: float, height: float) -> None:
        self.image = Image.new("RGB", (round(width * _SCALE), round(height * _SCALE)), PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def text(self, at: tuple[float, float], text: str, size: int, color: Color = INK, anchor: str = "la") -> None:
        """Write one line; `anchor` is Pillow's: l, m, r across and a, m down."""
        lay_out(text, size * _SCALE).draw(self.image, _scaled(*at), size * _SCALE, color, anchor)

    def lines(self, at: tuple[float, float], lines: Sequence[str], size: int, leading: int) -> None:
        """Write the lines of one text, `leading` apart; all have its direction."""
        base = direction_of(" ".join(lines))
        for k, line in enumerate(lines):
            lay_out(line, size * _SCALE, base).draw(self.image, _scaled(at[0], at[1] + k * leading), size * _SCALE, INK, "la")

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
    return lay_out(text, size * _SCALE).width / _SCALE


def wrap(text: str, size: int, width: float, max_lines: int) -> list[str]:
    """Return the text in lines that fit `width`, at least one; the last of `max_lines` ends in "..." if something is left over.

    Blanks of all kinds and control characters separate words; Chinese characters and kana may part anywhere, other words only where they
    are too long for a line.
    """
    clean = " ".join("".join(c if c.isprintable() or c in JOINERS else " " for c in text[: _MAX_LETTERS * max_lines]).split())

    def fits(line: str) -> bool:
        return lay_out(line, size * _SCALE).width <= width * _SCALE

    lines, line = list[str](), ""
    for word in _words(clean):
        if fits(line + word):
            line += word
            continue
        lines += [line] if line else []
        line = word.lstrip(" ")
        while not fits(line) and len(parts := clusters(line)) > 1 and len(lines) <= max_lines:
            cut = max(
                1, bisect_left(range(1, min(len(parts), _MAX_LETTERS)), True, key=lambda n, parts=parts: not fits("".join(parts[:n])))
            )
            lines, line = [*lines, "".join(parts[:cut])], "".join(parts[cut:])
        if len(lines) > max_lines:
            break
    lines.append(line)
    if len(lines) <= max_lines and len(text) <= _MAX_LETTERS * max_lines:
        return lines
    last = lines[:max_lines][-1]
    while last and not fits(f"{last} ..."):
        last = "".join(clusters(last)[:-1])
    return [*lines[: max_lines - 1], f"{last} ..."]


def _words(text: str) -> Iterator[str]:
    """Yield what stays on one line, with the blank before it."""
    for place, word in enumerate(text.split(" ")):
        part = " " if place else ""
        for cluster in clusters(word):
            if _parts_anywhere(cluster) and part.strip():
                yield part
                part = ""
            part += cluster
            if _parts_anywhere(cluster):
                yield part
                part = ""
        if part:
            yield part


def _parts_anywhere(cluster: str) -> bool:
    return unicodedata.east_asian_width(cluster[0]) == "W" and unicodedata.category(cluster[0]) == "Lo"


def _scaled(x: float, y: float) -> tuple[float, float]:
    return x * _SCALE, y * _SCALE
