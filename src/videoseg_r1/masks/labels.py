"""Label maps, and the picture files that store them.

A label map holds 0 for background, an object's number 1..254, and 255 ("void", as in DAVIS) for pixels that no score counts.
Not here: reading pictures that people give (`mask_picture`), and whole folders (`output.reload`, `datasets`).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from videoseg_r1.errors import ShapeMismatch
from videoseg_r1.files import write_whole
from videoseg_r1.types import BoolMask

LabelMap: TypeAlias = npt.NDArray[np.uint8]
"""(H, W) uint8: 0 background, 1..254 objects, 255 void."""
VOID = 255
_Scalar = TypeVar("_Scalar", bound=np.generic)


def davis_palette() -> npt.NDArray[np.uint8]:
    """Return the (256, 3) uint8 colours of PASCAL VOC, which DAVIS uses for its objects.

    Bits 0, 1, 2 of the number are bit 7 of red, green and blue, bits 3, 4, 5 are bit 6, and so on. (DAVIS's own table differs
    by one from 9 on, 191 for 192, and is grey from 22 on; colours carry no meaning in indexed pictures.)
    """
    numbers = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for place in range(3):
        for channel in range(3):
            colors[:, channel] |= ((numbers >> (3 * place + channel) & 1) << (7 - place)).astype(np.uint8)
    return colors


DAVIS_PALETTE = davis_palette()


def label_map(masks: BoolMask, ids: Sequence[int] | None = None) -> LabelMap:
    """Return the label map of (N, H, W) masks; where two overlap, the first of them keeps the pixel.

    `ids` are the numbers of the masks, 1, 2, ... when not given.
    Raises: ShapeMismatch: not three-dimensional, more or fewer numbers than masks, or a number outside 1..254.
    """
    numbers = list(range(1, len(masks) + 1) if ids is None else ids)
    if masks.ndim != 3 or len(numbers) != len(masks) or any(not 0 < n < VOID for n in numbers):
        raise ShapeMismatch("these masks make no label map", why=f"shape {masks.shape}, numbers {numbers[:8]}; (N, H, W) and 1..254 do")
    labels = np.zeros(masks.shape[1:], np.uint8)
    for number, mask in zip(reversed(numbers), reversed(masks), strict=True):
        labels[mask] = number
    return labels


def from_label_map(labels: npt.NDArray[np.integer]) -> tuple[tuple[int, ...], BoolMask]:
    """Return the numbers in a (H, W) label map, ascending, and their masks (N, H, W). Background and void are no objects.

    A map of nothing but 0 and 255 is what black-and-white masks look like: then 255 is object 1.
    """
    _require_picture(labels)
    found = {int(number) for number in np.unique(labels)} - {0}
    if found == {VOID}:
        return (1,), (labels == VOID)[None]
    ids = tuple(sorted(found - {VOID}))
    return ids, labels[None] == np.array(ids, labels.dtype)[:, None, None]


def union_of(masks: BoolMask) -> BoolMask:
    """Return the (H, W) union of (N, H, W) masks; all False for none."""
    return np.logical_or.reduce(masks, axis=0)


def write_label_png(path: str | Path, labels: LabelMap, palette: npt.NDArray[np.uint8] = DAVIS_PALETTE) -> None:
    """Write a label map as an indexed PNG, atomically. `palette` is (256, 3) uint8. Raises OutputError."""
    _require_picture(labels)
    picture = Image.fromarray(np.ascontiguousarray(labels, np.uint8)).convert("P")
    picture.putpalette(palette.tobytes())
    encoded = io.BytesIO()
    picture.save(encoded, format="PNG")
    write_whole(Path(path), encoded.getvalue(), "the mask cannot be written")


def resize_mask(mask: npt.NDArray[_Scalar], size: tuple[int, int]) -> npt.NDArray[_Scalar]:
    """Return (..., H, W) brought to `size` = (width, height): each new pixel takes the old one under its centre."""
    (height, width), (new_width, new_height) = mask.shape[-2:], size
    if (height, width) == (new_height, new_width):
        return mask
    return mask[..., nearest(height, new_height)[:, None], nearest(width, new_width)]


def nearest(old: int, new: int) -> npt.NDArray[np.intp]:
    """Return, for each of `new` pixels in a row, the index of the one of `old` pixels that lies under its centre."""
    return (2 * np.arange(new) + 1) * old // (2 * new)


def _require_picture(labels: npt.NDArray[np.generic]) -> None:
    if labels.ndim != 2:
        raise ShapeMismatch("a label map must be (height, width)", why=f"its shape is {labels.shape}")
