"""What documents and docstrings name, and whether it exists: files, headings, modules, verbs, options, make targets.

`problems_of` reads Markdown, `problems_of_source` Python. Both return one line per thing that is named and is not there.
"""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import tokenize
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import typer
from typer.main import get_command

from helpers.places import ROOT
from videoseg_r1.cli.app import VERBS, app

PACKAGE = ROOT / "src" / "videoseg_r1"
ENDS_A_COMMAND = {"|", ">", ">>", "2>", "<", "&&", "||", ";", "&"}

_BLOCK = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`((?:[^`\n]|\n(?!\n))+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"(?<![\w./$<-])(?![A-Z]+/)[\w.-]+(?:/[\w.-]+)*(?:\.(?:py|md|toml)\b|/(?![\w.*{<]))")
_CITATION = re.compile(r"docs/[\w/-]+\.md(?:, (\"[^\"]+\"(?: and \"[^\"]+\")*))?")
_DOCUMENT = re.compile(r"(?<![\w./-])(?![A-Z]+/)(?:[\w-]+/)*[\w-]+\.md\b")
_MODULE = re.compile(r"\bvideoseg_r1(?:\.\w+)+")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def shown_commands(text: str) -> list[list[str]]:
    """Return the words of every command for videoseg or make in fenced blocks, prompts, comments and pipes cut off."""
    lines = "\n".join(_BLOCK.findall(text)).replace("\\\n", " ").splitlines()
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


def make_targets() -> set[str]:
    """Return the targets of the Makefile."""
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def problems_of(text: str, folder: Path) -> list[str]:
    """Return what a Markdown document names that does not exist; links are relative to its folder."""
    prose = _BLOCK.sub("", text)
    files = {name for name in _FILE.findall(_LINK.sub("]", text)) if not _file_exists(name, folder)}
    commands = (shlex.join(words) for words in shown_commands(text) if words[0] == "videoseg")
    targets = {word for words in shown_commands(text) if words[0] == "make" for word in words[1:] if "=" not in word}
    return [
        *(f"link {link}" for link in _LINK.findall(prose) if not _link_holds(link, folder, text)),
        *(f"file {name}" for name in sorted(files)),
        *(f"module {name}" for name in _MODULE.findall(text) if not _module_exists(name)),
        *(f"{command}: {why}" for command in commands if (why := problem_of(shlex.split(command)))),
        *(f"make {target}" for target in sorted(targets - make_targets())),
        *(problem for code in _CODE.findall(prose) for problem in _option_problems(code)),
    ]


def problems_of_source(source: str) -> list[str]:
    """Return the documents and headings that a Python file cites, and the modules its docstrings name, that do not exist."""
    said = " ".join(" ".join([*_docstrings(source), *_comments(source)]).split())
    headings = [
        f'{found.group().split(",")[0]}, "{heading}"'
        for found in _CITATION.finditer(said)
        for heading in re.findall(r'"([^"]+)"', found.group(1) or "")
        if heading not in _headings(ROOT / found.group().split(",")[0])
    ]
    documents = {name for name in _DOCUMENT.findall(said) if not _file_exists(name, ROOT)}
    modules = {code for code in _CODE.findall(said) if _MODULE.fullmatch(code) and not _module_exists(code)}
    return [*(f"document {name}" for name in sorted(documents)), *headings, *(f"module {name}" for name in sorted(modules))]


def _parse(command: object, arguments: list[str], parent: object) -> str:
    try:
        command.make_context("videoseg", list(arguments), parent=parent)  # type: ignore[attr-defined]
    except typer.TyperException as error:
        return error.format_message()
    except typer.Exit:  # --help and --version
        pass
    return ""


def _option_problems(code: str) -> Iterator[str]:
    """Yield the verb or the options that inline code names and the command line has not."""
    words = code.split()
    if words[0] == "videoseg" and len(words) > 1 and re.fullmatch(r"[a-z][\w-]*", words[1]):
        if words[1] not in VERBS:
            yield f"no verb {words[1]}: {code}"
            return
        known = _options()[words[1]]
    elif words[0] == "videoseg" or words[0].startswith("--"):
        known = set[str]().union(*_options().values())
    else:
        return
    yield from (f"no option {option}: {code}" for option in _OPTION.findall(code) if option not in known)


@cache
def _options() -> dict[str, set[str]]:
    group = get_command(app)
    found = {"": {"--version", "--help"}}
    with group.make_context("videoseg", [], resilient_parsing=True) as context:
        for verb in VERBS:
            parameters = group.get_command(context, verb).params  # type: ignore[attr-defined]
            found[verb] = {"--help", *(name for one in parameters for name in (*one.opts, *one.secondary_opts))}
    return found


def _link_holds(link: str, folder: Path, text: str) -> bool:
    if link.startswith(("http://", "https://")):
        return True
    path, _, anchor = link.partition("#")
    target = folder / path
    if not target.exists():
        return False
    headings = _headings_of(text) if not path else _headings(target) if anchor else ()
    return not anchor or anchor in {_anchor(heading) for heading in headings}


def _file_exists(name: str, folder: Path) -> bool:
    """Return whether a file or folder of this name is in the repository: from its root, the package, or this folder, or by name alone."""
    return any((base / name).exists() for base in (ROOT, PACKAGE, folder)) or ("/" not in name and name in _file_names())


@cache
def _file_names() -> frozenset[str]:
    rooms = ("src", "tests", "docs", "tools", "benchmarks")
    return frozenset(path.name for room in rooms for path in (ROOT / room).rglob("*.*"))


@cache
def _headings(document: Path) -> tuple[str, ...]:
    return _headings_of(document.read_text(encoding="utf-8")) if document.suffix == ".md" and document.is_file() else ()


def _headings_of(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"^#+ (.+)$", _BLOCK.sub("", text), re.MULTILINE))


def _anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@cache
def _module_exists(name: str) -> bool:
    """Return whether this is a module, or a name in one."""
    try:
        if find_spec(name) is not None:
            return True
    except ModuleNotFoundError:
        pass
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError:
        return False


def _docstrings(source: str) -> Iterator[str]:
    """Yield every text that stands alone as a statement: docstrings, and those of attributes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def _comments(source: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.removeprefix("#")
