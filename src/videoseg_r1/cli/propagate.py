"""videoseg propagate: an object on one frame in, its masks in every frame out."""

from __future__ import annotations

from videoseg_r1.cli.inputs import opened, seed_input_of
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
    """Carry a mask, or what a box or points mean, from one frame through the whole video.

    Example: videoseg propagate race.mp4 --mask first.png -o out

    A mask with several numbers or colours holds several objects.
    """
    given = seed_input_of(mask, box, point, neg_point, frame)
    if not given:
        raise InvalidPrompt("there is nothing to propagate", fix="give --mask FILE, --box X1,Y1,X2,Y2 or --point X,Y")
    names = formats_of(formats)
    check_outputs(out, names, overwrite=overwrite, source=video)
    from videoseg_r1.presets.table import load

    segmenter = load(preset, device=device, propagator=propagator)
    with opened(video, on_corrupt=on_corrupt, background=background) as source, terminal.progress() as progress:
        result = segmenter.propagate(source, given, on_progress=progress)
        return saved(result, out, names, overwrite=overwrite, progress=progress, video=source)
