"""Lays out a line of text of any scripts: a font for every letter, right-to-left text in its order, pictures of emoji.

Letters are joined and placed by raqm, where Pillow has it. What no font of the system has, or what cannot be joined without raqm, is said
in words: "[Arabic text]", "[dog]". Directions follow the Unicode Bidirectional Algorithm (UAX #9) without explicit embeddings, which text
from outside may not have on a page. Not here: finding fonts (`fonts`), breaking text into lines (`page`).
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, TypeAlias

from PIL import Image, ImageDraw, ImageFont, features

from videoseg_r1.output.fonts import Face, Font, font_for, lacking, load_face, plain_face
from videoseg_r1.types import Color

TextDirection: TypeAlias = Literal["ltr", "rtl"]

JOINERS = "\u200c\u200d"
"""Signs without a picture that say whether letters join; emoji of several parts are joined by them too."""
_JOINED_SCRIPTS = frozenset(
    {"ARABIC", "SYRIAC", "HEBREW", "THAANA", "NKO", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL"}
    | {"TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "KHMER", "MYANMAR", "TIBETAN", "BALINESE", "JAVANESE", "ADLAM"}
)
"""Scripts that are wrong, not only plain, without raqm: letters that join, move or run from right to left."""
_JAPANESE, _KOREAN, _CHINESE = ("HIRAGANA", "KATAKANA"), "HANGUL", "CJK"
_SKIN_TONES, _REGIONAL, _TAGS = range(0x1F3FB, 0x1F400), range(0x1F1E6, 0x1F200), range(0xE0020, 0xE0080)
_VARIATIONS = range(0xFE00, 0xFE10)


@dataclass(frozen=True, slots=True)
class _Run:
    """Letters of one font and direction, as they are drawn."""

    text: str
    face: Face
    direction: TextDirection

    @property
    def width(self) -> float:
        return self.face.font.getlength(self.text, **_shaping(self.face.font, self.direction)) * self.face.share


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line that is laid out: runs from left to right, and its `width` in pixels."""

    runs: tuple[_Run, ...]
    width: float

    def draw(self, image: Image.Image, at: tuple[float, float], size: int, color: Color, anchor: str) -> None:
        """Draw the line into an RGB picture; `anchor` is Pillow's, l, m or r across and a or m down, in terms of Pillow's own font."""
        ascent, descent = _metrics(size)
        x = at[0] - {"l": 0.0, "m": self.width / 2, "r": self.width}[anchor[0]]
        baseline = at[1] + {"a": float(ascent), "m": (ascent - descent) / 2}[anchor[1]]
        for run in self.runs:
            _draw_run(image, run, (x, baseline), color)
            x += run.width


@functools.lru_cache(maxsize=2048)
def lay_out(text: str, size: int, base: TextDirection | None = None) -> TextLine:
    """Return a line of text in a size in pixels; `base` is the direction of the paragraph, by default that of its first letter."""
    plain = plain_face(size)
    if text.isascii() and text.isprintable():
        runs: tuple[_Run, ...] = (_Run(text, plain, "ltr"),) if text else ()
    else:
        runs = tuple(_in_visual_order(text, size, base or direction_of(text)))
    return TextLine(runs, sum(run.width for run in runs))


def direction_of(text: str) -> TextDirection:
    """Return the direction of the first letter that has one."""
    kinds = (unicodedata.bidirectional(letter) for letter in text)
    first = next((kind for kind in kinds if kind in ("L", "R", "AL")), "L")
    return "ltr" if first == "L" else "rtl"


def clusters(text: str) -> list[str]:
    """Return the text in parts that a reader takes as one sign: a letter with its marks, an emoji with what is joined to it."""
    found: list[str] = []
    for letter in text:
        if found and _belongs_to(found[-1], letter):
            found[-1] += letter
        else:
            found.append(letter)
    return found


def unreadable(text: str) -> tuple[str, ...]:
    """Return in words, each once, what stands in the text that no font here can draw: "Arabic text", "dog"."""
    drawn = [] if text.isascii() else _with_faces(text, 32)
    return tuple(dict.fromkeys(word for word, face in drawn if face is None))


def _belongs_to(cluster: str, letter: str) -> bool:
    code = ord(letter)
    if unicodedata.category(letter) in ("Mn", "Mc", "Me") or letter in JOINERS or code in _SKIN_TONES or code in _TAGS:
        return True
    flag = code in _REGIONAL and len(cluster) == 1 and ord(cluster) in _REGIONAL
    return flag or (cluster[-1] == "\u200d" and ord(cluster[0]) > 0x2000)


# ---- a font for every cluster ----


def _with_faces(text: str, size: int) -> list[tuple[str, Face | None]]:
    """Return (cluster, font) in reading order; where there is no font, what is unreadable in words, once for neighbours of one kind."""
    region = _region(text)
    found: list[tuple[str, Face | None]] = []
    current: Face | None = None
    for cluster in clusters(unicodedata.normalize("NFC", text)):
        face = _face(cluster, size, region, current)
        if face is not None:
            found.append((cluster, face))
            current = face
        elif (plainer := _plainer(cluster, size)) is not None:
            found.append((plainer, plain_face(size)))
        elif not (unicodedata.category(cluster[0])[0] == "P" and found and found[-1][1] is None):
            found.append((_in_words(cluster, text), None))  # but for the stops and commas of what is in words already
    return _merged(found)


