"""Does memory grow with the length of a video, and are equal runs equal? Resident bytes per frame over a long drawn video.

    python benchmarks/memory.py [--frames 10000] [--things 5] [--equal 300]

Things wander among each other over a textured ground (`tests/helpers/encounters.wanderers`), all of their first masks are given, and the
tracks go to the spool like those of any run. The slope is that of a line through the samples after the first tenth. Then the first
`--equal` frames are carried twice more, by segmenters that are loaded anew: the hashes of all masks and confidences must be the same, or
the exit status is 1. Prints one JSON document.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import hashlib
import json
import resource
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from helpers.drawn_things import DrawnClip
from helpers.encounters import wanderers
from videoseg_r1.metrics import region_similarity
from videoseg_r1.output.result import SegmentationResult
from videoseg_r1.presets.table import load
from videoseg_r1.video import write_video

SIZE = (160, 120)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def digest(result: SegmentationResult) -> str:
    """Return the hash of all masks and confidences."""
    told = hashlib.sha256()
    for index in range(result.num_frames):
        told.update(np.packbits(result.masks(index)).tobytes())
        told.update(repr([track.confidence(index) for track in result.tracks]).encode())
    return told.hexdigest()


def long_run(drawn: DrawnClip, path: Path) -> dict[str, object]:
    """Return how memory went while the things were carried through the whole video."""
    seen: list[tuple[int, int]] = []

    def watch(stage: str, done: int, total: int) -> None:
        if stage == "propagate" and done % 50 == 0:
            seen.append((done, resident_bytes()))
            if done % 1000 == 0:
                print(f"{done} of {total} frames, {seen[-1][1] / 2**20:.0f} MiB", file=sys.stderr)

    start = time.perf_counter()
    result = load("lite").propagate(path, {0: drawn.masks(0)}, on_progress=watch)
    seconds = time.perf_counter() - start
    frames, used = np.array([item for item in seen if item[0] > len(drawn) / 10]).T
    overlap = [
        region_similarity(found, true)
        for index in range(0, len(drawn), max(1, len(drawn) // 20))
        for found, true in zip(result.masks(index), drawn.masks(index), strict=True)
        if true.any()
    ]
    return {
        "bytes_per_frame": round(float(np.polyfit(frames, used, 1)[0]), 1),
        "resident_mib_first_last_most": [round(value / 2**20, 1) for value in (used[0], used[-1], used.max())],
        "peak_mib_of_the_process": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "mean_j": round(float(np.mean(overlap)), 3),
        "fps": round(len(drawn) / seconds, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000, help="at least 200")
    parser.add_argument("--things", type=int, default=5)
    parser.add_argument("--equal", type=int, default=300, help="frames of the two runs that are compared")
    args = parser.parse_args()
    drawn = wanderers(0, args.things, args.frames, SIZE)
    with tempfile.TemporaryDirectory() as folder:
        whole, part = Path(folder) / "long.mp4", Path(folder) / "part.mp4"
        write_video(whole, iter(drawn), fps=25.0)
        write_video(part, islice(drawn, args.equal), fps=25.0)
        grown = long_run(drawn, whole)
        digests = [digest(load("lite").propagate(part, {0: drawn.masks(0)})) for _ in range(2)]
    equal = digests[0] == digests[1]
    report = {
        "frames": args.frames,
        "things": args.things,
        **grown,
        "equal_runs": {"frames": args.equal, "equal": equal, "sha256": digests},
    }
    print(json.dumps(report, indent=2))
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
