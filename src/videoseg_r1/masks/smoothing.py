"""Values in a mask picture that are no object's own: smoothed borders, soft masks, the noise of JPEG. They are told apart and made flat.

The rule, in this order; a *flat* value fills some square of 3 x 3 pixels, R is the range of the values:

1. In pictures of fewer than 512 pixels, other than JPEG, every value is an object's own.
2. **Smoothed borders**: flat areas make up most of the picture; the values that are nowhere flat are at least as many as the flat ones,
   but one; most of their pixels lie between a lower and a higher neighbour; and nine in ten lie, by value, between flat areas near them
   (in JPEG the two conditions before this one are not asked for). They go to the nearest of these areas; flat values within R/32 (JPEG:
   R/12) are one.
3. **A soft mask** (grey only): 16 or more values in gentle steps (six in ten within R/8), either with most pixels near both ends, or
   without any large step. It is cut half way between its darkest and its brightest value.
4. **A photograph**: 16 or more grey values in gentle steps and with few equal neighbours, or in JPEG, and neither. It is refused.
5. Otherwise every value is an object's own.

All thresholds are ours. Not here: which value is which object, and files (`mask_picture`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from videoseg_r1.errors import InvalidDocument

PHOTOGRAPH_FIX = "give an indexed PNG, or a grey one with one value per object"
_Bytes = npt.NDArray[np.uint8]
_Bools = npt.NDArray[np.bool_]

_LEAST_PIXELS = 512
_LEAST_THIN = 8
_REACHES = (4, 8, 16)
"""Pixels from a smoothed pixel to the flat areas it lies between: the first that explains the picture; JPEG starts at the second."""
_BETWEEN = 0.6
_EXPLAINED = 0.9
_FLAT_SHARE = 0.4
"""Least share of pixels whose whole surroundings of 3 x 3 are equal: the edges of flat areas are not."""
_MANY = 16
_GENTLE = 0.6
_AT_ENDS = 0.6
_MAX_LEVELS = 255


class Flattened(NamedTuple):
    """A picture of flat values, shape and dtype as given, and what was done to make it so: "" where nothing was."""

    values: _Bytes
    note: str


def flattened(values: _Bytes, where: str, *, lossy: bool = False) -> Flattened:
    """Return a mask picture in which every value is an object's own, or background.

    Args:
        values: (H, W, C) uint8, C = 1 for grey, 3 for colours.
        where: the file, for errors.
        lossy: whether the file format changes values (JPEG).
    Raises: InvalidDocument: a grey photograph.
    Source: ours; the rule is in the description of this module.
    """
    codes = packed(values)
    span = int(values.max()) - int(values.min())
    if span < 2 or (codes.size < _LEAST_PIXELS and not lossy):
        return Flattened(values, "")
    levels = _levels_of(values, codes, span, lossy=lossy)
    if levels is not None:
        return _snapped(values, codes, levels)
    grey, gentle, num_values = values[..., 0], _is_gentle(values[..., 0], span), np.unique(codes).size
    if values.shape[2] > 1 or not (gentle or lossy) or num_values < _MANY:
        return Flattened(values, "")
    if gentle and _is_soft(grey, span):
        middle = (int(grey.max()) + int(grey.min())) / 2
        return Flattened(((grey > middle) * np.uint8(255))[..., None], f"a soft mask of {num_values} values was cut half way")
    if lossy or _least_equal(grey) < 0.5:
        why = f"it has {num_values} grey values in gentle steps, as a photograph has"
        raise InvalidDocument("not a mask picture", where=where, why=why, fix=PHOTOGRAPH_FIX)
    return Flattened(values, "")


def packed(values: _Bytes) -> npt.NDArray[np.int32]:
    """Return one number per pixel, (H, W) int32: the grey value, or red, green and blue one after the other, 8 bits each."""
    codes = np.zeros(values.shape[:2], np.int32)
    for channel in range(values.shape[2]):
        codes = codes << 8 | values[..., channel]
    return codes


class _Levels(NamedTuple):
    """The flat values of a smoothed picture: `colors` (L, C) int, and per pixel the level whose value it has, -1 for none, (H, W).

    `reach` is how far, in pixels, a pixel of no level may lie from those it belongs to.
    """

    colors: npt.NDArray[np.int32]
    owner: npt.NDArray[np.int32]
    reach: int


def _levels_of(values: _Bytes, codes: npt.NDArray[np.int32], span: int, *, lossy: bool) -> _Levels | None:
    """Return the flat values if the others are borders smoothed between them, or noise around them; None if they are not."""
    core = _uniform(values)
    if core.mean() < _FLAT_SHARE:
        return None
    flat, counts = np.unique(codes[core], return_counts=True)
    flat = flat[counts >= max(1, min(codes.shape) // 16)]
    thin = ~np.isin(codes, flat)
    if not flat.size or thin.sum() < (1 if lossy else _LEAST_THIN):
        return None
    # smoothing makes new values along every border; objects as thin as that are fewer than the others
    if not lossy and (np.unique(codes[thin]).size < flat.size - 1 or _lies_between(values, thin).mean() < _BETWEEN):
        return None
    for reach in _REACHES[lossy:]:
        if _explained(values, thin, reach, span // 10).mean() >= _EXPLAINED:
            return _merged(codes, thin, span // (12 if lossy else 32), reach)
    return None


def _explained(values: _Bytes, thin: _Bools, reach: int, slack: int) -> _Bools:
    """Return which of the thin pixels lie, by value and give or take the slack, between the flat areas within reach, (T,)."""
    import cv2

    near = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    explained = cv2.dilate((~thin).view(np.uint8), near)[thin] > 0
    for channel in np.moveaxis(values, -1, 0):
        lowest = cv2.erode(np.where(thin, np.uint8(255), channel), near)[thin].astype(np.int32)
        highest = cv2.dilate(np.where(thin, np.uint8(0), channel), near)[thin].astype(np.int32)
        own = channel[thin].astype(np.int32)
        explained &= (lowest - slack <= own) & (own <= highest + slack)
    return explained


def _merged(codes: npt.NDArray[np.int32], thin: _Bools, distance: int, reach: int) -> _Levels | None:
    """Return the flat values with those that lie within a distance of a more frequent one made one; None if too many are left."""
    found, places, counts = np.unique(codes[~thin], return_inverse=True, return_counts=True)
    colors = np.stack([found >> 16 & 255, found >> 8 & 255, found & 255], 1)
    kept: list[int] = []
    number = np.zeros(found.size, np.int32)
    for index in np.argsort(-counts, kind="stable").tolist():
        apart = np.abs(colors[kept] - colors[index]).max(1) if kept else np.empty(0)
        if apart.size and apart.min() <= distance:
            number[index] = int(apart.argmin())
        elif len(kept) == _MAX_LEVELS:
            return None
        else:
            number[index] = len(kept)
            kept.append(index)
    owner = np.full(codes.shape, -1, np.int32)
    owner[~thin] = number[places]
    return _Levels(colors[kept], owner, reach)


def _snapped(values: _Bytes, codes: npt.NDArray[np.int32], levels: _Levels) -> Flattened:
    """Return the picture with every pixel at a level: a thin one at that of the nearest value among the levels near it."""
    import cv2

    thin = levels.owner < 0
    colors = levels.colors[:, -values.shape[2] :]
    own = values[thin].astype(np.int32)
    near = np.ones((2 * levels.reach + 1,) * 2, np.uint8)
    best, chosen = np.full(len(own), np.inf), np.zeros(len(own), np.int32)
    for number, color in enumerate(colors):
        away = np.abs(own - color).sum(1).astype(np.float64)
        away[cv2.dilate((levels.owner == number).view(np.uint8), near)[thin] == 0] += 1000  # only where no level is near
        closer = away < best
        best[closer], chosen[closer] = away[closer], number
    owner = levels.owner.copy()
    owner[thin] = chosen
    between = np.unique(codes[thin]).size
    note = f"{between} values along the borders of {len(colors)} flat ones went to the nearest of these"
    return Flattened(colors[owner].astype(np.uint8), note)


def _uniform(values: _Bytes) -> _Bools:
    """Return where all the pixels around one (3 x 3, as far as the picture reaches) have its value, (H, W)."""
    import cv2

    square = np.ones((3, 3), np.uint8)
    same = [cv2.erode(one, square) == cv2.dilate(one, square) for one in np.ascontiguousarray(np.moveaxis(values, -1, 0))]
    return np.logical_and.reduce(same)


def _lies_between(values: _Bytes, thin: _Bools) -> _Bools:
    """Return which of the thin pixels lie, in every channel that varies around them, between a lower and a higher neighbour, (T,)."""
    import cv2

    square, within, strictly = np.ones((3, 3), np.uint8), np.ones(int(thin.sum()), np.bool_), np.zeros(int(thin.sum()), np.bool_)
    for channel in np.moveaxis(values, -1, 0):
        whole = np.ascontiguousarray(channel)
        lowest, own, highest = cv2.erode(whole, square)[thin], whole[thin], cv2.dilate(whole, square)[thin]
        inside = (lowest < own) & (own < highest)
        strictly |= inside
        within &= inside | (lowest == highest)
    return within & strictly


def _steps(grey: _Bytes) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    signed = grey.astype(np.int16)
    return np.abs(np.diff(signed, axis=0)), np.abs(np.diff(signed, axis=1))


def _is_gentle(grey: _Bytes, span: int) -> bool:
    """Return whether most neighbours that differ do so by little, as in soft masks and photographs."""
    steps = np.concatenate([step[step > 0] for step in _steps(grey)])
    return steps.size > 0 and float((steps <= span / 8).mean()) >= _GENTLE


def _is_soft(grey: _Bytes, span: int) -> bool:
    low, high = float((grey <= int(grey.min()) + span / 16).mean()), float((grey >= int(grey.max()) - span / 16).mean())
    if low + high >= _AT_ENDS and min(low, high) > 0.01:
        return True
    # many objects that are numbered from left to right have small steps too, but wide areas or steps down the rows
    largest = max(int(step.max(initial=0)) for step in _steps(grey))
    return largest <= span / 64 or (largest <= span / 8 and _least_equal(grey) < 0.5)


def _least_equal(grey: _Bytes) -> float:
    """Return the share of neighbours that are equal, in the direction in which fewer are."""
    return min((float((step == 0).mean()) for step in _steps(grey) if step.size), default=1.0)
