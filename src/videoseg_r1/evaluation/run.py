"""A whole evaluation, as `videoseg eval` runs it: what is scored, by which predictor, the shuffled-text control, and kept predictions.

Not here: how one prediction is scored (`scoring`), what the report says (`report`), options of the command line (`cli.eval`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from videoseg_r1.datasets.controls import mosaic, shuffle_text
from videoseg_r1.datasets.registry import dataset_for
from videoseg_r1.datasets.sample import Sample, samples_of
from videoseg_r1.documents import to_plain
from videoseg_r1.evaluation.given import by_given_mask, evaluate_given, first_targets, from_label_maps, given_samples
from videoseg_r1.evaluation.predictors import Prediction, Predictor, by_text, from_preds
from videoseg_r1.evaluation.report import Report, Row
from videoseg_r1.evaluation.scoring import evaluate
from videoseg_r1.files import staged
from videoseg_r1.masks import write_label_png
from videoseg_r1.types import BoolMask, Progress


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What of a benchmark is scored.

    Attributes:
        dataset, root: name in the registry, and the folder of the benchmark.
        given_mask: the samples that have a target and the objects of their clips, for predictors that are given the first true masks.
        mosaic: join so many clips side by side; 0 for single clips.
        videos: names of the clips to score; all when empty.
        limit: score the first so many samples, and the objects of their clips; 0 scores all.
        shuffle_text: score the control alone: expressions of other clips.
        control: score the control beside the samples.
    """

    dataset: str
    root: Path
    given_mask: bool = False
    mosaic: int = 0
    videos: tuple[str, ...] = ()
    limit: int = 0
    shuffle_text: bool = False
    control: bool = False

    def samples(self, *, whole: bool = False) -> tuple[list[Sample], list[Sample]]:
        """Return the samples that are known, and those of them that are to be scored, both in the order of the benchmark.

        Args:
            whole: load all clips, also where some are scored; mosaics and the control need them anyway.
        Raises: UnknownName: no such benchmark or clip. What its loader raises.
        """
        dataset = dataset_for("evaluation", self.dataset)
        needs_all = whole or self.mosaic > 0 or self.control or self.shuffle_text
        known = samples_of(dataset.load(self.root, self.videos or None))
        if self.videos and needs_all:
            known = samples_of(dataset.load(self.root))
        if self.mosaic:
            known = mosaic(known, self.mosaic)
        if self.given_mask:
            known = given_samples(known)
        chosen = [sample for sample in known if not self.videos or sample.shown[0] in self.videos]
        return known, first_targets(chosen, self.limit)


def run_evaluation(
    selection: Selection,
    progress: Progress,
    *,
    preds: Path | None = None,
    keep: Path | None = None,
    seed: int = 0,
    **loading: Any,
) -> tuple[Report, Report | None]:
    """Score a preset, or a folder of predictions, and return the report and that of the control, None where it is not asked for.

    Args:
        selection: what is scored.
        progress: see `Progress`; the stages are "evaluate" and "control".
        preds: score this folder of PNGs; see `from_preds` and `from_label_maps`. Without it, a preset makes the masks.
        keep: write the masks as such PNGs into this folder, which is not there yet or empty; where the first masks are given, a label map
            of each clip, CLIP/FRAME.png.
        seed: of every random choice of the preset.
        loading: arguments of `videoseg_r1.presets.table.load`.
    Raises: UnknownName: no such benchmark, clip or preset. OutputError: the masks cannot be kept. What the loader, `from_preds`,
        `evaluate` and `load` raise.
    """
    known, samples = selection.samples(whole=preds is not None)
    other = _shuffled(known, samples) if selection.control or selection.shuffle_text else []
    score = evaluate_given if selection.given_mask else evaluate
    with _staging(keep) as folder:
        predict, settings = _predictor(selection, known, preds, seed, loading, folder)
        settings = {**settings, **_settings(selection)}
        scored = other if selection.shuffle_text else samples
        kept = predict if folder is None or selection.given_mask else _keeping(predict, folder)
        report = score(scored, kept, settings=settings, on_row=_counter(progress, "evaluate", len(scored)))
    if not selection.control:
        return report, None
    return report, evaluate(other, predict, settings=settings, on_row=_counter(progress, "control", len(other)))


def _settings(selection: Selection) -> dict[str, object]:
    return {
        "dataset": selection.dataset,
        "root": str(selection.root),
        "given_mask": selection.given_mask,
        "mosaic": selection.mosaic,
        "shuffle_text": selection.shuffle_text,
        "videos": list(selection.videos),
        "limit": selection.limit,
    }


def _shuffled(known: Sequence[Sample], wanted: Sequence[Sample]) -> list[Sample]:
    """Return the wanted samples that have a target, each asked for with an expression of another clip, whatever part is wanted."""
    ids = {(sample.video_id, sample.expression_id) for sample in wanted}
    return [sample for sample in shuffle_text(known) if (sample.video_id, sample.expression_id) in ids]


def _predictor(
    selection: Selection, known: Sequence[Sample], preds: Path | None, seed: int, loading: Mapping[str, Any], keep: Path | None
) -> tuple[Predictor, Mapping[str, Any]]:
    """Return what makes the masks, and its settings; where the first masks are given, it keeps its label maps."""
    if preds is not None:
        read = from_label_maps if selection.given_mask else from_preds
        return read(preds, known), {"from_preds": str(preds)}
    from videoseg_r1.presets.table import load

    segmenter = load(**loading)
    # one definition of plain data for settings, the one of the trace
    settings = {"preset": segmenter.preset, "seed": seed, "models": segmenter.stages.models, **segmenter.stages.settings}
    return by_given_mask(segmenter, keep) if selection.given_mask else by_text(segmenter, seed), to_plain(settings)


def _counter(progress: Progress, stage: str, total: int) -> Callable[[Row], None]:
    done = 0

    def count(_row: Row) -> None:
        nonlocal done
        done += 1
        progress(stage, done, total)

    return count


@contextmanager
def _staging(folder: Path | None) -> Generator[Path | None]:
    """Give an empty folder to keep predictions in; all of it appears as `folder` at the end, or nothing does. None where there is none."""
    if folder is None:
        yield None
        return
    with staged(folder, "the predictions cannot be saved") as staging:
        staging.mkdir()
        yield staging


def _keeping(predict: Predictor, folder: Path) -> Predictor:
    """Return a predictor that also writes FOLDER/VIDEO/EXPRESSION/FRAME.png."""

    def save(sample: Sample) -> Prediction:
        prediction = predict(sample)
        place = folder / sample.video_id / sample.expression_id
        return replace(prediction, masks=_written(prediction, place, sample.frame_names))

    return save


def _written(prediction: Prediction, folder: Path, frame_names: Sequence[str]) -> Iterator[tuple[int, BoolMask]]:
    folder.mkdir(parents=True)
    for index, mask in prediction.masks:
        write_label_png(folder / f"{frame_names[index]}.png", mask.astype(np.uint8))
        yield index, mask
