"""A verb opens its video once, for all of its work."""

from __future__ import annotations

from pathlib import Path

import pytest

from videoseg_r1.cli import main
from videoseg_r1.video.file import FileVideo

_QUIET = ("--quiet", "--overwrite")
_FORMATS = "overlay,matte,png,rle,json,trace"


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The video files that were opened, in order."""
    found: list[str] = []

    class Counted(FileVideo):
        def __init__(self, path: Path, *args: object, **settings: object) -> None:
            found.append(path.name)
            super().__init__(path, *args, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr("videoseg_r1.video.opening.FileVideo", Counted)
    return found


def test_a_verb_opens_its_video_once(drawn_video, tmp_path: Path, openings: list[str]) -> None:
    clip, out = str(drawn_video(num_frames=4).path), str(tmp_path / "out")
    given = ("--box", "20,30,52,66", "--propagator", "flow", "--formats", _FORMATS)
    for arguments in (
        ("propagate", clip, *given, "-o", out),
        ("segment", clip, "the disc", *given, "-o", out),
        ("replay", f"{out}/trace.json", clip, "--formats", _FORMATS, "-o", out),
        ("export", out, "--to", "overlay,cutout", "--video", clip),
        ("export", out, "--to", "matte"),
    ):
        openings.clear()
        assert main([*arguments, *_QUIET]) == 0, arguments
        assert openings == ["drawn.mp4"], arguments
