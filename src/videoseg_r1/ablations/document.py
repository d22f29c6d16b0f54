"""The document of all tables, measured step by step: every result is kept in a folder, so that a run that was stopped can continue.

    OUT/values-NUM-CLIPS/NAME.json   what was measured, of so many questions and clips
    OUT/tables.md                    the tables

Not here: how it is measured (`text`, `masks`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

from videoseg_r1.ablations import masks, text
from videoseg_r1.ablations.clips import Case, cases_of
from videoseg_r1.ablations.readers import ABLATION_VARIANTS
from videoseg_r1.datasets.davis import load_davis16
from videoseg_r1.datasets.sample import Sample, samples_of
from videoseg_r1.documents import build, read_json, to_json
from videoseg_r1.files import write_whole
from videoseg_r1.types import Progress

_T = TypeVar("_T")
_PRESET = "lite"


def write_tables(out: Path, root: Path | None, num: int, num_clips: int, progress: Progress) -> Path:
    """Measure what is not measured yet, write the tables, and return their path.

    Args:
        out: folder of what is measured, and of the tables.
        root: the development clips; None leaves real clips out.
        num: questions about the world for each reader and split.
        num_clips: rendered clips of tables 5 and 6.
        progress: called with a table, how many are done, and how many there are.
    Raises: WeightsMissing, ModelError: of the readers. SourceNotFound, InvalidDocument: the clips or a file of values cannot be read.
        OutputError.
    """
    real = samples_of(load_davis16(root)) if root else []
    drawn = masks.changing_samples(num_clips)
    clips: Mapping[str, Sequence[Sample]] = {"drawn clips": drawn, **({"development clips": real} if real else {})}
    changing = {"drawn clips": drawn, **({"development clips, target hidden for a while": masks.hidden_samples(real)} if real else {})}
    values = out / f"values-{num}-{num_clips}"
    progress("tables 4 and 7", 0, 3)
    scores = _scores(values, real, num)
    progress("table 5", 1, 3)
    fifth = {
        name: {
            mode: kept(values, f"table 5 {name} {mode}", list[float], partial(masks.by_mode, samples, mode, _PRESET))
            for mode in masks.MODES
        }
        for name, samples in changing.items()
    }
    progress("table 6", 2, 3)
    sixth = {
        name: kept(values, f"table 6 {name}", dict[str, list[float]], partial(masks.by_parts, samples, _PRESET))
        for name, samples in clips.items()
    }
    parts = {
        "Training (the paper's Table 4)": text.table_4(scores),
        "Target frame (the paper's Table 5)": masks.table_5(fifth),
        "What the segmenter is given (the paper's Table 6)": masks.table_6(sixth),
        "Soft length penalty (the paper's Table 7)": text.table_7(scores),
    }
    document = "\n".join(line for title, lines in parts.items() for line in (f"### {title}", "", *lines, ""))
    write_whole(out / "tables.md", document, "the tables cannot be written")
    progress("table 6", 3, 3)
    return out / "tables.md"


def kept(folder: Path, name: str, kind: type[_T], measure: Callable[[], _T]) -> _T:
    """Return the result that is kept under a name; measure and keep it first, if it is not there.

    Raises: InvalidDocument: the file was changed. OutputError: it cannot be written.
    """
    path = folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.json"
    if not path.is_file():
        write_whole(path, to_json(measure()), "a figure of the tables cannot be written")
    return build(kind, read_json(path), str(path))


def _scores(values: Path, real: Sequence[Sample], num: int) -> dict[str, text.ReaderScores]:
    """Return the scores of the matcher and of every reader whose weights are there."""

    @cache
    def cases() -> list[Case]:
        return list(cases_of(real))

    readers: dict[str, Callable[[], text.ReaderScores]] = {text.BASELINE: lambda: text.baseline(num, cases())}
    for variant in ABLATION_VARIANTS.values():
        if variant.is_there:
            readers[variant.name] = lambda variant=variant: text.scores_of(variant, num, cases())
    return {name: kept(values, name, text.ReaderScores, measure) for name, measure in readers.items()}
