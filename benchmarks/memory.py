"""Does memory grow with the length of a video? Resident bytes per frame over a long drawn video, results included.

    python benchmarks/memory.py [--frames 10000]

A disc moves over a textured ground; the frames come from an iterator, the mask of the first is given, and the tracks go to the spool
like those of any run. The slope is that of a line through the samples after the first tenth. Prints one JSON document.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from videoseg_r1.presets.table import load
from videoseg_r1.video import write_video

SIZE = (96, 128)


def draw(index: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    mask = (x - 64 - 30 * np.sin(index / 50)) ** 2 + (y - 48 - 15 * np.cos(index / 70)) ** 2 < 14**2
    frame = (np.stack([(x * 2 + y) % 97, (x + y * 3) % 83, (x * y) % 71], -1) + 60).astype(np.uint8)
    frame[mask] = (230, 60, 40)
    return frame, mask


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000)
    args = parser.parse_args()
    seen: list[tuple[int, int]] = []

    def watch(stage: str, done: int, total: int) -> None:
        if stage == "propagate" and done % 50 == 0:
            seen.append((done, resident_bytes()))
            if done % 1000 == 0:
                print(f"{done} of {total} frames, {seen[-1][1] / 2**20:.0f} MiB", file=sys.stderr)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        write_video(path, (draw(index)[0] for index in range(args.frames)), fps=25.0)
        start = time.perf_counter()
        result = load("lite").propagate(path, {0: draw(0)[1]}, on_progress=watch)
        seconds = time.perf_counter() - start
        overlap = np.mean([(result.mask(i) & draw(i)[1]).sum() / (result.mask(i) | draw(i)[1]).sum() for i in range(0, args.frames, 500)])
    frames, used = np.array([item for item in seen if item[0] > args.frames / 10]).T
    slope = np.polyfit(frames, used, 1)[0]
    report = {
        "frames": args.frames,
        "bytes_per_frame": slope,
        "resident_mib_first_last": [used[0] / 2**20, used[-1] / 2**20],
        "mean_j": overlap,
        "fps": args.frames / seconds,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
