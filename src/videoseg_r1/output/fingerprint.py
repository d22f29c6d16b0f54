"""Fingerprints: what a few frames of a video look like, so that a trace is never used with another one.

A fingerprint holds the mean colours of a grid of blocks in five frames, evenly spaced, the first and the last among them. Containers,
lossless codecs and the rounding of a machine do not change them; another clip, the same clip one frame later, mirrored, or with a logo
does. Not here: whether a copy that was encoded anew shows the same scene (its pixels differ, and so would its masks).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from videoseg_r1.errors import InvalidDocument
from videoseg_r1.types import Frame, RgbImage, Size
from videoseg_r1.video import Video
from videoseg_r1.video.base import BorrowedVideo

_NUM_FRAMES = 5
_GRID = 16
_TOLERANCE = 1
"""Grey levels that the mean of a block may differ: decoders and converters of other machines round in other ways."""
_Blocks = npt.NDArray[np.uint8]
"""(rows, columns, 3) uint8: the mean colour of every block."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Frame index -> mean colours of its blocks; empty where nothing is known."""

    blocks: Mapping[int, _Blocks]

    @classmethod
    def parse(cls, text: str, num_frames: int, size: Size, where: str = "") -> Fingerprint:
        """Return what `text` holds of a video of this length and (width, height); "" is an empty one.

        Raises: InvalidDocument: it is no fingerprint of such a video.
        """
        if not text:
            return cls({})
        shape = min(_GRID, size[1]), min(_GRID, size[0]), 3
        indices = _sampled(num_frames)
        try:
            values = np.frombuffer(base64.b64decode(text.encode("ascii"), validate=True), np.uint8)
            blocks = values.reshape(len(indices), *shape)
        except (binascii.Error, ValueError) as error:
            why = f"it does not hold {len(indices)} frames of {shape[1]} x {shape[0]} blocks"
            raise InvalidDocument("the fingerprint of the video cannot be read", where=where, why=why) from error
        return cls(dict(zip(indices, blocks, strict=True)))

    def __str__(self) -> str:
        """The blocks of all frames in their order, rows first, RGB, as Base64."""
        return base64.b64encode(b"".join(self.blocks[index].tobytes() for index in sorted(self.blocks))).decode("ascii")

    def fits(self, index: int, rgb: RgbImage) -> bool:
        """Whether the frame may be the one of this index; always, where it is not one that was sampled."""
        known = self.blocks.get(index)
        return known is None or bool((np.abs(_blocks_of(rgb).astype(np.int16) - known) <= _TOLERANCE).all())

    def differing(self, video: Video) -> int | None:
        """Return the first sampled frame in which a video of the same size and length differs; None where it is the same."""
        frames = (video.read([index])[0] for index in sorted(self.blocks))
        return next((frame.index for frame in frames if not self.fits(frame.index, frame.rgb)), None)


class WitnessedVideo(BorrowedVideo):
    """A view of a video that takes the fingerprint from frames as they pass. Closing it closes the video."""

    def __init__(self, video: Video) -> None:
        super().__init__(video)
        self._wanted: tuple[int, ...] = ()
        self._seen: dict[int, _Blocks] = {}

    @property
    def times(self) -> tuple[float, ...]:
        times = super().times
        # nobody is made to count the frames for the sake of a fingerprint before the end
        self._wanted = self._wanted or _sampled(len(times))
        return times

    def fingerprint(self) -> Fingerprint:
        """Return the fingerprint; frames that have not passed yet are read."""
        self.read([index for index in _sampled(self.num_frames) if index not in self._seen])
        return Fingerprint(self._seen)

    def close(self) -> None:
        super().close()
        self._video.close()

    def _forward(self, start: int, stop: int | None) -> Iterator[Frame]:
        return map(self._witness, super()._forward(start, stop))

    def _pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        return map(self._witness, super()._pick(indices))

    def _witness(self, frame: Frame) -> Frame:
        if frame.index in self._wanted and frame.index not in self._seen:
            self._seen[frame.index] = _blocks_of(frame.rgb)
        return frame


def _sampled(num_frames: int) -> tuple[int, ...]:
    return tuple(sorted({round(place) for place in np.linspace(0, num_frames - 1, _NUM_FRAMES)}))


def _blocks_of(rgb: RgbImage) -> _Blocks:
    """The mean colour of every block, rounded; sums are exact, so every machine gets the same of the same pixels."""
    rows, columns = (np.arange(min(_GRID, side)) * side // min(_GRID, side) for side in rgb.shape[:2])
    heights, widths = np.diff(rows, append=rgb.shape[0]), np.diff(columns, append=rgb.shape[1])
    # band by band: a tenth of the time of `reduceat` over whole pictures
    bands = np.stack([rgb[top : top + height].sum(axis=0, dtype=np.uint32) for top, height in zip(rows, heights, strict=True)])
    sums = np.add.reduceat(bands, columns, axis=1, dtype=np.int64)
    counts = (heights[:, None] * widths)[..., None]
    return ((2 * sums + counts) // (2 * counts)).astype(np.uint8)
