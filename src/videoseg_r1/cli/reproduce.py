"""videoseg reproduce: measure again what the documentation says, and write it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from videoseg_r1.cli.options import OutOption
from videoseg_r1.cli.terminal import Outcome, Terminal


def reproduce(
    terminal: Terminal,
    *,
    what: Annotated[Literal["tables"], typer.Argument(metavar="WHAT", help="What to measure: tables, the paper's ablations.")],
    scale: Annotated[Literal["lite"], typer.Option("--scale", help="With which models: lite.")] = "lite",
    out: OutOption = Path("reproduction"),
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", help="Development clips (a folder as for eval davis16); without, drawn ones only."),
    ] = None,
    num: Annotated[int, typer.Option("--num", metavar="N", min=1, help="Questions per reader and split.")] = 104,
    num_clips: Annotated[int, typer.Option("--clips", metavar="N", min=1, help="Drawn clips of tables 5 and 6.")] = 16,
) -> Outcome:
    """Measure the paper's ablations in small and write them as tables; what is measured already is not measured again.

    Example: videoseg reproduce tables --scale lite -o reproduction --root davis16_dev
    """
    from videoseg_r1.ablations.document import write_tables

    with terminal.progress() as progress:
        path = write_tables(out, root, num, num_clips, progress)
    document = {"what": what, "scale": scale, "tables": str(path)}
    return Outcome(document, path.read_text(encoding="utf-8"))
