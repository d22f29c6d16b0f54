"""Runs XMem over one video, frame by frame: what is segmented, remembered and renewed at each step.

Strictly causal: it sees frames in the order they are given, in whichever direction of time (`stages.propagation` runs both).
Objects may come late, be corrected, and be deleted. Not here: decoding and resizing of frames, weights.

Source: Cheng and Schwing 2022 (XMem), section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from videoseg_r1.errors import InvalidPrompt, ShapeMismatch
from videoseg_r1.xmem.config import XMemConfig
from videoseg_r1.xmem.memory import Memory
from videoseg_r1.xmem.network import KEY_STRIDE, Features, XMem, empty_sensory, with_background
from videoseg_r1.xmem.saved import check_settings, settings, taken


class InferenceCore:
    """Follows objects through a video; it holds all state, whose size is bounded.

    Args:
        network: the weights; several cores may share one.
        config: settings.
    """

    def __init__(self, network: XMem, config: XMemConfig | None = None) -> None:
        self.network, self.config = network, config or XMemConfig()
        self.memory = Memory(self.config, network.device, network.dtype)
        self._labels: list[int] = []
        self._sensory: torch.Tensor | None = None
        self._size: tuple[int, int] | None = None
        self._frame = -1
        self._last_memory = 0
        self._last_deep_update = -self.config.deep_update_every
        self._confidence: tuple[float, ...] = ()

    @property
    def labels(self) -> tuple[int, ...]:
        """The objects that are followed, in the order in which they were first seen: that of the channels of `step`."""
        return tuple(self._labels)

    @property
    def confidence(self) -> tuple[float, ...]:
        """Per object, how sure the last step was: its mean probability where it wins, in 0..1, and 0 where it wins nowhere."""
        return self._confidence

    @property
    def lost(self) -> tuple[int, ...]:
        """Labels of the objects that the last step found nowhere."""
        return tuple(label for label, sure in zip(self._labels, self._confidence, strict=True) if sure == 0)

    @torch.inference_mode()
    def step(
        self,
        image: torch.Tensor | npt.NDArray[np.float32],
        mask: torch.Tensor | npt.NDArray[np.float32] | npt.NDArray[np.bool_] | None = None,
        labels: Sequence[int] | None = None,
        refuse: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Segment the next frame.

        Args:
            image: float (3, H, W), normalised as for ImageNet; the same size every time.
            mask: float or bool (len(labels), H, W): the objects that are given now. New labels join; known ones are corrected; known
                ones that are not given keep what is predicted, except where a given mask lies.
            labels: positive integers, one per channel of `mask`; 1, 2, ... by default.
            refuse: is shown what would be returned, and returns bool (N, H, W): where each object is not to be believed. There it is not,
                and is remembered so.
        Returns: float32 (N + 1, H, W), probabilities that sum to 1: the background, then the N objects known by now (`labels`).
        Raises: InvalidPrompt: no object was ever given and no mask came, or mask and labels do not fit. ShapeMismatch: the image is
            not (3, H, W), holds something that is not a number, or has another size than before.
        """
        picture = self._checked_image(image)
        given, given_labels = self._checked_mask(mask, labels, picture)
        self._size = picture.shape[1], picture.shape[2]
        self._frame += 1
        if given is None and not self._labels:
            return torch.ones(1, *self._size, device=self.network.device)  # every object was deleted
        picture = padded(picture)[None]
        features = self.network.encode_key(picture)
        is_memory = given is not None or self._frame - self._last_memory >= self.config.mem_every
        deep = self._is_deep(is_memory)
        probabilities = self._predict(features, deep) if given is None else self._join(padded(given), given_labels, features, deep)
        left, _, top, _ = _padding(*self._size)
        inside = slice(None), slice(top, top + self._size[0]), slice(left, left + self._size[1])
        if refuse is not None:
            probabilities = probabilities.clone()
            probabilities[inside] = _without(probabilities[inside], refuse(probabilities[inside]))
        if is_memory:
            self._remember(picture, features, probabilities[1:], given=given is not None, deep=deep)
        result = probabilities[inside]
        self._confidence = _sureness(result)
        return result

    @torch.inference_mode()
    def delete(self, labels: Iterable[int]) -> None:
        """Stop following objects and forget them. Raises: InvalidPrompt: a label is not known."""
        wanted = list(dict.fromkeys(labels))
        unknown = [label for label in wanted if label not in self._labels]
        if unknown:
            raise InvalidPrompt("there is no such object", where=f"labels {unknown}", why=f"followed are {self._labels}")
        for label in wanted:
            index = self._labels.index(label)
            self.memory.remove_object(index)
            self._sensory = None if self._sensory is None else torch.cat([self._sensory[:index], self._sensory[index + 1 :]])
            self._confidence = self._confidence[:index] + self._confidence[index + 1 :]
            del self._labels[index]

    def state(self) -> dict[str, torch.Tensor]:
        """Return everything that was seen and remembered, as plain tensors by name; safetensors can store them."""
        sensory = torch.empty(0) if self._sensory is None else self._sensory
        own = {
            "settings": settings(self.config),
            "counters": torch.tensor([self._frame, self._last_memory, self._last_deep_update]),
            "size": torch.tensor(self._size or (0, 0)),
            "labels": torch.tensor(self._labels, dtype=torch.int64),
            "confidence": torch.tensor(self._confidence),
            "sensory": sensory.clone(memory_format=torch.contiguous_format),
        }
        return own | {f"memory.{name}": value for name, value in self.memory.state().items()}

    @torch.inference_mode()
    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on where `state` was taken. Raises: InvalidDocument: it is not such a state. InvalidConfig: taken with other settings."""
        check_settings(state, self.config)
        memory = Memory(self.config, self.network.device, self.network.dtype)
        memory.load_state({name.removeprefix("memory."): value for name, value in state.items() if name.startswith("memory.")})
        counters, size, labels, confidence, sensory = (taken(state, n) for n in ("counters", "size", "labels", "confidence", "sensory"))
        self.memory = memory
        self._frame, self._last_memory, self._last_deep_update = counters.tolist()
        height, width = size.tolist()
        self._size = (height, width) if height else None
        self._labels, self._confidence = labels.tolist(), tuple(confidence.tolist())
        self._sensory = sensory.to(self.network.device).clone() if sensory.dim() == 4 else None

    def _is_deep(self, is_memory: bool) -> bool:
        every = self.config.deep_update_every
        return is_memory if every < 0 else self._frame - self._last_deep_update >= every

    def _predict(self, features: Features, deep: bool) -> torch.Tensor:
        """Return the probabilities (N + 1, H, W) of the known objects, padding included."""
        sensory = empty_sensory(len(self._labels), features) if self._sensory is None else self._sensory
        readout = self.memory.read(features.keys).transpose(1, 2).unflatten(2, features.grid)
        # in synchronised mode (-1) the value encoder renews the state of a remembered frame, and the decoder leaves it alone
        update = self.config.deep_update_every > 0 or not deep
        logits, self._sensory = self.network.decode(features, readout, sensory, update=update)
        return with_background(torch.sigmoid(logits))

    def _join(self, given: torch.Tensor, given_labels: list[int], features: Features, deep: bool) -> torch.Tensor:
        """Return the probabilities of the objects known and given, and take the new ones in."""
        num_known = len(self._labels)
        new = [label for label in given_labels if label not in self._labels]
        every = given.new_zeros(num_known + len(new), *given.shape[1:])
        if not set(self._labels) <= set(given_labels):
            every[:num_known] = self._predict(features, deep)[1:] * (given.sum(0) <= 0.5)
        self._labels += new
        for label, mask in zip(given_labels, given, strict=True):
            every[self._labels.index(label)] = mask
        fresh = empty_sensory(len(new), features)
        self._sensory = fresh if self._sensory is None else torch.cat([self._sensory, fresh])
        return with_background(every)

    def _remember(self, picture: torch.Tensor, features: Features, masks: torch.Tensor, *, given: bool, deep: bool) -> None:
        sensory = empty_sensory(len(self._labels), features) if self._sensory is None else self._sensory
        values, self._sensory = self.network.encode_value(picture, features, sensory, masks, deep=deep)
        self.memory.add(self._frame, features.keys, values.flatten(2).transpose(1, 2), given=given)
        self._last_memory = self._frame
        if deep:
            self._last_deep_update = self._frame

    def _checked_image(self, image: torch.Tensor | npt.NDArray[np.float32]) -> torch.Tensor:
        picture = _tensor(image, self.network.device)
        if picture.dim() != 3 or len(picture) != 3 or not picture.is_floating_point():
            raise ShapeMismatch(
                "the image is not a normalised picture",
                where=f"frame {self._frame + 1}",
                why=f"it is {picture.dtype} {tuple(picture.shape)}",
                fix="give float (3, H, W), scaled to 0..1, minus the ImageNet mean, over its standard deviation",
            )
        size = picture.shape[1], picture.shape[2]
        if self._size is not None and size != self._size:
            raise ShapeMismatch(
                "the frame size changed",
                where=f"frame {self._frame + 1}",
                why=f"it is {size}, the frames before were {self._size} (height, width)",
                fix="resize the frames, or start a new InferenceCore",
            )
        if not bool(torch.isfinite(picture).all()):
            raise ShapeMismatch("the image holds something that is not a number", where=f"frame {self._frame + 1}")
        return picture.float()

    def _checked_mask(
        self,
        mask: torch.Tensor | npt.NDArray[np.float32] | npt.NDArray[np.bool_] | None,
        labels: Sequence[int] | None,
        picture: torch.Tensor,
    ) -> tuple[torch.Tensor | None, list[int]]:
        where = f"frame {self._frame + 1}"
        if mask is None:
            if labels:
                raise InvalidPrompt("labels came without masks", where=where, fix="give one mask per label")
            if self._frame < 0:
                raise InvalidPrompt("no object was given to follow", where=where, why="the first frame came without a mask", fix="give one")
            return None, []
        given = _tensor(mask, self.network.device).float()
        names = list(range(1, len(given) + 1)) if labels is None else [int(label) for label in labels]
        if given.shape != (len(names), *picture.shape[1:]) or not names:
            raise InvalidPrompt(
                "the masks do not fit",
                where=where,
                why=f"they are {tuple(given.shape)} for {len(names)} labels and a frame of {tuple(picture.shape[1:])}",
                fix="give (number of labels, H, W)",
            )
        if len(set(names)) < len(names) or min(names) < 1:
            raise InvalidPrompt("labels must be different positive numbers", where=where, why=f"they are {names}")
        if not bool(((given >= 0) & (given <= 1)).all()):
            raise InvalidPrompt("masks must lie in 0..1", where=where)
        return given, names


def _without(probabilities: torch.Tensor, refused: torch.Tensor) -> torch.Tensor:
    """Return probabilities (N + 1, H, W) whose refused part, bool (N, H, W), went to the background."""
    kept = probabilities[1:] * ~refused
    return torch.cat([probabilities[:1] + (probabilities[1:] - kept).sum(0), kept])


def padded(planes: torch.Tensor) -> torch.Tensor:
    """Return planes (C, H, W) with zeros around them, so that height and width are multiples of the network's stride."""
    return F.pad(planes, _padding(planes.shape[1], planes.shape[2]))


def _padding(height: int, width: int) -> tuple[int, int, int, int]:
    """Return what is added left, right, top and bottom to reach multiples of the stride; an odd pixel goes right and to the bottom."""
    down, across = -height % KEY_STRIDE, -width % KEY_STRIDE
    return across // 2, across - across // 2, down // 2, down - down // 2


def _tensor(values: torch.Tensor | npt.NDArray[np.generic], device: torch.device) -> torch.Tensor:
    """Return a tensor; arrays are copied, because torch cannot share read-only ones."""
    return values.to(device) if isinstance(values, torch.Tensor) else torch.tensor(values, device=device)


def _sureness(probabilities: torch.Tensor) -> tuple[float, ...]:
    """Return for each object its mean probability over the pixels where it is the likeliest, 0 where there are none."""
    best, winner = probabilities.max(0)
    count = torch.bincount(winner.flatten(), minlength=len(probabilities))
    total = torch.bincount(winner.flatten(), best.flatten(), minlength=len(probabilities))
    return tuple((total / count.clamp_min(1))[1:].tolist())
