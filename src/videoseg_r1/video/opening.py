"""`open_video`, which opens every kind of source: files, folders, photos, animations, arrays and iterators."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from videoseg_r1.config import Limits
from videoseg_r1.errors import InvalidConfig, SourceNotFound, UnsupportedSource, UsageError
from videoseg_r1.video.background import PlainColor, parse_color
from videoseg_r1.video.base import BorrowedVideo, OnCorrupt, Video, own_times
from videoseg_r1.video.file import FileVideo
from videoseg_r1.video.folder import FolderVideo
from videoseg_r1.video.memory import ArrayVideo, SpooledVideo
from videoseg_r1.video.pictures import open_picture_file
from videoseg_r1.video.sniff import is_container, sniff

Source: TypeAlias = str | Path | npt.NDArray[np.uint8] | Iterable[npt.NDArray[np.uint8]] | Video


_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
"""One letter before the colon is a drive; a `Path` keeps one slash of the two."""


def open_video(
    source: Source,
    *,
    limits: Limits | None = None,
    on_corrupt: OnCorrupt = "error",
    fps: float | None = None,
    background: str = "white",
) -> Video:
    """Open anything that holds frames.

    Args:
        source: a video file, a photo, an animation, a folder of frames, an array (T, H, W, 3) uint8 RGB, an iterable of arrays
            (H, W, 3), or a video that is open already, which then stays open when the one returned is closed.
        limits: largest sizes that are accepted.
        on_corrupt: what is done with damaged videos. "error" raises CorruptVideo, after the frames before the damage; "keep-prefix" uses
            these; "keep-all" uses all that can be decoded and names the damaged ones in `info.damaged_frames`. `info.notes` says so.
        fps: frames per second of sources without times: folders, photos, arrays, iterators, and streams without a container. When it is
            not given, a rate in the stream's header counts, else 24.
        background: what transparency of files is flattened on: "white", "black" or "#rrggbb".
    Returns: a context manager; see Video.
    Raises: SourceNotFound, UnsupportedSource, NoVideoStream, CorruptVideo, LimitExceeded, ShapeMismatch; InvalidConfig: a bad option, or
        `fps` for a source with times of its own.
    """
    limits = limits or Limits()
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InvalidConfig("fps must be a positive number", where="fps", why=f"it is {fps}")
    if on_corrupt not in get_args(OnCorrupt):
        raise InvalidConfig(f"on_corrupt must be one of {', '.join(get_args(OnCorrupt))}", where="on_corrupt", why=f"it is {on_corrupt!r}")
    color = parse_color(background)
    if isinstance(source, Video):
        if fps is not None:
            raise own_times(source.info.source)
        return BorrowedVideo(source)
    if isinstance(source, str | Path):
        video = _open_path(source, limits, on_corrupt, fps, color)
        video.path = Path(source)
        return video
    if isinstance(source, np.ndarray | Sequence):
        return ArrayVideo(source, limits=limits, fps=fps)
    if isinstance(source, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]  (callers may be untyped)
        return SpooledVideo(source, limits=limits, fps=fps)
    raise UsageError("this cannot be opened as a video", where=type(source).__name__, fix="give a path, an array, or an iterable of arrays")


def _open_path(source: str | Path, limits: Limits, on_corrupt: OnCorrupt, fps: float | None, background: PlainColor) -> Video:
    path = Path(source)
    if "\0" in str(source):
        raise SourceNotFound("a path cannot hold a null byte", where=repr(str(source)))
    try:
        if path.is_dir():
            return FolderVideo(path, limits=limits, on_corrupt=on_corrupt, fps=fps, background=background)
        if not path.exists():
            raise _not_found(source)
        if not path.is_file():
            raise UnsupportedSource("this is neither a file nor a folder", where=str(path), why="devices and pipes are not read")
        kind = sniff(path)
        if is_container(kind):
            return FileVideo(path, kind, limits=limits, on_corrupt=on_corrupt, fps=fps, background=background)
        return open_picture_file(path, kind, limits=limits, on_corrupt=on_corrupt, fps=fps, background=background)
    except OSError as error:
        raise SourceNotFound("the source cannot be read", where=str(source), why=error.strerror or str(error)) from error


def _not_found(source: str | Path) -> SourceNotFound:
    address = _ADDRESS.match(str(source))
    if address is not None:
        where = f"{address[1]}://{str(source)[address.end() :]}"
        fix = "give the path alone" if address[1].lower() == "file" else "download it first, and give the path of the file"
        return SourceNotFound("addresses are not read", where=where, fix=fix)
    return SourceNotFound(
        "there is no such file or folder", where=str(source), fix="check the path; relative paths start at the working folder"
    )
