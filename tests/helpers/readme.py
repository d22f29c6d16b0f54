"""A folder in which the README's examples can run as they stand, and the way to run them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

from helpers.places import ROOT, SHARED_DATA
from videoseg_r1.cli.demo import CLIP
from videoseg_r1.video import open_video, write_video

DAVIS = SHARED_DATA / "davis16_dev"


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language in the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def fill_folder(work: Path) -> None:
    """Put `clip.mp4` into a folder, and `DAVIS` where the real clips are here, as the README assumes."""
    if DAVIS.is_dir():
        _begin_of_a_clip(work / "DAVIS", "car-shadow", num_frames=8)
    with resources.as_file(resources.files("videoseg_r1") / "demo" / CLIP) as source, open_video(source) as video:
        # every 13th frame: the shown commands take the same way, in a fraction of the time
        write_video(work / "clip.mp4", [frame.rgb for frame in video if frame.index % 13 == 0], fps=2.0)


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
            shutil.copyfile(DAVIS / file, root / file)
    (root / "meta_expressions.json").write_text(json.dumps({"videos": {name: clip}}), encoding="utf-8")


def run_in(folder: Path, command: list[str]) -> None:
    """Run a command in the folder with the scripts of this Python; it must end with 0."""
    # it may take all cores: these are the last files of a run, when other processes have ended
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
