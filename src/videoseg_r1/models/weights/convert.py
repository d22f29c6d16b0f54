"""Converts old checkpoints (`.pth`, `.pt`, `.bin`) to safetensors, in a child process that executes nothing from the file.

The child loads with `weights_only=True`, so a pickle that would run code is refused, and a crash ends only the child. Not here: the
names of the tensors, which are kept as they are.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from videoseg_r1.errors import ModelError, OutputExists, SourceNotFound
from videoseg_r1.files import staged

_TIMEOUT_S = 900.0
_CHILD = "videoseg_r1.models.weights.convert_child"


def convert(source: Path, target: Path | None = None, *, overwrite: bool = False) -> Path:
    """Write the tensors of a checkpoint as safetensors.

    Args:
        source: what `torch.save` wrote: a state dict, or one under "model" or "state_dict".
        target: the file to write; by default beside the source, with the ending `.safetensors`.
        overwrite: replace the target.
    Returns: the target.
    Raises: SourceNotFound, OutputExists, OutputError. ModelError: it is not plain tensors, needs code to load, or is damaged.
    """
    target = target or source.with_suffix(".safetensors")
    if not source.is_file():
        raise SourceNotFound("there is no such file", where=str(source), fix="name a checkpoint file")
    if target.exists() and not overwrite:
        raise OutputExists("the output is there already", where=str(target), fix="use --overwrite, or another --out")
    with staged(target, "the output cannot be written") as written:
        _run_child(source, written)
    return target


def _run_child(source: Path, target: Path) -> None:
    command = [sys.executable, "-m", _CHILD, str(source.resolve()), str(target)]
    try:
        child = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise ModelError("the checkpoint could not be converted", where=str(source), why=f"it took over {_TIMEOUT_S:g} s") from error
    if child.returncode or not target.is_file():
        why = child.stderr.decode(errors="replace").strip().splitlines()
        raise ModelError(
            "the checkpoint was refused",
            where=str(source),
            why=why[-1] if why else f"the converter ended with code {child.returncode}",
            fix="only plain tensors are converted; get the file from its official place and do not load it with anything else",
        )
