"""Reads the mask pictures that people give: of any kind, with objects by value, by index or by colour.

Nothing is dropped or joined without a note. Not here: what a soft or smoothed value is (`smoothing`), folders of masks (`output.reload`,
`datasets`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from videoseg_r1.errors import InvalidDocument, LimitExceeded, SourceNotFound
from videoseg_r1.masks.labels import DAVIS_PALETTE, VOID, LabelMap, resize_mask
from videoseg_r1.masks.rle import MAX_PIXELS
from videoseg_r1.masks.smoothing import PHOTOGRAPH_FIX, flattened, packed

_FORMATS = ("PNG", "BMP", "JPEG", "WEBP", "TIFF")
_MAX_OBJECTS = VOID - 1
_JPEG_GREY = 12
"""Most by which the channels of a grey picture differ after JPEG."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskPicture:
    """What a mask picture holds: the label map, and what a user should know of how it was read."""

    labels: LabelMap
    notes: tuple[str, ...] = ()


def read_mask(path: str | Path, size: tuple[int, int] | None = None) -> LabelMap:
    """Return the label map in a picture file, brought to `size` = (width, height) if given; see `read_mask_picture`."""
    labels = read_mask_picture(path).labels
    return labels if size is None else resize_mask(labels, size)


def read_mask_picture(path: str | Path) -> MaskPicture:
    """Return the label map in a picture file, with notes.

    - **Indexed**: the indices are the numbers; 255 is void, as in DAVIS; transparent entries are background.
    - **Grey** (also 1 bit, 16 bits, or colours that are all grey): every value above 0 is an object of that number. White, 255, is object
      1, or the highest free number where 1 is taken. Numbers above 255 get the lowest free ones; 16-bit copies of 8-bit values are those.
    - **Colours**: black is background, every other colour an object: its number in the DAVIS palette when all colours are from there,
      else 1, 2, ... by ascending (red, green, blue).
    - **Transparency**: what is more transparent than not is background. If only black or a photograph is left, what is left is object 1.
    - Smoothed borders, soft masks and the noise of JPEG are made flat, by the rule of `smoothing`.

    Raises: SourceNotFound; InvalidDocument: not a picture, or a photograph; LimitExceeded: more than MAX_PIXELS, or than 254 objects.
    """
    where = str(path)
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise LimitExceeded("the mask is too large", where=where, why=f"{picture.width} x {picture.height} pixels")
            return _read(picture, where)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise LimitExceeded("the mask is too large", where=where, why=str(error)) from error
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise SourceNotFound("the mask cannot be read", where=where, why=error.strerror or "") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InvalidDocument("not a mask picture", where=where, why=str(error), fix=PHOTOGRAPH_FIX) from error


def _read(picture: Image.Image, where: str) -> MaskPicture:
    lossy = picture.format == "JPEG"
    if picture.mode == "P":
        return _of_indices(picture)
    if picture.mode in ("1", "L"):
        return _of_grey(np.array(picture.convert("L"), np.uint8), where, lossy=lossy)
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        return _of_deep_grey(np.array(picture).astype(np.int64), where)
    if picture.mode in ("LA", "PA", "RGBA") or (picture.mode == "RGB" and "transparency" in picture.info):
        return _of_transparent(np.array(picture.convert("RGBA"), np.uint8), where)
    if picture.mode == "RGB":
        return _of_colors(np.array(picture, np.uint8), where, lossy=lossy)
    why = f"its pixels are of kind {picture.mode}"
    raise InvalidDocument("not a mask picture", where=where, why=why, fix="save it as an 8-bit PNG")


def _of_indices(picture: Image.Image) -> MaskPicture:
    labels, see_through = np.array(picture, np.uint8), picture.info.get("transparency")
    alpha = np.full(256, 255, np.uint8)
    if isinstance(see_through, int):
        alpha[see_through] = 0
    elif isinstance(see_through, bytes):
        alpha[: len(see_through)] = np.frombuffer(see_through, np.uint8)
    hidden = (alpha[labels] <= 127) & (labels > 0)
    gone = sorted({int(number) for number in np.unique(labels[hidden])})
    notes = (f"the indices {gone} are transparent, and so background",) if gone else ()
    return MaskPicture(np.where(hidden, np.uint8(0), labels), notes)


