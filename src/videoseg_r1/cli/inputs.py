"""The inputs of a verb: the video, and the mask, box or points that options give, checked before any work."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from videoseg_r1.errors import InvalidPrompt

if TYPE_CHECKING:
    from videoseg_r1.pipeline.seed_input import SeedInput
    from videoseg_r1.video import OnCorrupt, Video


def opened(path: Path, *, on_corrupt: OnCorrupt = "error", background: str = "white") -> Video:
    """Open the video that a verb works on, once for all of its work; use it in a `with` block.

    What cannot be opened is refused here, before models are loaded. `on_corrupt`, `background`: see `open_video`.
    Raises: SourceNotFound, UnsupportedSource, NoVideoStream, CorruptVideo, LimitExceeded; InvalidConfig: no colour.
    """
    from videoseg_r1.video import open_video

    return open_video(path, on_corrupt=on_corrupt, background=background)


def seed_input_of(
    mask: Path | None, box: str | None, points: Sequence[str] | None, neg_points: Sequence[str] | None, frame: int | None
) -> dict[int, SeedInput]:
    """Return frame index -> mask or cues, for `VideoSegmenter.propagate`; empty when nothing was given.

    Raises: InvalidPrompt: no numbers, a mask beside a box or points, or something beside what it belongs to.
        SourceNotFound, InvalidDocument, LimitExceeded: the mask cannot be read.
    """
    cued = bool(box or points)
    if mask is not None and (cued or neg_points):
        raise InvalidPrompt("a mask and a box or points exclude each other", where="--mask", fix="give one or the other")
    if mask is None and not cued:
        for option, value in (("--neg-point", neg_points), ("--frame", frame is not None)):
            if value:
                raise InvalidPrompt("there is nothing it could belong to", where=option, fix="add --mask, --box or --point")
        return {}
    if mask is not None:
        from videoseg_r1.masks import read_mask

        return {frame or 0: read_mask(mask)}
    from videoseg_r1.types import Box, Cue, Point

    corners = Box(*_numbers("--box", box, 4)) if box else None
    cue = Cue(
        corners,
        tuple(Point(*_numbers("--point", text, 2)) for text in points or ()),
        tuple(Point(*_numbers("--neg-point", text, 2)) for text in neg_points or ()),
    )
    return {frame or 0: (cue,)}


def _numbers(option: str, text: str, count: int) -> list[float]:
    parts = re.split(r"[,\s]+", text.strip())
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        example = "120,40,310,200" if count == 4 else "215,120"
        raise InvalidPrompt(f"{count} numbers are expected", where=f"{option} {text}", fix=f"write {option} {example}")
    return numbers
