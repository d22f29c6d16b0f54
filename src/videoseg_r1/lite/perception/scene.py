"""What `lite` sees in a video: the regions of single frames, computed when asked for and remembered per video.

Not here: the networks (`saliency`, `backbone`), what a region is (`regions`), meaning (`lite.language.matcher`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.lite.perception.backbone import load_backbone
from videoseg_r1.lite.perception.regions import (
    Region,
    affine_motion,
    box_on_frame,
    classify,
    colour_fractions,
    colour_map,
    components,
    relative_velocity,
    surroundings,
    touches_border,
)
from videoseg_r1.lite.perception.saliency import load_saliency
from videoseg_r1.types import Box
from videoseg_r1.video import Video

_PIXELS = 320 * 320  # of the saliency map: the area the network was trained at
_WIDEST = 2.0  # very wide pictures get up to twice as many pixels, so that their height does not shrink
_MAX_SCANS = 64  # frames remembered per video
_STILL_LEVELS = 12  # grey levels: what differs less between two frames has not changed
_FITS = 0.6  # of the surroundings must be unchanged after alignment
_COMPARED = 4  # other frames, about


class Scene:
    """The regions of a video, frame by frame. Args: `video`; `device` of the networks."""

    def __init__(self, video: Video, device: str = "cpu") -> None:
        self._num_frames = video.num_frames
        self._device = device
        self._scans: dict[int, tuple[Region, ...]] = {}
        self._grey: dict[int, npt.NDArray[np.uint8]] = {}
        self._unchanged: dict[tuple[int, Box, tuple[int, ...]], float] = {}

    def scan(self, video: Video, indices: Sequence[int]) -> dict[int, tuple[Region, ...]]:
        """Return the regions of these frames, the most prominent first; each frame is looked at once."""
        for index in dict.fromkeys(indices):
            if index not in self._scans:
                self._scans[index] = self._look(video, index)
        for old in [i for i in self._scans if i not in indices][: max(0, len(self._scans) - _MAX_SCANS)]:
            del self._scans[old], self._grey[old]
        return {index: self._scans[index] for index in indices}

    def unchanged(self, region: Region, others: Iterable[int]) -> float:
        """Return which part of a region, 0..1, never changes in other frames: background that was taken along.

        Other frames are brought over the region's frame by the motion of its surroundings; those that do not fit there say nothing.
        0 when fewer than two fit, or when the whole region never changes.

        Args:
            region: of a frame that was looked at.
            others: frames that were looked at; about `_COMPARED` of them are compared.
        """
        indices = sorted(set(others) - {region.index})
        compared = tuple(indices[:: max(1, len(indices) // _COMPARED)])
        key = region.index, region.box, compared
        if key not in self._unchanged:
            self._unchanged[key] = self._compare(region, compared)
        return self._unchanged[key]

    def _compare(self, region: Region, others: Sequence[int]) -> float:
        here, size = self._grey[region.index], region.mask.shape[::-1]
        ring = surroundings(region.mask, np.logical_or.reduce([other.mask for other in self._scans[region.index]]))
        xs, ys = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
        still, fitting = region.mask.copy(), 0
        for index in others:
            motion = affine_motion(_flow(here, self._grey[index]), ring)
            if motion is None:
                return 0.0
            shift = (motion[0] + xs[..., None] * motion[1] + ys[..., None] * motion[2]).astype(np.float32)
            aligned = cv2.remap(
                self._grey[index], xs + shift[..., 0], ys + shift[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            same = cv2.blur(cv2.absdiff(aligned, here), (5, 5)) < _STILL_LEVELS
            if same[ring].mean() >= _FITS:
                still, fitting = still & same, fitting + 1
        share = float(still[region.mask].mean())
        return share if fitting >= 2 and share < 0.9 else 0.0

    def _look(self, video: Video, index: int) -> tuple[Region, ...]:
        neighbour = index + 1 if index + 1 < self._num_frames else index - 1
        frames = video.read([index] if self._num_frames == 1 else [index, neighbour])
        rgb = frames[0].rgb
        size = map_size(rgb.shape[1], rgb.shape[0])
        saliency = np.asarray(cv2.resize(load_saliency(self._device)(rgb, size), size, interpolation=cv2.INTER_AREA), np.float32)
        masks = components(saliency)
        small, other = (
            np.asarray(cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA), np.uint8) for frame in (frames[0], frames[-1])
        )
        self._grey[index] = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.uint8)
        if not masks:
            return ()
        flow = _flow(self._grey[index], cv2.cvtColor(other, cv2.COLOR_RGB2GRAY).astype(np.uint8)) * (1 if neighbour > index else -1)
        everything = np.logical_or.reduce(masks)
        colours = colour_map(small)
        regions: list[Region] = []
        for mask in masks:
            box = box_on_frame(mask, rgb.shape[1], rgb.shape[0])
            region = Region(
                index=index,
                mask=mask,
                box=box,
                center=(box.center.x / rgb.shape[1], box.center.y / rgb.shape[0]),
                area=float(mask.mean()),
                confidence=float(saliency[mask].mean()),
                classes=classify(load_backbone(self._device), rgb, mask, box),
                colours=colour_fractions(colours, mask),
                velocity=relative_velocity(flow, mask, everything),
                cut=touches_border(mask),
            )
            regions.append(region)
        return tuple(regions)


def map_size(width: int, height: int) -> tuple[int, int]:
    """Return (width, height) of the saliency map of a frame: its aspect, about 320 x 320 pixels, multiples of 16."""
    aspect = width / height
    pixels = _PIXELS * float(np.clip(max(aspect, 1 / aspect) / (16 / 9), 1, _WIDEST))
    scale = (pixels / (width * height)) ** 0.5
    return max(64, round(width * scale / 16) * 16), max(64, round(height * scale / 16) * 16)


def _flow(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the displacement (h, w, 2) from the first grey picture to the second, in pixels (Kroeger et al. 2016, DIS)."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return np.asarray(method.calc(first, second, None), np.float32)  # type: ignore[arg-type]


_scenes: WeakKeyDictionary[Video, Scene] = WeakKeyDictionary()


def scene_of(video: Video, device: str = "cpu") -> Scene:
    """Return what is known of this video; the same object for the same video, as long as the video lives."""
    if video.origin not in _scenes:
        _scenes[video.origin] = Scene(video, device)
    return _scenes[video.origin]
