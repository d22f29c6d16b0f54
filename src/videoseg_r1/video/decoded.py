"""The common base of videos that must be decoded: a small cache of frames, and the policy for damaged data."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from videoseg_r1.errors import CorruptVideo
from videoseg_r1.types import Frame, VideoInfo
from videoseg_r1.video.base import OnCorrupt, Video

_CACHE_BYTES = 64 << 20


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

    def _settle(self, decoded: int, expected: int | None, damage: str) -> None:
        """Decide what a decode that ended with `damage` ("" for none) means.

        Raises: CorruptVideo: no frame could be decoded, or the rest is damaged and the prefix is not to be kept.
        """
        of = f"{decoded} of {expected}" if expected is not None and expected > decoded else f"{decoded}"
        if decoded and not damage:
            return
        if decoded and self._on_corrupt == "keep-prefix":
            self._add_note(f"damaged: the first {of} frames are used ({damage})")
            return
        keep = f"to use the first {decoded} frames, ask for on_corrupt='keep-prefix' (--on-corrupt keep-prefix)"
        raise CorruptVideo(
            "the video is damaged" if decoded else "no frame can be decoded",
            decoded=decoded,
            expected=expected,
            where=self._info.source,
            why=f"{of} frames decoded{'; ' + damage if damage else ''}",
            fix=keep if decoded else "get a complete copy of the file",
        )
