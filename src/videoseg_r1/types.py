"""The plain values that flow from stage to stage. No torch, no I/O, no behaviour beyond arithmetic on their own fields.

Conventions: boxes are `xyxy` in float pixels of the original displayed frame (rotation applied), points are (x, y), masks are
bool (H, W), frame indices count decoded frames from 0, intervals are inclusive, times are seconds from the first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

BoolMask: TypeAlias = npt.NDArray[np.bool_]
"""(H, W) or (N, H, W) bool."""
RgbImage: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""
Color: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0..255."""
Size: TypeAlias = tuple[int, int]
"""(width, height) in pixels."""
CANONICAL: Size = (840, 840)
"""The frame in which replies are written and rewards are measured. Source: VisionReasoner, which the paper follows."""
Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with (stage or file, steps done, steps in all) while something works.

It may raise to stop the work, for example `errors.Cancelled`: then half-written outputs are removed, files are closed, and its error
passes through to the caller. What is made to be resumed stays: checkpoints, and the part of a download.
"""
SourceKind: TypeAlias = Literal["file", "folder", "image", "animation", "array", "iterator"]


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of a source before it is decoded. Header values are hints; the decoded frames are the truth.

    Attributes:
        source: path or a description such as "array of 24 frames".
        width, height: displayed size in pixels, rotation applied.
        fps: average frames per second, None where it has no meaning (images, folders, arrays).
        num_frames_hint: frame count the header claims, None when it claims none.
        duration_hint_s: duration the header claims.
        codec: name of the codec, "" where there is none.
        rotation: counter-clockwise degrees that were applied to the stored pixels: 0, 90, 180 or 270.
        has_audio: whether an audio stream is there to be copied.
        frame_names: stems of the files of a frame folder, in order; empty for everything else.
        pixel_aspect: width : height of a pixel, (1, 1) for square ones; rotation applied.
        notes: what a user should know: interlaced, HDR, transparency flattened.
        damaged_frames: numbers of the frames that are not as they were recorded, ascending; known once the video was decoded, and only
            where damage is accepted (`on_corrupt="keep-all"`).
        background: what transparency is flattened on: "white", "black" or "#rrggbb".
    """

    source: str
    kind: SourceKind
    width: int
    height: int
    fps: float | None = None
    num_frames_hint: int | None = None
    duration_hint_s: float | None = None
    codec: str = ""
    rotation: int = 0
    has_audio: bool = False
    frame_names: tuple[str, ...] = ()
    pixel_aspect: tuple[int, int] = (1, 1)
    notes: tuple[str, ...] = ()
    damaged_frames: tuple[int, ...] = ()
    background: str = "white"

    @property
    def shown_size(self) -> Size:
        """(width, height) in square pixels: the stored height, and as wide as the pictures are meant to be shown."""
        return max(1, round(self.width * self.pixel_aspect[0] / self.pixel_aspect[1])), self.height


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture: `index` from 0, `pts_s` seconds from the first frame, `rgb` (H, W, 3) uint8."""

    index: int
    pts_s: float
    rgb: RgbImage


@dataclass(frozen=True, slots=True)
class Point:
    """A position in pixels."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """Corners in pixels; x2 and y2 are the outer edges, so a one-pixel box has width 1."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def center(self) -> Point:
        return Point((self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2)


@dataclass(frozen=True, slots=True)
class Cue:
    """What stage 2 hands to stage 3 for one object, in pixels of the frame.

    Attributes:
        box: around the object, None where there are only points.
        points: on the object.
        neg_points: beside it.
        track_id: which followed thing of the preset's perception the cue is about; None where it is not known.
    """

    box: Box | None
    points: tuple[Point, ...] = ()
    neg_points: tuple[Point, ...] = ()
    track_id: int | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One round of the sampler: the segment that was shown, each vote in frames, and what they were averaged to.

    A vote is None where the reply could not be used. `spread` is the mean absolute deviation of the votes, in frames.
    """

    shown: tuple[int, int]
    votes: tuple[tuple[int, int] | None, ...]
    segment: tuple[int, int]
    spread: float


@dataclass(frozen=True, slots=True)
class KeyframePick:
    """Result of stage 1.

    Attributes:
        num_frames: decoded frames of the video.
        segment: first and last frame of the key segment, inclusive.
        target_frame: the frame that stage 2 answers for, inside `segment`.
        key_frames: frames of the key segment that are shown to stage 2.
        reference_frames: frames of the whole video that are shown to stage 2.
        rounds: every round of interval votes.
        positions: every position vote in 0..1, None where unusable.
        converged: whether the segment got as short as asked.
        mode: sampler mode (Table 5 of the paper).
        anchors: further frames to be answered for, beyond the paper, one per other part of the key segment.
    """

    num_frames: int
    segment: tuple[int, int]
    target_frame: int
    key_frames: tuple[int, ...]
    reference_frames: tuple[int, ...]
    rounds: tuple[Round, ...] = ()
    positions: tuple[float | None, ...] = ()
    converged: bool = True
    mode: str = "full"
    anchors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Result of stage 2.

    Attributes:
        text: the thinking text, without tags.
        cues: one per target object; empty means "no target".
        num_tokens: length of the thinking text in tokens of the model (words where there is no tokenizer).
        reply: the raw reply, as the model wrote it.
        presence: confidence in 0..1 that a target is there at all.
        failed: whether no usable reply came back, which is not the same as "no target".
        notes: what was repaired or clamped on the way.
    """

    text: str
    cues: tuple[Cue, ...]
    num_tokens: int = 0
    reply: str = ""
    presence: float = 1.0
    failed: bool = False
    notes: tuple[str, ...] = ()

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes of the cues that have one."""
        return tuple(cue.box for cue in self.cues if cue.box)


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What is given of one frame: masks of some of the N objects that are followed.

    Attributes:
        masks: bool (N, H, W), no two overlapping.
        which: bool (N,), the objects that are given here; one whose mask is empty is given as absent. Of the others nothing is given: they
            are carried, and give way. Their masks are empty, except in the first frame that a stepper sees, which is where it finds what
            another run carried there.
    """

    masks: BoolMask
    which: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, seed: BoolMask | Given) -> Given:
        """Return what a seed says: bool masks (N, H, W) give every object. Where two masks overlap, the first keeps the pixel."""
        masks, which = (seed.masks, seed.which) if isinstance(seed, Given) else (seed, np.ones(len(seed), np.bool_))
        masks = masks & which[:, None, None]
        return cls(masks & (np.cumsum(masks, axis=0, dtype=np.uint16) == 1), which)

    def over(self, carried: BoolMask) -> BoolMask:
        """Return carried masks (N, H, W) with the given ones in their places; the others lose the pixels that are given away."""
        which = self.which[:, None, None]
        taken = (self.masks & which).any(0)
        return np.where(which, self.masks, carried & ~taken)


