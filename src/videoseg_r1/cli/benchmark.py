"""What `videoseg eval` puts together from the library: which samples, which predictor, predictions kept as PNGs, and the table."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from videoseg_r1.cli.options import ChangedSettings
from videoseg_r1.datasets import Sample, load_dataset, mosaic, shuffle_text
from videoseg_r1.documents import to_plain
from videoseg_r1.evaluation import Prediction, Predictor, by_given_mask, by_text, from_preds, one_per_clip
from videoseg_r1.files import staged
from videoseg_r1.masks import write_label_png

_NOT_SAVED = "the predictions cannot be saved"


@dataclass(frozen=True)
class Choice:
    """What is scored. `num_clips` of a mosaic, 0 for none; `videos` and `limit` take a part, nothing and 0 take all."""

    dataset: str
    root: Path
    given_mask: bool = False
    num_clips: int = 0
    videos: tuple[str, ...] = ()
    limit: int = 0
    whole: bool = False
    """Whether the whole benchmark is needed to make the samples, also where a part of it is scored."""

    def samples(self) -> tuple[list[Sample], list[Sample]]:
        """Return all samples of the benchmark that were read, and those that are to be scored, in its order."""
        own = load_dataset(self.dataset, self.root, self.videos or None)
        known = load_dataset(self.dataset, self.root) if self.videos and (self.whole or self.num_clips) else own
        if self.num_clips:
            known = mosaic(known, self.num_clips)
        if self.given_mask:
            known = one_per_clip(known)
        wanted = [sample for sample in known if not self.videos or sample.clips[0] in self.videos]
        return known, wanted[: self.limit or None]


def shuffled(known: Sequence[Sample], wanted: Sequence[Sample]) -> list[Sample]:
    """Return the wanted samples that have a target, each asked for with an expression of another clip, whatever part is wanted."""
    ids = {(sample.video_id, sample.expression_id) for sample in wanted}
    return [sample for sample in shuffle_text(known) if (sample.video_id, sample.expression_id) in ids]


def predictor_of(
    choice: Choice,
    known: Sequence[Sample],
    preds: Path | None,
    *,
    preset: str,
    propagator: str | None,
    device: str,
    changes: ChangedSettings,
    seed: int,
) -> tuple[Predictor, Mapping[str, Any]]:
    """Return what makes the masks, and its settings. Raises: see `from_preds` and `presets.load`."""
    if preds is not None:
        return from_preds(preds, known), {"from_preds": str(preds)}
    from videoseg_r1.presets.table import load

    segmenter = load(preset, device=device, propagator=propagator, sampler=changes.sampler, extensions=changes.extensions)
    # one definition of plain data for settings, the one of the trace
    settings = {"preset": preset, "seed": seed, "models": segmenter.stages.models, **segmenter.stages.settings}
    return by_given_mask(segmenter) if choice.given_mask else by_text(segmenter, seed), to_plain(settings)


@contextmanager
def saving(predict: Predictor, folder: Path | None) -> Generator[Predictor]:
    """Give a predictor that also writes FOLDER/VIDEO/EXPRESSION/FRAME.png; all of it appears at the end, or nothing does.

    Raises OutputError: nothing can be written there.
    """
    if folder is None:
        yield predict
        return
    with staged(folder, _NOT_SAVED) as staging:
        staging.mkdir()

        def save(sample: Sample) -> Prediction:
            prediction = predict(sample)
            place = staging / sample.video_id / sample.expression_id
            return replace(prediction, masks=_written(prediction, place, sample.frame_names))

        yield save


def _written(prediction: Prediction, folder: Path, frame_names: Sequence[str]) -> Iterator[tuple[int, Any]]:
    folder.mkdir(parents=True)
    for index, mask in prediction.masks:
        write_label_png(folder / f"{frame_names[index]}.png", mask.astype(np.uint8))
        yield index, mask


def table(document: Mapping[str, Any]) -> str:
    """Return a report for people."""
    rows = {"all": document, **document["kinds"]}
    if "control" in document:
        rows |= {"shuffled text": document["control"], "gap": document["gap"]}
    lines = [f"{'':<16}{'J':>8}{'F':>8}{'J&F':>8}"]
    for name, scores in rows.items():
        values = (scores[key] for key in ("J", "F", "J&F"))
        lines.append(f"{name:<16}" + "".join(f"{'-':>8}" if value is None else f"{value:>8.3f}" for value in values))
    absent, speed = document["absent"], document["seconds_per_frame"]
    lines.append(f"{document['num_expressions']} expressions with a target")
    lines.append(f"absent targets: nothing returned for {absent['abstained']} of {absent['num']}")
    lines += [f"{speed:.3f} seconds per frame"] if speed is not None else []
    lines += [f"{document['missing']} frames without a prediction"] if document["missing"] else []
    lines += [f"{document['failed']} expressions failed; --json tells which and why"] if document["failed"] else []
    return "\n".join(lines)
