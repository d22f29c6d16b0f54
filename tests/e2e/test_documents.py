"""What the documentation names is there, and what it says was measured is what is kept of the measurements."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from helpers.documents import problems_of, problems_of_source
from helpers.places import ROOT
from videoseg_r1.ablations import masks, text
from videoseg_r1.ablations.document import write_tables

ABLATIONS = ROOT / "docs" / "ablations"
VALUES = "values-104-16"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# reports of their day: names in them may be out of date, links may not
REPORTS = [ROOT / "CHANGELOG.md", *sorted((ROOT / "docs" / "experiments").glob("*.md"))]
SOURCES = sorted(path for room in ("src", "tests", "benchmarks", "tools") for path in (ROOT / room).rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_what_a_document_names_exists(document: Path) -> None:
    assert problems_of(document.read_text(encoding="utf-8"), document.parent) == []


@pytest.mark.parametrize("report", REPORTS, ids=_name)
def test_the_links_of_a_report_hold(report: Path) -> None:
    problems = problems_of(report.read_text(encoding="utf-8"), report.parent)
    assert [problem for problem in problems if problem.startswith("link ")] == []


def test_what_docstrings_and_comments_cite_exists() -> None:
    found = {_name(path): problems for path in SOURCES if (problems := problems_of_source(path.read_text(encoding="utf-8")))}
    assert found == {}


def test_the_layers_of_the_documentation_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = [layer.replace("videoseg_r1.", "") for layer in contracts[0]["layers"]]
    said = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## Layers")[2].split("```")[1]
    assert said.splitlines()[1:] == layers


def test_every_document_is_in_the_index_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [_name(path) for path in DOCUMENTS[1:] if f"]({_name(path)})" not in readme] == []


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("[here](docs/nowhere.md)", "link docs/nowhere.md"),
        ("# One\n\n[here](#two)", "link #two"),
        ("[here](docs/metrics.md#no-such-heading)", "link docs/metrics.md#no-such-heading"),
        ("the sampler (`sampler.py`)", "file sampler.py"),
        ("in `lite/matcher.py`", "file lite/matcher.py"),
        ("in `reasoners/`", "file reasoners/"),
        ("```sh\npython tools/nothing.py run\n```", "file tools/nothing.py"),
        ("from `videoseg_r1.sampler`", "module videoseg_r1.sampler"),
        ("as `videoseg segmnt` does", "no verb segmnt: videoseg segmnt"),
        ("with `videoseg segment --frmats png`", "no option --frmats: videoseg segment --frmats png"),
        ("with `videoseg doctor --anchors 2`", "no option --anchors: videoseg doctor --anchors 2"),
        ("and `--frmats`", "no option --frmats: --frmats"),
        ("over `videoseg segment\n--frmats` lines", "no option --frmats: videoseg segment\n--frmats"),
        ("```console\nmake cake\n```", "make cake"),
        ("```console\nvideoseg segmnt a.mp4 x\n```", "videoseg segmnt a.mp4 x: no verb segmnt"),
    ],
)
def test_the_check_of_documents_finds(said: str, problem: str) -> None:
    assert problems_of(said, ROOT) == [problem]


@pytest.mark.parametrize(
    "said",
    [
        "[here](docs/metrics.md#j-region-similarity), [there](https://example.org/x.md), `docs/metrics.md`, `metrics.py`",
        "`stages/sampling/hierarchical.py`, `stages/`, `videoseg_r1.rewards.score`, `videoseg_r1.video`",
        "`--json`, `videoseg segment --json`, `videoseg --version`, `2/3`, `run/final`",
        "```console\nmake test\nvideoseg doctor --json  # fine\n```",
    ],
)
def test_the_check_of_documents_lets_pass(said: str) -> None:
    assert problems_of(said, ROOT) == []


def test_the_check_of_sources_finds_what_is_cited_and_not_there() -> None:
    source = '"""Source: spec.md B.7, docs/algorithm.md, "No such\nheading", see `videoseg_r1.sampler`."""\nX = 1  # docs/nothing.md\n'
    assert problems_of_source(source) == [
        "document docs/nothing.md",
        "document spec.md",
        'docs/algorithm.md, "No such heading"',
        "module videoseg_r1.sampler",
    ]
    assert problems_of_source('"""Source: docs/algorithm.md, "Form" and\n"Accuracy"; see `videoseg_r1.rewards`."""\n') == []


def test_the_tables_are_those_of_the_values_that_are_kept(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        pytest.fail(f"not measured yet: {args}")

    for module, name in ((text, "baseline"), (text, "scores_of"), (masks, "by_mode"), (masks, "by_parts")):
        monkeypatch.setattr(module, name, refuse)
    shutil.copytree(ABLATIONS / VALUES, tmp_path / VALUES)
    tables = write_tables(tmp_path, shared_data / "davis16_dev", 104, 16, lambda *_: None).read_text(encoding="utf-8")
    assert tables == (ABLATIONS / "tables.md").read_text(encoding="utf-8")


def test_the_card_that_ships_is_written_from_the_run_and_the_tables(tmp_path: Path) -> None:
    command = [sys.executable, "tools/write_card.py", "docs/runs/lite", f"docs/ablations/{VALUES}", str(tmp_path / "reader.md")]
    subprocess.run(command, cwd=ROOT, check=True)
    shipped = ROOT / "src" / "videoseg_r1" / "lite" / "weights" / "reader.md"
    assert (tmp_path / "reader.md").read_text(encoding="utf-8") == shipped.read_text(encoding="utf-8")
