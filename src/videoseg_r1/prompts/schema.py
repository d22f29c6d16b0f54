"""The format of a reply: its tags, its limits, and the grid its coordinates lie on.

    <think>...</think><answer>[{"bbox_2d":[x1,y1,x2,y2],"point_2d":[x,y],"neg_point_2d":[x,y]}, ...]</answer>

The paper names a box, a central point and a negative point (labels 1 and 0); the keys follow VisionReasoner, the third is ours.
`[]` says that no target is there. `point_2d` and `neg_point_2d` may hold a list of points; `points` with [x, y, label] is read too.
"""

from __future__ import annotations

from videoseg_r1.errors import InvalidConfig
from videoseg_r1.types import Size

MAX_ANSWER_CHARS = 100_000
"""About ten times what `MAX_OBJECTS` objects need. Longer answers are refused unread, which bounds the cost of any reply."""
MAX_OBJECTS = 120
"""Objects beyond this are cut, as in VisionReasoner's accuracy reward."""

THINK, THINK_END, ANSWER, ANSWER_END = "<think>", "</think>", "<answer>", "</answer>"


def pixels_per_unit(frame_size: Size, coord_size: Size) -> tuple[float, float]:
    """Return pixels of the frame per unit of the reply's grid, along x and y.

    Raises: InvalidConfig: a size is not positive.
    """
    if min(*frame_size, *coord_size) < 1:
        raise InvalidConfig("a size is not positive", where=f"frame {frame_size}, coordinates {coord_size}")
    return frame_size[0] / coord_size[0], frame_size[1] / coord_size[1]
