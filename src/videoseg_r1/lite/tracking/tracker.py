"""The stepper of `lite` propagation: one frame at a time, several objects at once, bounded memory, no training beforehand.

Each frame is worked on in a crop around the objects. For every cell of the crop, two sources of evidence give log odds: a window read of
the stored frames (which object was near here a moment ago?) and an appearance model fitted on the fly (which object does this look like?).
The saliency prior adds log odds for every pixel (does this stand out?), as far as it can be trusted. The log odds are added up.
Departures from XMem: the features are frozen ImageNet features and the values are the masks themselves, so nothing is trained.
Not here: the direction of time, reading frames, fusing several runs (`stages.propagation.both_ways`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from videoseg_r1.lite.perception.backbone import load_backbone, prepare
from videoseg_r1.lite.tracking.appearance import AppearanceModel, AppearanceSample
from videoseg_r1.lite.tracking.crop import Crop, crop_around, still_fits
from videoseg_r1.lite.tracking.saliency_prior import SaliencyPrior
from videoseg_r1.lite.tracking.window import WindowKeys, cut_windows, read
from videoseg_r1.stages.propagation.both_ways import Tracked
from videoseg_r1.stages.propagation.calibration import Calibration, expected_iou, given_confidence
from videoseg_r1.stages.propagation.recognition import Search
from videoseg_r1.types import BoolMask, Given, RgbImage
from videoseg_r1.xmem.store import MemoryStore

CALIBRATION = Calibration(0.95, -0.6)
"""Of the IoU that the tracker's probabilities promise, which is too high. Fitted on half of the development clips by
`benchmarks/confidence.py` (docs/results.md, "Confidence")."""


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Settings of `lite` propagation. Lengths are in pixels of the frame unless said otherwise.

    Attributes:
        max_pixels: pixels of the working picture; cost per frame is proportional to it.
        max_zoom: a small crop is enlarged at most this much.
        margin: border around the objects, as a fraction of their box.
        min_margin: the border is at least this wide.
        reach: how far the window read looks.
        top_k: cells mixed per read.
        temperature: of the softmax over them.
        max_recent: frames remembered besides those with given masks.
        first_share: share of the frames with given masks in the loss of the appearance model.
        decay: factor by which each older frame counts less in that loss.
        regularisation, newton_steps: of the appearance model.
        max_read_odds, max_appearance_odds, max_saliency_odds: the log odds of each source of evidence are clamped to these.
        saliency_every: frames from one run of the saliency network to the next.
        least_agreement: IoU of saliency and masks from which the saliency prior is trusted.
    """

    max_pixels: int = 180_000
    max_zoom: float = 1.5
    margin: float = 0.6
    min_margin: float = 48.0
    reach: float = 48.0
    top_k: int = 10
    temperature: float = 0.07
    max_recent: int = 6
    first_share: float = 0.4
    decay: float = 0.85
    regularisation: float = 3e-3
    newton_steps: int = 1
    max_read_odds: float = 4.0
    max_appearance_odds: float = 6.0
    max_saliency_odds: float = 4.0
    saliency_every: int = 3
    least_agreement: float = 0.5


@dataclass(slots=True)
class _Stored:
    """One remembered frame, of which scene. `windows` is cut for the crop in use and cut anew when the crop moves."""

    scene: int
    crop: Crop
    features: torch.Tensor
    cover: torch.Tensor
    sample: AppearanceSample
    windows: WindowKeys | None = None


