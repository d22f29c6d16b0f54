"""videoseg segment: a video and a sentence in, masks and the reasoning out."""

from __future__ import annotations

from typing import Annotated

import typer

from videoseg_r1.cli.inputs import opened
from videoseg_r1.cli.options import (
    DEFAULT_FORMATS,
    AnchorsOption,
    BackgroundOption,
    BoxOption,
    DeviceOption,
    FormatsOption,
    FrameOption,
    MaskOption,
    NegPointOption,
    OnCorruptOption,
    OutOption,
    OverwriteOption,
    PointOption,
    PresenceVotesOption,
    PresetOption,
    PropagatorOption,
    SamplerOption,
    SeedFramesOption,
    SeedOption,
    SelfCheckOption,
    VideoArg,
    changed_settings,
)
from videoseg_r1.cli.outputs import check_outputs, formats_of, saved
from videoseg_r1.cli.prompts import given_by
from videoseg_r1.cli.terminal import Outcome, Terminal
from videoseg_r1.errors import InvalidQuery


def segment(
    terminal: Terminal,
    *,
    video: VideoArg,
    query: Annotated[
        str | None, typer.Argument(metavar="QUERY", help="What to look for; only a label with --mask, --box or --point.")
    ] = None,
    out: OutOption,
    formats: FormatsOption = DEFAULT_FORMATS,
    preset: PresetOption = "lite",
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
    on_corrupt: OnCorruptOption = "error",
    background: BackgroundOption = "white",
    propagator: PropagatorOption = None,
    device: DeviceOption = "auto",
    sampler: SamplerOption = "full",
    anchors: AnchorsOption = None,
    seed_frames: SeedFramesOption = None,
    self_check: SelfCheckOption = False,
    presence_votes: PresenceVotesOption = 0,
    mask: MaskOption = None,
    box: BoxOption = None,
    point: PointOption = None,
    neg_point: NegPointOption = None,
    frame: FrameOption = None,
) -> Outcome:
    """Find what a sentence asks for, and mask it in every frame.

    Example: videoseg segment race.mp4 "the runner who overtakes last" -o out

    With --mask, --box or --point on a frame, that object is followed and the sentence is not read.
    """
    given = given_by(mask, box, point, neg_point, frame)
    if query is None and not given.prompts:
        raise InvalidQuery(
            "there is nothing to look for", fix='say it after the video, e.g. "the dog on the left", or give --mask or --box'
        )
    names = formats_of(formats)
    check_outputs(out, names, overwrite=overwrite, source=video)

    from videoseg_r1.presets.table import load
    from videoseg_r1.prompts import clean_query

    changes = changed_settings(sampler, anchors, seed_frames, self_check=self_check, presence_votes=presence_votes)
    segmenter = load(preset, device=device, propagator=propagator, sampler=changes.sampler, extensions=changes.extensions)
    with opened(video, on_corrupt=on_corrupt, background=background) as source, terminal.progress() as progress:
        if given.prompts:
            label = None if query is None else clean_query(query)
            result = segmenter.propagate(source, given.prompts, query=label, names=given.names, on_progress=progress)
        else:
            result = segmenter.segment(source, query or "", seed=seed, on_progress=progress)
        return saved(result, out, names, overwrite=overwrite, progress=progress, video=source, notes=given.notes)