Seeds: TypeAlias = Mapping[int, Given]
"""Frame index -> what is given of it, of the same objects in the same order everywhere; empty where there is no target."""
AnchorReason: TypeAlias = Literal["follow", "split", "check"]
"""Why stage 2 answered for a further frame: "follow", the target was found again in another part of the video; "split", each part of the
key segment gets an answer of its own; "check", the self-check found the masks wrong there."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A further frame that stage 2 answered for; its masks are propagated too, or correct the propagated ones (see `Trace`)."""

    frame_index: int
    why: AnchorReason
    reasoning: Reasoning


Direction: TypeAlias = Literal["forwards", "backwards"]
"""Which way through time masks were carried."""
EventKind: TypeAlias = Literal["cut", "lost", "found", "drift"]


@dataclass(frozen=True, slots=True)
class TrackEvent:
    """Something that happened while masks were carried.

    Attributes:
        frame_index: of a cut, the first frame after it; otherwise the frame at which it was noticed.
        kind: "cut", the picture became another one; "lost", an object is nowhere any more; "found", it is back; "drift", its mask is
            no longer to be relied on.
        object_index: which object, None for a cut.
        direction: which way through time the masks were carried.
        detail: what was seen, in words.
    """

    frame_index: int
    kind: EventKind
    object_index: int | None
    direction: Direction
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """One frame of a propagation.

    Attributes:
        index: of the frame.
        masks: bool (N, H, W), no two overlapping.
        confidence: one per object, the IoU with the truth that is to be expected, in 0..1: 1 where the mask was given, 0 where it is
            empty (docs/metrics.md, "Confidence").
        events: what was noticed at this frame.
    """

    index: int
    masks: BoolMask
    confidence: tuple[float, ...]
    events: tuple[TrackEvent, ...] = ()
