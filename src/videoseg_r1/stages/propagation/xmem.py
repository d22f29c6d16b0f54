"""Stage 3b by XMem: the weights on a device, pictures and masks in, masks and confidence out, and what is given up when memory runs out.

Frames are worked on at a limited size, because the cost of a read grows with the fourth power of it. Not here: the network and its
memory (`xmem`), the direction of time (`both_ways`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from videoseg_r1.errors import ModelError
from videoseg_r1.models.devices import MemoryLadder, Placement, choose_placement
from videoseg_r1.models.weights import MODELS, locate
from videoseg_r1.models.weights.convert import convert
from videoseg_r1.stages.propagation.both_ways import BothWays, Tracked
from videoseg_r1.stages.propagation.calibration import expected_iou
from videoseg_r1.stages.propagation.recognition import Describe, Search
from videoseg_r1.stages.propagation.restart import RestartFrames
from videoseg_r1.types import BoolMask, Given, RgbImage
from videoseg_r1.xmem import InferenceCore, XMem, XMemConfig
from videoseg_r1.xmem.checkpoint import read_checkpoint
from videoseg_r1.xmem.network import fastest_dtype

_T = TypeVar("_T")

SHORT_SIDE = 480
"""Pixels of the shorter side that XMem was trained and is evaluated at."""
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # ImageNet
_STD = np.array([0.229, 0.224, 0.225], np.float32)


class XMemEngine:
    """The network on a device. Several steppers share it.

    Args:
        state: tensors as `xmem.checkpoint.read_checkpoint` returns them.
        placement: the device; by default the CPU. The precision is the fastest that is safe there.
        name: what it is called in notes and errors.
        short_side: pictures with a longer shorter side are reduced to it, in pixels.
        allow_cpu: whether the CPU may be used when the memory of another device runs out.
    """

    def __init__(
        self,
        state: Mapping[str, torch.Tensor],
        placement: Placement | None = None,
        *,
        name: str = "XMem",
        short_side: int = SHORT_SIDE,
        allow_cpu: bool = True,
    ) -> None:
        self.short_side = short_side
        self.name = name
        device = torch.device("cpu") if placement is None else placement.device
        self.network = XMem(dict(state), device, fastest_dtype(device))
        self._spare = dict(state) if allow_cpu and device.type != "cpu" else None
        self._ladder = MemoryLadder(name, self._steps())

    @property
    def notes(self) -> tuple[str, ...]:
        """What was given up on the way, for the result."""
        return tuple(self._ladder.notes)

    def run(self, work: Callable[[], _T]) -> _T:
        """Return what the work returns; with less memory each time that it runs out. Raises ResourceError."""
        return self._ladder.run(work)

    def _steps(self) -> Iterator[str]:
        yield "freed the cache"
        self.network.max_objects_at_once = 1
        yield "took one object after the other"
        self.short_side = min(self.short_side, SHORT_SIDE) // 2
        yield f"went down to {self.short_side} pixels"
        if self._spare is not None:
            self.network, self._spare = XMem(self._spare, torch.device("cpu"), max_objects_at_once=1), None
            self.short_side *= 2
            yield f"went to the CPU, at {self.short_side} pixels again"


class XMemStepper:
    """Follows N objects from frame to frame.

    Args:
        engine: the network.
        config: settings.
    """

    def __init__(self, engine: XMemEngine, config: XMemConfig | None = None) -> None:
        self._engine, self._config = engine, config
        self._core: InferenceCore | None = None
        self._restart_frames = RestartFrames()
        self._num_objects = 0

    def step(self, rgb: RgbImage, given: Given | None = None, search: Search | None = None) -> Tracked:
        """Follow the objects into the next frame.

        Args:
            rgb: (H, W, 3) uint8, the same size every time.
            given: what is known of this frame; the first frame needs it.
            search: behind a cut, the objects to look for; what is not verified is not remembered.
        Raises: InvalidPrompt: nothing was given for the first frame, or it does not fit. ShapeMismatch: the frame size changed.
            ResourceError: memory ran out. ModelError: the network computed something that is not a number.
        """
        tracked = self._engine.run(lambda: self._attempt(rgb, given, search))
        self._restart_frames.keep(rgb, tracked.masks, given)
        return tracked

    def _attempt(self, rgb: RgbImage, given: Given | None, search: Search | None) -> Tracked:
        """Step once; an error of the device leaves no core behind, for nobody knows how far it came."""
        try:
            if self._core is None:
                self._core = InferenceCore(self._engine.network, self._config)
                for seen in self._restart_frames:
                    self._forward(self._core, *seen)
            return self._forward(self._core, rgb, given, search)
        except (RuntimeError, MemoryError):
            self._core = None
            raise

    def _forward(self, core: InferenceCore, rgb: RgbImage, given: Given | None, search: Search | None = None) -> Tracked:
        """Step a core, in which object k has the label k + 1 from the first frame on that says where it is."""
        height, width = rgb.shape[:2]
        scale = min(1.0, self._engine.short_side / min(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        new = [] if given is None else np.flatnonzero(given.which | given.masks.any((1, 2))).tolist()
        count = self._num_objects = self._num_objects if given is None else len(given.which)

        def refused(probabilities: torch.Tensor) -> torch.Tensor:
            found = _masks(self._on_frame(probabilities, (height, width)), core.labels, count)
            kept = found if search is None else search.verify(found)
            # of an object that is refused altogether also what is too faint for the mask
            gone = np.stack([(one & ~other) | (not other.any() and one.any()) for one, other in zip(found, kept, strict=True)])
            if given is not None:
                gone[given.which] = False
            small = [_resized(gone[label - 1].astype(np.float32), size) > 0 for label in core.labels]
            return torch.from_numpy(np.stack(small)).to(probabilities.device)

        probabilities = core.step(
            normalised(_resized(rgb, size)),
            np.stack([_resized(given.masks[k].astype(np.float32), size) for k in new]) if given is not None and new else None,
            [k + 1 for k in new] or None,
            refuse=None if search is None else refused,
        )
        probabilities = self._on_frame(probabilities, (height, width))
        masks = _masks(probabilities, core.labels, count)
        sure = np.zeros(count)
        places = [label - 1 for label in core.labels]
        sure[places] = expected_iou(probabilities[1:].cpu().numpy(), masks[places])
        return Tracked(masks, tuple(sure.tolist())).corrected(given)

    def _on_frame(self, probabilities: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Return probabilities (N + 1, h, w) at the size of the frame, (height, width). Raises: ModelError: not finite."""
        if not bool(torch.isfinite(probabilities).all()):
            raise ModelError(
                f"{self._engine.name} computed numbers that are not finite",
                where=f"on {self._engine.network.device} in {self._engine.network.dtype}",
                fix="run `videoseg models verify`: the weights may be damaged",
            )
        if probabilities.shape[1:] == size:
            return probabilities
        return F.interpolate(probabilities[None], size, mode="bilinear", align_corners=False)[0]


