"""Checks shared by saving and restoring the state of a run as named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, fields

import torch

from videoseg_r1.errors import InvalidConfig, InvalidDocument
from videoseg_r1.xmem.config import XMemConfig


def taken(state: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    """Return a tensor of a saved state. Raises: InvalidDocument: it is not there."""
    if name not in state:
        raise InvalidDocument("this is not a saved XMem state", where=name, why="the tensor is missing")
    return state[name]


def settings(config: XMemConfig) -> torch.Tensor:
    """Return the settings as int64, in the order of their fields."""
    return torch.tensor([int(value) for value in astuple(config)])


def check_settings(state: Mapping[str, torch.Tensor], config: XMemConfig) -> None:
    """Raises: InvalidDocument: no settings are there. InvalidConfig: they differ from `config`."""
    stored, own = taken(state, "settings").tolist(), settings(config).tolist()
    if stored == own:
        return
    if len(stored) != len(own):
        raise InvalidDocument("this is not a saved XMem state", where="settings", why=f"it holds {len(stored)} numbers, not {len(own)}")
    names = [field.name for field, then, now in zip(fields(config), stored, own, strict=True) if then != now]
    raise InvalidConfig("the state was saved with other settings", where=", ".join(names), fix="use the settings of that run")
