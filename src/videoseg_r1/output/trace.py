"""The trace of a run: every decision of its stages, as plain data with a versioned schema.

It holds no times, so the same input, settings and seed give the same bytes. Not here: the masks that were propagated (`result`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videoseg_r1.documents import at, build, check_schema, read_json, to_json, to_plain
from videoseg_r1.errors import InvalidDocument
from videoseg_r1.masks import VOID, Rle, check_rle
from videoseg_r1.output.fingerprint import Fingerprint
from videoseg_r1.types import Anchor, KeyframePick, Reasoning, Size, TrackEvent
from videoseg_r1.video import Video

TRACE_SCHEMA = "videoseg-trace/1"


@dataclass(frozen=True, slots=True)
class TracedVideo:
    """Which video a trace belongs to.

    Attributes:
        name: its file name without folders.
        num_frames: decoded frames.
        size: (width, height).
        fingerprint: text of a `Fingerprint`; "" in documents of versions that had none.
    """

    name: str
    num_frames: int
    size: tuple[int, int]
    fingerprint: str = ""

    def fingerprinted(self) -> Fingerprint:
        """Return the fingerprint. Raises InvalidDocument: the text is none of such a video."""
        return Fingerprint.parse(self.fingerprint, self.num_frames, self.size, self.name)


@dataclass(frozen=True)
class Trace:
    """Every decision of a run, enough to compute the same masks again without the language model.

    Attributes:
        version: version of this package that wrote it.
        query: the sentence, None when masks or prompts were given instead.
        preset: name of the preset.
        seed: seed of every random choice.
        video: which video it was.
        keyframes: result of stage 1, None when it did not run.
        reasoning: result of stage 2, None when it did not run.
        seed_masks: frame index -> one mask per object, for masks and prompts that were given; None for an object that was not given on
            this frame. Empty otherwise.
        object_ids: the numbers of the objects that were given, in the order of their masks; empty means 1, 2, ...
        object_names: their names, "" where there is none; empty where there are none at all.
        settings: every setting that shapes the masks.
        models: models and their revisions.
        anchors: further frames that stage 2 answered for, with its answers.
        events: cuts, and objects lost, found again or drifting, in order of frames.
    """

    version: str
    query: str | None
    preset: str
    seed: int
    video: TracedVideo
    keyframes: KeyframePick | None = None
    reasoning: Reasoning | None = None
    seed_masks: Mapping[int, tuple[Rle | None, ...]] = field(default_factory=dict[int, tuple[Rle | None, ...]])
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    models: Mapping[str, Any] = field(default_factory=dict[str, Any])
    anchors: tuple[Anchor, ...] = ()
    events: tuple[TrackEvent, ...] = ()
    object_ids: tuple[int, ...] = ()
    object_names: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the canonical JSON text: equal traces give equal bytes. Raises InvalidDocument: a setting is no plain value."""
        return to_json(self._document())

    def to_dict(self) -> dict[str, Any]:
        """Return the trace as plain data, exactly as its JSON reads."""
        return to_plain(self._document())

    def _document(self) -> dict[str, object]:
        return {"schema": TRACE_SCHEMA, **vars(self)}

    @classmethod
    def from_dict(cls, value: object, where: str = "") -> Trace:
        """Return the trace in plain data. Raises InvalidDocument: naming the key, after `where`."""
        trace, root = build(cls, check_schema(value, TRACE_SCHEMA, where), where), f"{where}: " if where else ""
        _check_video(trace.video, root)
        _check_keyframes(trace.keyframes, trace.video.num_frames, root)
        _check_objects(trace, root)
        for index, masks in trace.seed_masks.items():
            for k, rle in enumerate(masks):
                place = at(root, f"seed_masks.{index}[{k}]")
                if rle is not None and (check_rle(rle, place)["size"] != [*trace.video.size[::-1]] or index >= trace.video.num_frames):
                    raise InvalidDocument("a mask does not fit the video", where=place, why=f"it is {rle['size']} in frame {index}")
        return trace

    @classmethod
    def read(cls, path: str | Path) -> Trace:
        """Return the trace in a JSON file. Raises SourceNotFound, InvalidDocument."""
        return cls.from_dict(read_json(path), str(path))


def check_same_video(made_from: TracedVideo, video: Video) -> str:
    """Refuse another video than the one that was segmented. Returns what could not be compared, "" for nothing.

    Raises: InvalidDocument: it differs in length or size, or in the picture of a frame.
    """
    found = video.num_frames, (video.info.width, video.info.height)
    if found != (made_from.num_frames, made_from.size):
        raise another_video(made_from, video, f"it has {_described(*found)}")
    known = made_from.fingerprinted()
    if not known.blocks:
        return "the run was saved without a fingerprint of its video: only length and size were compared"
    index = known.differing(video)
    if index is not None:
        raise another_video(made_from, video, f"its frame {index} shows another picture")
    return ""


def another_video(made_from: TracedVideo, video: Video, why: str) -> InvalidDocument:
    """Return the error for a video that is not the one that was segmented; `why` says how it differs."""
    segmented = f"{made_from.name} was segmented, with {_described(made_from.num_frames, made_from.size)}"
    fix = "give the video that the run was made from, or segment this one"
    return InvalidDocument(
        "this is another video than the one that was segmented", where=video.info.source, why=f"{segmented}; {why}", fix=fix
    )


def _described(num_frames: int, size: Size) -> str:
    return f"{num_frames} frames of {size[0]} x {size[1]}"


def _check_video(video: TracedVideo, root: str) -> None:
    if video.num_frames < 1 or min(video.size) < 1:
        why = f"{video.num_frames} frames of {video.size[0]} x {video.size[1]}"
        raise InvalidDocument("no video has this size", where=at(root, "video"), why=why)
    Fingerprint.parse(video.fingerprint, video.num_frames, video.size, at(root, "video.fingerprint"))


def _check_objects(trace: Trace, root: str) -> None:
    ids, names = trace.object_ids, trace.object_names
    if len(set(ids)) < len(ids) or any(not 0 < number < VOID for number in ids) or (names and len(names) != len(ids)):
        why = f"they are {list(ids[:8])}, with {len(names)} names"
        raise InvalidDocument("object numbers must differ and lie in 1..254", where=at(root, "object_ids"), why=why)
    counts = {len(masks) for masks in trace.seed_masks.values()} | ({len(ids)} if ids else set())
    if len(counts) > 1:
        why = f"there are {sorted(counts)} of them"
        raise InvalidDocument("there must be one mask per object on every frame", where=at(root, "seed_masks"), why=why)


def _check_keyframes(pick: KeyframePick | None, num_frames: int, root: str) -> None:
    if pick is None:
        return
    frames = (*pick.segment, pick.target_frame, *pick.key_frames, *pick.reference_frames)
    if pick.num_frames != num_frames or not all(0 <= index < num_frames for index in frames) or pick.segment[0] > pick.segment[1]:
        why = f"the video has {num_frames} frames, the key frames reach from {min(frames)} to {max(frames)} of {pick.num_frames}"
        raise InvalidDocument("the key frames do not fit the video", where=at(root, "keyframes"), why=why)
