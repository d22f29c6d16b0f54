"""Reads back what `save` wrote: masks from JSON or a folder of PNGs, and whole runs, so that they can be exported again.

Nothing that is read is trusted: run lengths, sizes and counts are checked before use. Not here: benchmark folders (`datasets`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from videoseg_r1.documents import build, check_schema, read_json
from videoseg_r1.errors import InvalidDocument, ShapeMismatch, SourceNotFound, UsageError
from videoseg_r1.masks import MAX_PIXELS, VOID, MaskSpool, Rle, decode, read_mask, union_of
from videoseg_r1.output.result import RESULT_SCHEMA, SegmentationResult, Track
from videoseg_r1.output.save import EXPORTS, MASKS_SCHEMA
from videoseg_r1.output.trace import TRACE_SCHEMA, Trace
from videoseg_r1.types import BoolMask, VideoInfo
from videoseg_r1.video.folder import natural_key

_RESULT_JSON = EXPORTS["json"].file_name


@dataclass(frozen=True)
class SavedMasks:
    """Masks that were read back.

    Attributes:
        tracks: one per object, numbered as in the file.
        spool: where the tracks keep their masks.
        size: (width, height).
        frame_names: file names without ending; empty for JSON of sources without them.
        times: seconds of each frame, empty for PNG folders.
        num_frames: number of frames.
    """

    tracks: tuple[Track, ...]
    spool: MaskSpool
    size: tuple[int, int]
    frame_names: tuple[str, ...]
    times: tuple[float, ...]
    num_frames: int

    def mask(self, frame_index: int) -> BoolMask:
        """Return the union of the objects, (H, W) bool."""
        return union_of(self.spool.masks(frame_index))


class _SavedVideo(TypedDict):
    width: int
    height: int
    length: int
    file_names: list[str]
    times_s: list[float]


@dataclass(frozen=True)
class _SavedTrack:
    id: int
    confidences: list[float]
    segmentations: list[Rle | None]
    name: str = ""


class _SavedDocument(TypedDict):
    videos: list[_SavedVideo]
    annotations: list[_SavedTrack]


def load_masks(path: str | Path) -> SavedMasks:
    """Return the masks of a JSON file of format "rle", or of a folder of mask pictures, one per frame in natural order.

    Raises: SourceNotFound; InvalidDocument: naming the place; ShapeMismatch: pictures of differing sizes; LimitExceeded.
    """
    return _from_folder(Path(path)) if Path(path).is_dir() else _from_json(Path(path))


def run_folder(path: Path) -> Path:
    """Return the folder of a saved run, given that folder or what `save` wrote into it: result.json, trace.json, masks/.

    Raises: UsageError: it is another file.
    """
    if path.name in {export.file_name for export in EXPORTS.values()} and (path.is_file() or (path.parent / _RESULT_JSON).is_file()):
        return path.parent
    if path.is_file():
        fix = f"give the folder that holds {_RESULT_JSON}; the video is named by --video"
        raise UsageError("this is no saved run", where=str(path), why="it is a file", fix=fix)
    return path


def read_run(folder: str | Path, video: str | Path | None = None) -> SegmentationResult:
    """Return the result that was saved with the formats "json" and "rle" (or "png", which keeps neither overlaps nor confidence).

    `video` says where the source is now; without it, it is looked for where it was, and formats with pictures fail if it is gone.
    Raises: SourceNotFound, InvalidDocument: a file is missing, damaged, or does not belong to the others.
    """
    root = Path(folder)
    where = str(root / _RESULT_JSON)
    document = check_schema(read_json(where), RESULT_SCHEMA, where)
    trace = Trace.from_dict(document | {"schema": TRACE_SCHEMA}, where)
    rest = build(_SavedResult, document, where)
    masks_json = root / EXPORTS["rle"].file_name
    masks = load_masks(masks_json if masks_json.exists() else root / EXPORTS["png"].file_name)
    if (masks.num_frames, masks.size) != (trace.video.num_frames, trace.video.size):
        why = f"{masks.num_frames} frames of {masks.size} in the masks, {trace.video.num_frames} of {trace.video.size} in {where}"
        raise InvalidDocument("the files of this run do not belong together", where=str(root), why=why)
    info = rest.info
    if min(info.pixel_aspect) < 1:
        raise InvalidDocument("no pixel has this shape", where=f"{where}: info.pixel_aspect", why=f"it is {list(info.pixel_aspect)}")
    there = os.path.exists(info.source)  # noqa: PTH110 - Path.exists raises where a name is too long
    return SegmentationResult(
        info=info,
        query=trace.query,
        num_frames=masks.num_frames,
        size=masks.size,
        keyframes=trace.keyframes,
        reasoning=trace.reasoning,
        tracks=masks.tracks,
        times=masks.times or tuple(index / (info.fps or 24.0) for index in range(masks.num_frames)),
        trace=trace,
        timings_s=rest.timings_s,
        notes=rest.notes,
        source=video if video is not None else info.source if there else None,
    )


@dataclass(frozen=True)
class _SavedResult:
    info: VideoInfo
    timings_s: dict[str, float]
    notes: tuple[str, ...] = ()


def _from_json(path: Path) -> SavedMasks:
    document = build(_SavedDocument, check_schema(read_json(path), MASKS_SCHEMA, str(path)), str(path))
    if len(document["videos"]) != 1:
        raise InvalidDocument("masks of one video are expected", where=f"{path}: videos", why=f"there are {len(document['videos'])}")
    video, tracks = document["videos"][0], document["annotations"]
    length, size = video["length"], (video["width"], video["height"])
    if length < 1 or min(size) < 1 or size[0] * size[1] > MAX_PIXELS or size[0] * size[1] * len(tracks) > 8 * MAX_PIXELS:
        raise InvalidDocument(
            "no video has this size",
            where=f"{path}: videos[0]",
            why=f"{length} frames of {size[0]} x {size[1]}, {len(tracks)} objects",
        )
    lists = {"videos[0].times_s": video["times_s"]} | {f"annotations[{k}].segmentations": t.segmentations for k, t in enumerate(tracks)}
    lists |= {f"annotations[{k}].confidences": t.confidences for k, t in enumerate(tracks)}
    for place, values in lists.items():
        if len(values) != length:
            raise InvalidDocument("a list is of the wrong length", where=f"{path}: {place}", why=f"{len(values)} items for {length} frames")
    ids = _checked_ids([track.id for track in tracks], f"{path}: annotations")
    spool = MaskSpool(len(tracks), size)
    for index in range(length):
        masks = np.zeros((len(tracks), size[1], size[0]), np.bool_)
        for k, track in enumerate(tracks):
            rle = track.segmentations[index]
            if rle is not None:
                masks[k] = _fitting(rle, size, f"{path}: annotations[{k}].segmentations[{index}]")
        spool.put(index, masks, [track.confidences[index] for track in tracks])
    names = {track.id: track.name for track in tracks}
    return SavedMasks(Track.all_of(spool, ids, names), spool, size, tuple(video["file_names"]), tuple(video["times_s"]), length)


def _fitting(rle: Rle, size: tuple[int, int], where: str) -> BoolMask:
    if rle["size"] != [size[1], size[0]]:
        raise InvalidDocument("a mask does not fit the video", where=where, why=f"its size is {rle['size']}, expected {[size[1], size[0]]}")
    return decode(rle, where)


def _checked_ids(ids: list[int], where: str) -> list[int]:
    if len(set(ids)) != len(ids) or any(not 0 < number < VOID for number in ids):
        raise InvalidDocument("object numbers must differ and lie in 1..254", where=where, why=f"they are {ids[:8]}")
    return ids


def _from_folder(folder: Path) -> SavedMasks:
    files = sorted(folder.glob("[!.]*.png"), key=lambda file: natural_key(file.stem))
    if not files:
        raise SourceNotFound("there are no mask pictures", where=str(folder), fix="give the folder that holds the .png files themselves")
    size, found = (0, 0), set[int]()
    for file in files:  # twice through the files, so that only one picture is in memory at a time
        labels = read_mask(file)
        if size not in ((0, 0), labels.shape[::-1]):
            raise ShapeMismatch("the masks do not share one size", where=str(file), why=f"{labels.shape[::-1]}, before {size}")
        size = (labels.shape[1], labels.shape[0])
        found |= {int(number) for number in np.unique(labels)} - {0, VOID}
    ids = sorted(found)
    spool = MaskSpool(len(ids), size)
    for index, file in enumerate(files):
        spool.put(index, read_mask(file, size)[None] == np.array(ids, np.uint8)[:, None, None])
    return SavedMasks(Track.all_of(spool, ids), spool, size, tuple(file.stem for file in files), (), len(files))
