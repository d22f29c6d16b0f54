"""How predictions are scored: one number per expression, streamed frame by frame.

Per frame J and F, their mean over all scored frames of the clip (the first and last as well), then over the expressions that have a
target; J&F is the mean of J and F. A frame without a prediction counts as an empty mask, and is counted. Expressions without a
target are reported apart: how often nothing was returned. Predictions are timed without the scoring.

Not here: what is scored and by which predictor (`run`, `predictors`), averages (`report`), matching of several predicted to several
true objects, predictions of another size than the truth (bring them there first: the tolerance of F depends on the size).
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from videoseg_r1.datasets.clip import Clip, Expression
from videoseg_r1.datasets.problems import raise_problems
from videoseg_r1.datasets.sample import Sample
from videoseg_r1.datasets.true_masks import ANY_OBJECT, PngMasks
from videoseg_r1.errors import InputError, InvalidDocument, InvalidQuery, ShapeMismatch, SourceNotFound, VideosegError
from videoseg_r1.evaluation.predictors import Predictor, from_preds
from videoseg_r1.evaluation.report import Report, Row
from videoseg_r1.metrics import BOUND, PackedMask, Score, compare
from videoseg_r1.types import BoolMask
from videoseg_r1.video import open_video

_CACHE_BYTES = 512 << 20


def evaluate(
    samples: Iterable[Sample],
    predict: Predictor,
    *,
    bound: float = BOUND,
    settings: Mapping[str, object] | None = None,
    on_row: Callable[[Row], None] | None = None,
) -> Report:
    """Score a predictor on samples, one frame in memory at a time.

    Args:
        samples: what to score; those of one clip best one after the other.
        predict: makes the masks that are scored.
        bound: tolerance of F as a fraction of the image diagonal, or in whole pixels when >= 1.
        settings: how the predictions were made, for the report.
        on_row: called with the row of every sample, for progress.
    Returns: the report. A sample whose input the predictor cannot use (InputError, InvalidQuery) counts as empty masks and
        carries the error; errors that would hit all samples alike (models, memory, disk) are raised.
    Raises: InvalidDocument: the true masks are damaged. InvalidConfig: no such tolerance.
    """
    truths = _Truths(bound)
    rows: list[Row] = []
    for sample in samples:
        row = _score(sample, predict, truths)
        rows.append(row)
        if on_row is not None:
            on_row(row)
    return Report(tuple(rows), {"bound": bound, **(settings or {})})


def score_png_folders(pred_dir: str | Path, gold_dir: str | Path, *, bound: float = BOUND) -> Report:
    """Score DIR/CLIP/FRAME.png against DIR/CLIP/FRAME.png, whatever is not zero being the object.

    Returns: the report with one row per clip of `gold_dir`; frames that `pred_dir` lacks count as empty.
    Raises: SourceNotFound, InvalidDocument: as `from_preds`, and for files that turn out to be damaged.
    """
    gold_dir = Path(gold_dir)
    if not gold_dir.is_dir():
        raise SourceNotFound("no true masks", where=str(gold_dir), why="there is no such folder")
    samples = [_folder_sample(folder) for folder in sorted(gold_dir.iterdir()) if folder.is_dir() and not folder.name.startswith(".")]
    report = evaluate(samples, from_preds(pred_dir, samples), bound=bound)
    failed = [InvalidDocument(str(row.error["what"]), where=str(row.error["where"])) for row in report.rows if row.error]
    raise_problems("predictions cannot be read", str(pred_dir), failed, "repair these files")
    return report


class _Truths:
    """True masks, packed for scoring; the latest are kept for the next expression of the same clip."""

    def __init__(self, bound: float) -> None:
        self._bound = bound
        self._kept: OrderedDict[tuple[object, int], _Truth] = OrderedDict()
        self._num_bytes = 0

    def score(self, mask: BoolMask, sample: Sample, index: int) -> Score:
        """Return J and F of a predicted mask for a scored frame."""
        truth = self._truth(sample, index)
        return compare(PackedMask(_counted(mask, truth.ignored), self._bound), truth.mask)

    def area(self, sample: Sample, index: int) -> float:
        """Return the share of the picture that the target covers in a scored frame."""
        mask = self._truth(sample, index).mask
        return mask.area / math.prod(mask.shape)

    def _truth(self, sample: Sample, index: int) -> _Truth:
        key = (sample.truth_key, index)
        found = self._kept.pop(key, None)
        if found is None:
            ignored = sample.ignored(index)
            found = _Truth(PackedMask(_counted(sample.mask(index), ignored), self._bound), ignored)
            self._num_bytes += found.nbytes
        self._kept[key] = found
        while self._num_bytes > _CACHE_BYTES:
            self._num_bytes -= self._kept.popitem(last=False)[1].nbytes
        return found


class _Truth(NamedTuple):
    """The true mask of a frame, and the pixels (H, W) that do not count there, None where all do."""

    mask: PackedMask
    ignored: BoolMask | None

    @property
    def nbytes(self) -> int:
        return self.mask.nbytes + (0 if self.ignored is None else self.ignored.nbytes)


def _counted(mask: BoolMask, ignored: BoolMask | None) -> BoolMask:
    """Return a mask without the pixels that do not count (DAVIS: void pixels are cleared in both masks before J and F)."""
    return mask if ignored is None else mask & ~ignored


class _Timed:
    """Iterates over the masks of a prediction and checks them; records their time, and the error that ended them, if one did."""

    def __init__(self, sample: Sample, predict: Predictor) -> None:
        self._sample, self._predict = sample, predict
        self.seconds = 0.0
        self.seen: set[int] = set()
        self.target_frame: int | None = None
        self.error: VideosegError | None = None

    def __iter__(self) -> Iterator[tuple[int, BoolMask]]:
        try:
            with self._clock():
                prediction = self._predict(self._sample)
                self.target_frame = prediction.target_frame
                masks = iter(prediction.masks)
            while True:
                with self._clock():
                    item = next(masks, None)
                if item is None:
                    return
                self._check(*item)
                yield item
        except (InputError, InvalidQuery) as error:
            self.error = error

    @contextmanager
    def _clock(self) -> Generator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started

    def _check(self, index: int, mask: BoolMask) -> None:
        sample, expected = self._sample, self._sample.size[::-1]
        where = f"{sample.video_id}/{sample.expression_id}, frame {index}"
        if mask.shape != expected:
            raise ShapeMismatch("the prediction has another size than the truth", where=where, why=f"{mask.shape}, not {expected}")
        if index in self.seen or not 0 <= index < sample.num_frames:
            why = "it came twice" if index in self.seen else f"the clip has {sample.num_frames} frames"
            raise InputError("the prediction does not fit the clip", where=where, why=why)
        self.seen.add(index)


def _score(sample: Sample, predict: Predictor, truths: _Truths) -> Row:
    timed = _Timed(sample, predict)
    # both are read before the predictor runs, so that a fault in the true masks is not taken for one of the prediction
    known, nothing = frozenset(sample.scored_frames), np.zeros(sample.size[::-1], np.bool_)
    scores: dict[int, Score] = {}
    marked = False
    for index, mask in timed:
        marked = marked or bool(mask.any())
        if sample.target_present and index in known:
            scores[index] = truths.score(mask, sample, index)
    missing = sorted(known - timed.seen)
    if sample.target_present:
        scores |= {index: truths.score(nothing, sample, index) for index in missing}
    areas = [truths.area(sample, index) for index in scores]
    return Row(
        sample=sample,
        scores=dict(sorted(scores.items())),
        area=sum(areas) / len(areas) if areas else None,
        seconds=timed.seconds,
        target_frame=timed.target_frame,
        missing=len(missing),
        abstained=not marked and timed.error is None,
        error=timed.error.to_dict() if timed.error else None,
    )


def _folder_sample(folder: Path) -> Sample:
    paths = tuple(sorted(folder.glob("*.png")))
    if not paths:
        raise InvalidDocument("a clip without true masks", where=str(folder), fix="name files CLIP/FRAME.png")
    masks = PngMasks(dict(enumerate(paths)))
    whole = Expression("0", "", (ANY_OBJECT,), "masks")
    names = tuple(path.stem for path in paths)
    clip = Clip("folder", "all", folder.name, names, partial(open_video, folder), (whole,), masks)
    return Sample(clip, whole, (folder.name,))
