"""Reading of videos, this tree against another: frames a second in order and at random, and peak memory, per codec and size.

    git worktree add /tmp/other 9cd0504
    python benchmarks/video_reading.py --other /tmp/other [--rounds 5] [--only h264] [--clock cpu]

Every measurement is a process of its own with one tree on its path; the trees take turns, and the best round counts, as other work on
the machine only ever slows things down. Clips are drawn once into a temporary folder. Prints a table: ratios are this tree to the other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np

HERE = Path(__file__).parents[1]
ONE_SLICE = {"g": "48", "x264-params": "sliced-threads=0:slices=1:threads=1"}
CLIPS = {
    "h264 480p": ("libx264", "mp4", ONE_SLICE, (854, 480), 96),
    "h264 480p, 4 slices": ("libx264", "mp4", {"g": "48", "x264-params": "slices=4"}, (854, 480), 96),
    "h264 1080p": ("libx264", "mp4", ONE_SLICE, (1920, 1080), 48),
    "h264 1080p, 4 slices": ("libx264", "mp4", {"g": "48", "x264-params": "slices=4"}, (1920, 1080), 48),
    "hevc 480p": ("libx265", "mp4", {"preset": "fast", "x265-params": "log-level=none"}, (854, 480), 96),
    "vp9 480p": ("libvpx-vp9", "webm", {"deadline": "realtime", "cpu-used": "7", "crf": "32", "b": "0"}, (854, 480), 96),
    "mpeg4 480p": ("mpeg4", "avi", {"q": "4"}, (854, 480), 96),
}
MEASURE = """
import json, sys, time
from pathlib import Path
import numpy as np
from videoseg_r1.video import open_video
clock = time.process_time if sys.argv[3] == "cpu" else time.perf_counter
order = np.random.default_rng(0).permutation(int(sys.argv[2])).tolist()[:12]
begin = clock()
with open_video(sys.argv[1]) as video:
    count = sum(1 for _ in video)
    middle = clock()
    for index in order:
        video.read([index])
end = clock()
peak = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
print(json.dumps({"in order": count / (middle - begin), "at random": len(order) / (end - middle), "MiB": peak}))
"""


def draw(path: Path, codec: str, options: dict[str, str], size: tuple[int, int], count: int) -> None:
    """Write a clip of moving texture."""
    width, height = size
    noise = np.random.default_rng(0).normal(128, 40, (height // 8 + 40, width // 8 + 2 * count, 3))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(count):
            small = noise[number % 40 :][: height // 8, 2 * number :][:, : width // 8].clip(0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(small), format="rgb24").reformat(width, height, "yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def measured(tree: Path, clip: Path, count: int, clock: str) -> dict[str, float]:
    """Return what a process with this tree on its path measures."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    command = [sys.executable, "-c", MEASURE, str(clip), str(count), clock]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", type=Path, required=True, help="a working tree of the commit to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="clips whose name begins so")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a machine that has other work to do")
    args = parser.parse_args()
    print(f"{'clip':22} {'in order, frames/s':>26} {'at random, frames/s':>26} {'peak MiB':>22}")
    with tempfile.TemporaryDirectory() as folder:
        for name, (codec, suffix, options, size, count) in CLIPS.items():
            if not name.startswith(args.only):
                continue
            clip = Path(folder) / f"clip.{suffix}"
            draw(clip, codec, options, size, count)
            rounds = [(measured(args.other, clip, count, args.clock), measured(HERE, clip, count, args.clock)) for _ in range(args.rounds)]
            cells: list[str] = []
            for key in ("in order", "at random", "MiB"):
                best = min if key == "MiB" else max
                before, now = best(one[key] for one, _ in rounds), best(one[key] for _, one in rounds)
                cells.append(f"{before:8.1f} -> {now:8.1f} ({now / before:.3f})")
            print(f"{name:22} {cells[0]:>26} {cells[1]:>26} {cells[2]:>26}", flush=True)


if __name__ == "__main__":
    main()
