"""Which things of everyday classes are in a frame, and where: boxes with names and scores, by NanoDet-g.

The network judges each cell of three grids by itself, so it finds a thing many times and calls it a dog here and a cat there. One box is
kept for a thing; the other names stay beside the best one. Not here: the network (`nanodet`), what stands out without a name (`saliency`),
the same thing in other frames (`tracks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from videoseg_r1.lite.perception.detected_names import DETECTED_NAMES
from videoseg_r1.lite.perception.nanodet import NUM_BINS, STRIDES, NanoDet
from videoseg_r1.types import Box, RgbImage, Size

_Floats: TypeAlias = npt.NDArray[np.float32]

_PIXELS = 256 * 448  # of the picture that the network gets, whatever its aspect: more pixels find no more (docs/benchmarks.md)
_MULTIPLE = STRIDES[-1]
_MEAN = np.array((103.53, 116.28, 123.675), np.float32)  # of blue, green and red, as in training
_DEVIATION = np.array((57.375, 57.12, 58.395), np.float32)
_SAME_NAME = 0.5  # IoU from which two boxes of one name are one thing
_SAME_BOX = 0.75  # and of two names; a rider and the mount overlap by less
_LEAST_SCORE = 0.1  # of a name beside the best one
_MOST_CELLS = 1000  # that are compared with each other; the best ones


@dataclass(frozen=True, slots=True)
class Detection:
    """A thing in a frame: `box` in pixels of the frame, and `names` of DETECTED_NAMES with their scores in 0..1, the best first.

    Scores are independent of each other: they do not add up to 1.
    """

    box: Box
    names: tuple[tuple[str, float], ...]

    @property
    def name(self) -> str:
        return self.names[0][0]

    @property
    def score(self) -> float:
        return self.names[0][1]


@torch.inference_mode()
def detect(rgb: RgbImage, network: NanoDet, *, threshold: float = 0.3) -> tuple[Detection, ...]:
    """Return the things in a frame, the surest first; the same frame gives the same things.

    Frames go in one by one: eight at once take 15 % less time a frame, but what is seen in a frame would then depend on the others, in the
    sixth digit.

    Args:
        rgb: (H, W, 3), of any size and aspect.
        network: from `load_detector`.
        threshold: least score of the best name of a thing, 0..1.
    """
    height, width = rgb.shape[:2]
    size = input_size(width, height)
    device = next(network.parameters()).device
    logits, bins = network(prepared(rgb, size).to(device))
    scores = torch.sigmoid(logits[0])
    best = scores.amax(1)
    found = torch.nonzero(best >= threshold).flatten()
    found = found[best[found].argsort(descending=True, stable=True)][:_MOST_CELLS]
    distances = bins[0, found].softmax(2) @ torch.arange(NUM_BINS, dtype=torch.float32, device=device)
    boxes = _boxes(found.cpu().numpy(), distances.cpu().numpy(), size) * np.tile(np.array((width, height)) / size, 2)
    boxes = np.clip(boxes, 0, (width, height, width, height)).astype(np.float32)
    return merged(boxes, scores[found].cpu().numpy())


def input_size(width: int, height: int) -> Size:
    """Return the size at which the network sees a frame: of about the same area for each, of the frame's aspect, in multiples of 32."""

    def side(length: int, other: int) -> int:
        multiples = round((_PIXELS * length / other) ** 0.5 / _MULTIPLE)
        return _MULTIPLE * min(max(1, multiples), _PIXELS // _MULTIPLE**2)

    return side(width, height), side(height, width)


def merged(boxes: _Floats, scores: _Floats) -> tuple[Detection, ...]:
    """Return one detection for each thing that several cells have found: the box of the surest, and for each name the best score.

    Boxes that lie on each other are one thing, also under different names; boxes of one name need to share less.

    Args:
        boxes: (N, 4) float32 corners, of N cells, the surest first.
        scores: (N, 80) float32, of the names.
    """
    overlap, best = _iou(boxes), scores.argmax(1)
    least = np.where(best[:, None] == best, _SAME_NAME, _SAME_BOX)
    left = np.ones(len(boxes), np.bool_)
    things: list[Detection] = []
    for cell in range(len(boxes)):
        if not left[cell]:
            continue
        same = left & (overlap[cell] >= least[cell])
        same[cell] = True
        left &= ~same
        together = scores[same].max(0)
        least_score = min(_LEAST_SCORE, together.max())
        order = [name for name in np.argsort(-together, kind="stable") if together[name] >= least_score]
        names = tuple((DETECTED_NAMES[name], float(together[name])) for name in order)
        things.append(Detection(Box(*map(float, boxes[cell])), names))
    return tuple(things)


def prepared(rgb: RgbImage, size: Size) -> torch.Tensor:
    """Return the picture as the network was trained on it, (1, 3, h, w) float32.

    It was resized by linear interpolation there, which skips pixels where a picture shrinks to less than half.
    """
    import cv2

    skips = 4 * size[0] * size[1] < rgb.shape[0] * rgb.shape[1]
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if skips else cv2.INTER_LINEAR)
    values = (small[..., ::-1] - _MEAN) / _DEVIATION
    return torch.from_numpy(values.transpose(2, 0, 1)[None]).contiguous(memory_format=torch.channels_last)


def _boxes(cells: npt.NDArray[np.int64], distances: _Floats, size: Size) -> _Floats:
    """Return (N, 4) corners in pixels of the network's picture. `cells`: (N,) positions in its output; `distances`: (N, 4) in strides."""
    centers: list[_Floats] = []
    for stride in STRIDES:
        y, x = np.mgrid[: size[1] // stride, : size[0] // stride].reshape(2, -1)
        centers.append(np.stack([(x + 0.5) * stride, (y + 0.5) * stride, np.full(x.shape, stride)], 1).astype(np.float32))
    x, y, stride = np.concatenate(centers)[cells].T
    left, up, right, down = (distances * stride[:, None]).T
    return np.stack([x - left, y - up, x + right, y + down], 1)


def _iou(boxes: _Floats) -> _Floats:
    """Return the overlap of each box with each other, (N, N) in 0..1."""
    corners = np.maximum(boxes[:, None, :2], boxes[:, :2]), np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    shared = np.clip(corners[1] - corners[0], 0, None).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shared / np.maximum(areas[:, None] + areas - shared, np.finfo(np.float32).tiny)
