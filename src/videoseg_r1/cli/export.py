"""videoseg export: the masks of an earlier run in other formats."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from videoseg_r1.cli.inputs import opened
from videoseg_r1.cli.options import FORMATS_HELP, OverwriteOption
from videoseg_r1.cli.outputs import check_outputs, formats_of, saved
from videoseg_r1.cli.terminal import Outcome, Terminal


def export(
    terminal: Terminal,
    *,
    run: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="The folder of a run: result.json, and masks.json or masks/.")],
    to: Annotated[str, typer.Option("--to", help="What to write, by commas: " + FORMATS_HELP)],
    video: Annotated[Path | None, typer.Option("--video", metavar="FILE", help="Where the video is now, if it was moved.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="The folder to write to.  [default: RUN_DIR]")] = None,
    overwrite: OverwriteOption = False,
    background: Annotated[
        str | None,
        typer.Option("--background", metavar="COLOR", help="What transparency is flattened on.  [default: the run's]", show_default=False),
    ] = None,
) -> Outcome:
    """Write the masks of an earlier run in other formats.

    Example: videoseg export out --to matte,cutout
    """
    from videoseg_r1.output.reload import read_run, run_folder
    from videoseg_r1.output.trace import check_same_video

    root = run_folder(run)
    names, folder = formats_of(to), out or root
    check_outputs(folder, names, overwrite=overwrite, source=video)
    result = read_run(root, video)
    with ExitStack() as stack:
        source = None
        if video is not None or background is not None:
            source = stack.enter_context(result.reopen())
            unknown = check_same_video(result.trace.video, source)
            result = replace(result, notes=(*result.notes, unknown)) if unknown else result
        if source is not None and background is not None and source.path is not None:
            # compared as the run saw it, shown as asked
            source = stack.enter_context(opened(source.path, on_corrupt=result.on_corrupt, background=background))
        progress = stack.enter_context(terminal.progress())
        return saved(result, folder, names, overwrite=overwrite, progress=progress, video=source)
