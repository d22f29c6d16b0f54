"""The stepper of `lite` propagation: one frame at a time, all objects at once, bounded memory, no training beforehand.

Each frame is worked on in a crop around the objects. Three sources say how likely each cell is to belong to the background and to each
object: a window read of the stored frames (what was near here a moment ago?), an appearance model fitted on the fly (what does this look
like?), and nearness (where can each object be, after what moved?). Their log probabilities are added up: one decision over all objects.
What was decided is then sharpened at the outline (`outline`) and checked for objects that were mistaken for each other (`identity`).
Departures from XMem: the features are frozen ImageNet features and the values are the masks themselves, so nothing is trained on video.
Not here: the direction of time, reading frames, fusing several runs (`stages.propagation.both_ways`).
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from videoseg_r1.lite.perception.backbone import load_backbone
from videoseg_r1.lite.tracking.appearance import AppearanceModel, AppearanceSample
from videoseg_r1.lite.tracking.course import centre, leap, shifted
from videoseg_r1.lite.tracking.crop import CELL, Crop, bounds, crop_around, pixels_for, still_fits
from videoseg_r1.lite.tracking.features import FeatureSpace, FrameFeatures, describe_frame
from videoseg_r1.lite.tracking.identity import Exchange, Identity
from videoseg_r1.lite.tracking.nearness import Nearness, out_of_reach
from videoseg_r1.lite.tracking.outline import load_outline, sharpened
from videoseg_r1.lite.tracking.window_memory import RememberedFrame, WindowMemory
from videoseg_r1.stages.propagation.both_ways import Tracked
from videoseg_r1.stages.propagation.calibration import Calibration, expected_iou, given_confidence
from videoseg_r1.stages.propagation.frame_memo import FrameMemo
from videoseg_r1.stages.propagation.recognition import Search
from videoseg_r1.types import BoolMask, Given, RgbImage

CALIBRATION = Calibration(0.95, -0.6)
"""Of the IoU that the tracker's probabilities promise, which is too high. Fitted on six clips of one object by `benchmarks/confidence.py`,
and measured on all (docs/results.md, "Confidence")."""

_LEAST_COVER = 0.1
"""Of a cell; an object that covers less is not learned from it."""
_DOUBT = 2.0
"""Log odds against an object that is lost, everywhere: it is back only where the appearance model is sure of it."""
_NEVER = -1e4
"""Log probability of an object that is not known yet."""


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Settings of `lite` propagation. Lengths are in pixels of the frame unless said otherwise.

    Attributes:
        max_pixels: pixels of the working picture; cost per frame is proportional to it.
        least_side, max_growth: where the smallest of several objects, as a square, would have a shorter side than so many pixels, the
            working picture has up to so many times the pixels.
        max_zoom: a small crop is enlarged at most this much.
        margin: border around the objects, as a fraction of their box.
        min_margin: the border is at least this wide.
        reach: how far the window read looks.
        num_keys: dimensions in which cells are compared.
        top_k: cells mixed per read.
        temperature: of the softmax over them.
        max_recent: frames remembered besides those with given masks.
        num_looks: dimensions of the appearance model.
        first_share: share of the frames with given masks in the loss of the appearance model.
        decay: factor by which each older frame counts less in that loss.
        fit_every: frames from one fit of the appearance model to the next.
        regularisation: of the appearance model.
        max_read_odds, max_appearance_odds: the log odds of each source of evidence are limited to these.
        nearness_reach: pixels of the working picture in which the log odds of nearness fall by one.
        max_nearness_odds: what they fall at most.
        search_every: frames from one look at the whole frame to the next, while an object is not seen.
    """

    max_pixels: int = 150_000
    least_side: float = 20.0
    max_growth: float = 2.5
    max_zoom: float = 4.0
    margin: float = 0.6
    min_margin: float = 48.0
    reach: float = 48.0
    num_keys: int = 64
    top_k: int = 10
    temperature: float = 0.07
    max_recent: int = 6
    num_looks: int = 160
    first_share: float = 0.4
    decay: float = 0.85
    fit_every: int = 2
    regularisation: float = 3e-3
    max_read_odds: float = 4.0
    max_appearance_odds: float = 6.0
    nearness_reach: float = 8.0
    max_nearness_odds: float = 4.0
    search_every: int = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A frame in the feature space of the run; `lasting` only where several objects are followed."""

    frame: FrameFeatures
    keys: torch.Tensor
    looks: torch.Tensor
    lasting: torch.Tensor | None


class Tracker:
    """A `Stepper` that follows N objects from frame to frame; it takes consecutive frames in either direction of time.

    Args:
        device: where its networks and its memory are; frames and masks come and go as numpy arrays. It has not been run on a GPU.
        config: settings.
    Raises: WeightsMissing, ModelError: a network cannot be loaded.
    """

    def __init__(self, device: torch.device, config: TrackerConfig | None = None) -> None:
        self.config = config = config or TrackerConfig()
        self._device = device
        self._backbone = load_backbone(device)
        self._memo = FrameMemo(range(0))
        self._space: FeatureSpace | None = None
        self._memory = WindowMemory(config.max_recent, config.reach, config.top_k, config.temperature)
        self._appearance = AppearanceModel(config.regularisation)
        self._nearness = Nearness(config.nearness_reach, config.max_nearness_odds)
        self._outline = load_outline(device)
        self._identity = Identity(config.regularisation)
        self._crop: Crop | None = None
        self._last: BoolMask = np.zeros((0, 0, 0), np.bool_)
        self._known = np.zeros(0, np.bool_)
        self._given_size: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        self._thin = torch.ones(0)
        self._leap = np.zeros(2)
        self._scene = 0
        self._steps = 0
        # the model is fitted on the other core while the next frame is described
        self._fitter = ThreadPoolExecutor(1, "lite-appearance")
        self._fitting: Future[None] | None = None

    def share(self, memo: FrameMemo) -> None:
        """Take the features that the other run computed, where they are of the right part of the frame."""
        self._memo = memo

    @torch.inference_mode()
    def step(self, rgb: RgbImage, given: Given | None = None, search: Search | None = None) -> Tracked:
        """Follow the objects into the next frame.

        Args:
            rgb: (H, W, 3) uint8, the same size every time.
            given: what is known of this frame; the first frame needs it.
            search: behind a cut, the objects to look for: in the whole frame, by their appearance alone.
        Raises: ValueError: nothing was given for the first frame, or the number of objects changed.
        """
        known, given = self._start(given)
        self._steps += 1
        is_carried = given is None or bool((self._known & ~given.which).any())
        if search is not None and search.is_first:
            self._scene += 1
            self._nearness.forget()
        frame = self._describe(rgb, np.zeros_like(known) if is_carried and search is not None else self._expected(known))
        seen = self._seen(frame, known)
        tracked, cover = Tracked(known, given_confidence(known)), None
        if is_carried:
            probability = self._decide(seen, None if search is None else search.sought)
            tracked = _masks(probability, frame.crop, rgb.shape[:2], search).corrected(given)
            if given is None and search is None:
                cover = F.interpolate(probability[None, 1:], frame.crop.grid, mode="area")[0]
        if given is not None:
            self._known |= given.which
        if cover is None:
            cover = frame.crop.to_grid(tracked.masks).to(seen.keys.device)
        cover = self._filled(cover, given)
        self._remember(seen, cover, tracked.masks, is_given=given is not None)
        if self._several:
            self._nearness.keep(frame.picture, frame.crop, tracked.masks)
        if len(known) == 1:
            self._leap = leap(known[0], tracked.masks[0], self.config.reach / 2) if search is None else np.zeros(2)
        self._last = tracked.masks
        return tracked

    @property
    def _several(self) -> bool:
        return int(self._known.sum()) > 1

    def _start(self, given: Given | None) -> tuple[BoolMask, Given | None]:
        """Return the masks that are known before this frame is looked at, and what is given of it."""
        if not self._steps:
            if given is None:
                raise ValueError("the first frame needs masks")
            # what another run carried here is all that there is to start from
            given = Given(given.masks, given.which | given.masks.any((1, 2)))
            self._last, self._known = np.zeros_like(given.masks), np.zeros_like(given.which)
            self._given_size = np.zeros(len(given.which), np.float32)
            self._thin = torch.ones(len(given.which))
        if given is not None and len(given.which) != len(self._last):
            raise ValueError("the number of objects cannot change")
        return self._last if given is None else given.over(self._last), given

    def _expected(self, masks: BoolMask) -> BoolMask:
        """Return masks of the last frame; of one fast thing also where it goes on to."""
        return masks | shifted(masks, self._leap) if self._leap.any() else masks

    # ---- what there is to be seen ----

    def _describe(self, rgb: RgbImage, masks: BoolMask) -> FrameFeatures:
        """Return the features of the part of a frame in which the objects are looked for."""
        wanted = self._with_lost(rgb, masks)
        config = self.config
        crop = crop_around(wanted, config.max_pixels, config.margin, config.min_margin, config.max_zoom)
        more = min(config.max_growth, pixels_for(masks, crop, config.least_side))
        if more > 1:
            crop = crop_around(wanted, round(more * config.max_pixels), config.margin, config.min_margin, config.max_zoom)
        known = self._memo.recall(lambda: self._described(rgb, wanted, crop), lambda frame: frame.num_bytes)
        frame = known if still_fits(known.crop, wanted, crop, 0.7 * config.reach) else self._described(rgb, wanted, crop)
        self._crop = frame.crop
        return frame

    def _described(self, rgb: RgbImage, masks: BoolMask, wanted: Crop) -> FrameFeatures:
        keeps = self._crop is not None and still_fits(self._crop, masks, wanted, 0.7 * self.config.reach)
        return describe_frame(rgb, self._crop if keeps and self._crop is not None else wanted, self._backbone)

    def _with_lost(self, rgb: RgbImage, masks: BoolMask) -> BoolMask:
        """Return the masks, with boxes where objects that are not seen may have come back: now and then the whole frame is looked at."""
        lost = self._known & ~masks.any((1, 2))
        if not lost.any() or not masks.any() or self._space is None or self._steps % self.config.search_every:
            return masks
        whole = crop_around(np.zeros_like(masks), self.config.max_pixels // 2, 0, 0, 1)
        looks = self._space.looks(describe_frame(rgb, whole, self._backbone))
        likely = self._likely_looks(looks, whole)[1:].exp()
        best = (likely.max(0).values > 0.5).cpu().numpy() & ~(whole.to_grid(masks).max(0).values > 0).numpy()
        owner = likely.argmax(0).cpu().numpy()
        found = masks.copy()
        for number in np.flatnonzero(lost):
            box = bounds(_largest(best & (owner == number))[None])
            if box is not None:
                down, across = whole.cells_per_pixel
                x1, y1, x2, y2 = round(box[0] / across), round(box[1] / down), round(box[2] / across), round(box[3] / down)
                found[number, y1:y2, x1:x2] = True
        return found

    def _seen(self, frame: FrameFeatures, masks: BoolMask) -> _Seen:
        if self._space is None:
            objects = np.stack([frame.crop.cut_mask(mask) for mask in masks])
            self._space = FeatureSpace(frame, objects, self.config.num_keys, self.config.num_looks)
        lasting = self._space.lasting(frame) if len(masks) > 1 else None
        return _Seen(frame, self._space.keys(frame), self._space.looks(frame), lasting)

    # ---- the decision ----

    def _decide(self, seen: _Seen, sought: npt.NDArray[np.bool_] | None) -> torch.Tensor:
        """Return the probabilities (1 + N, height, width) of the background and each object, for each pixel of the working picture."""
        frame, crop = seen.frame, seen.frame.crop
        evidence = self._likely_looks(seen.looks, crop) + self._read(seen.keys, crop, sought)
        size = frame.picture.shape[:2]
        near = self._nearness.log_odds(frame.picture, crop)
        if near is not None:
            evidence[1:] += F.interpolate(near[None].to(evidence), crop.grid, mode="area")[0]
        if sought is None:
            evidence[1:] = evidence[1:].masked_fill(self._elsewhere(evidence, crop), _NEVER)
        inside = sharpened(torch.logsumexp(evidence[1:], 0) - evidence[0], frame.prepared, frame.maps, self._outline)
        which = F.interpolate(evidence[None, 1:], size, mode="bilinear", align_corners=False)[0]
        probability = torch.cat([torch.sigmoid(-inside), torch.sigmoid(inside) * torch.softmax(which, 0)])
        if sought is not None or seen.lasting is None or not self._several:
            return probability
        cover = F.interpolate(probability[None, 1:], crop.grid, mode="area")[0].cpu().numpy()
        exchange = self._identity.check(seen.lasting, cover, float(np.prod(crop.cells_per_pixel)))
        return probability if exchange is None else self._exchanged(probability, exchange)

    def _elsewhere(self, evidence: torch.Tensor, crop: Crop) -> torch.Tensor:
        """Return bool (N, rows, columns): parts of the objects that are out of reach of where they were."""
        before = crop.to_grid(self._expected(self._last)).numpy() > 0
        up, side = (round(self.config.reach * cells) for cells in crop.cells_per_pixel)
        return torch.from_numpy(out_of_reach(evidence.argmax(0).cpu().numpy(), before, (up, side))).to(evidence.device)

    def _likely_looks(self, looks: torch.Tensor, crop: Crop) -> torch.Tensor:
        """Return the log probabilities (1 + N, rows, columns) of the appearance model."""
        if self._fitting is not None:
            self._fitting.result()
        likely = self._appearance.log_probabilities(looks).reshape(-1, *crop.grid)
        return self._limited(likely.exp(), self.config.max_appearance_odds)

    def _limited(self, probability: torch.Tensor, most: float) -> torch.Tensor:
        """Return log probabilities that differ by at most about `most`; those of objects that are not known stay very low."""
        least = float(np.exp(-most))
        likely = torch.log((probability + least) / (1 + len(probability) * least))
        unknown = torch.from_numpy(np.concatenate([[False], ~self._known])).to(likely.device)
        return likely.masked_fill(unknown[:, None, None], _NEVER)

    def _read(self, keys: torch.Tensor, crop: Crop, sought: npt.NDArray[np.bool_] | None) -> torch.Tensor:
        """Return the log probabilities (1 + N, rows, columns) of the window read.

        It does not say where an object is that is sought behind a cut, or that is lost: that is as likely as the background, or a little
        less.
        """
        goes_to = centre(shifted(self._last, self._leap)[0]) if self._leap.any() else None
        cover = self._memory.read(keys, crop, self._scene, torch.from_numpy(self._known), goes_to)
        if cover is None:
            return keys.new_zeros(1 + len(self._known), *crop.grid)
        cover = torch.cat([(1 - cover.sum(0, keepdim=True)).clamp_min(0), cover])
        likely = self._limited(cover, self.config.max_read_odds)
        lost = ~self._last.any((1, 2)) if sought is None else sought
        anywhere = torch.from_numpy(np.concatenate([[False], lost & self._known])).to(likely.device)
        return torch.where(anywhere[:, None, None], likely[:1] - (_DOUBT if sought is None else 0.0), likely)

    def _exchanged(self, probability: torch.Tensor, exchange: Exchange) -> torch.Tensor:
        """Return the probabilities after an exchange; what was remembered since the given frames is forgotten, for it mistook them."""
        self._memory.forget_recent()
        self._nearness.forget()
        rows, columns = exchange.labels.shape
        labels = cv2.resize(exchange.labels.astype(np.float32), (columns * CELL, rows * CELL), interpolation=cv2.INTER_NEAREST)
        labels = torch.from_numpy(labels.astype(np.int64)).to(probability.device)
        certain = F.one_hot(labels.clamp_min(0), len(probability)).permute(2, 0, 1).to(probability)
        changes = (labels >= 0) & (probability.argmax(0) > 0)
        return torch.where(changes, certain, probability)

    # ---- the memory ----

    def _filled(self, cover: torch.Tensor, given: Given | None) -> torch.Tensor:
        """Return what objects cover of the cells (N, rows, columns); those that were thin where they were given cover what they touch."""
        thin = torch.stack([_thinness(one) for one in cover])
        if given is not None:
            self._thin = torch.where(torch.from_numpy(given.which).to(thin.device), thin, self._thin.to(thin))
        return (cover * torch.minimum(thin, self._thin)[:, None, None]).clamp_max(1)

    def _remember(self, seen: _Seen, cover: torch.Tensor, masks: BoolMask, *, is_given: bool) -> None:
        if not is_given and not bool((cover > 0.5).any()):
            return  # a frame that shows no object adds nothing, and would push out a frame that does
        # neighbouring cells look nearly the same: of a frame without given masks, the appearance model takes every third
        every = 1 if is_given else 3
        # what covers a little of many cells would outweigh the thing itself, if that is small
        clear = torch.where(cover < _LEAST_COVER, 0.0, cover)
        whole = torch.cat([(1 - clear.sum(0, keepdim=True)).clamp_min(0), clear]).flatten(1)
        size = masks.sum((1, 2)).astype(np.float32)
        self._given_size = np.maximum(self._given_size, size) if is_given else self._given_size
        seen_part = torch.from_numpy(np.minimum(1, size / np.maximum(1, self._given_size))).to(cover.device)
        known = torch.from_numpy(self._known.copy())
        sample = AppearanceSample(seen.looks[::every], whole[:, ::every].contiguous(), known, seen_part)
        lasting = AppearanceSample(seen.lasting, whole, known, seen_part) if is_given and seen.lasting is not None else None
        self._memory.add(
            RememberedFrame(self._scene, seen.frame.crop, seen.keys, cover, sample, lasting, centre(masks[0])), is_given=is_given
        )
        anchors, recent = self._memory.given, self._memory.recent
        if lasting is not None:
            self._identity.learn([stored.lasting for stored in anchors if stored.lasting is not None], self._given_size)
        if not is_given and self._steps % self.config.fit_every:
            return
        first_share = self.config.first_share if recent else 1.0
        decay = np.array([self.config.decay ** (len(recent) - 1 - age) for age in range(len(recent))])
        shares = [first_share / len(anchors)] * len(anchors) + list((1 - first_share) * decay / max(decay.sum(), 1e-9))
        self._fitting = self._fitter.submit(self._fit, [stored.sample for stored in (*anchors, *recent)], shares)

    def _fit(self, samples: list[AppearanceSample], shares: list[float]) -> None:
        with torch.inference_mode():
            self._appearance.fit(samples, shares)


def _thinness(cover: torch.Tensor) -> torch.Tensor:
    """Return what an object (rows, columns) must be multiplied by that is so thin that it covers no cell wholly; 1 for others."""
    most = torch.where(cover >= _LEAST_COVER, cover, torch.nan).flatten().nanquantile(0.9)
    return 1 / torch.nan_to_num(most, nan=1.0).clamp_min(0.25)


def _largest(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the largest connected part of a mask (rows, columns) that has more than one cell, or nothing."""
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    return numbers == sizes.argmax() + 1 if count > 1 and sizes.max() > 1 else np.zeros_like(mask)


