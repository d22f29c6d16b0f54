"""Loads networks and processors of transformers from a folder: safetensors only, no code from the folder, every tensor checked.

Not here: where weights lie and whether they are the pinned ones (`weights`), which device they go to (`devices`).
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import Any, TypeAlias

import torch

from videoseg_r1.errors import ModelError, first_line

Network: TypeAlias = Any
"""A network of transformers, which ships no types for its parts."""

_NUM_LISTED = 10
# what transformers raises at files that say something it does not expect
_BAD_FILES = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, ZeroDivisionError)


def read_config(folder: Path) -> dict[str, Any]:
    """Return what config.json of a folder says. Raises ModelError."""
    try:
        return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ModelError("the configuration of the weights cannot be read", where=str(folder / "config.json"), why=str(error)) from error


def load_network(network_class: Any, folder: Path, dtype: torch.dtype = torch.float32, config: Any = None) -> Network:
    """Return the network in a folder, on the CPU.

    Args:
        network_class: a class with `from_pretrained`.
        folder: with config.json and safetensors.
        dtype: of its parameters.
        config: makes the configuration, instead of the one in the folder; called where its errors are mapped.
    Raises: ModelError: the files cannot be read, or a tensor is missing, unknown or of another shape.
    """
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    try:
        with quiet():
            network, info = network_class.from_pretrained(
                folder,
                **({"config": config()} if config else {}),
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except (*_BAD_FILES, SafetensorError, StrictDataclassError) as error:
        raise ModelError(
            "the weights cannot be loaded", where=str(folder), why=first_line(error), fix="run `videoseg models verify`"
        ) from error
    problems = [f"{key}: missing" for key in sorted(info["missing_keys"])]
    problems += [f"{key}: unknown" for key in sorted(info["unexpected_keys"])]
    problems += [f"{key}: shape {tuple(found)} instead of {tuple(wanted)}" for key, found, wanted in sorted(info["mismatched_keys"])]
    problems += [str(message) for message in info.get("error_msgs") or ()]
    check_weights(network, folder, problems)
    return network


def check_weights(network: Network, folder: Path, problems: list[str]) -> None:
    """Raise ModelError with the first problems there are; none when there are none."""
    if problems:
        more = f"\n  and {len(problems) - _NUM_LISTED} more" if len(problems) > _NUM_LISTED else ""
        raise ModelError(
            f"the weights do not fit {type(network).__name__}",
            where=str(folder),
            why="\n  ".join(problems[:_NUM_LISTED]) + more,
            fix="run `videoseg models verify`",
        )


def load_processor(processor_class: Any, folder: Path) -> Any:
    """Return the processor of pictures and text, from the settings in a folder. Raises ModelError."""
    try:
        with quiet():
            return processor_class.from_pretrained(folder, local_files_only=True)
    except _BAD_FILES as error:
        raise ModelError("the settings of the processor cannot be read", where=str(folder), why=first_line(error)) from error


@contextmanager
def quiet() -> Generator[None]:
    """Silence the progress bars and warnings of transformers; problems that matter are checked and raised here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
