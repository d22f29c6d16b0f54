"""What a user gives instead of a sentence: masks, label maps, boxes and points of objects on some frames, made into seed masks.

All of it is checked before the first model is needed. Not here: what is wrong with a box or a point (`cue_check`), carrying the masks
(`carried`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.masks import VOID, from_label_map
from videoseg_r1.pipeline.cue_check import check_cue
from videoseg_r1.stages.protocols import Segmenter
from videoseg_r1.types import BoolMask, Cue, Given, Seeds, Size
from videoseg_r1.video import Video

SeedInput: TypeAlias = npt.NDArray[Any] | Sequence[Cue] | Mapping[int, Cue | BoolMask]
"""What is given of one frame: a bool mask (H, W), bool masks (N, H, W), an integer label map (H, W), cues, or a cue or a bool mask (H, W)
by object number, 1..254. Objects that are given without numbers are 1, 2, ... in their order."""
_Prompts: TypeAlias = dict[int, Cue | BoolMask]
"""Object number -> a cue, or a mask (H, W)."""


@dataclass(frozen=True, slots=True)
class GivenObjects:
    """The seed masks of the objects that a user gave.

    Attributes:
        masks: frame -> object number, 1..254 -> bool (H, W). An object that a frame lacks was not given there: it is carried there.
        names: object number -> name, of those that have one.
    """

    masks: Mapping[int, Mapping[int, BoolMask]]
    names: Mapping[int, str] = field(default_factory=dict[int, str])

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The numbers of all objects, ascending."""
        return tuple(sorted({number for masks in self.masks.values() for number in masks}))

    def seeds(self) -> Seeds:
        """Return what is given of each frame, for stage 3b: the objects are in the order of `object_ids`."""
        numbers = self.object_ids
        return {index: _given(masks, numbers) for index, masks in self.masks.items() if masks}


def _given(masks: Mapping[int, BoolMask], numbers: Sequence[int]) -> Given:
    """Return what masks (H, W) by number, at least one, say of the objects of these numbers."""
    nothing = np.zeros_like(next(iter(masks.values())))
    return Given(np.stack([masks.get(number, nothing) for number in numbers]), np.array([number in masks for number in numbers]))


def objects_of(
    video: Video, given: Mapping[int, SeedInput], segmenter: Callable[[], Segmenter], names: Mapping[int, str] | None = None
) -> GivenObjects:
    """Return the seed masks of the objects that are given.

    Args:
        video: what the frames belong to.
        given: frame index -> what is known of that frame.
        segmenter: stage 3a, asked for only when there are boxes or points, and after everything was checked.
        names: object number -> name.
    Raises: InvalidPrompt: nothing is given, there is no such frame, something does not fit it, a name without an object, or nothing was
        found at a box or point. ModelError, ResourceError.
    """
    prompts, names, size = _numbered(video, given), dict(names or {}), (video.info.width, video.info.height)
    known = {number for one in prompts.values() for number in one}
    if strange := sorted(set(names) - known):
        raise InvalidPrompt("a name belongs to no object", where=f"object {strange[0]}", why=f"given are {sorted(known)}")
    for index, one in prompts.items():
        for number, prompt in one.items():
            if isinstance(prompt, Cue):
                label = names.get(number) or (str(number) if len(known) > 1 or number > 1 else "")
                check_cue(prompt, size, index, label)
    masks = {index: _segmented(video, index, one, segmenter) for index, one in prompts.items()}
    if not any(mask.any() for one in masks.values() for mask in one.values()):
        raise InvalidPrompt("nothing to propagate", why="every mask given is empty", fix="give at least one frame with a mask")
    return GivenObjects(masks, names)


