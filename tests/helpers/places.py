"""Where the repository is, and the shared real data beside it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED_DATA = ROOT.parent / "shared" / "data"
"""Real clips; tests that need them are skipped, with the reason, where the folder is not there."""


def names_in(folder: Path) -> list[str]:
    """Return the names of what lies in a folder, in order."""
    return sorted(path.name for path in folder.iterdir())
