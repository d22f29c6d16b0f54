"""Two controls that only somebody who reads the text can pass.

`mosaic` puts clips side by side: the motion and the salience of one half say nothing about which half is meant. `shuffle_text`
asks for things of another clip: a method that ignores the text scores as well as before.

Both depend on nothing but the samples and the seed. Not covered: clips of different heights, and looking whether the other half
happens to show what an expression of the first one means, or what one of its absent expressions asks for (the latter are
reported apart, as ever).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from videoseg_r1.datasets.sample import Gold, Sample
from videoseg_r1.errors import InputError, InvalidConfig
from videoseg_r1.types import BoolMask, Frame, VideoInfo
from videoseg_r1.video import Video


def mosaic(samples: Sequence[Sample], num_clips: int = 2) -> list[Sample]:
    """Return every sample with its clip among others, side by side, played to the shortest of them.

    A clip is joined by the next ones in the order of names, the last by the first; expression number k of a clip has its own
    clip at place k modulo `num_clips`, so the sides take turns.

    Args:
        samples: of single clips, of one height.
        num_clips: 2 or more.
    Returns: as many samples, in the same order, named "left+right" and "clip-expression".
    Raises: InvalidConfig: `num_clips` below 2 or above the number of clips. InputError: heights differ.
    """
    by_clip = _by_clip(samples)
    names = sorted(by_clip)
    if not 2 <= num_clips <= len(names):
        raise InvalidConfig("A mosaic needs at least two clips", where=f"{num_clips} of {len(names)} clips")
    heights = {name: by_clip[name][0].gold.size[1] for name in names}
    if len(set(heights.values())) > 1:
        why = ", ".join(f"{name}: {height}" for name, height in heights.items())
        raise InputError("Clips of different heights do not go side by side", where="mosaic", why=why)
    joined: list[Sample] = []
    ranks = dict.fromkeys(names, 0)
    for sample in samples:
        own = names.index(sample.video_id)
        others = [names[(own + step) % len(names)] for step in range(1, num_clips)]
        place = ranks[sample.video_id] % num_clips
        ranks[sample.video_id] += 1
        row = [sample if name == sample.video_id else by_clip[name][0] for name in (*others[:place], sample.video_id, *others[place:])]
        joined.append(_join(sample, row, place))
    return joined


def shuffle_text(samples: Sequence[Sample], seed: int = 0) -> list[Sample]:
    """Return the samples that have a target, each with an expression of another clip that is not to be seen in it.

    Clips give their expressions by a permutation without fixed points. An expression is replaced by one of the same kind where
    the giving clip has one. The true masks stay: what is measured is how much is found without being asked for.

    Raises: InputError: there is no such permutation, as when all clips are in all mosaics.
    """
    present = [sample for sample in samples if sample.target_present]
    by_clip = _by_clip(present)
    giver = _permutation({name: {clip for s in own for clip in s.clips} for name, own in by_clip.items()}, seed)
    shuffled: list[Sample] = []
    ranks: dict[tuple[str, str], int] = {}
    for sample in present:
        name = _own_clip(sample)
        rank = ranks.setdefault((name, sample.kind), 0)
        ranks[name, sample.kind] += 1
        pool = [s for s in by_clip[giver[name]] if s.kind == sample.kind] or by_clip[giver[name]]
        source = pool[rank % len(pool)]
        shuffled.append(replace(sample, query=source.query, query_from=f"{source.video_id}/{source.expression_id}"))
    return shuffled


@dataclass(frozen=True)
class SideBySideGold:
    """The true masks of the clip at `place`, in the frame of all of them."""

    own: Gold
    key: str
    widths: tuple[int, ...]
    place: int
    num_frames: int

    @property
    def size(self) -> tuple[int, int]:
        return sum(self.widths), self.own.size[1]

    def __len__(self) -> int:
        return self.num_frames

    def mask(self, index: int) -> BoolMask:
        joined = np.zeros(self.size[::-1], np.bool_)
        left = sum(self.widths[: self.place])
        joined[:, left : left + self.widths[self.place]] = self.own.mask(index)
        return joined


class SideBySide(Video):
    """Videos of one height next to each other, as long as the shortest; frames are joined one by one when they are read.

    Closing it closes them. Raises InputError: heights differ.
    """

    def __init__(self, videos: Sequence[Video]) -> None:
        self._videos = tuple(videos)
        infos = [video.info for video in videos]
        if len({info.height for info in infos}) != 1:
            raise InputError("Videos of different heights do not go side by side", where=" + ".join(info.source for info in infos))
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


def _open_side_by_side(samples: Sequence[Sample]) -> Video:
    with ExitStack() as opened:
        joined = SideBySide([opened.enter_context(sample.open()) for sample in samples])
        opened.pop_all()
        return joined


def _join(sample: Sample, row: Sequence[Sample], place: int) -> Sample:
    name = "+".join(s.video_id for s in row)
    num_frames = min(len(s.gold) for s in row)
    widths = tuple(s.gold.size[0] for s in row)
    return replace(
        sample,
        video_id=name,
        expression_id=f"{sample.video_id}-{sample.expression_id}",
        frame_names=sample.frame_names[:num_frames],
        open=partial(_open_side_by_side, tuple(row)),
        gold=SideBySideGold(sample.gold, f"{name}/{sample.gold.key}", widths, place, num_frames),
        # the own clip comes first, wherever it stands in the picture
        clips=(sample.video_id, *(s.video_id for s in row if s is not sample)),
        best_frame=sample.best_frame if sample.best_frame is not None and sample.best_frame < num_frames else None,
    )


def _own_clip(sample: Sample) -> str:
    return sample.clips[0]


def _by_clip(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(_own_clip(sample), []).append(sample)
    return groups


def _permutation(seen: dict[str, set[str]], seed: int) -> dict[str, str]:
    """Return a clip for every clip, each once, none of those seen together with it: a matching, found along augmenting paths."""
    rng = np.random.default_rng(seed)
    names = sorted(seen)
    wishes = {name: [names[k] for k in rng.permutation(len(names)) if names[k] not in seen[name]] for name in names}
    receiver: dict[str, str] = {}

    def give(name: str, tried: set[str]) -> bool:
        for giver in wishes[name]:
            if giver not in tried:
                tried.add(giver)
                if giver not in receiver or give(receiver[giver], tried):
                    receiver[giver] = name
                    return True
        return False

    if not all(give(name, set()) for name in names):
        why = f"{len(names)} clips, each seen with up to {max(map(len, seen.values())) - 1} others"
        raise InputError("There are too few clips to exchange expressions", where="shuffle_text", why=why)
    return {name: giver for giver, name in receiver.items()}
