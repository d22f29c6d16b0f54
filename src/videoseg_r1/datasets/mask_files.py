"""Strict reading of mask files: grey PNGs of one object, palette PNGs of several.

Sizes are read from the header alone; damage inside a file shows when its pixels are asked for. Not here: which file belongs to
which frame (`true_masks`), masks of arbitrary pictures that a user gives (`videoseg_r1.masks.read_mask`).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from videoseg_r1.errors import InvalidDocument, SourceNotFound
from videoseg_r1.masks import LabelMap
from videoseg_r1.types import BoolMask

_HEADER_BYTES = 26
_GREY, _PALETTE = 0, 3


def png_size(path: Path) -> tuple[int, int]:
    """Return (width, height) from the header of a mask file, without decoding it.

    Raises: SourceNotFound: no such file, or not readable. InvalidDocument: not a PNG, or a colour PNG.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise SourceNotFound("no mask file", where=str(path), why=error.strerror or "") from error
    width, height, _ = _parse_header(header, path)
    return width, height


def read_png_mask(path: Path, size: tuple[int, int], label: int | None = None) -> BoolMask:
    """Return the mask in a grey or palette PNG, (H, W) bool.

    Args:
        path: the file.
        size: the (width, height) that it must have.
        label: index of the object in a palette file; None takes every index but 0. A grey file holds one object, number 1.
    Raises: SourceNotFound: no such file, or not readable. InvalidDocument: not a PNG, damaged, of another size, in colour, with
        several grey levels, or `label` above 1 for a grey file.
    """
    return read_png_masks(path, size, [label])[0]


def read_png_masks(path: Path, size: tuple[int, int], labels: Sequence[int | None]) -> BoolMask:
    """Return several masks of a file, (N, H, W) bool in the order of `labels`; arguments and errors as for `read_png_mask`."""
    indices, palette = _read(path, size)
    masks: BoolMask = np.empty((len(labels), *indices.shape), np.bool_)
    for place, label in enumerate(labels):
        if not palette and label not in (None, 1):
            raise InvalidDocument("a grey mask file holds one object only", where=str(path), why=f"object {label} was asked for")
        masks[place] = indices != 0 if label is None else indices == label
    return masks


def read_png_labels(path: Path, size: tuple[int, int], *, palette_only: bool = False) -> LabelMap:
    """Return (H, W) uint8: the index of every pixel of a palette file; of a grey file 1 where it is not zero.

    Raises: as `read_png_mask`. InvalidDocument: also for a grey file, if only palettes are taken.
    """
    labels, palette = _read(path, size)
    if palette_only and not palette:
        fix = "save label maps as palette PNG"
        raise InvalidDocument("a grey mask file holds one object only", where=str(path), why="the clip has several", fix=fix)
    return labels


def _read(path: Path, size: tuple[int, int]) -> tuple[LabelMap, bool]:
    """Return the label of every pixel, and whether the file has a palette; a grey file holds object 1."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceNotFound("no mask file", where=str(path), why=error.strerror or "") from error
    width, height, palette = _parse_header(data, path)
    if (width, height) != size:
        raise wrong_size(path, (width, height), size)
    return (_read_palette(data, path) if palette else _decode_grey(data, path).view(np.uint8)), palette


def wrong_size(path: Path, found: tuple[int, int], expected: tuple[int, int]) -> InvalidDocument:
    """Return the error for a mask or frame file whose (width, height) is not the one expected."""
    why = f"{found[0]} x {found[1]} pixels instead of {expected[0]} x {expected[1]}"
    return InvalidDocument("wrong size", where=str(path), why=why, fix="masks are compared at the size of the true masks")


def _parse_header(data: bytes, path: Path) -> tuple[int, int, bool]:
    """Return width, height and whether the file has a palette."""
    if len(data) < _HEADER_BYTES or not data.startswith(b"\x89PNG\r\n\x1a\n") or data[12:16] != b"IHDR":
        raise InvalidDocument("not a PNG file", where=str(path))
    depth, color = data[24], data[25]
    if color not in (_GREY, _PALETTE) or depth > 8:
        why = "it is in colour, has an alpha channel, or 16 bits"
        raise InvalidDocument("not a mask file", where=str(path), why=why, fix="save masks as grey 0/255 or palette PNG")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"), color == _PALETTE


def _read_palette(data: bytes, path: Path) -> LabelMap:
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            image.verify()  # decoding alone would pass over wrong checksums and a missing end
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            return np.asarray(image, np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidDocument("damaged mask file", where=str(path), why=str(error)) from error


def _decode_grey(data: bytes, path: Path) -> BoolMask:
    # OpenCV refuses files with a wrong checksum or a missing end, and is the fastest decoder at hand
    grey: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise InvalidDocument("damaged mask file", where=str(path))
    # plus one turns 0 and 255 into 1 and 0: a cheap look before the slow one
    if (grey + np.uint8(1)).max() > 1 and len(np.unique(grey)) > 2:
        fix = "threshold probabilities first; save labels as palette PNG"
        raise InvalidDocument("not a mask file", where=str(path), why="it has more than two grey levels", fix=fix)
    return grey != 0
