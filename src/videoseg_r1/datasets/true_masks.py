"""The two ways in which datasets keep true masks: a PNG per frame, or run lengths per object. Both read a mask when it is asked for.

Not here: what a mask file may look like (`mask_files`), how run lengths are decoded (`videoseg_r1.masks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np

from videoseg_r1.datasets.clip import TrueMasks
from videoseg_r1.datasets.mask_files import png_size, read_png_labels, read_png_masks
from videoseg_r1.errors import InvalidDocument
from videoseg_r1.masks import VOID, decode
from videoseg_r1.types import BoolMask

ANY_OBJECT = "*"
"""Object id for "everything that is not zero", in files that hold one object under any value."""
RunLengths: TypeAlias = Sequence[object]
"""Per frame, COCO's compressed run lengths, not checked yet, or None where the object is not to be seen."""


@dataclass(frozen=True)
class PngMasks(TrueMasks):
    """A grey or palette PNG for each frame of `paths`; the id of an object is its palette index, or `ANY_OBJECT`.

    With `has_void`, pixels of palette index 255 do not count.
    """

    paths: Mapping[int, Path]
    has_void: bool = False

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    @cached_property
    def _size(self) -> tuple[int, int]:
        return png_size(next(iter(self.paths.values())))

    def frames(self, object_ids: Sequence[str]) -> Sequence[int]:  # noqa: ARG002 - a file holds all objects
        return tuple(self.paths)

    def read(self, object_ids: Sequence[str], index: int) -> BoolMask:
        return read_png_masks(self.paths[index], self.size, [None if name == ANY_OBJECT else int(name) for name in object_ids])

    def ignored(self, index: int) -> BoolMask | None:
        if not self.has_void:
            return None
        void = read_png_labels(self.paths[index], self.size) == VOID
        return void if void.any() else None


@dataclass(frozen=True)
class RleMasks(TrueMasks):
    """Run lengths by object id; every object has one entry per frame, and at least one that is not None."""

    objects: Mapping[str, RunLengths]

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    @cached_property
    def _size(self) -> tuple[int, int]:
        height, width = self._empty(next(iter(self.objects))).shape
        return width, height

    def frames(self, object_ids: Sequence[str]) -> Sequence[int]:  # noqa: ARG002 - None means "not to be seen"
        return range(len(next(iter(self.objects.values()))))

    def read(self, object_ids: Sequence[str], index: int) -> BoolMask:
        """Return (N, H, W) bool, as `TrueMasks.read`; an object that is not in the frame is empty, at the size of the others' masks."""
        runs = {name: self.objects[name][index] for name in object_ids}
        decoded = {name: decode(rle, f"object {name}, frame {index}") for name, rle in runs.items() if rle is not None}
        shapes = {mask.shape for mask in decoded.values()}
        if len(shapes) > 1:
            where = f"objects {', '.join(decoded)}, frame {index}"
            raise InvalidDocument("masks of one frame differ in size", where=where, why=str(sorted(shapes)))
        empty = np.zeros(shapes.pop(), np.bool_) if shapes else self._empty(next(iter(object_ids or self.objects)))
        return np.stack([decoded.get(name, empty) for name in object_ids]) if object_ids else np.zeros((0, *empty.shape), np.bool_)

    def _empty(self, name: str) -> BoolMask:
        """Return a mask of no pixel, at the size of an object's first mask."""
        return np.zeros_like(decode(next(rle for rle in self.objects[name] if rle is not None), f"object {name}"))