def _masks(probabilities: torch.Tensor, labels: Sequence[int], count: int) -> BoolMask:
    """Return bool (count, H, W), the mask of label k at k - 1: a pixel goes to the likeliest, which may be the background.

    Args:
        probabilities: (L + 1, H, W), of the background and of the objects with these labels.
        labels: of the L objects that are known.
        count: of all objects; the mask of one that is not known is empty.
    """
    owner = np.array([0, *labels])[probabilities.argmax(0).cpu().numpy()]
    return owner[None] == np.arange(1, count + 1)[:, None, None]


def normalised(rgb: RgbImage) -> torch.Tensor:
    """Return the picture (H, W, 3) as XMem takes it: float32 (3, H, W), minus the ImageNet mean, over its standard deviation."""
    return torch.from_numpy((rgb.astype(np.float32) / 255 - _MEAN) / _STD).permute(2, 0, 1)


def xmem_propagator(engine: XMemEngine, config: XMemConfig | None = None, describe: Describe | None = None) -> BothWays:
    """Return a propagator on XMem; arguments as for `XMemStepper` and `BothWays`."""
    return BothWays(lambda: XMemStepper(engine, config), lambda: engine.notes, describe)


def load_xmem_engine(source: str | Path, device: str = "auto") -> XMemEngine:
    """Return XMem with its weights.

    Args:
        source: a name of `models.MODELS`, or a file as `XMem.from_checkpoint` takes it. The official file is converted to safetensors
            once, beside itself, in a child process.
        device: see `devices.choose_placement`.
    Raises: WeightsMissing: which file to put where. ModelError: the weights cannot be used. InvalidConfig: no such device.
        OutputError: the converted file cannot be written.
    """
    name = str(source)
    placement = choose_placement(device)
    path = _converted(locate(MODELS[name]) / MODELS[name].files[0].name) if name in MODELS else Path(source)
    return XMemEngine(read_checkpoint(path), placement, name=name)


def _converted(original: Path) -> Path:
    safe = original.with_suffix(".safetensors")
    return safe if safe.is_file() else convert(original)


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if picture.shape[:2] == size:
        return picture
    return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA)