class Tracker:
    """A `Stepper` that follows N objects from frame to frame; it takes consecutive frames in either direction of time.

    Args:
        device: where its networks and its memory are; frames and masks come and go as numpy arrays. It has not been run on a GPU.
        config: settings.
    Raises: WeightsMissing, ModelError: a network cannot be loaded.
    """

    def __init__(self, device: torch.device, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self._backbone = load_backbone(device)
        self._memory: MemoryStore[_Stored] = MemoryStore(self.config.max_recent)
        self._appearance = AppearanceModel(self.config.regularisation, self.config.newton_steps)
        self._saliency = SaliencyPrior(device, self.config.max_saliency_odds, self.config.least_agreement, self.config.saliency_every)
        self._crop: Crop | None = None
        self._last: BoolMask | None = None
        self._known = np.zeros(0, np.bool_)
        self._scene = 0

    @torch.inference_mode()
    def step(self, rgb: RgbImage, given: Given | None = None, search: Search | None = None) -> Tracked:
        """Follow the objects into the next frame.

        Args:
            rgb: (H, W, 3) uint8, the same size every time.
            given: what is known of this frame; the first frame needs it.
            search: behind a cut, the objects to look for: in the whole frame, by their appearance alone.
        Raises: ValueError: nothing was given for the first frame, or the number of objects changed.
        """
        if self._last is None:
            if given is None:
                raise ValueError("the first frame needs masks")
            # what another run carried here is all that there is to start from
            given = Given(given.masks, given.which | given.masks.any((1, 2)))
            self._last, self._known = np.zeros_like(given.masks), np.zeros_like(given.which)
        if given is not None and len(given.which) != len(self._last):
            raise ValueError("the number of objects cannot change")
        known = self._last if given is None else given.over(self._last)
        is_carried = given is None or bool((self._known & ~given.which).any())
        if search is not None and search.is_first:
            self._scene += 1
            self._saliency.forget_picture()
        crop = self._choose_crop(np.zeros_like(known) if is_carried and search is not None else known)
        picture = crop.cut(rgb)
        features, appearance = self._describe(picture)
        saliency = self._saliency.look(picture, crop)
        probability: torch.Tensor | None = None
        tracked = Tracked(known, given_confidence(known))
        if is_carried:
            odds = self._odds(features, appearance, crop, None if search is None else search.sought)
            fine = F.interpolate(odds[None], picture.shape[:2], mode="bilinear", align_corners=False)[0]
            probability = torch.sigmoid(fine + self._saliency.odds(saliency).to(fine.device))
            tracked = _decide(probability, crop, rgb.shape[:2], search).corrected(given)
        if given is not None:
            self._known |= given.which
        if probability is not None and given is None and search is None:
            cover = F.interpolate(probability[None], crop.grid, mode="area")[0]
        else:
            cover = crop.to_grid(tracked.masks).to(features.device)
        self._saliency.compare(saliency, crop.cut_mask(np.logical_or.reduce(tracked.masks)))
        # neighbouring cells look nearly the same: of a frame without given masks, the appearance model takes every third
        every = 1 if given is not None else 3
        sample = AppearanceSample(appearance[::every], cover.flatten(1).T[::every].contiguous(), torch.from_numpy(self._known.copy()))
        self._remember(_Stored(self._scene, crop, features, cover, sample), anchor=given is not None)
        self._last = tracked.masks
        return tracked

    def _choose_crop(self, masks: BoolMask) -> Crop:
        config = self.config
        wanted = crop_around(masks, config.max_pixels, config.margin, config.min_margin, config.max_zoom)
        if self._crop is None or not still_fits(self._crop, masks, wanted, 0.7 * config.reach):
            self._crop = wanted
            for stored in self._memory:
                stored.windows = None
        return self._crop

    def _describe(self, picture: RgbImage) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features that are matched, (C, rows, columns), and those the appearance model sees, (P, C')."""
        height, width = picture.shape[:2]
        maps = self._backbone.features(prepare(picture, (width, height), self._backbone.device), num_stages=5)
        rows, columns = maps[2].shape[-2:]

        def at_grid(x: torch.Tensor) -> torch.Tensor:
            return F.normalize(F.interpolate(x, (rows, columns), mode="bilinear", align_corners=False), dim=1)[0]

        fine, coarse = F.normalize(maps[2], dim=1)[0], at_grid(maps[4])
        # the finer map tells neighbours apart, the coarser one recognises objects: it counts twice
        # (docs/algorithm.md, "Propagation of lite")
        matched = F.normalize(torch.cat([0.5 * fine, coarse]), dim=0)
        texture = F.normalize(F.avg_pool2d(maps[1], 2), dim=1)[0]
        colour = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32) / 255 - 0.5
        colour_and_bias = torch.cat([torch.from_numpy(colour).permute(2, 0, 1), torch.ones(1, rows, columns)]).to(fine.device)
        appearance = torch.cat([texture, fine, at_grid(maps[3]), coarse, colour_and_bias])
        return matched, appearance.flatten(1).T.contiguous()

    def _odds(self, features: torch.Tensor, appearance: torch.Tensor, crop: Crop, sought: npt.NDArray[np.bool_] | None) -> torch.Tensor:
        """Return the log odds (N, rows, columns) of window read and appearance; for objects that are sought, of appearance alone."""
        limit = self.config.max_appearance_odds
        odds = self._appearance.scores(appearance).T.reshape(-1, *crop.grid).clamp(-limit, limit)
        odds[torch.from_numpy(~self._known).to(odds.device)] = -limit
        if sought is None:
            return self._read(features, crop) + odds
        seen = torch.from_numpy(~sought).to(odds.device)
        if bool(seen.any()):
            odds[seen] += self._read(features, crop)[seen]
        return odds

    def _read(self, features: torch.Tensor, crop: Crop) -> torch.Tensor:
        """Return the log odds (N, rows, columns) of the window read: of the frames of this scene, for elsewhere a place means nothing.

        An object is read from the frames in which it was known; where there are none the odds are 0.
        """
        vertical, horizontal = crop.cells_per_pixel
        radius = max(1, round(self.config.reach * vertical)), max(1, round(self.config.reach * horizontal))
        memory: list[tuple[_Stored, WindowKeys]] = []
        for stored in self._memory:
            if stored.scene != self._scene:
                continue
            if stored.windows is None:
                stored.windows = _windows(stored, crop, radius)
            memory.append((stored, stored.windows))
        odds, limit = features.new_zeros(len(self._known), *crop.grid), self.config.max_read_odds
        knowing: dict[tuple[int, ...], list[int]] = {}
        for number in np.flatnonzero(self._known).tolist():
            frames = tuple(at for at, (stored, _) in enumerate(memory) if bool(stored.sample.known[number]))
            knowing.setdefault(frames, []).append(number)
        for frames, numbers in knowing.items():
            if frames:
                windows = [memory[at][1] for at in frames]
                cover = read(features, windows, radius, self.config.top_k, self.config.temperature)[numbers]
                odds[numbers] = torch.logit(cover.clamp(1e-4, 1 - 1e-4)).clamp(-limit, limit)
        return odds

    def _remember(self, stored: _Stored, *, anchor: bool) -> None:
        if not anchor and not bool((stored.cover > 0.5).any()):
            return  # a frame that shows no object adds nothing, and would push out a frame that does
        self._memory.add(stored, anchor=anchor)
        anchors, recent = self._memory.anchors, self._memory.recent
        first_share = self.config.first_share if recent else 1.0
        decay = np.array([self.config.decay ** (len(recent) - 1 - age) for age in range(len(recent))])
        shares = [first_share / len(anchors)] * len(anchors) + list((1 - first_share) * decay / max(decay.sum(), 1e-9))
        self._appearance.fit([entry.sample for entry in (*anchors, *recent)], shares)


def _decide(probability: torch.Tensor, crop: Crop, frame_shape: tuple[int, ...], search: Search | None) -> Tracked:
    """Turn probabilities (N, height, width) of the picture into masks of the frame: a pixel goes to the likeliest object above one half.

    With a search, only what is verified stays.
    """
    on_frame = crop.paste(probability.cpu().numpy(), (frame_shape[0], frame_shape[1]))
    best = on_frame.argmax(0)
    masks = np.stack([(best == index) & (plane > 0.5) for index, plane in enumerate(on_frame)])
    if search is not None:
        kept = search.verify(masks)
        on_frame[masks & ~kept] = 0
        masks = kept
    return Tracked(masks, tuple(CALIBRATION(iou) for iou in expected_iou(on_frame, masks)))


def _windows(stored: _Stored, crop: Crop, radius: tuple[int, int]) -> WindowKeys:
    if stored.crop == crop:
        return cut_windows(stored.features, stored.cover, torch.ones(crop.grid, dtype=torch.bool, device=stored.cover.device), radius)
    planes = torch.cat([stored.features, stored.cover, torch.ones_like(stored.cover[:1])])
    planes = crop.resample(planes, stored.crop)
    channels = len(stored.features)
    return cut_windows(F.normalize(planes[:channels], dim=0), planes[channels:-1], planes[-1] > 0.5, radius)
