"""The device and precision a model runs in, and the fallback steps when memory runs out.

Not here: which steps a model can take (`sam2`), and several devices at once.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch

from videoseg_r1.errors import InvalidConfig, ResourceError, first_line

_T = TypeVar("_T")

_KINDS = ("cpu", "cuda", "mps")
# what PyTorch's other backends say in a plain RuntimeError
_OUT_OF_MEMORY = ("out of memory", "DefaultCPUAllocator")


@dataclass(frozen=True, slots=True)
class Placement:
    """A device, the precision to compute in there, and a notice for the user ("" where there is nothing to say)."""

    device: torch.device
    dtype: torch.dtype
    notice: str = ""


def cpu_has_bfloat16() -> bool:
    """Return whether this processor multiplies in bfloat16 (AVX-512 BF16 or AMX); where it does not, that would be the slower way."""
    # torch has no public way to ask
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]


def choose_placement(name: str = "auto") -> Placement:
    """Return where to run.

    Args:
        name: "auto" takes the first that works of cuda, mps and cpu; "cpu", "cuda", "cuda:1" or "mps" must work.
    Raises: InvalidConfig: no such device, or it does not work here.
    """
    if name == "auto":
        return _first_that_works()
    if name.partition(":")[0] not in _KINDS:
        raise InvalidConfig("no such device", where=name, fix="use auto, cpu, cuda, cuda:1 or mps")
    why = _trouble(name)
    if why:
        raise InvalidConfig("this device cannot be used", where=name, why=why, fix="use --device auto, or repair the driver")
    device = torch.device(name)
    return Placement(device, _precision(device))


def _first_that_works() -> Placement:
    reasons: list[str] = []
    for name in ("cuda", "mps"):
        why = _trouble(name)
        if not why:
            device = torch.device(name)
            return Placement(device, _precision(device))
        reasons.append(f"{name}: {why}")
    return Placement(torch.device("cpu"), torch.float32, f"running on the CPU ({'; '.join(reasons)})")


def _trouble(name: str) -> str:
    """Return why nothing can be computed on this device, "" when it can."""
    kind = name.partition(":")[0]
    if kind == "cpu":
        return ""
    with warnings.catch_warnings(record=True) as told:  # torch warns of a driver that does not fit, and goes on
        warnings.simplefilter("always")
        there = torch.cuda.is_available() if kind == "cuda" else torch.backends.mps.is_available()
    if not there:
        return str(told[-1].message).splitlines()[0] if told else "not there"
    try:
        torch.zeros(1, device=name).add_(1).cpu()
    except RuntimeError as error:
        return first_line(error)
    return ""


def _precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the GPU has it; elsewhere float32, except that older CUDA cards gain too much from float16 to leave it."""
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the error says that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OUT_OF_MEMORY)


def free_cache() -> None:
    """Return the memory that PyTorch caches to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


class MemoryLadder:
    """Repeats work when memory runs out, after taking one step that needs less each time.

    Args:
        what: what is being run, for the error.
        steps: an iterator that takes the next step when it is advanced, and yields a description of it. Steps are not undone.
    """

    def __init__(self, what: str, steps: Iterator[str]) -> None:
        self._what = what
        self._steps = steps
        self.notes: list[str] = []

    def run(self, work: Callable[[], _T]) -> _T:
        """Return what the work returns. Raises ResourceError: no step is left."""
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                why = first_line(error) if str(error) else "out of memory"
            # outside the handler, where the traceback no longer holds the tensors of the failed attempt
            free_cache()
            step = next(self._steps, None)
            if step is None:
                raise ResourceError(
                    f"memory ran out in {self._what}",
                    why="; ".join([why, *(f"tried: {note}" for note in self.notes)]),
                    fix="close other programs, use a smaller video, or the preset lite, which needs the least",
                )
            self.notes.append(f"{self._what}: out of memory, {step}")
