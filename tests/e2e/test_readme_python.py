"""The README's Python, run as it stands, in a folder with a short `clip.mp4`."""

from __future__ import annotations

import sys

import pytest

from helpers.readme import blocks, fill_folder, run_in


@pytest.mark.timeout(600)
def test_the_shown_python_runs(tmp_path):
    fill_folder(tmp_path)
    found = blocks("python")
    assert found
    for block in found:
        run_in(tmp_path, [sys.executable, "-c", block])
    assert (tmp_path / "saved/overlay.mp4").is_file()
