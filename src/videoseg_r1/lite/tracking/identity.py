"""Whether two objects were mistaken for each other: parts of one that are another, which lost its own place.

When one object hides another, the one behind can cling to what hides it, and when it comes out again it is taken for a part of the other.
Then the other has two separate parts, and the lost one covers what does not look like it. Both hypotheses, as it is and exchanged, are
compared by what lasts: colours and texture as they were in the given frames. Not here: how objects are followed (`tracker`).

Source: ours. All thresholds are ours too (docs/experiments, "Following several things").
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from videoseg_r1.lite.tracking.appearance import AppearanceModel, AppearanceSample

_LEAST_CELLS = 3
_LEAST_PART = 0.15
"""Of the size that the object had when it was given."""
_LEAST_SHARE = 0.3
"""Of what the lost object covers now."""
_LEAST_LIKENESS = -0.1
_LEAST_GAIN = 0.5
"""Log odds per cell: of the part for the lost object rather than its own, and of the exchange as a whole."""
_FRAMES = 2
"""In a row that must say the same."""
_REST = 12
"""Frames after an exchange in which there is no other."""

_Labels = npt.NDArray[np.int64]
_Plane = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """What really belongs to whom: `labels` (rows, columns), -1 where nothing changes, 0 background, k + 1 object k; `owner` had the part
    that belongs to `lost`.
    """

    labels: _Labels
    owner: int
    lost: int


class Identity:
    """Watches several objects for exchanges.

    Args:
        regularisation: of the model of what lasts.
    """

    def __init__(self, regularisation: float) -> None:
        self._regularisation = regularisation
        self._model: AppearanceModel | None = None
        self._sizes: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        self._suspects: tuple[int, int] | None = None
        self._times = 0
        self._rest = 0

    def learn(self, given: list[AppearanceSample], sizes: npt.NDArray[np.float32]) -> None:
        """Take in the frames that were given: features that last, and how many pixels of the frame each object has at most (N,)."""
        self._model = AppearanceModel(self._regularisation)
        self._model.fit(given, [1 / len(given)] * len(given))
        self._sizes = sizes

    def check(self, features: torch.Tensor, cover: npt.NDArray[np.float32], cells_per_pixel: float) -> Exchange | None:
        """Return the exchange that a frame asks for, None for nothing.

        Args:
            features: (P, C) of the cells, that last.
            cover: (N, rows, columns), which part of each cell each object covers.
            cells_per_pixel: cells for each pixel of the frame.
        """
        self._rest = max(0, self._rest - 1)
        if self._model is None:
            return None
        likely = self._model.log_probabilities(features).reshape(-1, *cover.shape[1:]).cpu().numpy()
        labels = np.where(cover.max(0) > 0.5, cover.argmax(0) + 1, 0)
        found = max(self._hypotheses(likely, labels, cells_per_pixel), key=lambda one: one[0], default=None)
        suspects = None if found is None else found[1:3]
        self._times = self._times + 1 if suspects is not None and suspects == self._suspects else 1
        self._suspects = suspects
        if found is None or self._times < _FRAMES or self._rest:
            return None
        self._rest, self._suspects = _REST, None
        _, owner, lost, part = found
        return Exchange(_exchanged(likely, labels, owner + 1, lost + 1, part), owner, lost)

    def _hypotheses(self, likely: npt.NDArray[np.float32], labels: _Labels, cells_per_pixel: float) -> list[tuple[float, int, int, _Plane]]:
        """Return (gain, owner, lost object, part of the owner that is the lost one)."""
        expected = np.maximum(_LEAST_CELLS, _LEAST_PART * self._sizes * cells_per_pixel)
        found: list[tuple[float, int, int, _Plane]] = []
        for owner in range(len(self._sizes)):
            main, others = _parts(labels == owner + 1, expected[owner])
            for part in others:
                for lost in set(range(len(self._sizes))) - {owner}:
                    gain = _gain(likely, labels, (owner + 1, lost + 1), main, part)
                    if gain > _LEAST_GAIN and part.sum() >= max(expected[lost], _LEAST_SHARE * np.count_nonzero(labels == lost + 1)):
                        found.append((gain, owner, lost, part))
        return found


def _parts(mask: _Plane, least: float) -> tuple[_Plane, list[_Plane]]:
    """Return the largest connected part of a mask, and the others that have at least so many cells and do not touch it."""
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    if count < 3:
        return mask, []
    main = int(sizes.argmax()) + 1
    near = cv2.dilate((numbers == main).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    others = [numbers == k for k in range(1, count) if k != main and sizes[k - 1] >= least]
    return numbers == main, [part for part in others if not (part & near).any()]


def _gain(likely: npt.NDArray[np.float32], labels: _Labels, pair: tuple[int, int], main: _Plane, part: _Plane) -> float:
    """Return the log odds per cell of the exchange; -inf if the lost object looks like itself where it is, or the part does not."""
    owner, lost = pair
    now = labels == lost
    doubt = float((likely[lost] - np.delete(likely, lost, 0).max(0))[now].mean()) if now.any() else -np.inf
    towards = float((likely[lost] - likely[owner])[part].mean())
    if doubt >= 0 or towards < max(doubt, _LEAST_LIKENESS):
        return -np.inf
    return towards + float((likely[owner] - likely[lost])[main].mean())


def _exchanged(likely: npt.NDArray[np.float32], labels: _Labels, owner: int, lost: int, part: _Plane) -> _Labels:
    """Return the new labels: the part and its rim go to the lost object; what that one covered goes to what it looks most like."""
    rim = cv2.dilate(part.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    changed = np.full(labels.shape, -1, np.int64)
    theirs = likely.copy()
    theirs[lost] = -np.inf
    old = (cv2.dilate((labels == lost).view(np.uint8), np.ones((3, 3), np.uint8)) > 0) & (labels != owner)
    changed[old] = theirs.argmax(0)[old]
    changed[rim & (labels != owner)] = 0
    changed[part] = lost
    return changed