def as_masks(value: npt.NDArray[Any], size: Size, frame_index: int) -> dict[int, BoolMask]:
    """Return given masks by object number, each bool (H, W).

    Args:
        value: bool (H, W) or (N, H, W), numbered from 1, or an integer label map (H, W), whose values are the numbers.
        size: (width, height) of the video.
        frame_index: the frame they are given for.
    Raises: InvalidPrompt: another size or type, or numbers outside 1..254.
    """
    where = f"frame {frame_index}"
    if value.shape[-2:] != size[::-1] or value.ndim not in (2, 3):
        raise InvalidPrompt(
            "the mask has another size than the video",
            where=where,
            why=f"mask {value.shape}, frame {size[::-1]} (height, width)",
            fix="give the mask at the displayed size of the video",
        )
    if value.dtype == np.bool_:
        stack = value if value.ndim == 3 else value[None]
        _require_numbers(range(1, len(stack) + 1), where)
        return dict(enumerate(stack, start=1))
    if value.ndim == 2 and np.issubdtype(value.dtype, np.integer):
        numbers, masks = from_label_map(value)
        _require_numbers(numbers, where)
        return dict(zip(numbers, masks, strict=True))
    raise InvalidPrompt("a mask must be bool, or an integer label map", where=where, why=f"it is {value.dtype} {value.shape}")


def _numbered(video: Video, given: Mapping[int, SeedInput]) -> dict[int, _Prompts]:
    """Return what is given by frame and by object number; masks are checked. Raises InvalidPrompt."""
    size = (video.info.width, video.info.height)
    prompts: dict[int, _Prompts] = {}
    in_order: dict[int, int] = {}
    for index, value in sorted(given.items()):
        if not 0 <= index < video.num_frames:
            raise InvalidPrompt("there is no such frame", where=f"frame {index}", why=f"the video has frames 0 to {video.num_frames - 1}")
        prompts[index] = _by_number(value, size, index)
        if not _is_numbered(value):
            in_order[index] = len(prompts[index])
    if len(set(in_order.values())) > 1:
        why = ", ".join(f"{count} on frame {index}" for index, count in list(in_order.items())[:4])
        fix = "give the same objects in the same order on every frame, or give them by number: {frame: {number: mask}}"
        raise InvalidPrompt("the number of objects differs", why=why, fix=fix)
    return prompts


def _is_numbered(value: SeedInput) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, np.ndarray) and value.dtype != np.bool_)


def _by_number(value: SeedInput, size: Size, index: int) -> _Prompts:
    if isinstance(value, np.ndarray):
        return {**as_masks(value, size, index)}
    if isinstance(value, Sequence):
        _require_numbers(range(1, len(value) + 1), f"frame {index}")
        return dict(enumerate(value, start=1))
    _require_numbers(value, f"frame {index}")
    prompts: _Prompts = {}
    for number, prompt in value.items():
        if isinstance(prompt, Cue):
            prompts[number] = prompt
        elif prompt.dtype == np.bool_ and prompt.ndim == 2:
            prompts[number] = as_masks(prompt, size, index)[1]
        else:
            why = f"it is {prompt.dtype} {prompt.shape}"
            raise InvalidPrompt("the mask of one object must be bool (H, W)", where=f"frame {index}, object {number}", why=why)
    return prompts


def _require_numbers(numbers: Sequence[int] | Mapping[int, object], where: str) -> None:
    wrong = [number for number in numbers if not 0 < number < VOID]
    if wrong:
        raise InvalidPrompt("objects are numbered from 1 to 254", where=where, why=f"there is an object {wrong[0]}")


def _segmented(video: Video, index: int, prompts: _Prompts, segmenter: Callable[[], Segmenter]) -> dict[int, BoolMask]:
    """Return the masks of one frame; those of the cues are found by stage 3a. Raises InvalidPrompt: nothing is found at a cue."""
    masks = {number: prompt for number, prompt in prompts.items() if not isinstance(prompt, Cue)}
    cues = {number: prompt for number, prompt in prompts.items() if isinstance(prompt, Cue)}
    if cues:
        found = segmenter().segment(video.read([index])[0], list(cues.values()))
        for number, mask in zip(cues, found, strict=True):
            if not mask.any():
                where, fix = f"frame {index}, object {number}", "draw the box tighter, or add a point"
                raise InvalidPrompt("no object was found at this prompt", where=where, fix=fix)
            masks[number] = mask
    return masks
