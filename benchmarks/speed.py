"""Frames a second of `videoseg propagate` with `lite` at 480p, on one core and on two, and what the time is spent on.

    python benchmarks/speed.py [--root ../shared/data] [--frames 20] [--rounds 3] [--baseline 9cd0504] [--segment]

One thing: clips of DAVIS (`--sequences`), the first true mask given. Against the baseline, a commit of this repository, which is put into a
git worktree in a temporary folder and measured by the same program: baseline, now, baseline, now, ... Each run is a process of its own
(`speed_run.py`), kept to its cores by `taskset`; loading the models is not counted, decoding is. The ratios are those of each pair. Optical
flow, the simple baseline, is measured once.

Several things: a drawn clip with five things (`tests/helpers/encounters.wanderers`) of which one, two or all are given; and of
`multi_dev/soapbox` one, two or all three. "times_of_one" is the time in times of that with one thing, round by round.

Parts: milliseconds a frame of the functions named in `speed_run.PARTS`, with one thing; "share" is of the time from start to end, "other"
what no named function took of the main thread's. Parts that other threads do meanwhile can make it more than 1 together. Names that are
not in the package (any more) are in "not_found".

`--segment` adds the whole of `segment`, starting Python and loading the models included. Prints one JSON document; figures of a machine
that does other work meanwhile mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from helpers.encounters import wanderers
from videoseg_r1.masks import read_mask
from videoseg_r1.video import open_video, write_video

ROOT = Path(__file__).resolve().parents[1]
Clip = dict[str, Any]
Run = dict[str, Any]
WARM_UP = 3


def save_labels(path: Path, labels: np.ndarray) -> str:
    Image.fromarray(labels.astype(np.uint8)).save(path)
    return str(path)


def real_clip(data: Path, name: str, num_frames: int, folder: Path, things: list[int] | None = None) -> Clip:
    """Return the beginning of a clip in the layout of DAVIS; without `things`, all that the first mask shows is one thing."""
    path = folder / f"{data.name}-{name}-{num_frames}"
    if not path.is_dir():
        path.mkdir()
        for frame in sorted((data / "JPEGImages/480p" / name).glob("*.jpg"))[:num_frames]:
            shutil.copy(frame, path)
    labels = read_mask(min((data / "Annotations/480p" / name).glob("*.png")))
    given = save_labels(folder / f"{path.name}.png", labels if things else labels > 0)
    return {"path": str(path), "given": given, "things": things or [1]}


def drawn_clip(num_frames: int, folder: Path, things: list[int]) -> Clip:
    """Return a drawn clip of five things, of which some are given."""
    drawn, path = wanderers(0, 5, num_frames), folder / "drawn.mp4"
    if not path.is_file():
        write_video(path, iter(drawn), fps=24.0)
    labels = (drawn.masks(0) * np.arange(1, 6)[:, None, None]).sum(0)
    return {"path": str(path), "given": save_labels(folder / "drawn.png", labels), "things": things}


def run(tree: Path, cores: int, clips: list[Clip], warm_up: Clip, *, propagator: str | None = None, parts: bool = False) -> Run:
    """Return what `speed_run.py` says, run with the package of a tree."""
    spec = {"propagator": propagator, "parts": parts, "warm_up": warm_up, "clips": clips}
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree / "src"),
        "OMP_NUM_THREADS": str(cores),
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads should not burn the other core
    }
    allowed = ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores]))
    command = ["taskset", "-c", allowed, sys.executable, str(ROOT / "benchmarks/speed_run.py"), json.dumps(spec)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, cwd=tree)
    told: Run = json.loads(done.stdout)
    told["frames"], told["seconds"] = (sum(clip[key] for clip in told["clips"]) for key in ("frames", "seconds"))
    print(f"{tree.name}, {cores} cores, {propagator or 'lite'}: {told['frames'] / told['seconds']:.2f} frames a second", file=sys.stderr)
    return told


def speeds(runs: list[Run]) -> dict[str, Any]:
    """Return frames a second of some runs: the median, and each."""
    each = [one["frames"] / one["seconds"] for one in runs]
    return {"median": round(statistics.median(each), 3), "each": [round(value, 3) for value in each]}


def ratios(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    """Return ours by theirs, pair by pair: the median, the least and the most."""
    each = [one / other for one, other in zip(ours, theirs, strict=True)]
    return {"median": round(statistics.median(each), 3), "least": round(min(each), 3), "most": round(max(each), 3)}


def one_thing(cores: int, clips: list[Clip], warm_up: Clip, rounds: int, baseline: Path | None) -> dict[str, Any]:
    theirs: list[Run] = []
    ours: list[Run] = []
    for _ in range(rounds):
        theirs += [run(baseline, cores, clips, warm_up)] if baseline else []
        ours.append(run(ROOT, cores, clips, warm_up))
    flow = run(ROOT, cores, clips, warm_up, propagator="flow")
    report: dict[str, Any] = {"fps": speeds(ours), "flow_fps": speeds([flow])["median"]}
    report["saving_seconds_per_frame"] = round(sum(clip["saving"] for clip in ours[-1]["clips"]) / ours[-1]["frames"], 4)
    if theirs:
        report["baseline_fps"] = speeds(theirs)
        report["times_the_baseline"] = ratios([1 / one["seconds"] for one in ours], [1 / one["seconds"] for one in theirs])
    return report


def several_things(cores: int, clips: dict[int, Clip], warm_up: Clip, rounds: int) -> dict[str, Any]:
    """Return the speed with some numbers of things of one clip, interleaved, and the time in times of that with one."""
    runs: dict[int, list[Run]] = {number: [] for number in clips}
    for _ in range(rounds):
        for number, clip in clips.items():
            runs[number].append(run(ROOT, cores, [clip], warm_up))
    seconds = {number: [one["seconds"] for one in own] for number, own in runs.items()}
    return {
        "fps": {number: speeds(own) for number, own in runs.items()},
        "times_of_one": {number: ratios(own, seconds[1]) for number, own in seconds.items() if number > 1},
    }


def parts(cores: int, clips: list[Clip], warm_up: Clip) -> dict[str, Any]:
    told = run(ROOT, cores, clips, warm_up, parts=True)
    main_thread, others = told["parts"]["main thread"], told["parts"]["other threads"]
    main_thread["other"] = told["seconds"] - sum(main_thread.values())
    seconds = {part: main_thread.get(part, 0.0) + others.get(part, 0.0) for part in {**main_thread, **others}}
    return {
        "milliseconds_per_frame": {part: round(1000 * value / told["frames"], 1) for part, value in seconds.items()},
        "share": {part: round(value / told["seconds"], 3) for part, value in seconds.items()},
        "in_other_threads": sorted(others),
        "not_found": told["not_found"],
    }


def segment(clip: Path, query: str) -> dict[str, Any]:
    """Return frames a second of the whole command, and its seconds per stage."""
    with tempfile.TemporaryDirectory() as folder:
        output = ["-o", folder, "--formats", "json,rle", "--json", "--overwrite"]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "videoseg_r1", "segment", str(clip), query, *output], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        document = json.loads((Path(folder) / "result.json").read_text())
    with open_video(clip) as video:
        return {"fps": video.num_frames / seconds, "seconds_per_stage": document["timings_s"]}


def git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@contextmanager
def tree_of(commit: str | None, folder: Path) -> Generator[Path | None]:
    """Give a git worktree of a commit, and take it away again."""
    if commit is None:
        yield None
        return
    tree = folder / commit
    git("worktree", "add", "--quiet", "--detach", str(tree), commit)
    try:
        yield tree
    finally:
        git("worktree", "remove", "--force", str(tree))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--root", type=Path, default=ROOT.parent / "shared/data")
    options.add_argument("--frames", type=int, default=20, help="of each clip")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--sequences", default="camel,dog,libby,soapbox")
    options.add_argument("--cores", default="1,2")
    options.add_argument("--baseline", help="a commit")
    options.add_argument("--segment", action="store_true")
    given = options.parse_args()
    root, cores = given.root.resolve(), [int(number) for number in given.cores.split(",")]
    with tempfile.TemporaryDirectory() as name, tree_of(given.baseline, Path(name)) as baseline:
        folder = Path(name)
        warm_up = real_clip(root / "davis16_dev", given.sequences.split(",")[0], WARM_UP, folder)
        single = [real_clip(root / "davis16_dev", sequence, given.frames, folder) for sequence in given.sequences.split(",")]
        many = {
            "drawn": {count: drawn_clip(given.frames, folder, list(range(1, count + 1))) for count in (1, 2, 5)},
            "soapbox": {
                count: real_clip(root / "multi_dev", "soapbox", given.frames, folder, list(range(1, count + 1))) for count in (1, 2, 3)
            },
        }
        report = {
            "commit": git("describe", "--always", "--dirty"),
            "baseline": given.baseline,
            "load_before": os.getloadavg()[0],
            "one_thing": {count: one_thing(count, single, warm_up, given.rounds, baseline) for count in cores},
            "several_things": {
                count: {clip: several_things(count, clips, warm_up, given.rounds) for clip, clips in many.items()} for count in cores
            },
            "parts": {count: parts(count, single, warm_up) for count in cores},
        }
    if given.segment:
        report["segment"] = segment(root / "demo/camel_480p_3s.mp4", "the camel walking in the foreground")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
