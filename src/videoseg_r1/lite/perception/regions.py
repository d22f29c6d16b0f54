"""Candidate regions of one frame: salient things, each with its mask, its class probabilities, its colours and its motion.

Regions are found by saliency alone, so they do not depend on the query. A thing that does not stand out has no region, and neither does
a part of a thing. Not here: following regions through time (`tracks`), comparing them with words (`lite.language.matcher`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.lite.perception.backbone import Backbone, prepare
from videoseg_r1.types import BoolMask, Box, RgbImage

PALETTE = ("black", "white", "grey", "red", "orange", "brown", "tan", "yellow", "green", "blue", "purple", "pink")
MAX_REGIONS = 6
_LEVEL = 0.4  # saliency from which a pixel belongs to a region
_MIN_AREA = 0.001  # of the frame
_CROP_SIDE = 288  # the classifier sees a region at about this size squared, near the size it was trained at (260)
_CROP_MARGIN = 0.15


@dataclass(frozen=True, slots=True)
class Region:
    """One candidate in one frame.

    Attributes:
        index: frame.
        mask: bool (h, w) on the grid of the saliency map, of the aspect of the frame.
        box: in pixels of the frame.
        center: (right, down) of its middle, in 0..1 of the frame.
        area: fraction of the frame.
        confidence: mean saliency inside, 0..1.
        classes: (1000,) float32 probabilities of the ImageNet classes.
        colours: (len(PALETTE),) float32 fractions of its pixels.
        velocity: (right, down) per frame, in units of its own size (the root of its area), relative to its surroundings.
        cut: whether the border of the picture cuts it off.
    """

    index: int
    mask: BoolMask
    box: Box
    center: tuple[float, float]
    area: float
    confidence: float
    classes: npt.NDArray[np.float32]
    colours: npt.NDArray[np.float32]
    velocity: tuple[float, float]
    cut: bool


@dataclass(frozen=True, slots=True, eq=False)
class FrameScan:
    """What was seen in one frame.

    Attributes:
        regions: the most prominent first.
        grey: uint8 (h, w), the frame in grey on the grid of the saliency map.
    """

    regions: tuple[Region, ...]
    grey: npt.NDArray[np.uint8]


def components(saliency: npt.NDArray[np.float32]) -> list[BoolMask]:
    """Return the connected salient areas, (h, w) bool each, the most prominent (area times saliency) first."""
    level = min(_LEVEL, 0.5 * float(saliency.max()))
    count, labels, stats, _ = cv2.connectedComponentsWithStats((saliency > level).astype(np.uint8), connectivity=4)
    sums = np.bincount(labels.ravel(), saliency.ravel(), count)
    least = _MIN_AREA * saliency.size
    order = sorted((i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= least), key=lambda i: -sums[i])
    return [labels == i for i in order[:MAX_REGIONS]]


def box_on_frame(mask: BoolMask, width: int, height: int) -> Box:
    """Return the box of a mask given on any grid, in pixels of a frame of this size."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    sx, sy = width / mask.shape[1], height / mask.shape[0]
    return Box(float(columns[0] * sx), float(rows[0] * sy), float((columns[-1] + 1) * sx), float((rows[-1] + 1) * sy))


def touches_border(mask: BoolMask) -> bool:
    """Return whether a mask lies on the border of the picture over more than a fifth of its own size (the root of its area)."""
    on_border = max(mask[0].sum(), mask[-1].sum(), mask[:, 0].sum(), mask[:, -1].sum())
    return bool(on_border > 0.2 * np.sqrt(mask.sum()))


