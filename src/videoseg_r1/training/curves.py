"""The training curve of a stage as a CSV: one row per logged step, no step twice after `--resume`. Not here: trackers, pictures."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from videoseg_r1.files import write_whole

STEP, SECONDS = "step", "seconds"
_FIRST = (STEP, SECONDS, "loss", "reward", "reward_std", "kl", "completions/mean_length", "grad_norm", "learning_rate")


def read_curve(path: Path) -> list[dict[str, str]]:
    """Return the rows of a curve as text by column; an empty list when there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Curve(TrainerCallback):
    """Writes the numbers of every log to `path`; the first log decides the columns.

    The column `seconds` is the training time up to that row, without steps that were lost when a run was stopped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop the rows after the step at which the run resumes: they are computed again."""
        if state.is_world_process_zero:
            kept = [row for row in read_curve(self._path) if int(row[STEP]) <= state.global_step]
            self._write(list(kept[0]) if kept else [], kept)
            self._start = time.monotonic() - (float(kept[-1].get(SECONDS) or 0) if kept else 0)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Add a row, unless the log is the summary at the end of a run."""
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:
            return
        rows = read_curve(self._path)
        seconds = round(time.monotonic() - self._start, 1)
        row = {STEP: state.global_step, SECONDS: seconds, **{key: value for key, value in logs.items() if isinstance(value, (int, float))}}
        names = list(rows[0]) if rows else [name for name in _FIRST if name in row] + sorted(set(row) - set(_FIRST))
        self._write(names, [*rows, {name: row.get(name, "") for name in names}])

    def _write(self, names: list[str], rows: list[dict[str, Any]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self._path, text.getvalue(), "the curve cannot be written")
