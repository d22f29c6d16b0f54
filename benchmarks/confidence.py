"""What confidence is worth, and what becomes of objects behind a cut, on clips with true masks.

    python benchmarks/confidence.py DATA plain --propagator memory [--frames 30]
    python benchmarks/confidence.py DATA cuts --propagator memory [--frames 6] [--every 2]

DATA holds folders in the layout of DAVIS (JPEGImages/480p, Annotations/480p). The clips are split by name: thresholds and calibrations were
chosen on every second one ("fit"), and are judged on the others ("test").

plain: the first true masks are carried through each clip. Per half: the reliability table of confidence against the true IoU, and the
expected calibration error (ECE), before and after calibration; and the calibration that "fit" gives. Empty masks have confidence 0 and are
left out.
cuts: pieces of clips are joined, and the propagator is told where (finding cuts is measured elsewhere): A|B, nothing of A is in B; A|A', an
early and a late piece of a clip; A|B|A', which returns. `--every` takes each so many pairs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np
from scipy.optimize import minimize

from videoseg_r1.lite.tracking.tracker import CALIBRATION
from videoseg_r1.masks import read_mask
from videoseg_r1.metrics import region_similarity
from videoseg_r1.presets.propagators import PROPAGATORS
from videoseg_r1.stages.propagation import both_ways
from videoseg_r1.stages.propagation.calibration import Calibration
from videoseg_r1.stages.protocols import Propagator
from videoseg_r1.types import Direction, Frame, TrackEvent
from videoseg_r1.video import open_video

LONG_ENOUGH = 40


@dataclass(frozen=True)
class Clip:
    """A clip with one label map per frame."""

    name: str
    frames: tuple[Path, ...]
    labels: tuple[Path, ...]

    def piece(self, first: int, num: int) -> tuple[np.ndarray, np.ndarray]:
        """Return frames (T, H, W, 3) and masks (T, N, H, W) of the objects that the first frame of the clip shows."""
        rgb = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in self.frames[first : first + num]]
        labels = np.stack([read_mask(path) for path in self.labels[first : first + num]])
        numbers = [number for number in np.unique(read_mask(self.labels[0])) if number]
        return np.stack(rgb), np.stack([labels == number for number in numbers], 1)


def clips_of(data: Path) -> list[Clip]:
    """Return every clip once, in the order of names: where two folders have the same clip, the one with more objects is taken."""
    found: dict[str, Clip] = {}
    for folder in sorted(data.glob("*/JPEGImages/480p/*")):
        labels = folder.parents[2] / "Annotations" / "480p" / folder.name
        found[folder.name] = Clip(folder.name, tuple(sorted(folder.glob("*.jpg"))), tuple(sorted(labels.glob("*.png"))))
    return [found[name] for name in sorted(found)]


def carried(propagator: Propagator, frames: np.ndarray, seed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return masks (T, N, H, W) and confidences (T, N) from the masks of the first frame."""
    with open_video(frames) as video:
        found = sorted(propagator.run(video, {0: seed}), key=lambda one: one.index)
    return np.stack([one.masks for one in found]), np.array([one.confidence for one in found])


def reliability(confidence: np.ndarray, iou: np.ndarray) -> float:
    """Print the table of ten bins and return the expected calibration error. Source: Guo et al. 2017, with IoU for accuracy."""
    error = 0.0
    print("  confidence | frames | mean confidence | mean IoU")
    for low in np.arange(10) / 10:
        inside = (confidence >= low) & ((confidence < low + 0.1) | (low >= 0.9))
        if inside.any():
            sure, true = confidence[inside].mean(), iou[inside].mean()
            error += inside.mean() * abs(sure - true)
            print(f"  {low:.1f} to {low + 0.1:.1f} | {inside.sum()} | {sure:.3f} | {true:.3f}")
    return error


def plain(propagator: Propagator, clips: list[Clip], frames: int, before: Calibration | None) -> None:
    """Measure on whole clips; `before` undoes the calibration, None stands for a confidence that always was 1."""
    rows: dict[str, list[tuple[float, float]]] = {"fit": [], "test": []}
    for number, clip in enumerate(clips):
        rgb, gold = clip.piece(0, frames)
        masks, confidence = carried(propagator, rgb, gold[0])
        half = ("fit", "test")[number % 2]
        found = [
            (confidence[t, k], region_similarity(masks[t, k], gold[t, k]))
            for t in range(1, len(rgb))
            for k in range(gold.shape[1])
            if masks[t, k].any()
        ]
        rows[half] += found
        print(f"{half} {clip.name}: n = {len(found)}, mean confidence and IoU {np.mean(found, 0).round(3)}", flush=True)
    for half, pairs in rows.items():
        sure, iou = np.array(pairs).T
        raw = np.ones_like(sure) if before is None else np.array([before(one) for one in sure])
        for name, values in (("before calibration", raw), ("after calibration", sure)):
            print(f"{half}, {name}: n = {len(iou)}")
            error = reliability(values, iou)
            print(f"  ECE {error:.3f}, mean squared error {np.mean((values - iou) ** 2):.4f}")
        if half == "fit" and before is not None:
            print("  fitted anew: slope {:.2f}, offset {:.2f}".format(*fitted(raw, iou)))


