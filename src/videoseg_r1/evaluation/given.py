"""True first masks given: all objects of a clip are carried at once, once per clip, and every target and every object is scored.

As in the semi-supervised task of DAVIS-2017 (Pont-Tuset et al. 2017), an object is given on the first frame that shows it, it is not scored
before, and every pixel belongs to one object or to none. Unlike DAVIS, whose script leaves out the first and the last frame, all frames
from there on are scored, as everywhere in this package. What an expression means is the union of its objects: it is scored from the first
frame that shows one of them, and expressions that mean the same are computed once. Expressions without a target are left out.

Not here: how masks are carried (`stages.propagation`), how one sample is scored (`scoring`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from videoseg_r1.datasets.clip import Expression, TrueMasks
from videoseg_r1.datasets.mask_files import read_png_labels
from videoseg_r1.datasets.sample import Sample
from videoseg_r1.evaluation.predictors import Prediction, Predictor, check_predictions
from videoseg_r1.evaluation.report import OBJECT, Report, Row
from videoseg_r1.evaluation.scoring import evaluate
from videoseg_r1.masks import VOID, LabelMap, write_label_png
from videoseg_r1.types import BoolMask
from videoseg_r1.video import Video


class LabelledFrames(Protocol):
    """The part of a `SegmentationResult` that is needed here."""

    @property
    def num_frames(self) -> int: ...
    def label_map(self, frame_index: int, /) -> LabelMap: ...


class MaskPropagator(Protocol):
    """The part of a `VideoSegmenter` that `by_given_mask` needs."""

    def propagate(self, video: Video, given: Mapping[int, Mapping[int, BoolMask]], /) -> LabelledFrames: ...


@dataclass(frozen=True)
class SinceFirst(TrueMasks):
    """The true masks of a clip, known from the frame on that first shows one of the objects that are asked for.

    `first` has the first frame of every object that is seen at all; the masks of objects that never are, are known in all frames.
    """

    masks: TrueMasks
    first: Mapping[str, int]

    @property
    def size(self) -> tuple[int, int]:
        return self.masks.size

    def frames(self, object_ids: Sequence[str]) -> Sequence[int]:
        start = min((self.first[name] for name in object_ids if name in self.first), default=0)
        return [index for index in self.masks.frames(object_ids) if index >= start]

    def read(self, object_ids: Sequence[str], index: int) -> BoolMask:
        return self.masks.read(object_ids, index)

    def ignored(self, index: int) -> BoolMask | None:
        return self.masks.ignored(index)


def given_samples(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples that have a target, clip by clip, and behind those of a clip one of the kind OBJECT for each object that is seen.

    Raises: InputError: a clip has no true masks. SourceNotFound, InvalidDocument: a mask is missing or damaged.
    """
    by_clip: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.target_present:
            by_clip.setdefault(sample.video_id, []).append(sample)
    return [given for own in by_clip.values() for given in _of_clip(own)]


def _of_clip(own: Sequence[Sample]) -> Iterator[Sample]:
    """Yield the samples of a clip, then its objects, all with the clip as it is scored here."""
    owners: dict[str, Sample] = {}  # more than one sample's: two clips in a mosaic have one name, whichever of them is asked about
    for sample in own:
        owners |= {name: sample for name in sample.clip.object_ids if name not in owners}
    masks = own[0].true_masks
    first = _first_frames(masks, owners)
    clip = replace(own[0].clip, objects=tuple(owners), masks=SinceFirst(masks, first))
    yield from (replace(sample, clip=clip) for sample in own)
    for name in first:
        yield replace(owners[name], clip=clip, expression=Expression(name, "", (name,), OBJECT))


def first_targets(samples: Sequence[Sample], limit: int) -> list[Sample]:
    """Return the first so many samples that are no single objects, all for 0, and the objects of their clips."""
    chosen = [sample for sample in samples if sample.kind != OBJECT][: limit or None]
    clips = {sample.video_id for sample in chosen}
    ids = {(sample.video_id, sample.expression_id) for sample in chosen}
    return [s for s in samples if (s.video_id, s.expression_id) in ids or (s.kind == OBJECT and s.video_id in clips)]


def by_given_mask(propagator: MaskPropagator, keep: Path | None = None) -> Predictor:
    """Return a predictor that carries the first true masks of all objects of a clip through it at once; the text is not read.

    A clip is carried once for the samples that follow each other. The frames on which masks are given are scored with the others; before
    the frame that it is given on, an object is taken for absent.

    Args:
        propagator: carries the masks, by frame and number of the object.
        keep: write the label maps of every clip into KEEP/CLIP/FRAME.png, as palettes with the numbers of the objects.
    """

    def follow(sample: Sample, first: Mapping[str, int]) -> _Followed:
        numbers, masks = _numbers(sample.clip.object_ids), sample.true_masks
        given: dict[int, dict[int, BoolMask]] = {}
        for name, index in first.items():
            given.setdefault(index, {})[numbers[name]] = masks.read([name], index)[0]
        if not given:
            return _Followed((), lambda _: np.zeros(sample.size[::-1], np.uint8))
        with sample.open() as video:
            found = propagator.propagate(video, given)
        if keep is not None:
            _write(found, keep / sample.video_id, sample.frame_names)
        return _Followed(range(found.num_frames), found.label_map)

    return _by_label_maps(follow)


