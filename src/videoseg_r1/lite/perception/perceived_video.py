"""What `lite` knows of open videos: the regions of the frames that were looked at, computed when asked for and remembered per video.

Not here: the networks (`saliency`, `backbone`), what a region is (`regions`), what a sentence means (`lite.language.matcher`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import numpy.typing as npt
import torch

from videoseg_r1.lite.perception.backbone import load_backbone
from videoseg_r1.lite.perception.regions import (
    FrameScan,
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


class Perception:
    """Looks at videos for the stages of one preset, and remembers what it saw of each video for as long as the video lives.

    Threads may share it, also for the same video: each video has a lock of its own, and what is returned is never changed later.
    What a look gives depends on nothing but the frame, so the order of the questions does not matter. It was tested on a CPU only;
    on a GPU it has not been run.

    Args:
        device: where the networks compute; they are loaded at the first look.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._videos: WeakKeyDictionary[Video, PerceivedVideo] = WeakKeyDictionary()
        self._lock = Lock()

    def of(self, video: Video) -> PerceivedVideo:
        """Return what is known of this video, the same object each time."""
        with self._lock:
            known = self._videos.get(video.origin)
            if known is None:
                known = self._videos[video.origin] = PerceivedVideo(self._device)
            return known


class PerceivedVideo:
    """What is known of one video: the regions of frames, and which part of a region never changes. Args: `device` of the networks."""

    # it holds no video: a value that held its key would keep both alive in the dictionary of `Perception`

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._scans: dict[int, FrameScan] = {}
        self._unchanged: dict[tuple[int, Box, tuple[int, ...]], float] = {}
        self._lock = Lock()

    def scan(self, video: Video, indices: Sequence[int]) -> dict[int, FrameScan]:
        """Return what is seen in these frames of the video; a frame is looked at when it is first asked for.

        Raises: WeightsMissing, ModelError: a network cannot be loaded. UsageError: there is no such frame. CorruptVideo.
        """
        with self._lock:
            for index in dict.fromkeys(indices):
                if index not in self._scans:
                    self._scans[index] = self._look(video, index)
            found = {index: self._scans[index] for index in indices}
            for old in [index for index in self._scans if index not in found][: max(0, len(self._scans) - _MAX_SCANS)]:
                del self._scans[old]
        return found

    def unchanged(self, region: Region, scans: Mapping[int, FrameScan]) -> float:
        """Return which part of a region, 0..1, never changes in other frames: background that was taken along.

        Other frames are brought over the region's frame by the motion of its surroundings; frames that do not fit there are left out.
        0 when fewer than two fit, or when the whole region never changes.

        Args:
            region: of a frame among `scans`.
            scans: what `scan` returned; about `_COMPARED` of the other frames are compared.
        """
        indices = sorted(set(scans) - {region.index})
        compared = tuple(indices[:: max(1, len(indices) // _COMPARED)])
        key = region.index, region.box, compared
        with self._lock:
            if key not in self._unchanged:
                self._unchanged[key] = _unchanged_part(region, scans[region.index], [scans[index].grey for index in compared])
            return self._unchanged[key]

    def _look(self, video: Video, index: int) -> FrameScan:
        neighbour = index + 1 if index + 1 < video.num_frames else index - 1
        frames = video.read([index] if video.num_frames == 1 else [index, neighbour])
        rgb = frames[0].rgb
        size = map_size(rgb.shape[1], rgb.shape[0])
        saliency = np.asarray(cv2.resize(load_saliency(self._device)(rgb, size), size, interpolation=cv2.INTER_AREA), np.float32)
        masks = components(saliency)
        small, other = (
            np.asarray(cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA), np.uint8) for frame in (frames[0], frames[-1])
        )
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.uint8)
        if not masks:
            return FrameScan((), grey)
        flow = _flow(grey, cv2.cvtColor(other, cv2.COLOR_RGB2GRAY).astype(np.uint8)) * (1 if neighbour > index else -1)
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
        return FrameScan(tuple(regions), grey)


def map_size(width: int, height: int) -> tuple[int, int]:
    """Return (width, height) of the saliency map of a frame: its aspect, about 320 x 320 pixels, multiples of 16."""
    aspect = width / height
    pixels = _PIXELS * float(np.clip(max(aspect, 1 / aspect) / (16 / 9), 1, _WIDEST))
    scale = (pixels / (width * height)) ** 0.5
    return max(64, round(width * scale / 16) * 16), max(64, round(height * scale / 16) * 16)


def _unchanged_part(region: Region, scan: FrameScan, others: Sequence[npt.NDArray[np.uint8]]) -> float:
    here, size = scan.grey, region.mask.shape[::-1]
    ring = surroundings(region.mask, np.logical_or.reduce([other.mask for other in scan.regions]))
    xs, ys = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    still, fitting = region.mask.copy(), 0
    for other in others:
        motion = affine_motion(_flow(here, other), ring)
        if motion is None:
            return 0.0
        shift = (motion[0] + xs[..., None] * motion[1] + ys[..., None] * motion[2]).astype(np.float32)
        aligned = cv2.remap(other, xs + shift[..., 0], ys + shift[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        same = cv2.blur(cv2.absdiff(aligned, here), (5, 5)) < _STILL_LEVELS
        if same[ring].mean() >= _FITS:
            still, fitting = still & same, fitting + 1
    share = float(still[region.mask].mean())
    return share if fitting >= 2 and share < 0.9 else 0.0


def _flow(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the displacement (h, w, 2) from the first grey picture to the second, in pixels (Kroeger et al. 2016, DIS)."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return np.asarray(method.calc(first, second, None), np.float32)  # type: ignore[arg-type]
