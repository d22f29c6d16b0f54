"""J and F from PNG folders: this package against the plain definition in numpy and scikit-image, same files, same run.

    python benchmarks/metrics.py [--root ../shared/data/davis16_dev] [--every 4]

Predictions are the true masks of DAVIS clips, perturbed (shifted, grown, shrunk, speckled, emptied). Both sides read the same
files on one thread; times are processor times. `ratio` compares with the plain definition; `ratio_opencv` with the same loop
whose dilation is OpenCV's, as in the official script. Prints one JSON document; exits with 1 unless all numbers agree to 1e-9
and `ratio` is at least 5.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage.morphology import dilation, disk

from videoseg_r1.evaluation import score_png_folders

Mask = npt.NDArray[np.bool_]
Dilate = Callable[[Mask, int], Mask]
TOLERANCE, REQUIRED_RATIO = 1e-9, 5.0
DEFAULT_ROOT = Path(__file__).resolve().parents[2] / "shared" / "data" / "davis16_dev"


def plain_boundary(mask: Mask) -> Mask:
    """Return the pixels that differ from their right, lower or lower-right neighbour."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    here = padded[:-1, :-1]
    return (here ^ padded[:-1, 1:]) | (here ^ padded[1:, :-1]) | (here ^ padded[1:, 1:])


def plain_jf(pred: Mask, gold: Mask, dilate: Dilate) -> tuple[float, float]:
    """Return (J, F) as docs/metrics.md reads."""
    union = np.count_nonzero(pred | gold)
    j = np.count_nonzero(pred & gold) / union if union else 1.0
    radius = math.ceil(0.008 * math.hypot(*gold.shape))
    contour_p, contour_g = plain_boundary(pred), plain_boundary(gold)
    num_p, num_g = np.count_nonzero(contour_p), np.count_nonzero(contour_g)
    if not num_p or not num_g:
        return j, float(num_p == num_g)
    precision = np.count_nonzero(contour_p & dilate(contour_g, radius)) / num_p
    recall = np.count_nonzero(contour_g & dilate(contour_p, radius)) / num_g
    return j, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def dilate_skimage(mask: Mask, radius: int) -> Mask:
    """Dilate by a disk, with scikit-image."""
    return dilation(mask, disk(radius)).astype(bool)


def dilate_opencv(mask: Mask, radius: int) -> Mask:
    """Dilate by a disk, with OpenCV."""
    kernel = np.asarray(disk(radius), np.uint8)
    return cv2.dilate(mask.view(np.uint8), kernel).astype(bool)


def plain_score(pred_dir: Path, gold_dir: Path, dilate: Dilate) -> dict[str, tuple[float, float]]:
    """Return clip -> (J, F), means over its frames."""
    scores: dict[str, tuple[float, float]] = {}
    for clip in sorted(gold_dir.iterdir()):
        frames = [
            plain_jf(np.asarray(Image.open(pred_dir / clip.name / path.name)) > 0, np.asarray(Image.open(path)) > 0, dilate)
            for path in sorted(clip.iterdir())
        ]
        scores[clip.name] = tuple(np.mean(frames, axis=0).tolist())
    return scores


def our_score(pred_dir: Path, gold_dir: Path) -> dict[str, tuple[float, float]]:
    """Return clip -> (J, F), by this package."""
    report = score_png_folders(pred_dir, gold_dir)
    return {row.sample.video_id: (row.j or 0.0, row.f or 0.0) for row in report.rows}


def perturbed(gold: Mask, rng: np.random.Generator) -> Mask:
    """Return a prediction as a fair method would make it, now and then a bad one."""
    grey = gold.astype(np.uint8)
    kind = rng.choice(["shift", "grow", "shrink", "specks", "empty"], p=[0.35, 0.25, 0.25, 0.1, 0.05])
    size = int(rng.integers(2, 16))
    if kind == "shift":
        grey = np.roll(grey, rng.integers(-size, size + 1, 2), (0, 1))
    elif kind in ("grow", "shrink"):
        morph = cv2.dilate if kind == "grow" else cv2.erode
        grey = morph(grey, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    elif kind == "specks":
        grey ^= (rng.random(grey.shape) < 0.001).astype(np.uint8)
    else:
        grey[:] = 0
    return grey.astype(bool)


def write_folders(root: Path, every: int, folder: Path) -> int:
    """Write every nth true mask and a prediction for it; return how many."""
    rng, count = np.random.default_rng(0), 0
    for clip in sorted((root / "Annotations" / "480p").iterdir()):
        for path in sorted(clip.iterdir())[::every]:
            gold, pred = folder / "gold" / clip.name / path.name, folder / "pred" / clip.name / path.name
            gold.parent.mkdir(parents=True, exist_ok=True)
            pred.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, gold)
            mask = perturbed(np.asarray(Image.open(path)) > 0, rng)
            Image.fromarray(mask.astype(np.uint8) * 255).save(pred)
            count += 1
    return count


def timed(
    score: Callable[..., dict[str, tuple[float, float]]], folder: Path, *args: Dilate
) -> tuple[float, dict[str, tuple[float, float]]]:
    """Return seconds of processor time, which a busy machine does not change much, and scores."""
    started = time.process_time()
    scores = score(folder / "pred", folder / "gold", *args)
    return time.process_time() - started, scores


def measure(root: Path, every: int) -> dict[str, object]:
    """Return the document to print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = write_folders(root, every, folder)
        first, ours = timed(our_score, folder)
        plain, expected = timed(plain_score, folder, dilate_skimage)
        opencv, expected_opencv = timed(plain_score, folder, dilate_opencv)
        # once before and once after the others, cold and warm
        second, _ = timed(our_score, folder)
    seconds = (first + second) / 2
    errors = [abs(a - b) for other in (expected, expected_opencv) for clip in other for a, b in zip(ours[clip], other[clip], strict=True)]
    return {
        "benchmark": "J and F from PNG folders",
        "frames": count,
        "clips": len(expected),
        "J": sum(j for j, _ in ours.values()) / len(ours),
        "F": sum(f for _, f in ours.values()) / len(ours),
        "ours_ms_per_frame": 1000 * seconds / count,
        "plain_ms_per_frame": 1000 * plain / count,
        "opencv_ms_per_frame": 1000 * opencv / count,
        "ratio": plain / seconds,
        "ratio_opencv": opencv / seconds,
        "required_ratio": REQUIRED_RATIO,
        "max_difference": max(errors),
        "ok": max(errors) <= TOLERANCE and ours.keys() == expected.keys() and plain / seconds >= REQUIRED_RATIO,
    }


def main() -> int:
    """Run and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=DEFAULT_ROOT, help="DAVIS folder (default: %(default)s)")
    parser.add_argument("--every", type=int, default=4, metavar="N", help="take every Nth frame (default: %(default)s)")
    args = parser.parse_args()
    if not (args.root / "Annotations" / "480p").is_dir():
        parser.error(f"no DAVIS folder: {args.root}")
    cv2.setNumThreads(1)
    result = measure(args.root, max(1, args.every))
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
