"""The video that a verb works on, opened before any work. Not here: masks, boxes and points (`prompts`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videoseg_r1.video import Video


def opened(path: Path, *, keep_prefix: bool = False) -> Video:
    """Open the video that a verb works on, once for all of its work; use it in a `with` block.

    What cannot be opened is refused here, before models are loaded.
    Raises: SourceNotFound, UnsupportedSource, NoVideoStream, CorruptVideo, LimitExceeded.
    """
    from videoseg_r1.video import open_video

    return open_video(path, on_corrupt="keep-prefix" if keep_prefix else "error")
