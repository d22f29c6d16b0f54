"""A store for the masks of a whole video: run lengths in a temporary file, a few dozen bytes of memory per frame.

Not here: the run lengths themselves (`rle`), what tracks are made of them (`output.result`).
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import weakref
from array import array
from collections.abc import Sequence
from typing import IO, cast

import numpy as np

from videoseg_r1.errors import OutputError, ShapeMismatch, UsageError
from videoseg_r1.masks.rle import Rle, encode, from_counts, to_counts
from videoseg_r1.types import BoolMask

_IN_MEMORY_BYTES = 2**20


class MaskSpool:
    """The masks of N objects over a video, as run lengths in a temporary file.

    Frames may come in any order, each once. A mask that was never put reads as empty. Several threads may read and put at a time.
    `num_objects` may be 0; `size` is the (width, height) of every frame.
    """

    def __init__(self, num_objects: int, size: tuple[int, int]) -> None:
        self.num_objects, self.size = num_objects, size
        self._file = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES))  # noqa: SIM115 - lives as long as the spool
        self._closer = weakref.finalize(self, _close, self._file)
        self._end = 0
        self._lock = threading.Lock()  # the file has one position, and a frame is put in several steps
        # per frame: whether it is there; per frame and object: where its bytes lie (none: an empty mask), and its confidence
        self._there, self._offsets, self._lengths, self._confidences = array("B"), array("q"), array("I"), array("f")

    @property
    def num_frames(self) -> int:
        """One more than the highest frame index that was put."""
        return len(self._there)

    def put(self, frame_index: int, masks: BoolMask, confidence: Sequence[float] | None = None) -> None:
        """Add the (N, H, W) masks of a frame, with N confidences in 0..1 (not given: 1 where there is a mask, 0 where none is).

        Raises: ShapeMismatch: other N, H or W; UsageError: the frame is there already, its index is negative, or the spool is closed;
        OutputError: the disk is full.
        """
        expected = (self.num_objects, *self.size[::-1])
        if masks.shape != expected or (confidence is not None and len(confidence) != self.num_objects):
            why = f"masks {masks.shape} where {expected} is due, or as many confidences"
            raise ShapeMismatch("these masks do not fit the video", where=f"frame {frame_index}", why=why)
        if frame_index < 0:
            raise UsageError("a frame index must not be negative", where=f"frame {frame_index}")
        coded = [to_counts(mask) if mask.any() else b"" for mask in masks]
        with self._lock:
            self._require_open(frame_index)
            if self.has(frame_index):
                raise UsageError("the masks of a frame are put once", where=f"frame {frame_index}")
            self._append(b"".join(coded), frame_index)
            self._grow(frame_index + 1)
            for k, counts in enumerate(coded):
                slot = self._slot(k, frame_index)
                self._offsets[slot], self._lengths[slot] = self._end, len(counts)
                self._confidences[slot] = float(bool(counts)) if confidence is None else confidence[k]
                self._end += len(counts)
            self._there[frame_index] = 1

    def has(self, frame_index: int) -> bool:
        """Return whether the masks of this frame were put."""
        return 0 <= frame_index < len(self._there) and self._there[frame_index] == 1

    def present(self, object_index: int, frame_index: int) -> bool:
        """Return whether the mask has any pixel."""
        slot = self._slot(object_index, frame_index)
        return self.has(frame_index) and self._lengths[slot] > 0

    def confidence(self, object_index: int, frame_index: int) -> float:
        """Return the confidence that was put, 0.0 when none was."""
        slot = self._slot(object_index, frame_index)
        return self._confidences[slot] if self.has(frame_index) else 0.0

    def mask(self, object_index: int, frame_index: int) -> BoolMask:
        """Return the mask, (H, W) bool."""
        width, height = self.size
        if not self.present(object_index, frame_index):
            return np.zeros((height, width), np.bool_)
        return from_counts(self._read(object_index, frame_index), height, width)

    def masks(self, frame_index: int) -> BoolMask:
        """Return the masks of all objects, (N, H, W) bool."""
        found = np.zeros((self.num_objects, *self.size[::-1]), np.bool_)
        for k in range(self.num_objects):
            if self.present(k, frame_index):
                found[k] = self.mask(k, frame_index)
        return found

    def rle(self, object_index: int, frame_index: int) -> Rle:
        """Return the mask as run lengths, without decoding it."""
        if not self.present(object_index, frame_index):
            return encode(self.mask(object_index, frame_index))
        return {"size": list(self.size[::-1]), "counts": self._read(object_index, frame_index).decode("ascii")}

    def close(self) -> None:
        """Delete the temporary file; a second call does nothing. Happens by itself when the spool is dropped."""
        with self._lock:
            self._closer()

    def _slot(self, object_index: int, frame_index: int) -> int:
        if not 0 <= object_index < self.num_objects:
            raise UsageError("there is no such object", where=f"object {object_index}", why=f"{self.num_objects} are kept")
        return frame_index * self.num_objects + object_index

    def _grow(self, num_frames: int) -> None:
        missing = max(0, num_frames - len(self._there))
        self._there.frombytes(bytes(missing))
        for column in (self._offsets, self._lengths, self._confidences):
            column.frombytes(bytes(missing * self.num_objects * column.itemsize))

    def _append(self, data: bytes, frame_index: int) -> None:
        try:
            self._file.seek(self._end)
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            fix = "free some space, or point TMPDIR to a folder that has some"
            raise OutputError("the masks could not be stored", where=f"frame {frame_index}", why=str(error), fix=fix) from error

    def _read(self, object_index: int, frame_index: int) -> bytes:
        slot = self._slot(object_index, frame_index)
        with self._lock:
            self._require_open(frame_index)
            self._file.seek(self._offsets[slot])
            return self._file.read(self._lengths[slot])

    def _require_open(self, frame_index: int) -> None:
        if not self._closer.alive:
            raise UsageError("the masks are closed", where=f"frame {frame_index}", fix="use them before close()")


def _close(file: IO[bytes]) -> None:
    # after a full disk, closing tries the lost bytes once more; nobody will read them
    with contextlib.suppress(OSError):
        file.close()
