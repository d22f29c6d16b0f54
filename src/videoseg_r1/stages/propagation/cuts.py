"""Where one scene of a film ends and the next begins: hard cuts, dissolves, and changes through black or white.

A picture is compared with another by blocks of small grey thumbnails: how much of each is found near its place in the other. Pans, zooms
and things that move are explained in this way, and so are changes of light, since only the pattern inside a block counts. Both decisions,
at once for a hard cut and in arrears for a dissolve, treat the frames before and after alike: a cut has the same place whichever way time
runs. All thresholds are ours; `benchmarks/cuts.py` measures them.
Not here: what is done after a cut (`both_ways`), changes of colour alone, wipes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Generator, Iterable
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
import numpy.typing as npt

from videoseg_r1.stages.propagation.thumbnail import Thumbnail
from videoseg_r1.types import Direction, Frame, TrackEvent

_UNLIKE = 0.32
"""From here on two pictures show different scenes, in the measure of `Thumbnail.unlike`."""
_LEAST, _TIMES = 0.15, 5.0
"""So do pictures that are less unlike, down to the first, if they are so many times more unlike than any around them: of soft pictures
more is found again by chance than of sharp ones."""
_RATIO = 1.4
"""However unlike, a cut is so many times the usual change around it."""
_AROUND = 4
"""Frames on each side of a cut that are compared; scenes that come back within fewer are flashes, which are no cuts."""
_BLANK = 12
"""A plain picture, black or white, that lasts for more frames than this is a scene of its own."""
_SPANS = (8, 12, 16, 24, 32)
"""A dissolve must lie within so many frames, with `_AROUND` of each scene alone on its sides."""
_STEADY = 0.1
"""Share of the other scene, at most, in a frame of one scene alone."""
_RESIDUE = 0.15
"""What no mixture of both scenes explains, as a share of their squared difference; 0.75 for a picture of something else."""


def with_cuts(
    frames: Iterable[Frame], direction: Direction, unseen: Container[int] = frozenset()
) -> Generator[tuple[Frame, TrackEvent | None]]:
    """Yield every frame with the cut that is known when it is reached, None nearly always.

    A hard cut comes with the first frame seen of the new scene. A dissolve comes once it is over, a picture that stays black or white after
    a while; their `frame_index` lies before. Up to three frames are read ahead, and only where a cut is suspected.

    Args:
        frames: of one run through time, in the order of `direction`.
        direction: which way they come. A cut's `frame_index` is the first frame of what is the later scene in the film, both ways.
        unseen: numbers of frames that are not looked at, because their pictures are damaged.
    """
    film, ahead = _Film(direction), deque[_Seen]()
    source = (_Seen(frame, None if frame.index in unseen else Thumbnail.of(frame.rgb)) for frame in frames)
    for seen in source:
        ahead.append(seen)
        while ahead:
            now = ahead.popleft()
            if now.picture is None:
                yield now.frame, None
                continue
            change = film.change(now.picture)
            if change >= _LEAST:
                ahead.extend(islice(source, _AROUND - 1 - len(ahead)))
            following = [later.picture for later in ahead if later.picture is not None]
            yield now.frame, film.enter(_Past(now.frame.index, now.picture), change, following)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A frame and its thumbnail, None where the picture is not looked at."""

    frame: Frame
    picture: Thumbnail | None


@dataclass(frozen=True, slots=True)
class _Past:
    """The number and the thumbnail of a frame, which are kept once it was passed."""

    index: int
    picture: Thumbnail


