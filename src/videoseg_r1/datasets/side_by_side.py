"""Clips next to each other in one picture: their frames as one video, and their true masks in the frame of all of them.

Not here: which clips are joined, and why (`controls`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import numpy as np

from videoseg_r1.datasets.clip import Clip, Expression, TrueMasks
from videoseg_r1.errors import InputError
from videoseg_r1.types import BoolMask, Frame, VideoInfo
from videoseg_r1.video import Video


def join_clips(clips: Sequence[Clip], expressions: Sequence[Expression]) -> Clip:
    """Return clips of one height side by side, from left to right, played to the shortest of them.

    The joined clip is called "left+right", and its objects "clip/object".

    Args:
        clips: the clips; if one of them has no true masks, the joined clip has none.
        expressions: what is asked about the joined clip; their objects are those of the joined clip.
    """
    masks = {clip.name: clip.masks for clip in clips if clip.masks}
    num_frames = min(len(clip.frame_names) for clip in clips)
    return Clip(
        dataset=clips[0].dataset,
        split=clips[0].split,
        name="+".join(clip.name for clip in clips),
        frame_names=clips[0].frame_names[:num_frames],
        open=partial(_open_side_by_side, tuple(clips)),
        expressions=tuple(expressions),
        masks=SideBySideMasks(masks, num_frames) if len(masks) == len(clips) else None,
        protocol=clips[0].protocol,
    )


@dataclass(frozen=True)
class SideBySideMasks(TrueMasks):
    """The true masks of clips by name, from left to right, in the frame of all of them; objects are called "clip/object"."""

    clips: Mapping[str, TrueMasks]
    num_frames: int

    @property
    def size(self) -> tuple[int, int]:
        sizes = [masks.size for masks in self.clips.values()]
        return sum(width for width, _ in sizes), sizes[0][1]

    def frames(self, object_ids: Sequence[str]) -> Sequence[int]:
        ids = {name: self._own(name, object_ids) for name in self.clips}
        known = [set(self.clips[name].frames(own)) for name, own in ids.items() if own]
        return sorted(set(range(self.num_frames)).intersection(*known))

    def read(self, object_ids: Sequence[str], index: int) -> BoolMask:
        joined = np.zeros((len(object_ids), *self.size[::-1]), np.bool_)
        for name, (left, right) in self._columns().items():
            places = [place for place, full in enumerate(object_ids) if full.startswith(f"{name}/")]
            if places:
                joined[places, :, left:right] = self.clips[name].read(self._own(name, object_ids), index)
        return joined

    def ignored(self, index: int) -> BoolMask | None:
        parts = {name: part for name, masks in self.clips.items() if (part := masks.ignored(index)) is not None}
        if not parts:
            return None
        joined = np.zeros(self.size[::-1], np.bool_)
        for name, (left, right) in self._columns().items():
            if name in parts:
                joined[:, left:right] = parts[name]
        return joined

    def _own(self, name: str, object_ids: Sequence[str]) -> list[str]:
        """Return the ids, within a clip, of the objects that are its own."""
        return [full.removeprefix(f"{name}/") for full in object_ids if full.startswith(f"{name}/")]

    def _columns(self) -> dict[str, tuple[int, int]]:
        """Return the first column of each clip, and the one after its last."""
        widths = [masks.size[0] for masks in self.clips.values()]
        return {name: (end - width, end) for name, width, end in zip(self.clips, widths, accumulate(widths), strict=True)}


class SideBySide(Video):
    """Videos of one height next to each other, as long as the shortest; frames are joined one by one when they are read.

    Closing it closes them. Raises InputError: heights differ.
    """

    def __init__(self, videos: Sequence[Video]) -> None:
        self._videos = tuple(videos)
        infos = [video.info for video in videos]
        if len({info.height for info in infos}) != 1:
            raise InputError("videos of different heights cannot be joined side by side", where=" + ".join(info.source for info in infos))
        self._info = VideoInfo(
            source=" + ".join(info.source for info in infos),
            kind=infos[0].kind,
            width=sum(info.width for info in infos),
            height=infos[0].height,
            fps=infos[0].fps,
        )

    @property
    def info(self) -> VideoInfo:
        return self._info

    @property
    def times(self) -> tuple[float, ...]:
        return self._videos[0].times[: min(video.num_frames for video in self._videos)]

    def _forward(self, start: int, stop: int | None) -> Iterator[Frame]:
        stop = self.num_frames if stop is None else min(stop, self.num_frames)
        streams = (video.frames(start, max(start, stop)) for video in self._videos)
        return (_beside(frames) for frames in zip(*streams, strict=True))

    def _pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        return (_beside([video.read([index])[0] for video in self._videos]) for index in indices)

    def close(self) -> None:
        super().close()
        for video in self._videos:
            video.close()


def _beside(frames: Sequence[Frame]) -> Frame:
    return Frame(frames[0].index, frames[0].pts_s, np.hstack([frame.rgb for frame in frames]))


def _open_side_by_side(clips: Sequence[Clip]) -> Video:
    with ExitStack() as opened:
        joined = SideBySide([opened.enter_context(clip.open()) for clip in clips])
        opened.pop_all()
        return joined
