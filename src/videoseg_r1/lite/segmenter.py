"""Stage 3a of `lite`: from a box and points to a mask, by the saliency of a crop around the box.

The crop goes through the saliency network at full resolution: what stands out in a box that was drawn around an object is the object. If
the points disagree, wider crops are tried, and in the end colour models (GrabCut) decide. Points without a box get a simple guess of the
extent. Thin structures and transparent things come out badly. Not here: the network (`lite.perception.saliency`).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import numpy.typing as npt
import torch

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.lite.perception.saliency import load_saliency
from videoseg_r1.types import BoolMask, Box, Cue, Frame, Point, RgbImage

_MARGINS = (0.25, 1.0, 3.0)  # of the box on each side: saliency depends on the surroundings; the first that fits the cue is taken
_SIDE = 320
_GRAB_WIDTH = 320
_FILLS_LEAST = 0.08  # a mask that fills less of its box than this has missed the object
_POINT_REACH = 0.03  # radius of what a point says, in units of the box's size


class LiteSegmenter:
    """A `Segmenter` on saliency. Threads may share it. It was tested on a CPU only; on a GPU it has not been run.

    Args:
        device: where the saliency network computes; it is loaded at the first mask.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def segment(self, frame: Frame, cues: Sequence[Cue]) -> BoolMask:
        """Return bool (N, H, W), one mask per cue, in their order.

        Raises: InvalidPrompt: a cue has neither box nor point, or its box does not overlap the frame.
            WeightsMissing, ModelError: the saliency network cannot be loaded.
        """
        masks = [self._one(frame.rgb, cue) for cue in cues]
        return np.stack(masks) if masks else np.zeros((0, *frame.rgb.shape[:2]), np.bool_)

    def _one(self, rgb: RgbImage, cue: Cue) -> BoolMask:
        height, width = rgb.shape[:2]
        box = _whole_pixels(cue.box or self._extent(rgb, cue.points), width, height)
        inside = np.zeros((height, width), np.bool_)
        inside[box[1] : box[3], box[0] : box[2]] = True
        reach = max(1.0, _POINT_REACH * float(np.hypot(box[2] - box[0], box[3] - box[1])))
        priors: list[npt.NDArray[np.float32]] = []
        for margin in _MARGINS:
            priors.append(self._look(rgb, box, margin) * inside)
            mask = _without(priors[-1] > 0.5, cue)
            if _agrees(mask, cue, inside, reach):
                return _around_points(mask, cue.points)
        mask = _grab(rgb, priors[0], inside, cue, reach)
        return _around_points(mask & inside, cue.points) if mask.any() else inside

    def _look(self, rgb: RgbImage, box: tuple[int, int, int, int], margin: float) -> npt.NDArray[np.float32]:
        """Return the saliency (H, W) of the box with a margin around it, 0 elsewhere."""
        height, width = rgb.shape[:2]
        dx, dy = int(margin * (box[2] - box[0])) + 2, int(margin * (box[3] - box[1])) + 2
        rows = slice(max(0, box[1] - dy), min(height, box[3] + dy))
        columns = slice(max(0, box[0] - dx), min(width, box[2] + dx))
        out = np.zeros((height, width), np.float32)
        out[rows, columns] = load_saliency(self._device)(rgb[rows, columns], (_SIDE, _SIDE))
        return out

    def _extent(self, rgb: RgbImage, points: Sequence[Point]) -> Box:
        """Return a guess of the box of the thing under the points: the salient area of the first point, else a box around them all."""
        if not points:
            raise InvalidPrompt("A cue needs a box or a point", fix="give --box x1,y1,x2,y2 or --point x,y")
        height, width = rgb.shape[:2]
        xs, ys = [p.x for p in points], [p.y for p in points]
        if min(xs) < 0 or min(ys) < 0 or max(xs) >= width or max(ys) >= height:
            raise InvalidPrompt("A point lies outside the frame", where=str(points), why=f"the frame has {width} x {height} pixels")
        pad = 0.15 * max(width, height)
        box = Box(min(xs) - pad, min(ys) - pad, max(xs) + pad, max(ys) + pad)
        for grow in (1.0, 2.0):
            window = _whole_pixels(_grown(box, (grow - 1) * pad), width, height)
            x1, y1, x2, y2 = window
            saliency = load_saliency(self._device)(rgb[y1:y2, x1:x2], (_SIDE, _SIDE))
            _, labels = cv2.connectedComponents((saliency > 0.5).astype(np.uint8))
            row = int(np.clip(ys[0] - y1, 0, y2 - y1 - 1))
            column = int(np.clip(xs[0] - x1, 0, x2 - x1 - 1))
            if labels[row, column]:
                found = labels == labels[row, column]
                rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
                inner = columns[0] > 0 and rows[0] > 0 and columns[-1] < x2 - x1 - 1 and rows[-1] < y2 - y1 - 1
                if inner or grow == 2.0:
                    return Box(float(x1 + columns[0]), float(y1 + rows[0]), float(x1 + columns[-1] + 1), float(y1 + rows[-1] + 1))
        return box