def fitted(raw: np.ndarray, iou: np.ndarray) -> tuple[float, float]:
    """Return the slope and offset of least squared error."""

    def error(line: np.ndarray) -> float:
        calibration = Calibration(float(line[0]), float(line[1]))
        return float(np.mean([(calibration(one) - true) ** 2 for one, true in zip(raw, iou, strict=True)]))

    return tuple(minimize(error, (1.0, 0.0), method="Nelder-Mead").x)


def told(cuts: list[int]) -> Callable[[Iterable[Frame], Direction], Iterator[tuple[Frame, TrackEvent | None]]]:
    """Return what stands in for the detection of cuts: they are known, the measured thing is what comes after."""

    def with_cuts(frames: Iterable[Frame], direction: Direction) -> Iterator[tuple[Frame, TrackEvent | None]]:
        for frame in frames:
            yield frame, TrackEvent(frame.index, "cut", None, direction, "told") if frame.index in cuts else None

    return with_cuts


def like(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return frames at another size (width, height)."""
    return np.stack([cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) for rgb in frames])


def joined(propagator: Propagator, first: Clip, other: Clip | None, frames: int) -> Iterator[tuple[str, bool, float, float]]:
    """Yield of every object and frame behind a cut: "absent" or "present", whether a mask is there, its IoU and its confidence.

    Args:
        propagator: what carries the masks.
        first: begins, and ends with its last frames.
        other: comes between; None for a cut from the first piece to the last.
        frames: of each piece.
    """
    rgb, gold = first.piece(0, frames)
    size = rgb.shape[2], rgb.shape[1]
    late, late_gold = first.piece(len(first.frames) - frames, frames)
    between = [] if other is None else [like(other.piece(len(other.frames) // 2, frames)[0], size)]
    both_ways.with_cuts = told([frames * (n + 1) for n in range(1 + len(between))])
    masks, confidence = carried(propagator, np.concatenate([rgb, *between, late]), gold[0])
    truth = np.concatenate([gold, *[np.zeros_like(gold) for _ in between], late_gold])
    for t in range(frames, len(truth)):
        for k in range(truth.shape[1]):
            kind = "present" if truth[t, k].any() else "absent"
            yield kind, bool(masks[t, k].any()), region_similarity(masks[t, k], truth[t, k]), float(confidence[t, k])


def cuts(propagator: Propagator, clips: list[Clip], frames: int, every: int) -> None:
    """Measure on joined clips."""
    pairs = [(a, b) for a in range(len(clips)) for b in range(len(clips)) if a != b]
    jobs = [*((a, None) for a in range(len(clips))), *pairs[::every]]
    seen: dict[tuple[str, str], list[tuple[bool, float, float]]] = {}
    for a, b in jobs:
        kind = "A|A'" if b is None else "A|B|A'"
        rows = list(joined(propagator, clips[a], None if b is None else clips[b], frames))
        for what, *row in rows:
            seen.setdefault((f"{kind} {('fit', 'test')[a % 2]}", what), []).append(tuple(row))  # type: ignore[arg-type]
        absent, present = ([row for row in rows if row[0] == what] for what in ("absent", "present"))
        print(
            f"{kind} {clips[a].name}{'' if b is None else ' ' + clips[b].name}: "
            f"masks of absent objects {sum(row[1] for row in absent)} of {len(absent)}, "
            f"present objects found {sum(row[2] >= 0.5 for row in present)} of {len(present)}",
            flush=True,
        )
    for (kind, what), rows in sorted(seen.items()):
        there, iou, sure = (np.array(column, float) for column in zip(*rows, strict=True))
        line = f"{kind}, {what}: n = {len(there)}, with a mask {there.mean():.3f}"
        if what == "present":
            print(f"{line}, IoU of 0.5 or more {np.mean(iou >= 0.5):.3f}, mean IoU {iou.mean():.3f}, mean confidence {sure.mean():.3f}")
        else:
            print(f"{line}, highest confidence {sure.max():.2f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("what", choices=("plain", "cuts"))
    options.add_argument("--propagator", default="memory", choices=("memory", "flow"))
    options.add_argument("--frames", type=int, default=30)
    options.add_argument("--every", type=int, default=1)
    given = options.parse_args()
    clips = [clip for clip in clips_of(given.data) if len(clip.frames) >= LONG_ENOUGH]
    propagator = PROPAGATORS[given.propagator].build("cpu")
    if given.what == "cuts":
        cuts(propagator, clips, given.frames, given.every)
    else:
        plain(propagator, clips, given.frames, CALIBRATION.inverse() if given.propagator == "memory" else None)


if __name__ == "__main__":
    main()
