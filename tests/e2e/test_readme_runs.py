"""The README's commands and its Python, run as they stand, in order, in a folder with a short `clip.mp4`."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from helpers.places import ROOT, SHARED_DATA
from videoseg_r1.cli.demo import CLIP
from videoseg_r1.video import open_video, write_video

DAVIS = SHARED_DATA / "davis16_dev"


def _blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with `clip.mp4`, and `DAVIS` where the real clips are here, as the README's commands assume."""
    work = tmp_path_factory.mktemp("readme")
    if DAVIS.is_dir():
        _begin_of_a_clip(work / "DAVIS", "car-shadow", num_frames=8)
    with resources.as_file(resources.files("videoseg_r1") / "demo" / CLIP) as source, open_video(source) as video:
        # every tenth frame: the shown commands take the same way, in a tenth of the time
        write_video(work / "clip.mp4", [frame.rgb for frame in video if frame.index % 10 == 0], fps=2.4)
    return work


def _begin_of_a_clip(root: Path, name: str, num_frames: int) -> None:
    """Make a DAVIS folder of the first frames of one clip."""
    clip = json.loads((DAVIS / "meta_expressions.json").read_text(encoding="utf-8"))["videos"][name]
    clip["frames"] = clip["frames"][:num_frames]
    for expression in clip["expressions"].values():
        expression.pop("best_frame", None)
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        (root / kind / "480p" / name).mkdir(parents=True)
        for frame in clip["frames"]:
            file = Path(kind) / "480p" / name / f"{frame}.{suffix}"
            (root / file).symlink_to(DAVIS / file)
    (root / "meta_expressions.json").write_text(json.dumps({"videos": {name: clip}}), encoding="utf-8")


def _run(command: list[str], folder: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"


@pytest.mark.timeout(400)
def test_the_shown_commands_run(folder):
    lines = [line for block in _blocks("console") for line in block.splitlines() if line.startswith("videoseg ")]
    assert len(lines) >= 5
    for line in lines:
        if " DAVIS " in line and not DAVIS.is_dir():
            continue
        _run(shlex.split(line), folder)
    for name in ("out/overlay.mp4", "out/card.png", "out/matte.mp4", "out/cutout.webm", "by-box/overlay.mp4", "again/overlay.mp4"):
        assert (folder / name).stat().st_size > 1000


@pytest.mark.timeout(300)
def test_the_shown_python_runs(folder):
    blocks = _blocks("python")
    assert blocks
    for block in blocks:
        _run([sys.executable, "-c", block], folder)
    assert (folder / "saved/overlay.mp4").is_file()