class _Film:
    """What was seen so far, as much of it as decisions need.

    Args:
        direction: which way the run goes.
    """

    def __init__(self, direction: Direction) -> None:
        self._direction: Direction = direction
        self._past: deque[_Past] = deque(maxlen=max(_SPANS))
        self._scene_length = 0
        self._plain_count, self._first_plain = 0, -1
        self._last = -1

    def change(self, picture: Thumbnail) -> float:
        """Return how unlike the last picture with something in it this one is; 0 below `_LEAST`."""
        if picture.plain or not self._past:
            return 0.0
        last = self._past[-1].picture
        return 0.0 if last.unlike_in_place(picture) < _LEAST else last.unlike(picture)

    def enter(self, now: _Past, change: float, following: list[Thumbnail]) -> TrackEvent | None:
        """Take the next frame and return the cut that it makes known.

        Args:
            now: the frame.
            change: of its picture.
            following: up to three pictures after it, if it may be the first of another scene.
        """
        cut = self._plain_picture() if now.picture.plain else self._picture(now, change, following)
        if cut is not None:
            self._scene_length = 0
        if now.picture.plain:
            self._first_plain = self._first_plain if self._plain_count else now.index
            self._plain_count += 1
        else:
            self._plain_count = 0
            self._past.append(now)
            self._scene_length += 1
        self._last = now.index
        return cut

    def _plain_picture(self) -> TrackEvent | None:
        if self._plain_count != _BLANK or not self._scene_length:
            return None
        return self._cut(self._first_plain, self._past[-1].index, "there is nothing in the picture any more")

    def _picture(self, now: _Past, change: float, following: list[Thumbnail]) -> TrackEvent | None:
        if self._plain_count > _BLANK:
            return self._cut(now.index, self._last, "there is something in the picture again")
        if change >= _LEAST and self._is_hard_cut([now.picture, *following], change):
            return self._cut(now.index, self._past[-1].index, f"the picture changed by {change:.2f}")
        return self._dissolve(now)

    def _is_hard_cut(self, after: list[Thumbnail], change: float) -> bool:
        """Return whether no picture shortly before is like one shortly after, and the change is not the usual one here."""
        before = [past.picture for past in list(self._past)[-_AROUND:]]
        after = [picture for picture in after if not picture.plain]
        around = [one.unlike(other) for side in (before, after) for one, other in pairwise(side)] or [0.0]
        least = min(max(_TIMES * max(around), _LEAST), _UNLIKE)
        if change < max(least, _RATIO * float(np.quantile(around, 0.75))):
            return False
        return all(one.unlike(other) >= least for one in reversed(before) for other in after)

    def _dissolve(self, now: _Past) -> TrackEvent | None:
        """Return the dissolve that is over with this frame.

        In a dissolve every picture is a mixture of the two scenes, with more and more of the later one; that is no motion, whose pictures
        are mixtures of nothing.
        """
        for span in _SPANS:
            if self._scene_length < span:
                return None
            shown = [*list(self._past)[-span:], now]
            share = _shares([past.picture for past in shown])
            if share is not None and shown[0].picture.unlike(now.picture) >= _UNLIKE:
                new = int(np.argmax(share >= 0.5))
                return self._cut(shown[new].index, shown[new - 1].index, f"one picture became another within {span} frames")
        return None

    def _cut(self, now: int, before: int, detail: str) -> TrackEvent:
        """Return the event between two frames, given in the order in which they were seen."""
        return TrackEvent(now if self._direction == "forwards" else before, "cut", None, self._direction, detail)


def _shares(pictures: list[Thumbnail]) -> npt.NDArray[np.float32] | None:
    """Return the share of the last picture in each, if all are mixtures of the first and the last and the ends are steady; else None."""
    grey = np.stack([picture.coarse.ravel() for picture in pictures]) - pictures[0].coarse.ravel()
    way = grey[-1]
    length = max(float(way @ way), 1.0)
    share = grey @ way / length
    residue = ((grey - share[:, None] * way) ** 2).sum(1) / length
    steady = (np.abs(share[:_AROUND]) < _STEADY).all() and (np.abs(share[-_AROUND:] - 1) < _STEADY).all()
    return share if steady and residue.max() < _RESIDUE and np.diff(share).min() > -_STEADY else None
