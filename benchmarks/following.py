"""How well masks are followed: several things at once, one thing, and mosaics, each from its true first mask.

    python benchmarks/following.py [--root ../shared/data] [--clips dogs-jump,camel] [--parts several,single,mosaics]
                                   [--propagator flow] [--tree ../other/src]

Parts: `several` is multi_dev with the first masks of all objects given at once, scored for every expression that has a target; `single`
is davis16_dev; `mosaics` are its clips two by two, the mask of one thing given. With `--tree` the masks are made by the package in that
folder, of another commit, with its command line (`eval` and `propagate`), and scored by this one: the same figures for both.

Prints one JSON. Of each part: means over its expressions with 95 % intervals, for which whole clips are drawn anew (a mosaic belongs to the
clip that is asked about), and over single objects (`objects_J&F`); the least target; the mean F in each tenth of the frames; J of small
targets; and of each target J, F, F by frame, their decay, and by how much its masks change beyond the motion (docs/metrics.md).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videoseg_r1.datasets.registry import dataset_for
from videoseg_r1.evaluation import from_label_maps
from videoseg_r1.evaluation.report import OBJECT, SMALL, Report, Row
from videoseg_r1.evaluation.run import Selection, run_evaluation
from videoseg_r1.evaluation.steadiness import Steadiness, steadiness
from videoseg_r1.masks import write_label_png

DEFAULT_ROOT = Path(__file__).resolve().parents[2] / "shared" / "data"
DRAWS = 2000
TENTHS = 10


@dataclass(frozen=True)
class Part:
    """A dataset, its folder below the root, and how many clips stand side by side."""

    dataset: str
    folder: str
    mosaic: int = 0


PARTS = {
    "several": Part("davis17", "multi_dev"),
    "single": Part("davis16", "davis16_dev"),
    "mosaics": Part("davis16", "davis16_dev", mosaic=2),
}


def selection_of(part: Part, root: Path, clips: Sequence[str]) -> Selection | None:
    """Return what of a part is scored; None where it has none of the clips."""
    folder = root / part.folder
    known = [clip.name for clip in dataset_for("evaluation", part.dataset).load(folder)]
    chosen = tuple(name for name in known if name in clips)
    if clips and not chosen:
        return None
    return Selection(dataset=part.dataset, root=folder, given_mask=True, mosaic=part.mosaic, videos=chosen)


# ---- masks by another tree ----


def follow_by(tree: Path, selection: Selection, propagator: str | None, folder: Path) -> None:
    """Fill a folder with label maps, CLIP/FRAME.png, made by the package in another source tree."""
    more = [] if propagator is None else ["--propagator", propagator]
    if selection.dataset == "davis17":
        for name, given in first_masks(selection).items():
            with tempfile.TemporaryDirectory() as place:
                options = list[str]()
                for index, labels in given.items():
                    write_label_png(Path(place) / f"{index}.png", labels)
                    options += ["--mask", f"@{index}={place}/{index}.png"]
                video = selection.root / "JPEGImages" / "480p" / name
                run_tree(tree, "propagate", str(video), *options, *more, "-o", f"{place}/out", "--formats", "png")
                folder.mkdir(exist_ok=True)
                (Path(place) / "out" / "masks").rename(folder / name)
        return
    videos = ["--videos", ",".join(selection.videos)] if selection.videos else []
    mosaic = ["--mosaic", str(selection.mosaic)] if selection.mosaic else []
    run_tree(tree, "eval", "davis16", "--root", str(selection.root), "--given-mask", *mosaic, *videos, *more, "--save-preds", str(folder))
    for one in [path for path in folder.glob("*/*") if path.is_dir()]:  # before label maps were kept: VIDEO/EXPRESSION/FRAME.png
        for picture in one.iterdir():
            picture.rename(one.parent / picture.name)
        one.rmdir()


def first_masks(selection: Selection) -> dict[str, dict[int, np.ndarray]]:
    """Return by clip and frame the label map of the objects that are first seen there."""
    found: dict[str, dict[int, np.ndarray]] = {}
    for sample in selection.samples()[1]:
        if sample.kind == OBJECT:
            index = min(sample.scored_frames)
            labels = found.setdefault(sample.video_id, {}).setdefault(index, np.zeros(sample.size[::-1], np.uint8))
            labels[sample.mask(index)] = int(sample.expression_id)
    return found


def run_tree(tree: Path, *arguments: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(tree)}
    subprocess.run([sys.executable, "-m", "videoseg_r1", *arguments, "--json"], check=True, stdout=subprocess.DEVNULL, env=environment)


# ---- figures ----


def over_clips(values: Iterable[tuple[str, float]]) -> dict[str, float | int | None]:
    """Return the mean of values, with the interval that comes from drawing the clips that they belong to anew."""
    by_clip: dict[str, list[float]] = {}
    for clip, value in values:
        by_clip.setdefault(clip, []).append(value)
    if not by_clip:
        return {"mean": None, "n": 0}
    sums, counts = (np.array([measure(one) for one in by_clip.values()], float) for measure in (sum, len))
    drawn = np.random.default_rng(0).integers(0, len(sums), (DRAWS, len(sums)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), (2.5, 97.5))
    return {
        "mean": float(sums.sum() / counts.sum()),
        "low": float(low),
        "high": float(high),
        "n": int(counts.sum()),
        "clips": len(by_clip),
    }


def part_document(selection: Selection, report: Report, folder: Path) -> dict[str, object]:
    """Return the figures of a part; the label maps of its clips lie in the folder."""
    rows = report.expressions
    targets = list({row.sample.truth_key: row for row in (*rows, *report.objects)}.values())
    steady = steadiness([row.sample for row in targets], from_label_maps(folder, selection.samples()[0]))
    of_target = {row.sample.truth_key: one for row, one in zip(targets, steady, strict=True)}

    def mean(value: Callable[[Row], float | None], rows: Sequence[Row] = rows) -> dict[str, float | int | None]:
        # shown[0] is the clip that is asked about, alone or in a mosaic
        return over_clips((row.sample.shown[0], one) for row in rows if (one := value(row)) is not None)

    def flicker(row: Row) -> float | None:
        found = of_target[row.sample.truth_key]
        return None if found is None else found.flicker

    tenths = [[float(part.mean()) for part in np.array_split(f_by_frame(row), TENTHS)] for row in rows if len(row.scores) >= TENTHS]
    return {
        "J&F": mean(lambda row: row.jf),
        "J": mean(lambda row: row.j),
        "F": mean(lambda row: row.f),
        "J_decay": mean(lambda row: row.decay[0] if row.decay else None),
        "F_decay": mean(lambda row: row.decay[1] if row.decay else None),
        "flicker": mean(flicker),
        "small_J": mean(lambda row: row.j if row.area is not None and row.area < SMALL else None),
        "objects_J&F": mean(lambda row: row.jf, report.objects),
        "least": report.to_dict()["least"],
        "F_by_tenth": np.round(np.mean(tenths, axis=0), 4).tolist() if tenths else None,
        "targets": [target_document(row, of_target[row.sample.truth_key]) for row in targets],
    }


def target_document(row: Row, steady: Steadiness | None) -> dict[str, object]:
    decay = row.decay or (None, None)
    return {
        "video": row.sample.video_id,
        "objects": ",".join(row.sample.expression.object_ids),
        "J&F": row.jf,
        "J": row.j,
        "F": row.f,
        "area": row.area,
        "J_decay": decay[0],
        "F_decay": decay[1],
        "change": steady and steady.predicted,
        "true_change": steady and steady.true,
        "flicker": steady and steady.flicker,
        "pairs": steady.num_pairs if steady else 0,
        "F_by_frame": np.round(f_by_frame(row), 3).tolist(),
    }


def f_by_frame(row: Row) -> np.ndarray:
    return np.array([score.f for score in row.scores.values()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=DEFAULT_ROOT, help="folder of the clips (default: %(default)s)")
    parser.add_argument("--clips", default="", help="names of clips, with commas between them; all when not given")
    parser.add_argument("--parts", default=",".join(PARTS), help="default: %(default)s")
    parser.add_argument("--propagator", help="in place of the one of `lite`")
    parser.add_argument("--tree", type=Path, help="source folder of another commit, which makes the masks")
    given = parser.parse_args()
    clips = [name for name in given.clips.split(",") if name]
    document: dict[str, object] = {"tree": str(given.tree or "this"), "propagator": given.propagator or "of lite"}
    for name in given.parts.split(","):
        selection = selection_of(PARTS[name], given.root, clips)
        if selection is None:
            continue
        with tempfile.TemporaryDirectory() as place:
            folder, silent = Path(place) / "masks", lambda *_: None
            if given.tree is None:
                report, _ = run_evaluation(selection, silent, keep=folder, preset="lite", propagator=given.propagator)
            else:
                follow_by(given.tree, selection, given.propagator, folder)
                report, _ = run_evaluation(selection, silent, preds=folder)
            document[name] = part_document(selection, report, folder)
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
