"""What the documentation says was measured is what is kept of the measurements: tables, and the card of the weights."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.places import ROOT
from videoseg_r1.ablations import masks, text
from videoseg_r1.ablations.document import write_tables

ABLATIONS = ROOT / "docs" / "ablations"
VALUES = "values-104-16"


def test_the_tables_are_those_of_the_values_that_are_kept(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        pytest.fail(f"not measured yet: {args}")

    for module, name in ((text, "baseline"), (text, "scores_of"), (masks, "by_mode"), (masks, "by_parts")):
        monkeypatch.setattr(module, name, refuse)
    shutil.copytree(ABLATIONS / VALUES, tmp_path / VALUES)
    tables = write_tables(tmp_path, shared_data / "davis16_dev", 104, 16, lambda *_: None).read_text(encoding="utf-8")
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").splitlines()

    assert tables == (ABLATIONS / "tables.md").read_text(encoding="utf-8")
    assert [line for line in tables.splitlines() if line not in results] == []


def test_the_card_that_ships_is_written_from_the_run_and_the_tables(tmp_path: Path) -> None:
    command = [sys.executable, "tools/write_card.py", "docs/runs/lite", f"docs/ablations/{VALUES}", str(tmp_path / "reader.md")]
    subprocess.run(command, cwd=ROOT, check=True)
    shipped = ROOT / "src" / "videoseg_r1" / "lite" / "weights" / "reader.md"
    assert (tmp_path / "reader.md").read_text(encoding="utf-8") == shipped.read_text(encoding="utf-8")
