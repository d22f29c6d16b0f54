"""The commands that the README shows exist: verbs, options and values parse, and make knows its targets."""

from __future__ import annotations

import re
import shlex

import pytest
import typer
from typer.main import get_command

from helpers.places import ROOT
from videoseg_r1.cli.app import VERBS, app

ENDS_A_COMMAND = {"|", ">", ">>", "2>", "<", "&&", "||", ";", "&"}


def shown_commands(text: str) -> list[list[str]]:
    """Return the words of every command for videoseg or make in fenced blocks, prompts, comments and pipes cut off."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    commands = [
        shlex.split(line.lstrip().removeprefix("$ "), comments=True) for line in lines if re.match(r"\s*(\$ )?(videoseg|make)\s", line)
    ]
    ends = [next((k for k, word in enumerate(words) if word in ENDS_A_COMMAND), len(words)) for words in commands]
    return [words[:end] for words, end in zip(commands, ends, strict=True)]


def problem_of(words: list[str]) -> str:
    """Return why a videoseg command would be refused before it runs, or nothing."""
    group = get_command(app)
    with group.make_context("videoseg", [], resilient_parsing=True) as context:
        if words[1].startswith("-"):
            return _parse(group, words[1:], None)
        command = VERBS.get(words[1]) and group.get_command(context, words[1])  # type: ignore[attr-defined]
        return _parse(command, words[2:], context) if command else f"no verb {words[1]}"


def _parse(command: object, arguments: list[str], parent: object) -> str:
    try:
        command.make_context("videoseg", list(arguments), parent=parent)  # type: ignore[attr-defined]
    except typer.TyperException as error:
        return error.format_message()
    except typer.Exit:  # --help and --version
        pass
    return ""


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_the_two_make_commands_and_the_main_verb(readme: str) -> None:
    commands = shown_commands(readme)
    assert ["make", "demo"] in commands
    assert ["make", "test"] in commands
    assert any(words[:2] == ["videoseg", "segment"] for words in commands)


def test_every_videoseg_command_parses(readme: str) -> None:
    commands = [words for words in shown_commands(readme) if words[0] == "videoseg"]
    problems = {shlex.join(words): problem for words in commands if (problem := problem_of(words))}
    assert problems == {}


def test_every_verb_and_option_in_running_text_exists(readme: str) -> None:
    prose = re.sub(r"^```.*?^```", "", readme, flags=re.MULTILINE | re.DOTALL)
    unknown = [verb for verb in re.findall(r"`videoseg ([a-z][\w-]*)", prose) if verb not in VERBS]
    assert unknown == []


def test_every_make_target_exists(readme: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = {word for words in shown_commands(readme) if words[0] == "make" for word in words[1:] if "=" not in word}
    assert used <= targets


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
