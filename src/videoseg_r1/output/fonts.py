"""Finds fonts for any letter: Pillow's own first, then those of the system, by fontconfig or by the names they are known under.

Nothing is fetched. What no font has is `None`, and the page says in words what stands there. Not here: laying out lines (`typeset`).
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from PIL import ImageFont

Font: TypeAlias = ImageFont.FreeTypeFont

_TIMEOUT_S = 10
_LISTED = "%{file}\\t%{index}\\t%{family[0]}\\t%{weight}\\t%{slant}\\t%{width}\\t%{color}\\t%{charset}\\n"
_ENDINGS = (".ttf", ".otf", ".ttc", ".otc")
_REGULAR, _UPRIGHT, _NORMAL_WIDTH = 80, 0, 100
"""Weight, slant and width of plain type, as fontconfig counts them."""
_KNOWN_NAMES = (
    *("NotoSans-Regular.ttf", "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "NotoColorEmoji.ttf"),
    *("arial.ttf", "msyh.ttc", "YuGothM.ttc", "malgun.ttf", "Nirmala.ttc", "Nirmala.ttf", "LeelawUI.ttf", "seguiemj.ttf"),
    *("Arial Unicode.ttf", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc", "GeezaPro.ttc", "Kohinoor.ttc", "Thonburi.ttc"),
)
"""Fonts of Linux, Windows and macOS, for systems without fontconfig; Pillow looks for them where such a system keeps fonts."""
_BITMAP_SIZES = (109, 136, 160, 128, 96, 64, 32)
"""Sizes in which fonts of coloured pictures come; they have no others."""
_NOT_A_LETTER = "\uffff"


@dataclass(frozen=True, slots=True)
class FontFile:
    """A font of the system.

    Attributes:
        path, index: the file, or a name that Pillow finds, and the place of the font in it.
        family: its name.
        is_colored: whether its signs are pictures.
        plainness: how far it is from upright sans-serif type of usual weight; 0 is nearest.
        ranges: first and last code points that it has, ascending; None where only trying tells.
    """

    path: str
    index: int = 0
    family: str = ""
    is_colored: bool = False
    plainness: float = 0.0
    ranges: tuple[tuple[int, int], ...] | None = field(default=None, repr=False)

    def has(self, letters: frozenset[str]) -> bool:
        """Whether it has every one of these letters."""
        if self.ranges is None:
            face = load_face(self, 32)
            return face is not None and not lacking(face.font, letters)
        places = [(bisect_right(self.ranges, (ord(letter), 0x110000)) - 1, ord(letter)) for letter in letters]
        return all(place >= 0 and code <= self.ranges[place][1] for place, code in places)


@dataclass(frozen=True, slots=True)
class Face:
    """A font in a size. `share`: by how much what it draws must be scaled, where it has one size alone; `is_colored`: it draws pictures."""

    font: Font
    share: float = 1.0
    is_colored: bool = False


@functools.cache
def system_fonts() -> tuple[FontFile, ...]:
    """Return the fonts of this system, the plainest first; found once.

    Whoever puts other fonts in its place clears the caches of `font_for` and `typeset.lay_out` too.
    """
    listed = _by_fontconfig()
    if listed is None:
        listed = [FontFile(name, plainness=place) for place, name in enumerate(_KNOWN_NAMES)]
    return tuple(sorted(listed, key=lambda font: (font.plainness, font.family, font.path, font.index)))


@functools.lru_cache(maxsize=4096)
def font_for(letters: frozenset[str], region: str) -> FontFile | None:
    """Return the best font of the system that has all of these letters, None where none has.

    `region` is "JP", "KR" or "SC": Chinese characters look different there, and fonts for all of them come once for each.
    """
    fitting = [font for font in system_fonts() if font.has(letters)]
    emoji = any(ord(letter) >= 0x1F000 for letter in letters)
    return min(fitting, key=lambda font: (font.is_colored != emoji, f"CJK {region}" not in font.family, font.plainness), default=None)


@functools.cache
def plain_face(size: int) -> Face:
    """Return Pillow's own font, which has Latin letters, in a size in pixels."""
    return Face(cast("Font", ImageFont.load_default(size)))  # a size given, it is never the bitmap font of old


@functools.lru_cache(maxsize=64)
def load_face(file: FontFile, size: int) -> Face | None:
    """Return a font of the system in a size in pixels, None where it cannot be used."""
    for tried in (size, *_BITMAP_SIZES):
        try:
            return Face(ImageFont.truetype(file.path, tried, file.index), size / tried, file.is_colored)
        except (OSError, ValueError):
            continue
    return None


def lacking(font: Font, letters: frozenset[str]) -> frozenset[str]:
    """Return the letters that the font draws as its box for unknown ones, or cannot be given at all: halves of surrogate pairs."""
    return frozenset(letter for letter in letters if _lacks(font, letter))


@functools.lru_cache(maxsize=4096)
def _lacks(font: Font, letter: str) -> bool:
    if unicodedata.category(letter) in ("Cs", "Cn", "Co"):
        return True
    return not letter.isspace() and _shape(font, letter) == _shape(font, _NOT_A_LETTER)


def _shape(font: Font, letter: str) -> bytes:
    return bytes(cast("bytes", font.getmask(letter)))


def _by_fontconfig() -> list[FontFile] | None:
    """Return all fonts that fontconfig knows; None where there is no fontconfig, or it does not answer."""
    program = shutil.which("fc-list")
    if program is None:
        return None
    try:
        done = subprocess.run([program, "--format", _LISTED], capture_output=True, timeout=_TIMEOUT_S, check=True)  # noqa: S603 - a fixed command
    except (OSError, subprocess.SubprocessError):
        return None
    fonts = (_parsed(line) for line in done.stdout.decode("utf-8", "surrogateescape").splitlines())
    return [font for font in fonts if font is not None]


def _parsed(line: str) -> FontFile | None:
    """Return the font in a line of fc-list, None where it is of a kind that is not used here."""
    parts = line.split("\t")
    if len(parts) != 8 or not parts[0].lower().endswith(_ENDINGS):
        return None
    path, index, family, weight, slant, width, color, charset = parts
    try:
        far = abs(float(weight) - _REGULAR) + abs(float(slant) - _UPRIGHT) + abs(float(width) - _NORMAL_WIDTH)
        ends = [piece.partition("-")[::2] for piece in charset.split()]
        ranges = tuple(sorted((int(first, 16), int(last or first, 16)) for first, last in ends))
        number = int(index)
    except ValueError:  # a variable font gives ranges; its instances are listed beside it
        return None
    words = family.lower().split()
    far += 10 * ("sans" not in words) + 20 * ("mono" in words or "serif" in words) + len(words)
    return FontFile(path, number, family, color == "True", far, ranges)
