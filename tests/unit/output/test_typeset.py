"""Text of any script: drawn where a font has it, said in words where none has, never as question marks or empty boxes."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from videoseg_r1.output import fonts
from videoseg_r1.output.fonts import FontFile, font_for, system_fonts
from videoseg_r1.output.page import measure, wrap
from videoseg_r1.output.typeset import clusters, lay_out, unreadable

SCRIPTS = {
    "Japanese text": "赤い車を追う犬",
    "Chinese text": "左边的狗",
    "Korean text": "하얀 개",
    "Arabic text": "الكلب الأبيض",
    "Hebrew text": "הכלב הלבן",
    "Devanagari text": "क्षत्रिय ज्ञान",
    "Thai text": "สุนัขสีขาว",
    "Cyrillic text": "белая собака",
    "dog": "\N{DOG}",
    "flag": "\U0001f1e9\U0001f1ea",
}
UseFonts = Callable[..., None]


@pytest.fixture
def use_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[UseFonts]:
    """A function that puts other fonts in the place of those of the system, for one test."""

    def clear() -> None:
        font_for.cache_clear()
        lay_out.cache_clear()

    def use(*files: FontFile) -> None:
        monkeypatch.setattr(fonts, "system_fonts", lambda: files)
        clear()

    yield use
    clear()


def picture(text: str, size: int = 40) -> np.ndarray:
    """A line of text as it is drawn, black on white."""
    image = Image.new("RGB", (900, 80), (255, 255, 255))
    lay_out(text, size).draw(image, (10, 10), size, (0, 0, 0), "la")
    return np.asarray(image)


def require(text: str) -> None:
    if not features.check("raqm") or font_for(frozenset(text.replace(" ", "")), "SC") is None:
        pytest.skip(f"no font of this machine has {text}, or Pillow has no raqm")


@pytest.mark.parametrize(("words", "text"), SCRIPTS.items())
def test_what_no_font_has_is_said_in_words(words: str, text: str, use_fonts: UseFonts) -> None:
    use_fonts()
    assert unreadable(f"the {text} runs") == (words,)
    assert (picture(f"the {text} runs") == picture(f"the [{words}] runs")).all()
    assert "?" not in "".join(run.text for run in lay_out(text, 40).runs)


@pytest.mark.parametrize(("words", "text"), SCRIPTS.items())
def test_what_a_font_has_is_drawn(words: str, text: str) -> None:
    require(text)
    assert unreadable(text) == ()
    drawn = lay_out(text, 40)
    assert "".join(sorted("".join(run.text for run in drawn.runs))) == "".join(sorted(text))
    ink = picture(text) < 128
    assert ink.any()
    assert not np.array_equal(picture(text), picture(f"[{words}]"))
    assert drawn.width == pytest.approx(np.ptp(np.flatnonzero(ink.any((0, 2)))), abs=25)


def test_without_raqm_letters_that_join_are_said_in_words(monkeypatch: pytest.MonkeyPatch, use_fonts: UseFonts) -> None:
    everything = FontFile("none.ttf", ranges=((0, 0x10FFFF),))
    use_fonts(everything)
    monkeypatch.setattr(features, "check", lambda _name: False)
    assert unreadable("the كلب") == ("Arabic text",)
    assert unreadable("the क्ष") == ("Devanagari text",)


def test_a_font_that_cannot_be_opened_is_no_font(use_fonts: UseFonts, tmp_path: Path) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    use_fonts(FontFile(str(broken), ranges=((0, 0x10FFFF),)), FontFile("not there.ttf"))
    assert unreadable("犬") == ("Chinese text",)


def test_accents_are_left_out_before_a_letter_is(use_fonts: UseFonts) -> None:
    use_fonts()
    assert unreadable("e\u0301 \u1e25") == ()
    assert [run.text for run in lay_out("h\u0323\u0302", 40).runs] == ["h"]


def test_stops_and_blanks_between_unreadable_words_say_nothing(use_fonts: UseFonts) -> None:
    use_fonts()
    assert "".join(run.text for run in lay_out("犬が走る。 猫も走る。", 40).runs).rstrip() == "[Japanese text]"


def test_right_to_left_text_runs_from_right_to_left() -> None:
    require("אבג")
    assert [run.text.strip() for run in lay_out("אבג abc דהו", 40).runs if run.text.strip()] == ["דהו", "abc", "אבג"]
    assert [run.text.strip() for run in lay_out("abc אבג 12 def", 40).runs if run.text.strip()] == ["abc", "אבג 12", "def"]
    left, right = (picture("אבג abc") < 128).any((0, 2)), (picture("abc אבג") < 128).any((0, 2))
    assert not np.array_equal(left, right)


def test_signs_of_other_fonts_stand_in_their_place_in_right_to_left_text() -> None:
    require("אבג")
    require("\N{DOG}")
    assert [run.text.strip() for run in lay_out("אבג \N{DOG} דהו", 40).runs if run.text.strip()] == ["דהו", "\N{DOG}", "אבג"]


def test_letters_are_joined_and_conjuncts_formed() -> None:
    """A font that joins makes a word narrower than its letters apart, which a blank without width between them keeps apart."""
    for word in ("لله", "क्ष"):
        require(word)
        assert lay_out(word, 40).width < sum(lay_out(letter, 40).width for letter in word)


def test_clusters_are_what_a_reader_takes_as_one_sign() -> None:
    family, thumb, flags = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7"
    assert clusters(f"a\u0301{family}{thumb}") == ["a\u0301", family, thumb]
    assert clusters(flags) == [flags[:2], flags[2:]]
    assert clusters("कि") == ["कि"]


def test_chinese_characters_part_anywhere_and_words_do_not() -> None:
    require("犬")
    lines = wrap("犬" * 50 + " running", 22, 300, 20)
    assert "".join(lines) == "犬" * 50 + "running"
    assert lines[-1].endswith("running")
    assert all(measure(line, 22) <= 300 for line in lines)


LETTERS = st.characters(codec="utf-8") | st.sampled_from("aé犬いकا\u0651א\u200d\U0001f415\U0001f3fd\u3002 (1")


@settings(max_examples=40, deadline=None)
@given(st.text(LETTERS, max_size=24), st.sampled_from((9, 22)))
def test_any_text_is_laid_out(text: str, size: int) -> None:
    assert "".join(clusters(text)) == text
    line = lay_out(text, size)
    assert line.width >= 0
    assert "?" in unicodedata.normalize("NFKD", text) or not any("?" in run.text for run in line.runs)
    line.draw(Image.new("RGB", (60, 60)), (0, 0), size, (0, 0, 0), "lm")
    for part in wrap(text, size, 400, 3):
        assert measure(part, size) <= 400 or len(clusters(part)) == 1 or unreadable(part)


class TestSystemFonts:
    @pytest.fixture(autouse=True)
    def _found_anew(self) -> Iterator[None]:
        system_fonts.cache_clear()
        yield
        system_fonts.cache_clear()

    @pytest.mark.skipif(os.name == "nt", reason="a program is made of a script for the shell")
    def test_fontconfig_is_asked_once_and_plain_type_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        lines = (
            "/f/Bold.ttf\\t0\\tSome Sans\\t200\\t0\\t100\\tFalse\\t61-7a\\n",
            "/f/Plain.ttc\\t2\\tSome Sans\\t80\\t0\\t100\\tFalse\\t20-7e 4e00-4e10 72ac\\n",
            "/f/Italic.otf\\t0\\tSome Sans\\t80\\t100\\t100\\tFalse\\t61\\n",
            "/f/Old.pcf.gz\\t0\\tBitmap\\t80\\t0\\t100\\tFalse\\t61\\n",
            "/f/Variable.ttf\\t0\\tWide Sans\\t[100 900]\\t0\\t100\\tFalse\\t61\\n",
            "no font at all\\n",
        )
        program = tmp_path / "fc-list"
        program.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/asked\nprintf '{''.join(lines)}'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        found = system_fonts()
        assert [(font.path, font.index) for font in found] == [("/f/Plain.ttc", 2), ("/f/Italic.otf", 0), ("/f/Bold.ttf", 0)]
        assert found[0].has(frozenset("a犬"))
        assert not found[0].has(frozenset("é"))
        assert system_fonts() is found
        assert (tmp_path / "asked").read_text() == "asked\n"

    @pytest.mark.skipif(os.name == "nt", reason="a program is made of a script for the shell")
    @pytest.mark.parametrize("script", [None, "exit 1", "exec sleep 60"])
    def test_without_its_answer_fonts_are_tried_by_their_names(
        self, script: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if script is not None:
            (tmp_path / "fc-list").write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / "fc-list").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if script else str(tmp_path))
        monkeypatch.setattr(fonts, "_TIMEOUT_S", 0.3)
        if script is None:
            monkeypatch.setattr(fonts.shutil, "which", lambda _name: None)
        found = system_fonts()
        assert found[0].path == "NotoSans-Regular.ttf"
        assert all(font.ranges is None for font in found)
