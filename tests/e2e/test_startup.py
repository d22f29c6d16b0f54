"""Start-up: what must not be imported is not imported, and how long it takes (printed, as the machine may be busy)."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HEAVY = ("torch", "torchvision", "transformers", "cv2", "av", "numpy", "PIL", "rich")


def loaded(code: str) -> set[str]:
    """Run code in a fresh interpreter and return which of the heavy modules it has loaded."""
    show = f"import sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True, timeout=60)
    print(f"{time.perf_counter() - started:.2f} s: {code}")
    return set(done.stdout.splitlines()[-1].split())


def test_import_is_light() -> None:
    assert loaded("import videoseg_r1; videoseg_r1.VideosegError; dir(videoseg_r1)") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["segment", "--help"], ["eval", "--help"], ["segment", "--nonsense"]])
def test_help_is_light(arguments: list[str]) -> None:
    assert loaded(f"from videoseg_r1.cli import main; main({arguments!r})") == set()


def test_outputs_are_refused_before_anything_is_loaded(tmp_path: object) -> None:
    code = f"from videoseg_r1.cli import main; main(['segment', 'none.mp4', 'a dog', '-o', {str(tmp_path)!r}, '--formats', 'overlai'])"
    assert loaded(code).isdisjoint({"torch", "torchvision", "transformers"})
