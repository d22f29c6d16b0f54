"""Every public name of the package has one meaning: no two modules define a class or a function of the same name."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import videoseg_r1

_BEING_RENAMED = {"Scene", "Query", "Track", "Choice", "Example", "weights_path"}


def _definitions() -> dict[str, list[str]]:
    root = Path(videoseg_r1.__file__).parent
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(root.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(root)))
    return found


def test_no_public_name_is_defined_twice():
    twice = {name: places for name, places in _definitions().items() if len(places) > 1}
    assert {name: places for name, places in twice.items() if name not in _BEING_RENAMED} == {}
