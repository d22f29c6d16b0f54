"""What is known of one frame before stage 3: masks, a label map, or boxes and points, checked against the frame.

Not here: turning boxes and points into masks (a `Segmenter` does).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.masks import from_label_map
from videoseg_r1.types import BoolMask, Box, Cue, Frame

Given: TypeAlias = npt.NDArray[Any] | Sequence[Cue]
"""What is known of one frame: a bool mask (H, W), bool masks (N, H, W), an integer label map (H, W), or cues."""


def as_masks(value: npt.NDArray[Any], frame: Frame) -> BoolMask:
    """Return given masks as bool (N, H, W).

    Args:
        value: bool (H, W) or (N, H, W), or an integer label map (H, W) with one object per value above 0.
        frame: the frame they are given for.
    Raises: InvalidPrompt: another size or type.
    """
    wanted = frame.rgb.shape[:2]
    if value.shape[-2:] != wanted or value.ndim not in (2, 3):
        raise InvalidPrompt(
            "the mask has another size than the video",
            where=f"frame {frame.index}",
            why=f"mask {value.shape}, frame {wanted} (height, width)",
            fix="give the mask at the displayed size of the video",
        )
    if value.dtype == np.bool_:
        return value if value.ndim == 3 else value[None]
    if value.ndim == 2 and np.issubdtype(value.dtype, np.integer):
        return from_label_map(value)[1]
    raise InvalidPrompt(
        "a mask must be bool, or an integer label map", where=f"frame {frame.index}", why=f"it is {value.dtype} {value.shape}"
    )


def check_cue(cue: Cue, frame: Frame) -> None:
    """Raise InvalidPrompt when a box or point given by a user does not lie in the frame."""
    height, width = frame.rgb.shape[:2]
    box = cue.box
    if box is None and not cue.points:
        raise InvalidPrompt("a prompt needs a box or a point", where=f"frame {frame.index}")
    if box is not None and not (0 <= box.x1 < box.x2 <= width and 0 <= box.y1 < box.y2 <= height):
        raise InvalidPrompt(
            "the box is not inside the frame",
            where=f"frame {frame.index}",
            why=f"box {_corners(box)}, frame {width} x {height}",
            fix="give x1,y1,x2,y2 in pixels of the displayed frame, with x1 < x2 and y1 < y2",
        )
    for point in (*cue.points, *cue.neg_points):
        if not (0 <= point.x < width and 0 <= point.y < height):
            raise InvalidPrompt(
                "the point is not inside the frame",
                where=f"frame {frame.index}",
                why=f"point {point.x:g},{point.y:g}, frame {width} x {height}",
                fix="give x,y in pixels of the displayed frame",
            )


def _corners(box: Box) -> str:
    return f"{box.x1:g},{box.y1:g},{box.x2:g},{box.y2:g}"
