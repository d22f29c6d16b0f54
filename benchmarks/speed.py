"""Frames a second of the embedded preset at 480p: propagation from a given mask, and the whole of `segment`, model loading included.

    python benchmarks/speed.py --root ../shared/data [--frames 40]

`segment` runs as a process of its own, so that starting Python and loading the models are in its time. The named baseline is the
optical-flow propagator, in the same run. Prints one JSON document.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads should not burn the other core

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from videoseg_r1.lite.perception.backbone import load_backbone
from videoseg_r1.lite.tracking.propagator import lite_propagator
from videoseg_r1.masks import read_mask
from videoseg_r1.stages.propagation.both_ways import BothWays
from videoseg_r1.stages.propagation.flow import flow_propagator
from videoseg_r1.video import open_video


def propagation(root: Path, sequences: list[str], num_frames: int, propagator: BothWays) -> float:
    """Return frames a second, decoding included."""
    frames = seconds = 0.0
    for name in sequences:
        first = sorted((root / "Annotations/480p" / name).glob("*.png"))[0]
        seed = read_mask(first)[None] > 0
        with open_video(root / "JPEGImages/480p" / name) as video:
            start = time.perf_counter()
            for count, _ in enumerate(propagator.run(video, {0: seed}), 1):
                if count == num_frames:
                    break
            seconds += time.perf_counter() - start
            frames += count
    return frames / seconds


def segment(clip: Path, query: str) -> tuple[float, dict[str, float]]:
    """Return frames a second of the whole command, and its seconds per stage."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "videoseg_r1",
            "segment",
            str(clip),
            query,
            "-o",
            folder,
            "--formats",
            "json,rle",
            "--json",
            "--overwrite",
        ]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        document = json.loads((Path(folder) / "result.json").read_text())
    with open_video(clip) as video:
        return video.num_frames / seconds, document["timings_s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("../shared/data"))
    parser.add_argument("--frames", type=int, default=40, help="frames of each clip")
    parser.add_argument("--sequences", default="camel,dog,libby,soapbox")
    args = parser.parse_args()
    cpu = torch.device("cpu")
    load_backbone(cpu)
    sequences = args.sequences.split(",")
    davis = args.root / "davis16_dev"
    memory = propagation(davis, sequences, args.frames, lite_propagator(cpu))
    flow = propagation(davis, sequences, args.frames, flow_propagator())
    whole, stages = segment(args.root / "demo/camel_480p_3s.mp4", "the camel walking in the foreground")
    report = {
        "propagation_fps": memory,
        "flow_fps": flow,
        "ratio_to_flow": memory / flow,
        "segment_fps": whole,
        "segment_seconds_per_stage": stages,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
