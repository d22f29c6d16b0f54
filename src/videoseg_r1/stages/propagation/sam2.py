"""Stage 3b by the memory of SAM 2 or EdgeTAM: one frame at a time, several objects, bounded memory.

The stock session keeps every frame and every output; here it is pruned after each frame to what the network can still read: the
given frames, the last few memories, and the last few object pointers. Time backwards is a video played backwards, for the network's
clock only counts distances. Not here: the direction of time and reading frames (`both_ways`), the network (`models.sam2`).

Source: Ravi et al. 2024 (SAM 2, memory bank), Zhou et al. 2025 (EdgeTAM).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from videoseg_r1.models.sam2 import Sam2Engine, at_size
from videoseg_r1.stages.propagation.both_ways import BothWays, Tracked
from videoseg_r1.stages.propagation.calibration import expected_iou, given_confidence
from videoseg_r1.stages.propagation.recognition import Describe, Search
from videoseg_r1.stages.propagation.restart import RestartFrames
from videoseg_r1.types import BoolMask, RgbImage

_MAX_GIVEN = 8
_OUTPUTS = ("cond_frame_outputs", "non_cond_frame_outputs")
_ONLY_OUTPUT = ("pred_masks", "high_res_masks")
_MEMORIES = ("maskmem_features", "maskmem_pos_enc")


def sam2_propagator(engine: Sam2Engine, describe: Describe | None = None) -> BothWays:
    """Return a `Propagator` on an engine of kind "video": forwards, then backwards from the same masks; `describe` as for `BothWays`."""
    return BothWays(lambda: Sam2Stepper(engine), lambda: engine.notes, describe)


class _Logits(NamedTuple):
    """Of one frame: masks (N, h, w) and object scores (N,), float32 on the device."""

    masks: torch.Tensor
    scores: torch.Tensor


class Sam2Stepper:
    """Follows N objects from frame to frame; feed it consecutive frames in either direction of time.

    Args:
        engine: an engine of kind "video"; several steppers may share it.
    """

    def __init__(self, engine: Sam2Engine) -> None:
        self._engine = engine
        self._session: Any = None
        self._index = 0
        self._restart_frames = RestartFrames()

    def step(self, rgb: RgbImage, masks: BoolMask | None = None, search: Search | None = None) -> Tracked:
        """Follow the objects into the next frame.

        Args:
            rgb: (H, W, 3) uint8.
            masks: bool (N, H, W) when they are known for this frame; the first frame needs them.
            search: behind a cut, the objects to look for; what is not verified is forgotten.
        Returns: the given masks, or those found, of which a pixel belongs to the object that claims it most.
        Raises: ValueError: the first frame came without masks. ResourceError: memory ran out. ModelError: not finite.
        """
        if masks is None and not self._restart_frames:
            raise ValueError("the first frame needs masks")
        logits = self._engine.run(self._restarting(lambda: self._forward(rgb, masks)))
        if masks is not None:
            tracked = Tracked(masks, given_confidence(masks))
        else:
            tracked = _found(logits, (rgb.shape[0], rgb.shape[1]))
            if search is not None:
                tracked = self._verified(tracked, search)
        self._restart_frames.keep(rgb, tracked.masks)
        return tracked

    def _verified(self, tracked: Tracked, search: Search) -> Tracked:
        """Return only what looks like its object, and take the rest of the last frame out of the memory."""
        kept = search.verify(tracked.masks)
        for number in np.flatnonzero(tracked.masks.any((1, 2)) & ~kept.any((1, 2))):
            stored = self._session.output_dict_per_obj[self._session.obj_id_to_idx(int(number))]
            stored["non_cond_frame_outputs"].pop(self._index - 1, None)
        return Tracked(kept, tuple(sure if mask.any() else 0.0 for sure, mask in zip(tracked.confidence, kept, strict=True)))

    def _restarting(self, work: Callable[[], _Logits]) -> Callable[[], _Logits]:
        """Return the work preceded by a new session where there is none; an error in it leaves none behind."""

        def attempt() -> _Logits:
            try:
                if self._session is None:
                    self._start()
                return work()
            except (RuntimeError, MemoryError):
                self._session = None
                raise

        return attempt

    def _start(self) -> None:
        from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

        device = self._engine.device
        state_device = torch.device("cpu") if self._engine.offload else device
        self._session = Sam2VideoInferenceSession(
            inference_device=device, inference_state_device=state_device, video_storage_device=device, dtype=torch.float32
        )
        self._index = 0
        for seen in self._restart_frames:
            self._forward(*seen)

    def _forward(self, rgb: RgbImage, masks: BoolMask | None) -> _Logits:
        engine, session, index = self._engine, self._session, self._index
        pixels = engine.pixels(rgb)
        given = None if masks is None else [_at_side(mask, engine.side) for mask in masks]

        def compute() -> _Logits:
            session.cache.clear_all()  # features of the same frame in another precision
            if given is not None:
                for number, mask in enumerate(given):
                    session.add_mask_inputs(session.obj_id_to_idx(number), index, mask)
                session.obj_with_new_inputs = list(range(len(given)))
            output = engine.network(inference_session=session, frame=pixels, frame_idx=index)
            return _Logits(output.pred_masks[:, 0].float(), output.object_score_logits.flatten().float())

        logits = engine.finite(compute, lambda logits: _is_finite(logits, session, index))
        if engine.dtype == torch.float16:
            _widen(session, index)
        prune(session, index, engine.network.config.num_maskmem, engine.network.config.max_object_pointers_in_encoder)
        self._index += 1
        return logits


def prune(session: Any, index: int, num_memories: int, num_pointers: int) -> None:
    """Drop from a session what no frame after `index` can read.

    Args:
        session: `Sam2VideoInferenceSession`, fed with frames 0 to `index`.
        index: the last frame.
        num_memories: frames whose masks the network attends to, a given one included.
        num_pointers: frames whose object pointers it attends to, likewise.
    """
    session.processed_frames.clear()
    for per_object in (session.mask_inputs_per_obj, session.frames_tracked_per_obj):
        for frames in per_object.values():
            frames.clear()
    for outputs in session.output_dict_per_obj.values():
        given, tracked = (outputs[name] for name in _OUTPUTS)
        for at in list(given)[1 : 1 + max(0, len(given) - _MAX_GIVEN)]:  # the first given frame never leaves
            del given[at]
        for at in [at for at in tracked if at < index + 2 - max(num_memories, num_pointers)]:
            del tracked[at]
        for at, output in (given | tracked).items():
            unread = _ONLY_OUTPUT if at in given or at >= index + 2 - num_memories else (*_ONLY_OUTPUT, *_MEMORIES)
            for name in unread:
                output.pop(name, None)


def _widen(session: Any, index: int) -> None:
    """Store a frame's memory as float32: transformers stores bfloat16, which autocast cannot mix with float16."""
    for outputs in session.output_dict_per_obj.values():
        for name in _OUTPUTS:
            output = outputs[name].get(index)
            if output:
                output["maskmem_features"] = output["maskmem_features"].float()


