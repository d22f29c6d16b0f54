"""The README shows what a newcomer needs, and its commands parse. That all it names exists is checked in `test_documents`."""

from __future__ import annotations

import shlex

import pytest

from helpers.documents import problem_of, shown_commands
from helpers.places import ROOT


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_the_two_make_commands_and_the_main_verb(readme: str) -> None:
    commands = shown_commands(readme)
    assert ["make", "demo"] in commands
    assert ["make", "test"] in commands
    assert any(words[:2] == ["videoseg", "segment"] for words in commands)


def test_the_readme_tells_an_outsider_how_to_install(readme: str) -> None:
    assert "\npip install . " in readme
    assert "../shared" not in readme


def test_every_videoseg_command_parses(readme: str) -> None:
    commands = [words for words in shown_commands(readme) if words[0] == "videoseg"]
    problems = {shlex.join(words): problem for words in commands if (problem := problem_of(words))}
    assert problems == {}


def test_the_check_itself_finds_wrong_commands() -> None:
    lines = ["$ videoseg segmnt a.mp4 x", "videoseg segment a.mp4 x \\", "  -o out --frmats png | cat", "videoseg doctor --json  # fine"]
    text = "\n".join(["```console", *lines, "```", ""])
    first, second, third = shown_commands(text)
    assert (first[1], second[-1], third) == ("segmnt", "png", ["videoseg", "doctor", "--json"])
    assert problem_of(first) == "no verb segmnt"
    assert "--frmats" in problem_of(second)
    assert problem_of(third) == ""
    assert "--out" in problem_of(["videoseg", "segment", "a.mp4", "x"])
    assert problem_of(["videoseg", "--version"]) == ""