def _of_grey(grey: npt.NDArray[np.uint8], where: str, *, lossy: bool = False) -> MaskPicture:
    flat = flattened(grey[..., None], where, lossy=lossy)
    labels, notes = flat.values[..., 0], [flat.note] if flat.note else []
    others = {int(value) for value in np.unique(labels)} - {0}
    if VOID not in others:
        return MaskPicture(labels, tuple(notes))
    others.remove(VOID)
    number = _free_numbers(others, 1, where)[0] if 1 not in others else _free_numbers(others, 1, where, highest=True)[0]
    if others:
        notes.append(f"white, 255, is object {number} here, beside {len(others)} darker {'objects' if len(others) > 1 else 'object'}")
    return MaskPicture(np.where(labels == VOID, np.uint8(number), labels), tuple(notes))


def _of_deep_grey(grey: npt.NDArray[np.int64], where: str) -> MaskPicture:
    values = np.unique(grey)
    if values[0] < 0 or values[-1] >= 2**16:
        why = f"its values reach from {values[0]} to {values[-1]}"
        raise InvalidDocument("not a mask picture", where=where, why=why, fix="save it as an 8-bit PNG")
    if values[-1] <= 255:
        return _of_grey(grey.astype(np.uint8), where)
    eight_bits = (grey >> 8).astype(np.uint8)
    if (values % 257 == 0).all():
        return _of_grey(eight_bits, where)
    if flattened(eight_bits[..., None], where).note:
        return _of_grey(eight_bits, where)
    kept, large = {int(value) for value in values if 0 < value < VOID}, [int(value) for value in values if value >= VOID]
    numbers = dict(zip(large, _free_numbers(kept, len(large), where), strict=True))
    table = np.array([numbers.get(int(value), int(value)) for value in values], np.uint8)
    shown = ", ".join(f"{value} is {number}" for value, number in list(numbers.items())[:4])
    more = f", and {len(large) - 4} more" if len(large) > 4 else ""
    return MaskPicture(table[np.searchsorted(values, grey)], (f"objects above 254 got new numbers: {shown}{more}",))


def _free_numbers(taken: set[int], count: int, where: str, *, highest: bool = False) -> list[int]:
    """Return numbers of objects that are not taken, ascending or from the highest down. Raises LimitExceeded."""
    free = [number for number in range(1, VOID) if number not in taken]
    if count > len(free):
        raise LimitExceeded(
            "the mask holds too many objects",
            where=where,
            why=f"{len(taken) + count} different values, {_MAX_OBJECTS} objects at most",
            fix="give the objects in several runs",
        )
    return (free[::-1] if highest else free)[:count]


def _of_transparent(rgba: npt.NDArray[np.uint8], where: str) -> MaskPicture:
    """Return the objects that can be seen, or, where only black or a photograph can be, all that can be seen as one."""
    alpha = rgba[..., 3]
    seen = alpha > 127
    colors = np.where(seen[..., None], rgba[..., :3], np.uint8(0))
    partly = int(((alpha > 0) & (alpha < 255)).sum())
    notes = (f"{partly} pixels are partly transparent; those that are less than half there are background",) if partly else ()
    if seen.all():
        return _of_colors(colors, where)
    if not colors.any() or np.unique(packed(colors)[seen]).size > _MAX_OBJECTS:
        return MaskPicture(seen.astype(np.uint8), (*notes, "its transparency was taken as the mask"))
    found = _of_colors(colors, where)
    return MaskPicture(found.labels, (*notes, *found.notes))


def _of_colors(rgb: npt.NDArray[np.uint8], where: str, *, lossy: bool = False) -> MaskPicture:
    spread = int((rgb.max(2) - rgb.min(2)).max())
    if spread <= (_JPEG_GREY if lossy else 0):
        return _of_grey(np.ascontiguousarray(rgb[..., 1]), where, lossy=lossy)
    flat = flattened(rgb, where, lossy=lossy)
    colors = packed(flat.values)
    found, places = np.unique(colors, return_inverse=True)
    named = [int(color) for color in found if color]
    if len(named) > _MAX_OBJECTS:
        why = f"it has {len(named)} colours, as a photograph has; {_MAX_OBJECTS} objects at most"
        raise InvalidDocument("not a mask picture", where=where, why=why, fix=PHOTOGRAPH_FIX)
    known = {int(code): number for number, code in enumerate(cast("list[int]", packed(DAVIS_PALETTE[None, :VOID])[0].tolist()))}
    in_palette = all(color in known for color in named)
    numbers = [known[color] if in_palette else rank for rank, color in enumerate(named, start=1)]
    table = np.array([0] * (found.size - len(named)) + numbers, np.uint8)
    return MaskPicture(table[places].reshape(colors.shape), (flat.note,) if flat.note else ())
