"""videoseg replay: the masks of a trace again, without the language model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from videoseg_r1.cli.inputs import opened
from videoseg_r1.cli.options import (
    DEFAULT_FORMATS,
    BackgroundOption,
    DeviceOption,
    FormatsOption,
    OnCorruptOption,
    OutOption,
    OverwriteOption,
    VideoArg,
)
from videoseg_r1.cli.outputs import check_outputs, formats_of, saved
from videoseg_r1.cli.terminal import Outcome, Terminal


def replay(
    terminal: Terminal,
    *,
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="A trace.json that an earlier run wrote.")],
    video: VideoArg,
    out: OutOption,
    formats: FormatsOption = DEFAULT_FORMATS,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
    on_corrupt: OnCorruptOption = "error",
    background: BackgroundOption = "white",
) -> Outcome:
    """Make the masks of an earlier run again, from its trace.

    Example: videoseg replay out/trace.json race.mp4 -o again
    """
    names = formats_of(formats)
    check_outputs(out, names, overwrite=overwrite, source=video)

    from videoseg_r1.config import Extensions
    from videoseg_r1.documents import build
    from videoseg_r1.output.trace import Trace
    from videoseg_r1.presets.table import load
    from videoseg_r1.stages.sampling.hierarchical import SamplerConfig

    known = Trace.read(trace)
    sampler = build(SamplerConfig, known.settings.get("sampler", {}), f"{trace}: settings.sampler")
    extensions = build(Extensions, known.settings.get("extensions", {}), f"{trace}: settings.extensions")
    propagator = known.settings.get("propagator")
    segmenter = load(known.preset, device=device, propagator=propagator, sampler=asdict(sampler), extensions=asdict(extensions))
    with opened(video, on_corrupt=on_corrupt, background=background) as source, terminal.progress() as progress:
        result = segmenter.replay(known, source, on_progress=progress)
        return saved(result, out, names, overwrite=overwrite, progress=progress, video=source)
