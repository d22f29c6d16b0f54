"""videoseg demo: the main job on the clip that comes with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from videoseg_r1.cli.options import OverwriteOption
from videoseg_r1.cli.segment import segment
from videoseg_r1.cli.terminal import Outcome, Terminal

CLIP = "big_buck_bunny.mp4"
QUERY = "the rabbit that comes out of the burrow"


def demo(
    terminal: Terminal,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to write to; made if need be.")] = Path("demo-out"),
    overwrite: OverwriteOption = False,
) -> Outcome:
    """Segment the clip that comes with the package: a rabbit leaves its burrow.

    The clip is from Big Buck Bunny, (c) 2008 Blender Foundation, peach.blender.org, CC BY 3.0.
    """
    with resources.as_file(resources.files("videoseg_r1") / "demo" / CLIP) as clip:
        found = segment(terminal, video=clip, query=QUERY, out=out, formats="overlay,card,png,rle,json,trace", overwrite=overwrite)
    closing = f'\nAsked for "{QUERY}".\nThe video with the mask:  {out / "overlay.mp4"}\nThe reasoning card:       {out / "card.png"}'
    return Outcome(found.document, found.text + closing, found.exit_code)
