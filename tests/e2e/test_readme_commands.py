"""The README's commands, run as they stand, in order, in a folder with a short `clip.mp4`."""

from __future__ import annotations

import shlex

import pytest

from helpers.readme import DAVIS, blocks, fill_folder, run_in


@pytest.mark.timeout(600)
def test_the_shown_commands_run(tmp_path):
    fill_folder(tmp_path)
    lines = [line for block in blocks("console") for line in block.splitlines() if line.startswith("videoseg ")]
    assert len(lines) >= 5
    for line in lines:
        if " DAVIS " in line and not DAVIS.is_dir():
            continue
        run_in(tmp_path, shlex.split(line))
    for name in ("out/overlay.mp4", "out/card.png", "out/matte.mp4", "out/cutout.webm", "by-box/overlay.mp4", "again/overlay.mp4"):
        assert (tmp_path / name).stat().st_size > 1000
