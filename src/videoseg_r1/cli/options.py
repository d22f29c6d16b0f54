"""Options that several verbs share, so that one name means one thing everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import typer

FORMATS_HELP = "overlay, cutout, prores, matte, card, png, rle, json, trace."
DEFAULT_FORMATS = "overlay,png,rle,json,card,trace"

VideoArg: TypeAlias = Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file, a folder of frames, or a picture.")]
OutOption: TypeAlias = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to write to; made if need be.")]
FormatsOption: TypeAlias = Annotated[str, typer.Option("--formats", help="What to write, by commas: " + FORMATS_HELP)]
OverwriteOption: TypeAlias = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that are there.")]
PresetOption: TypeAlias = Annotated[str, typer.Option("--preset", help="The models to use; `videoseg doctor` lists them.")]
PropagatorOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--propagator", metavar="NAME", help="memory, flow, xmem, sam2 or edgetam; the preset has its own.", show_default=False),
]
DeviceOption: TypeAlias = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 or mps; auto takes the first that works.")]
SamplerOption: TypeAlias = Annotated[
    Literal["full", "first", "direct", "random"],
    typer.Option("--sampler", help="How the target frame is chosen: the paper's way, or a row of its Table 5 to compare with."),
]
AnchorsOption: TypeAlias = Annotated[
    int | None,
    typer.Option("--anchors", metavar="N", min=1, max=16, help="Ask the model about N frames of the key segment.  [default: 1]"),
]
SeedFramesOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--seed-frames",
        metavar="N",
        min=1,
        max=16,
        help="Make masks in the N best frames (lite).  [default: the preset's own, 1 with another --sampler]",
    ),
]
SelfCheckOption: TypeAlias = Annotated[
    bool, typer.Option("--self-check", help="Show the masks back to the model once, and ask again where they are wrong.")
]
PresenceVotesOption: TypeAlias = Annotated[
    int, typer.Option("--presence-votes", metavar="N", min=0, max=64, help="Ask N times whether the target is there at all.")
]
SeedOption: TypeAlias = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random choice.")]
OnCorruptOption: TypeAlias = Annotated[
    Literal["error", "keep-prefix", "keep-all"],
    typer.Option("--on-corrupt", help="A damaged video: refuse it, use the frames before the damage, or use all and list the damaged."),
]
BackgroundOption: TypeAlias = Annotated[
    str, typer.Option("--background", metavar="COLOR", help="What transparency is flattened on: white, black or #rrggbb.")
]
MaskOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--mask", metavar="[[OBJECT][@FRAME]=]FILE", help="Picture of the objects on a frame, one value or colour each."),
]
BoxOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="[[OBJECT][@FRAME]=]X1,Y1,X2,Y2",
        help="Box around an object in pixels; repeatable: dog@30=10,20,40,50.",
    ),
]
PointOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--point", metavar="[[OBJECT][@FRAME]=]X,Y", help="Point on an object; repeatable, as --box.")
]
NegPointOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--neg-point", metavar="[[OBJECT][@FRAME]=]X,Y", help="Point beside an object; repeatable, as --box.")
]
FrameOption: TypeAlias = Annotated[
    int | None,
    typer.Option("--frame", min=0, help="Frame of masks, boxes and points without @, counted from 0.  [default: 0]"),
]


class ChangedSettings(NamedTuple):
    """What the options change of a preset's settings, as `presets.load` takes it."""

    sampler: dict[str, Any]
    extensions: dict[str, Any]


def changed_settings(
    mode: str, anchors: int | None, seed_frames: int | None, *, self_check: bool = False, presence_votes: int = 0
) -> ChangedSettings:
    """Return the settings that options ask for; what is not asked for stays as the preset has it.

    A row of the paper's Table 5 (`mode` other than "full") makes masks in one frame, as there, unless `seed_frames` says otherwise.
    """
    one_frame = mode != "full" and seed_frames is None
    sampler = {"mode": None if mode == "full" else mode, "num_anchors": anchors}
    extensions = {
        "num_seed_frames": 1 if one_frame else seed_frames,
        "self_check": self_check or None,
        "num_presence_votes": presence_votes or None,
    }
    return ChangedSettings(*({name: value for name, value in one.items() if value is not None} for one in (sampler, extensions)))
