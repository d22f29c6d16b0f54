"""The result of a run: the tracks, and the trace from which they can be computed again.

Masks stay run lengths in a `MaskSpool` until somebody asks for a frame. Not here: writing formats (`save`), drawing (`render`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from videoseg_r1.config import Limits
from videoseg_r1.documents import to_plain
from videoseg_r1.errors import SourceNotFound, UsageError
from videoseg_r1.masks import LabelMap, MaskSpool, Rle, box_of, label_map, union_of
from videoseg_r1.output.trace import Trace
from videoseg_r1.types import BoolMask, Box, KeyframePick, Reasoning, VideoInfo

if TYPE_CHECKING:
    import numpy.typing as npt

    from videoseg_r1.output.save import SavedFiles
    from videoseg_r1.video import OnCorrupt, Video

RESULT_SCHEMA = "videoseg-result/1"


@dataclass(frozen=True, slots=True)
class Track:
    """One object through the video: a view on the spool that keeps the masks.

    Attributes:
        object_id: its number in label maps and documents, 1..254.
        index: its place in the spool.
        spool: the masks of all objects.
        name: what the user calls it, "" where nobody said.
    """

    object_id: int
    index: int
    spool: MaskSpool = field(repr=False)
    name: str = ""

    @classmethod
    def all_of(cls, spool: MaskSpool, object_ids: Sequence[int] | None = None, names: Mapping[int, str] | None = None) -> tuple[Track, ...]:
        """Return one track per object of the spool, numbered 1, 2, ... unless `object_ids` says otherwise; `names` go by number."""
        ids = range(1, spool.num_objects + 1) if object_ids is None else object_ids
        return tuple(cls(object_id, index, spool, (names or {}).get(object_id, "")) for index, object_id in enumerate(ids))

    def mask(self, frame_index: int) -> BoolMask:
        """Return the mask, (H, W) bool; all False where the object is not there."""
        return self.spool.mask(self.index, frame_index)

    def rle(self, frame_index: int) -> Rle:
        """Return the mask as COCO run lengths."""
        return self.spool.rle(self.index, frame_index)

    def present(self, frame_index: int) -> bool:
        """Return whether the mask has any pixel."""
        return self.spool.present(self.index, frame_index)

    def box(self, frame_index: int) -> Box | None:
        """Return the tightest box, None where the object is not there."""
        return box_of(self.mask(frame_index)) if self.present(frame_index) else None

    def confidence(self, frame_index: int) -> float:
        """Return the IoU with the true mask that the propagator expects, 0..1 (docs/metrics.md, "Confidence")."""
        return self.spool.confidence(self.index, frame_index)

    @property
    def score(self) -> float:
        """The mean confidence over the frames that show the object, 0.0 when none does."""
        shown = [self.confidence(i) for i in range(self.spool.num_frames) if self.present(i)]
        return sum(shown) / len(shown) if shown else 0.0


@dataclass(frozen=True)
class SegmentationResult:
    """The masks of a video, and how they were found.

    Attributes:
        info: what was known of the source.
        query: the sentence, None when masks or prompts were given.
        num_frames: decoded frames.
        size: displayed (width, height).
        keyframes, reasoning: results of stages 1 and 2, None when they did not run.
        tracks: one per target; none means "no target".
        times: seconds of each frame from the first.
        trace: what `videoseg replay` needs.
        timings_s: seconds per stage.
        source: path or (T, H, W, 3) array to open the video again, None when it cannot be.
        notes: degraded operation of the models: steps taken when memory ran out, another device, frames computed twice; in documents
            that are saved also what is to be said of the outputs.
    """

    info: VideoInfo
    query: str | None
    num_frames: int
    size: tuple[int, int]
    keyframes: KeyframePick | None
    reasoning: Reasoning | None
    tracks: tuple[Track, ...]
    times: Sequence[float] = field(repr=False)
    trace: Trace = field(repr=False)
    timings_s: Mapping[str, float] = field(default_factory=dict[str, float])
    source: str | Path | npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    def masks(self, frame_index: int) -> BoolMask:
        """Return the masks of all targets, (N, H, W) bool. Raises UsageError: the video has no such frame."""
        if not 0 <= frame_index < self.num_frames:
            raise UsageError("there is no such frame", where=f"frame {frame_index}", why=f"the video has {self.num_frames}, from 0 on")
        found = [track.mask(frame_index) for track in self.tracks]
        return np.stack(found) if found else np.zeros((0, *self.size[::-1]), np.bool_)

    def mask(self, frame_index: int) -> BoolMask:
        """Return the union of the targets, (H, W) bool. Raises UsageError: the video has no such frame."""
        return union_of(self.masks(frame_index))

    def label_map(self, frame_index: int) -> LabelMap:
        """Return (H, W) uint8 with the object's number in every pixel, 0 for background; the first object wins an overlap.

        Raises: UsageError: the video has no such frame.
        """
        return label_map(self.masks(frame_index), [track.object_id for track in self.tracks])

    def present(self, frame_index: int) -> bool:
        """Return whether any target is in the frame."""
        return any(track.present(frame_index) for track in self.tracks)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the masks as plain data: the keys of the trace, the source, a summary per track, and the timings."""
        document = self.trace.to_dict() | {
            "schema": RESULT_SCHEMA,
            "info": self.info,
            "query": self.query,
            "keyframes": self.keyframes,
            "reasoning": self.reasoning,
            "tracks": [self._summary(track) for track in self.tracks],
            "timings_s": self.timings_s,
            "notes": self.notes,
        }
        return to_plain(document)

    def save(self, folder: str | Path, formats: Sequence[str] = ("overlay", "png", "rle", "json"), overwrite: bool = False) -> SavedFiles:
        """Write the result into a folder; see `output.save`. Returns format -> path, with notes on what was written."""
        from videoseg_r1.output.save import save

        return save(self, folder, formats, overwrite=overwrite)

    @property
    def on_corrupt(self) -> OnCorrupt:
        """How the same frames are read from the video again, where it is damaged."""
        return "keep-all" if self.info.damaged_frames else "keep-prefix"

    def reopen(self) -> Video:
        """Return the video, opened anew; close it after use. Raises SourceNotFound: it was a stream, or is not where it was."""
        from videoseg_r1.video import open_video

        if self.source is None:
            fix = "name the video file, or choose formats that need no pictures: png, rle, json, trace"
            raise SourceNotFound("the pictures are not kept", where=self.info.source, why="the source was a stream", fix=fix)
        # the source was accepted once, damage and limits that may have been raised included; whoever reads it checks that it still fits
        default = Limits()
        limits = Limits(
            max_bytes=1 << 62,
            max_width=max(default.max_width, *self.size),
            max_height=max(default.max_height, *self.size),
            max_duration_s=max(default.max_duration_s, 2 * self.times[-1]),
            max_frames=max(default.max_frames, self.num_frames),
        )
        return open_video(self.source, limits=limits, on_corrupt=self.on_corrupt, background=self.info.background)

    def _summary(self, track: Track) -> dict[str, object]:
        shown = [i for i in range(self.num_frames) if track.present(i)]
        return {
            "object_id": track.object_id,
            **({"name": track.name} if track.name else {}),
            "score": track.score,
            "num_frames_present": len(shown),
            "first_frame": shown[0] if shown else None,
            "last_frame": shown[-1] if shown else None,
        }
