"""Stage 3b by the memory of SAM 2 or EdgeTAM: one frame at a time, several objects, bounded memory.

The stock session keeps every frame and every output; here it is pruned after each frame to what the network can still read: the
given frames, the last few memories, and the last few object pointers. Time backwards is a video played backwards, for the network's
clock only counts distances. Not here: the direction of time and reading frames (`both_ways`), the network (`models.sam2`).

Source: Ravi et al. 2024 (SAM 2, memory bank), Zhou et al. 2025 (EdgeTAM).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from videoseg_r1.models.sam2 import Sam2Engine, at_size
from videoseg_r1.stages.propagation.both_ways import BothWays, Tracked
from videoseg_r1.stages.propagation.calibration import expected_iou, given_confidence
from videoseg_r1.stages.propagation.recognition import Describe, Search
from videoseg_r1.stages.propagation.restart import RestartFrames
from videoseg_r1.types import BoolMask, Given, RgbImage

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
        self._stand_ins: set[int] = set()
        self._restart_frames = RestartFrames()

    def step(self, rgb: RgbImage, given: Given | None = None, search: Search | None = None) -> Tracked:
        """Follow the objects into the next frame.

        Args:
            rgb: (H, W, 3) uint8.
            given: what is known of this frame; the first frame needs it.
            search: behind a cut, the objects to look for; what is not verified is forgotten.
        Returns: the masks, of which a pixel belongs to the object that claims it most, corrected by what is given.
        Raises: ValueError: nothing was given for the first frame. ResourceError: memory ran out. ModelError: not finite.
        """
        is_first = not self._restart_frames
        if given is None and is_first:
            raise ValueError("the first frame needs masks")
        logits = self._engine.run(self._restarting(lambda: self._forward(rgb, given)))
        if given is not None and is_first:
            tracked = Tracked(given.masks, given_confidence(given.masks))
        else:
            num_objects = len(self._restart_frames.known)
            tracked = _found(logits, self._session.obj_ids, num_objects, (rgb.shape[0], rgb.shape[1]))
            if search is not None:
                tracked = self._verified(tracked, search)
        if given is not None:
            tracked = self._corrected(tracked, given)
        self._restart_frames.keep(rgb, tracked.masks, given)
        return tracked

    def _verified(self, tracked: Tracked, search: Search) -> Tracked:
        """Return only what looks like its object, and take the rest of the last frame out of the memory."""
        kept = search.verify(tracked.masks)
        self._forget(np.logical_and(tracked.masks.any((1, 2)), ~kept.any((1, 2))))
        return Tracked(kept, tuple(sure if mask.any() else 0.0 for sure, mask in zip(tracked.confidence, kept, strict=True)))

    def _corrected(self, tracked: Tracked, given: Given) -> Tracked:
        """Return this with what is given; the last frame does not stay in the memory of objects that had to give way in it."""
        corrected = tracked.corrected(given)
        gave_way = (tracked.masks & ~corrected.masks).any((1, 2)) & ~given.which
        self._forget(np.asarray(gave_way, np.bool_))
        return corrected

    def _forget(self, which: npt.NDArray[np.bool_]) -> None:
        """Take the last frame out of the memory of some objects, bool (N,)."""
        for number in np.flatnonzero(which).tolist():
            outputs = self._session.output_dict_per_obj[self._session.obj_id_to_idx(number)]
            outputs["non_cond_frame_outputs"].pop(self._index - 1, None)

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
        self._index, self._stand_ins = 0, set()
        for seen in self._restart_frames:
            self._forward(*seen)

    def _forward(self, rgb: RgbImage, given: Given | None) -> _Logits:
        engine, session, index = self._engine, self._session, self._index
        pixels = engine.pixels(rgb)
        shown: dict[int, torch.Tensor] = {}
        if given is not None:
            shown = {k: _at_side(mask, engine.side) for k, mask in enumerate(given.masks) if given.which[k] or mask.any()}

        def compute() -> _Logits:
            session.cache.clear_all()  # features of the same frame in another precision
            for number, mask in shown.items():
                session.add_mask_inputs(session.obj_id_to_idx(number), index, mask)
            session.obj_with_new_inputs = list(shown)
            output = engine.network(inference_session=session, frame=pixels, frame_idx=index)
            return _Logits(output.pred_masks[:, 0].float(), output.object_score_logits.flatten().float())

        logits = engine.finite(compute, lambda logits: _is_finite(logits, session, index))
        if engine.dtype == torch.float16:
            _widen(session, index)
        self._replace_stand_ins(shown, given)
        prune(session, index, engine.network.config.num_maskmem, engine.network.config.max_object_pointers_in_encoder)
        self._index += 1
        return logits

    def _replace_stand_ins(self, shown: Iterable[int], given: Given | None) -> None:
        """Forget masks that were carried to the first frame of a session once the object is given: the network must have one to start."""
        for number in shown:
            if given is not None and not given.which[number]:
                self._stand_ins.add(number)
            elif number in self._stand_ins:
                outputs = self._session.output_dict_per_obj[self._session.obj_id_to_idx(number)]
                del outputs["cond_frame_outputs"][next(iter(outputs["cond_frame_outputs"]))]
                self._stand_ins.remove(number)


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


def _found(logits: _Logits, numbers: Sequence[int], num_objects: int, size: tuple[int, int]) -> Tracked:
    """Return masks at a size (height, width), and their confidence: the expected IoU, given that the object is there, times that it is.

    The logits are those of the objects with these numbers; the others have no mask.
    """
    full = torch.stack([at_size(one, size) for one in logits.masks])
    found = _owners(full)
    there = torch.sigmoid(logits.scores).cpu().numpy()
    masks, sure = np.zeros((num_objects, *size), np.bool_), np.zeros(num_objects)
    masks[numbers] = found
    sure[numbers] = there * np.array(expected_iou(torch.sigmoid(full).cpu().numpy(), found))
    return Tracked(masks, tuple(sure.tolist()))


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