def _face(cluster: str, size: int, region: str, current: Face | None) -> Face | None:
    letters = frozenset(letter for letter in cluster if not _is_ignorable(letter))
    neutral = not any(unicodedata.category(letter)[0] in "LM" for letter in letters)
    # signs and blanks go with the letters before them, so that these are shaped as one
    chain = (current, plain_face(size)) if neutral and current is not None and not current.is_colored else (plain_face(size),)
    for face in chain:
        if not lacking(face.font, letters):
            return face
    return _system_face(letters, size, region)


def _system_face(letters: frozenset[str], size: int, region: str) -> Face | None:
    if not features.check("raqm") and any(_script(letter) in _JOINED_SCRIPTS for letter in letters):
        return None
    file = font_for(letters, region)
    face = None if file is None else load_face(file, size)
    return None if face is None or lacking(face.font, letters) else face


def _plainer(cluster: str, size: int) -> str | None:
    """The letter without its accents, where the font has it."""
    base = unicodedata.normalize("NFKD", cluster)[0] if not cluster[0] > "\uffff" else ""
    usable = base and base != cluster[0] and not lacking(plain_face(size).font, frozenset(base))
    return base if usable else None


def _in_words(cluster: str, text: str) -> str:
    """What a cluster is, in words: a script for letters, a name for signs."""
    letter, script = cluster[0], _script(cluster[0])
    if ord(letter) in _REGIONAL:
        return "flag"
    if unicodedata.category(letter)[0] in "SP":
        return unicodedata.name(letter, "sign").lower()
    if script in _JAPANESE or (script == _CHINESE and _region(text) == "JP"):
        return "Japanese text"
    names = {_KOREAN: "Korean", _CHINESE: "Chinese", "": "unknown"}
    return f"{names.get(script, script.capitalize())} text"


def _merged(found: Iterable[tuple[str, Face | None]]) -> list[tuple[str, Face | None]]:
    """Neighbours that are unreadable in the same way become one, with the blanks between them."""
    merged: list[tuple[str, Face | None]] = []
    for word, face in found:
        blank = len(merged) > 1 and merged[-1][0].isspace() and merged[-2] == (word, None)
        if face is None and blank:
            merged.pop()
        elif face is not None or not merged or merged[-1] != (word, None):
            merged.append((word, face))
    return merged


def _is_ignorable(letter: str) -> bool:
    return letter in JOINERS or ord(letter) in _VARIATIONS or ord(letter) in _TAGS


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0].split("-")[0]


def _region(text: str) -> str:
    """Whose forms of Chinese characters the text has."""
    scripts = {_script(letter) for letter in text if ord(letter) > 0x2E80}
    return "JP" if scripts & set(_JAPANESE) else "KR" if _KOREAN in scripts else "SC"


# ---- directions ----


def _in_visual_order(text: str, size: int, base: TextDirection) -> list[_Run]:
    parts = [(word if face else f"[{word}]", face or plain_face(size)) for word, face in _with_faces(text, size)]
    directions = _directions([word for word, _ in parts], base)
    ordered: list[_Run] = []
    for leftwards, members in groupby(zip(parts, directions, strict=True), key=lambda member: member[1] == "rtl"):
        direction: TextDirection = "rtl" if leftwards else "ltr"
        runs = [
            _Run("".join(word for (word, _), _ in same), face, direction)
            for face, same in groupby(members, key=lambda member: member[0][1])
        ]
        runs = runs[::-1] if leftwards else runs
        ordered = runs + ordered if base == "rtl" else ordered + runs
    return ordered


def _directions(words: Sequence[str], base: TextDirection) -> list[TextDirection]:
    """The direction of each part: that of its letters; numbers follow the letters before them, signs what stands on both sides."""
    found: list[TextDirection | None] = []
    last: TextDirection = base
    for word in words:
        kinds = {unicodedata.bidirectional(letter) for letter in word}
        if kinds & {"R", "AL", "AN"}:
            last = "rtl"
            found.append(last)
        elif "L" in kinds:
            last = "ltr"
            found.append(last)
        else:
            found.append(last if "EN" in kinds else None)
    resolved: list[TextDirection] = []
    for place, direction in enumerate(found):
        before = resolved[-1] if resolved else base
        after = next((later for later in found[place:] if later is not None), base)
        resolved.append(direction or (before if before == after else base))
    return resolved


# ---- drawing ----


def _draw_run(image: Image.Image, run: _Run, at: tuple[float, float], color: Color) -> None:
    font, share = run.face.font, run.face.share
    shaping = _shaping(font, run.direction)
    if share == 1 and not run.face.is_colored:
        ImageDraw.Draw(image).text(at, run.text, color, font, "ls", **shaping)
        return
    left, top, right, bottom = (int(edge) for edge in font.getbbox(run.text, anchor="ls", **shaping))
    tile = Image.new("RGBA", (max(1, right - left), max(1, bottom - top)))
    ImageDraw.Draw(tile).text((-left, -top), run.text, color, font, "ls", embedded_color=True, **shaping)
    tile = tile.resize((max(1, round(tile.width * share)), max(1, round(tile.height * share))), Image.Resampling.LANCZOS)
    image.paste(tile, (round(at[0] + left * share), round(at[1] + top * share)), tile)


def _shaping(font: Font, direction: TextDirection) -> dict[str, Any]:
    """Directions are for raqm alone: Pillow's simple layout, which its own font has, refuses them."""
    return {"direction": direction} if font.layout_engine == ImageFont.Layout.RAQM else {}


@functools.cache
def _metrics(size: int) -> tuple[int, int]:
    """How far Pillow's own font goes above and below the baseline, in pixels."""
    return plain_face(size).font.getmetrics()
