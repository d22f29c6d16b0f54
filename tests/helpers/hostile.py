"""What a hostile file would do to who loads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


class Evil:
    """Once unpickled, it has made the file `canary`: the sign that code of a file was run."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.canary,)
