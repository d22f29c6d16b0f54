"""The video that a verb works on, opened before any work. Not here: masks, boxes and points (`prompts`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videoseg_r1.video import OnCorrupt, Video


def opened(path: Path, *, on_corrupt: OnCorrupt = "error", background: str = "white") -> Video:
    """Open the video that a verb works on, once for all of its work; use it in a `with` block.

    What cannot be opened is refused here, before models are loaded. `on_corrupt`, `background`: see `open_video`.
    Raises: SourceNotFound, UnsupportedSource, NoVideoStream, CorruptVideo, LimitExceeded; InvalidConfig: no colour.
    """
    from videoseg_r1.video import open_video

    return open_video(path, on_corrupt=on_corrupt, background=background)