def classify(backbone: Backbone, rgb: RgbImage, mask: BoolMask, box: Box) -> npt.NDArray[np.float32]:
    """Return (1000,) float32 class probabilities of a region.

    The crop around the region is classified at every position. The mean over the region and the mean over the whole crop, which also
    covers the surroundings, count equally.
    """
    height, width = rgb.shape[:2]
    margin = _CROP_MARGIN * max(box.width, box.height) + 2
    x1, y1 = max(0, int(box.x1 - margin)), max(0, int(box.y1 - margin))
    x2, y2 = min(width, int(box.x2 + margin) + 1), min(height, int(box.y2 + margin) + 1)
    scale = _CROP_SIDE / np.sqrt((x2 - x1) * (y2 - y1))
    size = tuple(int(np.clip(round(n * scale / 32), 2, 24)) * 32 for n in (x2 - x1, y2 - y1))
    last = backbone.features(prepare(rgb[y1:y2, x1:x2], (size[0], size[1]), backbone.device))[-1]
    logits = backbone.class_logits(last)[0].permute(1, 2, 0).cpu().numpy()
    full = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)[y1:y2, x1:x2]
    inside = cv2.resize(full, (logits.shape[1], logits.shape[0]), interpolation=cv2.INTER_AREA)[..., None] + 1e-6
    inner = (logits * inside).sum((0, 1)) / inside.sum()
    return ((_softmax(inner) + _softmax(logits.mean((0, 1)))) / 2).astype(np.float32)


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    exponentials = np.exp(logits - logits.max())
    return (exponentials / exponentials.sum()).astype(np.float32)


def colour_map(rgb: RgbImage) -> npt.NDArray[np.int64]:
    """Return the position in PALETTE of every pixel's colour, (H, W), by hue, saturation and brightness as people name them."""
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(np.int64)
    hue, saturation, value = hsv[..., 0] * 2, hsv[..., 1] / 255, hsv[..., 2] / 255
    names = np.digitize(hue, [15, 42, 68, 165, 260, 295, 345])  # red, orange, yellow, green, blue, purple, pink, red
    out = np.array([3, 4, 7, 8, 9, 10, 11, 3])[names]
    warm = (hue < 50) | (hue >= 345)
    out[warm & (value < 0.6) & (hue >= 10) & (hue < 50)] = PALETTE.index("brown")
    out[(hue >= 15) & (hue < 60) & (value >= 0.45) & (saturation < 0.5)] = PALETTE.index("tan")
    plain = (saturation < 0.18) | (value < 0.28)
    out[plain] = np.array([0, 2, 1])[np.digitize(value[plain], [0.28, 0.75])]
    return out


def colour_fractions(colours: npt.NDArray[np.int64], mask: BoolMask) -> npt.NDArray[np.float32]:
    """Return (len(PALETTE),) float32: which part of the mask has each colour."""
    counts = np.bincount(colours[mask], minlength=len(PALETTE))
    return (counts / max(1, counts.sum())).astype(np.float32)


def surroundings(mask: BoolMask, others: BoolMask) -> BoolMask:
    """Return the ring around a region, about as wide as it is large, without any region. Both (h, w) bool."""
    reach = max(3, int(0.6 * np.sqrt(mask.sum()))) | 1
    return (cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0) & ~others


def affine_motion(flow: npt.NDArray[np.float32], where: BoolMask) -> npt.NDArray[np.float64] | None:
    """Fit the flow of these pixels by an affine motion, leaving out what does not follow it.

    Returns: (3, 2) float64, displacement = (1, x, y) @ result; None when there are too few pixels.
    """
    ys, xs = np.nonzero(where)
    if len(xs) < 50:
        return None
    step = max(1, len(xs) // 2000)
    xs, ys = xs[::step], ys[::step]
    target = flow[ys, xs]
    design = np.stack([np.ones(len(xs)), xs, ys], 1).astype(np.float64)
    keep = np.ones(len(xs), np.bool_)
    solution = np.zeros((3, 2))
    for _ in range(4):
        solution = np.linalg.lstsq(design[keep], target[keep], rcond=None)[0]
        residual = np.abs(design @ solution - target).sum(1)
        keep = residual <= max(0.3, 2 * float(np.median(residual)))
    return np.asarray(solution, np.float64)


def relative_velocity(flow: npt.NDArray[np.float32], mask: BoolMask, others: BoolMask) -> tuple[float, float]:
    """Return the velocity of a region in units of its own size, relative to what surrounds it.

    Only the ring around the region counts as background, so things far away do not matter, however they move.

    Args:
        flow: (h, w, 2) displacement per frame, in pixels of this grid.
        mask: (h, w) bool, the region.
        others: (h, w) bool, the union of all regions; none of it counts as background.
    """
    size = float(np.sqrt(mask.sum()))
    velocity = np.median(flow[mask], axis=0).astype(np.float64)
    background = affine_motion(flow, surroundings(mask, others))
    if background is not None:
        y, x = (float(v.mean()) for v in np.nonzero(mask))
        velocity -= np.array([1, x, y]) @ background
    return float(velocity[0]) / size, float(velocity[1]) / size
