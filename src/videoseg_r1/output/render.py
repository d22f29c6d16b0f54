"""Draws masks on frames: overlay, cut-out and matte, one frame at a time. No file is read or written here.

Not here: the page that shows the reasoning (`card`), encoding (`save`, `video`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from videoseg_r1.errors import ShapeMismatch
from videoseg_r1.masks import box_of
from videoseg_r1.types import BoolMask, Color, RgbImage

RgbaImage = npt.NDArray[np.uint8]
"""(H, W, 4) uint8, straight (not premultiplied) alpha."""
OBJECT_COLORS: tuple[Color, ...] = (
    (34, 136, 255),
    (255, 138, 0),
    (160, 84, 255),
    (0, 190, 160),
    (255, 64, 129),
    (250, 204, 21),
    (132, 190, 40),
    (120, 144, 190),
)
"""Colours of objects 1, 2, ...; they repeat. Clear of the green and red of points."""
_FILL = 0.38
_KEPT_AROUND_PX = 8


def color_of(object_id: int) -> Color:
    """Return the colour of the object with this number, 1 and up."""
    return OBJECT_COLORS[(object_id - 1) % len(OBJECT_COLORS)]


def overlay(rgb: RgbImage, masks: BoolMask, ids: Sequence[int] | None = None) -> RgbImage:
    """Return the frame with each mask tinted and outlined in its object's colour.

    The outline is 2 px wide at 480 lines and grows with the frame, with a thin dark edge outside it, so it stands out on light and
    dark ground; under the tint the picture stays readable. Where masks overlap, the first is on top.

    Raises: ShapeMismatch: the masks are not (N, H, W) of the frame (H, W, 3), or `ids` does not number them.
    """
    numbers = list(range(1, len(masks) + 1) if ids is None else ids)
    if masks.ndim != 3 or masks.shape[1:] != rgb.shape[:2] or len(numbers) != len(masks):
        raise ShapeMismatch("these masks do not fit the frame", why=f"masks {masks.shape}, frame {rgb.shape}, numbers {numbers[:8]}")
    picture = rgb.copy()
    for number, mask in zip(reversed(numbers), reversed(masks), strict=True):
        if mask.any():
            _tint(picture, mask, color_of(number))
    return picture


def cutout(rgb: RgbImage, mask: BoolMask) -> RgbaImage:
    """Return the frame with the mask as alpha, softened by one pixel at the edge.

    Colours are kept a few pixels beyond the edge, so encoders do not bleed black into it, and are black everywhere else: what was
    cut away is not in the file. Raises ShapeMismatch.
    """
    import cv2

    _require_fit(rgb, mask)
    solid = mask.astype(np.uint8)
    kept = cv2.dilate(solid, np.ones((2 * _KEPT_AROUND_PX + 1,) * 2, np.uint8))
    rgba = np.empty((*mask.shape, 4), np.uint8)
    rgba[..., :3] = rgb * kept[..., None]
    rgba[..., 3] = cv2.blur(solid * 255, (3, 3), borderType=cv2.BORDER_REPLICATE)
    return rgba


def matte(mask: BoolMask) -> RgbImage:
    """Return the mask as a picture, white on black, (H, W, 3) uint8."""
    return np.repeat((mask * np.uint8(255))[..., None], 3, axis=2)


def _tint(picture: RgbImage, mask: BoolMask, color: Color) -> None:
    """Draw one mask into `picture`, working on its box only."""
    import cv2

    height, width = mask.shape
    line_px = max(1, round(2 * min(height, width) / 480))
    box = box_of(mask)
    rows = slice(max(0, int(box.y1) - line_px), min(height, int(box.y2) + line_px))
    columns = slice(max(0, int(box.x1) - line_px), min(width, int(box.x2) + line_px))
    part, solid = picture[rows, columns], mask[rows, columns].astype(np.uint8)
    # inside the crop the default border of both operations never adds or removes pixels, so no line is drawn along the picture's edge
    core = cv2.erode(solid, _disk(line_px)).astype(np.bool_)
    rim = cv2.dilate(solid, _disk(max(1, line_px // 2))).astype(np.bool_) & ~solid.astype(np.bool_)
    _blend(part, core, color, _FILL)
    _blend(part, solid.astype(np.bool_) & ~core, color, 1.0)
    _blend(part, rim, (0, 0, 0), 0.55)


def _blend(picture: RgbImage, where: BoolMask, color: Color, share: float) -> None:
    there = picture[where]
    picture[where] = (there + (np.array(color, np.float32) - there) * share + 0.5).astype(np.uint8)


def _disk(radius: int) -> npt.NDArray[np.uint8]:
    steps = np.arange(-radius, radius + 1)
    return (steps[:, None] ** 2 + steps**2 <= radius**2).astype(np.uint8)


def _require_fit(rgb: RgbImage, mask: BoolMask) -> None:
    if mask.shape != rgb.shape[:2]:
        raise ShapeMismatch("the mask does not fit the frame", why=f"mask {mask.shape}, frame {rgb.shape}")