def _found(logits: _Logits, size: tuple[int, int]) -> Tracked:
    """Return masks at a size (height, width), and their confidence: the expected IoU, given that the object is there, times that it is."""
    full = torch.stack([at_size(one, size) for one in logits.masks])
    masks = _owners(full)
    there = torch.sigmoid(logits.scores).tolist()
    ious = expected_iou(torch.sigmoid(full).cpu().numpy(), masks)
    return Tracked(masks, tuple(score * iou for score, iou in zip(there, ious, strict=True)))


def _owners(logits: torch.Tensor) -> BoolMask:
    """Return bool (N, H, W): every pixel goes to the object with the highest logit (N, H, W) there, if that is positive."""
    best, owner = logits.max(0)
    numbers = np.arange(len(logits))
    return torch.where(best > 0, owner, -1).cpu().numpy()[None] == numbers[:, None, None]


def _at_side(mask: BoolMask, side: int) -> torch.Tensor:
    """Return a mask as (1, 1, side, side) of 0 and 1; a thing too thin for that size is kept rather than lost."""
    full = torch.from_numpy(mask)[None, None].float()
    small = F.interpolate(full, (side, side), mode="bilinear", align_corners=False, antialias=True)
    hard = small >= 0.5
    return (hard if bool(hard.any()) else small > 0).float()


def _is_finite(logits: _Logits, session: Any, index: int) -> bool:
    """Return whether the answer for a frame is finite, and what is remembered of it."""
    stored = (outputs[name].get(index) or {} for outputs in session.output_dict_per_obj.values() for name in _OUTPUTS)
    tensors = [*logits, *(value for output in stored for value in output.values() if isinstance(value, torch.Tensor))]
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
