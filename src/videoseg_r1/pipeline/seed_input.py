"""What a user gives instead of a sentence: masks, a label map, or boxes and points of some frames, checked and made into seed masks.

Not here: carrying the masks (`carried`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.masks import from_label_map
from videoseg_r1.stages.protocols import Segmenter
from videoseg_r1.types import BoolMask, Box, Cue, Frame
from videoseg_r1.video import Video

SeedInput: TypeAlias = npt.NDArray[Any] | Sequence[Cue]
"""What is given of one frame: a bool mask (H, W), bool masks (N, H, W), an integer label map (H, W), or cues."""


def seeds_of(video: Video, given: Mapping[int, SeedInput], segmenter: Callable[[], Segmenter]) -> dict[int, BoolMask]:
    """Return the seed masks by frame, bool (N, H, W).

    Args:
        video: what the frames belong to.
        given: frame index -> what is known of that frame.
        segmenter: stage 3a, asked for only when there are boxes or points.
    Raises: InvalidPrompt: nothing is given, there is no such frame, it has another size, or nothing was found at a box or point.
        ModelError, ResourceError.
    """
    seeds: dict[int, BoolMask] = {}
    for index, value in sorted(given.items()):
        if not 0 <= index < video.num_frames:
            raise InvalidPrompt("there is no such frame", where=f"frame {index}", why=f"the video has frames 0 to {video.num_frames - 1}")
        frame = video.read([index])[0]
        seeds[index] = as_masks(value, frame) if isinstance(value, np.ndarray) else _from_cues(frame, value, segmenter)
    if not seeds or not any(masks.any() for masks in seeds.values()):
        raise InvalidPrompt("nothing to propagate", why="every mask given is empty", fix="give at least one frame with a mask")
    return seeds


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


def _from_cues(frame: Frame, cues: Sequence[Cue], segmenter: Callable[[], Segmenter]) -> BoolMask:
    for cue in cues:
        check_cue(cue, frame)
    masks = segmenter().segment(frame, cues)
    if not masks.any():
        raise InvalidPrompt("no object was found at this prompt", where=f"frame {frame.index}", fix="draw the box tighter, or add a point")
    return masks


def _corners(box: Box) -> str:
    return f"{box.x1:g},{box.y1:g},{box.x2:g},{box.y2:g}"
