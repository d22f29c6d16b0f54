"""Every public name of the package has one meaning: no two modules define the same one at their top level."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import videoseg_r1


def _defined_by(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _defined_twice(root: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(root.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for name in _defined_by(node):
                if not name.startswith("_"):
                    found[name].append(path.relative_to(root).as_posix())
    return {name: places for name, places in found.items() if len(places) > 1}


def test_no_public_name_is_defined_twice() -> None:
    assert _defined_twice(Path(videoseg_r1.__file__).parent) == {}


@pytest.mark.parametrize("text", ["class Track: ...", "def Track(): ...", "Track = 1", "Track: int = 1"])
def test_the_check_finds_a_second_definition(text: str, tmp_path: Path) -> None:
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(text + "\n_private = 1\n")
    assert _defined_twice(tmp_path) == {"Track": ["one.py", "two.py"]}
