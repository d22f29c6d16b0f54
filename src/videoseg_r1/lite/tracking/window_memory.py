"""The frames that a run remembers: what they show, and what their windows say about the cells of the next frame.

Not here: how a window is read (`window`), and which frames are worth remembering (`tracker`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

from videoseg_r1.lite.tracking.appearance import AppearanceSample
from videoseg_r1.lite.tracking.course import Shift
from videoseg_r1.lite.tracking.crop import Crop
from videoseg_r1.lite.tracking.window import WindowKeys, cut_windows, read
from videoseg_r1.xmem.store import MemoryStore

_FARTHEST = 9
"""Cells that the window read looks far at most: a small thing is much enlarged, and as many of its pixels would be too many cells."""


@dataclass(slots=True, eq=False)
class RememberedFrame:
    """One frame of a run.

    Attributes:
        scene: number of its scene; between scenes a place means nothing.
        crop: which part of the frame.
        keys: (K, rows, columns) float32, of unit length per cell.
        cover: (N, rows, columns) float32, which part of each cell each object covers.
        sample: for the appearance model.
        lasting: of what lasts, for frames with given masks of several objects.
        centre: of the first object, (x, y) pixels of the frame; None without a mask.
    """

    scene: int
    crop: Crop
    keys: torch.Tensor
    cover: torch.Tensor
    sample: AppearanceSample
    lasting: AppearanceSample | None
    centre: Shift | None
    _windows: WindowKeys | None = field(default=None, init=False)
    _cut_for: tuple[Crop, int, int] | None = field(default=None, init=False)

    def windows(self, crop: Crop, radius: tuple[int, int], goes_to: Shift | None) -> WindowKeys:
        """Return the windows of the cells of a crop; they are cut anew only when it moves.

        Args:
            crop: part of the frame that is looked at now.
            radius: vertical and horizontal reach in cells.
            goes_to: where the centre of the first object will be by now, if it is so fast that its window must go along.
        """
        gone = np.zeros(2) if goes_to is None or self.centre is None else goes_to - self.centre
        right, down = round(float(gone[0])), round(float(gone[1]))
        if self._windows is None or self._cut_for != (crop, right, down):
            self._windows, self._cut_for = self._cut(crop, radius, self.crop.moved(right, down)), (crop, right, down)
        return self._windows

    def _cut(self, crop: Crop, radius: tuple[int, int], own: Crop) -> WindowKeys:
        if own == crop:
            return cut_windows(self.keys, self.cover, torch.ones(crop.grid, dtype=torch.bool, device=self.cover.device), radius)
        planes = crop.resample(torch.cat([self.keys, self.cover, torch.ones_like(self.cover[:1])]), own)
        channels = len(self.keys)
        return cut_windows(F.normalize(planes[:channels], dim=0), planes[channels:-1], planes[-1] > 0.5, radius)


class WindowMemory:
    """The frames with given masks, and the latest others.

    Args:
        max_recent: frames without given masks that are kept.
        reach: how far is looked, in pixels of the frame.
        top_k: cells mixed per read.
        temperature: of the softmax over them.
    """

    def __init__(self, max_recent: int, reach: float, top_k: int, temperature: float) -> None:
        self._frames: MemoryStore[RememberedFrame] = MemoryStore(max_recent)
        self._reach, self._top_k, self._temperature = reach, top_k, temperature

    @property
    def given(self) -> tuple[RememberedFrame, ...]:
        """Frames with given masks, oldest first."""
        return self._frames.anchors

    @property
    def recent(self) -> tuple[RememberedFrame, ...]:
        """The latest other frames, oldest first."""
        return self._frames.recent

    def add(self, frame: RememberedFrame, *, is_given: bool) -> None:
        """Remember a frame."""
        self._frames.add(frame, anchor=is_given)

    def forget_recent(self) -> None:
        """Forget all frames without given masks."""
        self._frames.take_oldest(len(self.recent))

    def read(self, keys: torch.Tensor, crop: Crop, scene: int, known: torch.Tensor, goes_to: Shift | None) -> torch.Tensor | None:
        """Return what the objects cover of the cells of a crop, (N, rows, columns), by what looks alike nearby in remembered frames.

        Only frames of the scene are read, and only those in which every object was known that is known now; None if there is none.

        Args:
            keys: (K, rows, columns), of unit length.
            crop: part of the frame that is looked at now.
            scene: its scene.
            known: bool (N,), on the CPU.
            goes_to: as for `RememberedFrame.windows`.
        """
        up, side = (min(_FARTHEST, max(1, round(self._reach * cells))) for cells in crop.cells_per_pixel)
        frames = [frame for frame in self._frames if frame.scene == scene and not bool((known & ~frame.sample.known).any())]
        if not frames:
            return None
        windows = [frame.windows(crop, (up, side), goes_to) for frame in frames]
        return read(keys, windows, (up, side), self._top_k, self._temperature)