def _agrees(mask: BoolMask, cue: Cue, inside: BoolMask, reach: float) -> bool:
    """Return whether the mask is what the cue means: fills enough of its box, lies under its points, leaves its negative points out."""
    if mask.sum() < _FILLS_LEAST * inside.sum():
        return False
    hit = all((_disc(mask.shape, point, reach) & mask).any() for point in cue.points)
    return hit and not any(mask[_disc(mask.shape, point, reach)].all() for point in cue.neg_points)


def _grab(rgb: RgbImage, prior: npt.NDArray[np.float32], inside: BoolMask, cue: Cue, reach: float) -> BoolMask:
    """Return the mask of GrabCut (Rother et al. 2004): outside the box is background, points are certain, saliency is the first guess."""
    height, width = prior.shape
    scale = min(1.0, _GRAB_WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    state = np.full((height, width), cv2.GC_PR_FGD, np.uint8)
    if (prior > 0.3).mean() > 0.02:
        state[prior < 0.3] = cv2.GC_PR_BGD
    state[~inside] = cv2.GC_BGD
    for points, value in ((cue.points, cv2.GC_FGD), (cue.neg_points, cv2.GC_BGD)):
        for point in points:
            state[_disc(state.shape, point, reach)] = value
    small = cv2.resize(state, size, interpolation=cv2.INTER_NEAREST)
    picture = cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
    foreground = (small == cv2.GC_FGD) | (small == cv2.GC_PR_FGD)
    if foreground.sum() < 10 or (~foreground).sum() < 10:  # too little of either to model its colours
        return _resized(foreground, width, height)
    small = _grab_cut(picture.astype(np.uint8), small.astype(np.uint8))
    return _resized((small == cv2.GC_FGD) | (small == cv2.GC_PR_FGD), width, height)


def _grab_cut(picture: npt.NDArray[np.uint8], state: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the state (h, w) of every pixel of a BGR picture after GrabCut.

    GrabCut starts from k-means, which draws from OpenCV's random number generator. Each thread has its own generator, so GrabCut runs in a
    short-lived thread that seeds it: the same input gives the same mask, and the generator of the caller is left alone.
    """

    def cut() -> None:
        cv2.setRNGSeed(0)
        cv2.grabCut(picture, state, None, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]

    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(cut).result()
    return state


def _resized(mask: BoolMask, width: int, height: int) -> BoolMask:
    return cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5


def _without(mask: BoolMask, cue: Cue) -> BoolMask:
    """Return the mask without the connected parts that only negative points lie on."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    on = [{int(labels[int(p.y), int(p.x)]) for p in points if _inside(p, mask)} for points in (cue.neg_points, cue.points)]
    return mask & ~np.isin(labels, list(on[0] - on[1]))


def _around_points(mask: BoolMask, points: Sequence[Point]) -> BoolMask:
    """Return the mask without connected parts that are small beside the largest part, or beside those that the points lie on."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    areas[0] = 0
    meant = {int(labels[int(p.y), int(p.x)]) for p in points if _inside(p, mask)} - {0}
    base = max(areas[i] for i in meant) if meant else areas.max()
    keep = areas >= 0.1 * base
    keep[list(meant)] = True
    keep[0] = False
    return keep[labels]


def _whole_pixels(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    x1, y1 = max(0, int(np.floor(box.x1))), max(0, int(np.floor(box.y1)))
    x2, y2 = min(width, int(np.ceil(box.x2))), min(height, int(np.ceil(box.y2)))
    if x2 <= x1 or y2 <= y1:
        raise InvalidPrompt("The box does not overlap the frame", where=str(box), why=f"the frame has {width} x {height} pixels")
    return x1, y1, x2, y2


def _grown(box: Box, by: float) -> Box:
    return Box(box.x1 - by, box.y1 - by, box.x2 + by, box.y2 + by)


def _disc(shape: tuple[int, ...], point: Point, radius: float) -> BoolMask:
    ys, xs = np.ogrid[: shape[0], : shape[1]]
    return (xs - point.x) ** 2 + (ys - point.y) ** 2 <= radius**2


def _inside(point: Point, mask: BoolMask) -> bool:
    return 0 <= point.x < mask.shape[1] and 0 <= point.y < mask.shape[0]