def _masks(probability: torch.Tensor, crop: Crop, frame_shape: tuple[int, ...], search: Search | None) -> Tracked:
    """Turn probabilities (1 + N, height, width) of the picture into masks of the frame: each pixel goes to what is likeliest there.

    With a search, only what is verified stays.
    """
    planes = probability.cpu().numpy()
    size = (crop.x2 - crop.x1, crop.y2 - crop.y1)
    masks = np.zeros((len(planes) - 1, *frame_shape), np.bool_)
    masks[:, crop.y1 : crop.y2, crop.x1 : crop.x2] = _likeliest(np.stack([cv2.resize(plane, size) for plane in planes]))
    # the confidence is that of the working picture: the same shares of fewer pixels
    if search is not None:
        masks = search.verify(masks)
        small = np.stack([crop.cut_mask(mask) for mask in masks])
    else:
        small = _likeliest(planes)
    confidence = tuple(CALIBRATION(iou) if mask.any() else 0.0 for iou, mask in zip(expected_iou(planes[1:], small), masks, strict=True))
    return Tracked(masks, confidence)


def _likeliest(planes: npt.NDArray[np.float32]) -> BoolMask:
    """Return where each object (N, h, w) is likelier than the background and all others, of probabilities (1 + N, h, w)."""
    best = torch.from_numpy(planes).max(0).indices.numpy()
    return best[None] == np.arange(1, len(planes))[:, None, None]
