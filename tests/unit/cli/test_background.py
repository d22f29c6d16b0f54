"""`--background` says what transparency is flattened on, from the first look to the last export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from videoseg_r1.cli import main
from videoseg_r1.video import open_video


def corner(video: Path) -> list[float]:
    """Return the mean colour of the upper right corner of the first frame."""
    with open_video(video) as opened:
        return opened.read([0])[0].rgb[:8, -8:].mean(axis=(0, 1)).tolist()


def test_a_run_and_its_exports_show_one_background(tmp_path: Path) -> None:
    frames, out = tmp_path / "frames", tmp_path / "out"
    frames.mkdir()
    for number in range(3):
        rgba = np.zeros((48, 64, 4), np.uint8)
        rgba[10:30, 8 + number : 28 + number] = (220, 40, 40, 255)
        Image.fromarray(rgba).save(frames / f"{number}.png")
    given = (
        "--box",
        "8,10,28,30",
        "--propagator",
        "flow",
        "--preset",
        "lite-matcher",
        "--formats",
        "json,rle,trace,overlay",
        "-o",
        str(out),
    )
    assert main(["propagate", str(frames), *given, "--background", "#00c000", "--quiet"]) == 0
    document = json.loads((out / "result.json").read_text())
    assert document["info"]["background"] == "#00c000"
    assert "transparency is flattened on #00c000" in document["info"]["notes"]
    assert corner(out / "overlay.mp4")[1] > 150 > 60 > corner(out / "overlay.mp4")[0]
    for options, is_green in (((), True), (("--video", str(frames)), True), (("--background", "white"), False)):
        assert main(["export", str(out), "--to", "overlay", "--overwrite", "--quiet", *options]) == 0
        red, green, _ = corner(out / "overlay.mp4")
        assert green > 150
        assert (red < 60) is is_green, options
