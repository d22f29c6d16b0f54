"""The common base of videos that must be decoded: a small cache of frames, and the policy for damaged data."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from videoseg_r1.errors import CorruptVideo
from videoseg_r1.types import Frame, VideoInfo
from videoseg_r1.video.base import OnCorrupt, Video

_CACHE_BYTES = 64 << 20
_MAX_RANGES = 8


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with a video that was decoded to its end.

    Attributes:
        why: the first thing that was noticed.
        num_whole: frames before the first damaged or lost one.
        num_frames: frames that can be decoded at all.
        damaged_frames: the numbers of those among them that are damaged.
    """

    why: str
    num_whole: int
    num_frames: int
    damaged_frames: tuple[int, ...] = ()

    def counts(self, expected: int | None) -> str:
        """Return the counts in words; `expected`: frames that there should be, None where it is not known."""
        told = f"{self.num_whole} of {max(self.num_frames, expected or 0)} frames are good, from the first on"
        told = f"{told}; {self.num_frames} can be decoded"
        return f"{told}, {len(self.damaged_frames)} of them damaged" if self.damaged_frames else told

    def note(self, expected: int | None) -> str:
        """Return which frames are damaged, and how many are missing."""
        bad, missing = len(self.damaged_frames), max(0, (expected or 0) - self.num_frames)
        damaged = f"{bad} of {self.num_frames} frames are damaged: {_ranges(self.damaged_frames)}" if bad else "the video is damaged"
        return f"{damaged}; {missing} of {expected} frames cannot be decoded" if missing else damaged

    def ways_out(self) -> str:
        """Return what the settings that accept damage would use."""
        count, bad = self.num_frames, len(self.damaged_frames)
        prefix = f"--on-corrupt keep-prefix (on_corrupt='keep-prefix') uses the first {self.num_whole} frames"
        everything = f"--on-corrupt keep-all (on_corrupt='keep-all') uses all {count}"
        if bad:
            everything += f", marks the {bad} damaged ones and carries masks over them"
        return f"{prefix}; {everything}" if self.num_whole else everything


class DecodedVideo(Video):
    """A video that is decoded on demand. Stages read the same few frames repeatedly, so the latest ones are cached, up to 64 MiB."""

    def __init__(self, info: VideoInfo, on_corrupt: OnCorrupt) -> None:
        self._info, self._on_corrupt = info, on_corrupt
        self._cache: OrderedDict[int, Frame] = OrderedDict()

    @property
    def info(self) -> VideoInfo:
        return self._info

    @abstractmethod
    def _decode_picked(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Decode the frames of these indices, which exist, ascend and differ."""

    def _pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        # taken out before decoding starts, as fresh frames push old ones out of the cache
        known = {index: self._cache[index] for index in indices if index in self._cache}
        for frame in self._decode_picked([index for index in indices if index not in known]):
            self._remember(frame)
            yield replace(frame, rgb=frame.rgb.copy())
        for frame in known.values():
            self._remember(frame)
            yield replace(frame, rgb=frame.rgb.copy())

    def _remember(self, frame: Frame) -> None:
        self._cache[frame.index] = frame
        self._cache.move_to_end(frame.index)
        while len(self._cache) * frame.rgb.nbytes > _CACHE_BYTES:
            self._cache.popitem(last=False)

    def close(self) -> None:
        super().close()
        self._cache.clear()

    def _add_note(self, note: str) -> None:
        if note not in self._info.notes:
            self._info = replace(self._info, notes=(*self._info.notes, note))

    def _settle(self, found: Damage, expected: int | None) -> int:
        """Decide what damage means, note it, and return how many frames, from the first on, are used.

        Args:
            found: the damage, or that no frame can be decoded.
            expected: frames that there should be, by the header.
        Raises: CorruptVideo: the frames that `on_corrupt` asks for are none, or damage is an error.
        """
        strict, lenient, damaged = found.num_whole, found.num_frames, found.damaged_frames
        if self._on_corrupt == "keep-prefix" and strict:
            of = f"{strict} of {expected}" if expected is not None and expected > strict else f"{strict}"
            self._add_note(f"damaged: the first {of} frames are used ({found.why})")
            return strict
        if self._on_corrupt == "keep-all" and lenient:
            self._info = replace(self._info, damaged_frames=damaged)
            self._add_note(f"{found.note(expected)} ({found.why})")
            return lenient
        raise CorruptVideo(
            "the video is damaged" if lenient else "no frame can be decoded",
            decoded=strict,
            expected=expected,
            decodable=lenient,
            damaged=len(damaged),
            where=self._info.source,
            why=f"{found.counts(expected)}{'; ' + found.why if found.why else ''}",
            fix=found.ways_out() if lenient else "get a complete copy of the file",
        )


def _ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers as ranges: "16 to 27, 40"; the first few of many."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    told = ", ".join(" to ".join(map(str, run)) for run in runs[:_MAX_RANGES])
    return f"{told} and others" if len(runs) > _MAX_RANGES else told
