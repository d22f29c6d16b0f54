"""What a run says: one JSON document or text on standard output, progress and errors on standard error.

Nothing from a file, a query or a model reaches a terminal with control characters in it. Not here: what is said (the verbs).
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from videoseg_r1.errors import OutputError, VideosegError

if TYPE_CHECKING:
    from videoseg_r1.types import Progress  # its module loads numpy, which `--help` does not need

# they reorder what is read around them, so a name could pose as another
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def plain(text: str) -> str:
    """Return the text without what could steer a terminal: control and escape characters, overrides of the writing direction."""
    kept = (c for c in text if c == "\n" or (unicodedata.category(c) not in ("Cc", "Cs") and c not in _BIDI))
    return "".join(kept)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a verb hands back: `document` for --json, `text` for people, and the exit code."""

    document: Mapping[str, object]
    text: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a run speaks. `as_json`: one document and no text; `quiet`: no progress."""

    as_json: bool = False
    quiet: bool = False

    def show(self, outcome: Outcome) -> None:
        """Print what came out. Raises OutputError: standard output cannot be written."""
        _print(_json(outcome.document) if self.as_json else plain(outcome.text))

    def fail(self, error: VideosegError) -> None:
        """Print an error: with --json the document, otherwise what, where, why and what to do. Raises OutputError."""
        if self.as_json:
            _print(_json(error.to_dict()))
        else:
            complain(f"error: {error}")

    @contextmanager
    def progress(self) -> Generator[Progress]:
        """Give a callback that shows progress: bars on a terminal, a line per 10 % elsewhere, nothing with --quiet."""
        if self.quiet:
            yield lambda _stage, _done, _total: None
        elif sys.stderr is not None and sys.stderr.isatty():
            with _bars() as report:
                yield report
        else:
            yield _Lines()


def complain(text: str) -> None:
    """Print text to standard error, if anybody listens."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(plain(text), file=sys.stderr, flush=True)  # noqa: T201 - this is the one place that prints


class _Lines:
    """Progress where no bar can be drawn."""

    def __init__(self) -> None:
        self._tenths: dict[str, int] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        tenth = 10 * done // max(1, total)
        if tenth > self._tenths.get(stage, 0):
            self._tenths[stage] = tenth
            complain(f"{stage} {10 * tenth} %")


@contextmanager
def _bars() -> Generator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = TextColumn("{task.description:<10}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    tasks: dict[str, TaskID] = {}
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage)
            if not bars.tasks[tasks[stage]].finished:
                bars.update(tasks[stage], completed=done, total=total)

        yield report


def _json(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=2, allow_nan=False)


def _print(text: str) -> None:
    """Print to standard output; a reader that has gone away is no error."""
    out: TextIO | None = sys.stdout
    if out is None:
        return
    try:
        print(text, file=out, flush=True)
    except OSError as error:
        with suppress(OSError, ValueError):  # what is left in the buffer would fail once more at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        if not isinstance(error, BrokenPipeError):
            raise OutputError("standard output cannot be written", why=error.strerror or str(error)) from error