def from_label_maps(root: str | Path, samples: Sequence[Sample]) -> Predictor:
    """Return a predictor that reads ROOT/CLIP/FRAME.png: label maps, as `by_given_mask` keeps them.

    Palettes hold the objects by number; in a clip of one object, whatever is not zero belongs to it, and files may be grey. Files may be
    missing, but none may be there that the benchmark does not know.

    Args:
        root: the folder.
        samples: all samples of the benchmark, also those that are not going to be scored.
    Raises: as `from_preds`.
    """
    root = Path(root)
    check_predictions(root, samples, by_expression=False)

    def follow(sample: Sample, _: object) -> _Followed:
        numbers = list(_numbers(sample.clip.object_ids).values())
        paths = {index: root / sample.video_id / f"{name}.png" for index, name in enumerate(sample.frame_names)}

        def labels(index: int) -> LabelMap:
            found = read_png_labels(paths[index], sample.size, palette_only=len(numbers) > 1)
            return found if len(numbers) > 1 else (found != 0) * np.uint8(numbers[0])

        return _Followed([index for index, path in paths.items() if path.is_file()], labels)

    return _by_label_maps(follow)


def evaluate_given(samples: Sequence[Sample], predict: Predictor, *, on_row: Callable[[Row], None] | None = None, **options: Any) -> Report:
    """Score what `given_samples` returned as `evaluate` does, each set of true masks once; every sample has a row.

    The seconds of a row are those of the run that followed all objects of the clip. Arguments and errors as for `evaluate`.
    """
    same: dict[object, list[Sample]] = {}
    for sample in samples:
        same.setdefault(sample.truth_key, []).append(sample)

    def tell(row: Row) -> None:
        if on_row is not None:
            for sample in same[row.sample.truth_key]:
                on_row(replace(row, sample=sample))

    scored = evaluate([alike[0] for alike in same.values()], predict, on_row=tell, **options)
    rows = {row.sample.truth_key: row for row in scored.rows}
    seconds = {name: sum(row.seconds for row in scored.rows if row.sample.video_id == name) for name, _ in rows}
    of_samples = (replace(rows[s.truth_key], sample=s, seconds=seconds[s.video_id]) for s in samples)
    return Report(tuple(of_samples), scored.settings)


@dataclass(frozen=True)
class _Followed:
    """The label maps of a clip, in which every object that was given has its number."""

    frames: Sequence[int]
    label_map: Callable[[int], LabelMap]


def _by_label_maps(follow: Callable[[Sample, Mapping[str, int]], _Followed]) -> Predictor:
    """Return a predictor that takes the objects of a sample from the label maps of its clip, which are asked for once per clip.

    `follow` is given a sample of the clip, and the first frame of each of its objects.
    """
    latest: dict[object, tuple[Mapping[str, int], _Followed]] = {}

    def predict(sample: Sample) -> Prediction:
        names = sample.clip.object_ids
        key = (sample.clip.dataset, sample.video_id, names)
        if key not in latest:
            latest.clear()
            first = _first_frames(sample.true_masks, names)
            latest[key] = first, follow(sample, first)
        first, found = latest[key]
        numbers = _numbers(names)
        own = {numbers[name]: first[name] for name in sample.expression.object_ids if name in first}
        masks = ((index, _union(found.label_map(index), [n for n, start in own.items() if start <= index])) for index in found.frames)
        return Prediction(masks, min(own.values(), default=None))

    return predict


def _first_frames(masks: TrueMasks, object_ids: Iterable[str]) -> dict[str, int]:
    """Return the first frame that shows each object; those that are never seen are left out."""
    first: dict[str, int] = {}
    for name in object_ids:
        index = next((index for index in masks.frames([name]) if masks.read([name], index).any()), None)
        if index is not None:
            first[name] = index
    return first


def _numbers(object_ids: Sequence[str]) -> dict[str, int]:
    """Return the numbers of objects in label maps: their ids where all are numbers from 1 to 254, otherwise 1, 2, ... in their order."""
    if all(name.isdecimal() and 0 < int(name) < VOID for name in object_ids):
        return {name: int(name) for name in object_ids}
    return {name: number for number, name in enumerate(object_ids, 1)}


def _union(labels: LabelMap, numbers: Sequence[int]) -> BoolMask:
    """Return (H, W) bool, the pixels of these objects."""
    is_one = np.zeros(256, np.bool_)
    is_one[list(numbers)] = True
    return is_one[labels]


def _write(found: LabelledFrames, folder: Path, frame_names: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(found.num_frames):
        write_label_png(folder / f"{frame_names[index]}.png", found.label_map(index))
