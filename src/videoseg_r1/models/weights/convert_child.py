"""The child process of `convert`: reads one checkpoint with `weights_only=True` and writes its tensors, or prints why it cannot."""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_NESTED = ("model", "state_dict")


def write_safetensors(source: Path, target: Path) -> int:
    """Convert a file. Returns the exit code: 0 done, 1 refused, with the reason on standard error."""
    import torch
    from safetensors.torch import save_file

    try:
        with warnings.catch_warnings(action="ignore"):  # torch remarks on odd files; they are refused below anyway
            loaded: object = torch.load(source, map_location="cpu", weights_only=True)
        tensors = _tensors(loaded)
        if not tensors:
            return _refuse(f"it holds no plain state dict, but a {type(loaded).__name__}")
        # a copy of each: safetensors refuses tensors that share memory
        save_file({key: value.detach().clone().contiguous() for key, value in tensors.items()}, target)
    except pickle.UnpicklingError as error:
        return _refuse(f"it needs code to load, which is never run: {_gist(error)}")
    except (RuntimeError, EOFError, OSError, KeyError, ValueError, TypeError, AttributeError, MemoryError) as error:
        return _refuse(f"it cannot be read: {_gist(error)}")
    return 0


def _tensors(loaded: object) -> dict[str, torch.Tensor]:
    """Return the state dict in what was loaded, also one level down; empty when there is none."""
    import torch

    if not isinstance(loaded, Mapping):
        return {}
    for name in _NESTED:
        if isinstance(loaded.get(name), Mapping):
            return _tensors(loaded[name])
    tensors = {key: value for key, value in loaded.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}
    return tensors if len(tensors) == len(loaded) else {}


def _gist(error: BaseException) -> str:
    """Return the sentence of torch's long message that names what was not allowed, or its first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "GLOBAL" in line or "Unsupported" in line]
    return (named or lines or [type(error).__name__])[0]


def _refuse(why: str) -> int:
    sys.stderr.write(why.replace("\n", " ") + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(write_safetensors(Path(sys.argv[1]), Path(sys.argv[2])))
