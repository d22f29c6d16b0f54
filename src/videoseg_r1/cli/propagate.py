"""videoseg propagate: an object on one frame in, its masks in every frame out."""

from __future__ import annotations

from videoseg_r1.cli.inputs import opened
from videoseg_r1.cli.options import (
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
    PresetOption,
    PropagatorOption,
    VideoArg,
)
from videoseg_r1.cli.outputs import check_outputs, formats_of, saved
from videoseg_r1.cli.prompts import given_by
from videoseg_r1.cli.terminal import Outcome, Terminal
from videoseg_r1.errors import InvalidPrompt


def propagate(
    terminal: Terminal,
    *,
    video: VideoArg,
    out: OutOption,
    mask: MaskOption = None,
    box: BoxOption = None,
    point: PointOption = None,
    neg_point: NegPointOption = None,
    frame: FrameOption = None,
    formats: FormatsOption = "overlay,png,rle,json,trace",
    preset: PresetOption = "lite",
    overwrite: OverwriteOption = False,
    on_corrupt: OnCorruptOption = "error",
    background: BackgroundOption = "white",
    propagator: PropagatorOption = None,
    device: DeviceOption = "auto",
) -> Outcome:
    """Carry masks, or what boxes and points mean, from some frames through the whole video.

    Example: videoseg propagate race.mp4 --mask first.png -o out

    Example: videoseg propagate race.mp4 --box dog=10,20,40,50 --box cat=110,70,140,100 --box dog@30=25,20,55,50 -o out

    A mask with several values or colours holds several objects. OBJECT is a number or a name; boxes without one are objects 1, 2, ...
    """
    given = given_by(mask, box, point, neg_point, frame)
    if not given.prompts:
        raise InvalidPrompt("there is nothing to propagate", fix="give --mask FILE, --box X1,Y1,X2,Y2 or --point X,Y")
    names = formats_of(formats)
    check_outputs(out, names, overwrite=overwrite, source=video)
    from videoseg_r1.presets.table import load

    segmenter = load(preset, device=device, propagator=propagator)
    with opened(video, on_corrupt=on_corrupt, background=background) as source, terminal.progress() as progress:
        result = segmenter.propagate(source, given.prompts, names=given.names, on_progress=progress)
        return saved(result, out, names, overwrite=overwrite, progress=progress, video=source, notes=given.notes)
