"""A video of picture files that a dataset lists, one per frame: its folder may hold more pictures than the list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from videoseg_r1.types import Frame, VideoInfo
from videoseg_r1.video import Video, open_video

_FPS = 6.0
"""Frames per second where the files do not say: every fifth frame of 30, as in Ref-YouTube-VOS and MeViS."""


class ListedFrames(Video):
    """The pictures of `paths`, in this order; each is decoded when it is read.

    Raises: SourceNotFound, UnsupportedSource, CorruptVideo: a picture cannot be read, when it is read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._info: VideoInfo | None = None

    @property
    def info(self) -> VideoInfo:
        if self._info is None:
            with open_video(self._paths[0]) as first:
                names = tuple(path.stem for path in self._paths)
                where = f"{len(names)} pictures in {self._paths[0].parent}"
                self._info = replace(first.info, source=where, kind="folder", fps=_FPS, num_frames_hint=len(names), frame_names=names)
        return self._info

    @property
    def times(self) -> tuple[float, ...]:
        self._check_open()
        return tuple(index / _FPS for index in range(len(self._paths)))

    def _forward(self, start: int, stop: int | None) -> Iterator[Frame]:
        return self._pick(range(start, min(stop, len(self._paths)) if stop is not None else len(self._paths)))

    def _pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        return map(self._frame, indices)

    def _frame(self, index: int) -> Frame:
        self._check_open()
        with open_video(self._paths[index]) as picture:
            return Frame(index, index / _FPS, picture.read([0])[0].rgb)
