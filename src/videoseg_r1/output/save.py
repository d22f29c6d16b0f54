"""Writes a result in any format of EXPORTS.

Formats with pictures come first and share one pass over the video: what is to be said of them stands in the documents. Everything is
made in a hidden folder beside its place and moved there when all of it is complete, so nothing half-written is ever
seen and a failure leaves nothing behind. A process that is killed leaves that folder, `.saving-*`, which may be deleted. Memory does not
grow with the length of the video. Not here: reading back (`reload`), benchmark archives (`evaluation`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from videoseg_r1.documents import to_json
from videoseg_r1.errors import OutputExists, UnknownName, UsageError, unknown_name
from videoseg_r1.files import check_folder, output_errors, side_folder
from videoseg_r1.masks import union_of, write_label_png
from videoseg_r1.output.card import card_frames, card_picture, draw_card, unreadable_parts
from videoseg_r1.output.render import cutout, matte, overlay
from videoseg_r1.output.trace import another_video
from videoseg_r1.types import BoolMask, Frame, RgbImage
from videoseg_r1.video import Video, VideoWriter
from videoseg_r1.video.write import Codec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from videoseg_r1.output.result import SegmentationResult

MASKS_SCHEMA = "videoseg-masks/1"
_MAX_PARTS = 4
"""As many things that a card cannot draw are named."""

Push: TypeAlias = Callable[[Frame, BoolMask], None]
"""Takes each frame in turn, with its masks (N, H, W)."""
Tell: TypeAlias = Callable[[str], None]
"""Takes what a user should know of an output."""


@dataclass(frozen=True, slots=True)
class Export:
    """A format. It has exactly one of `write`, which needs no pictures, and `sink`, which is given every frame."""

    name: str
    description: str
    file_name: str
    write: Callable[[SegmentationResult, Path], None] | None = None
    sink: Callable[[SegmentationResult, Path, Tell], AbstractContextManager[Push]] | None = None


class SavedFiles(dict[str, Path]):
    """Format -> file or folder. `notes`: what a user should know of them, such as sound that was converted."""

    notes: tuple[str, ...] = ()


def save(
    result: SegmentationResult, folder: str | Path, formats: Sequence[str], *, overwrite: bool = False, video: Video | None = None
) -> SavedFiles:
    """Write the result into a folder, which is made if need be.

    Returns: format -> file or folder, with notes on them; the notes are in the format "json" too, after those of the result.

    Names, existing outputs, the folder and the source are checked before any work. Formats with pictures read `video`, the one that was
    segmented, where it is given and still open; otherwise the source is opened again, once.

    Raises: UnknownName; OutputExists: an output is there and `overwrite` is not set; OutputError: the folder cannot be written, or the
        disk is full; SourceNotFound and other InputErrors: a format needs the pictures and the video cannot be read;
        InvalidDocument: the video is not the one that was segmented.
    """
    root = Path(folder)
    with ExitStack() as opened, output_errors("the result cannot be saved", root):
        exports = checked_exports(root, formats, overwrite=overwrite, source=_source_path(result))
        if video is None and any(export.sink for export in exports):
            video = opened.enter_context(result.reopen())
        saved = SavedFiles({export.name: root / export.file_name for export in exports})
        with side_folder(root) as staging:
            if video is not None:
                saved.notes = _write_pictures(result, video, staging, exports)
            result = replace(result, notes=tuple(dict.fromkeys((*result.notes, *saved.notes))))
            for export in exports:
                if export.write is not None:
                    export.write(result, staging / export.file_name)
            _publish(staging, list(saved.values()))
    return saved


def checked_exports(folder: Path, formats: Sequence[str], *, overwrite: bool = False, source: Path | None = None) -> list[Export]:
    """Return the formats of these names, each once, after the checks that `save` makes before any work.

    `source` is the video, where it is a file or a folder: no output may replace it, or become one of its frames.
    Raises: UnknownName; UsageError: no name is given, or an output would meet the source; OutputExists: an output is there and `overwrite`
        is not set; OutputError: the folder is a file.
    """
    names = list(dict.fromkeys(formats.split(",") if isinstance(formats, str) else formats))
    if not names:
        raise UsageError("no format was chosen", fix=f"known are {', '.join(EXPORTS)}")
    for name in names:
        if name not in EXPORTS:
            raise _unknown_format(name)
    exports = [EXPORTS[name] for name in names]
    check_folder(folder)
    _check_apart(folder, exports, source)
    there = [export.file_name for export in exports if os.path.lexists(folder / export.file_name)]
    if there and not overwrite:
        fix = "choose another folder, or replace what is there (--overwrite)"
        raise OutputExists("the output is there already", where=f"{folder}: {', '.join(there)}", fix=fix)
    return exports


def _unknown_format(name: str) -> UnknownName:
    ours, what = _OTHER_NAMES.get(name.lower().lstrip("."), ("", ""))
    if not ours:
        return unknown_name("format", name, EXPORTS)
    return UnknownName("no such format", where=name, fix=f"{what} is what `{ours}` writes; known are {', '.join(EXPORTS)}")


def _check_apart(folder: Path, exports: Sequence[Export], source: Path | None) -> None:
    """Refuse outputs that would replace the source, or lie among its frames."""
    if source is None or not source.exists():
        return
    origin, root = source.resolve(), folder.resolve()
    if root == origin:
        why = "pictures that are written there would be read as frames the next time"
        raise UsageError("the output folder is the folder of the frames", where=str(folder), why=why, fix="choose another folder (-o)")
    for export in exports:
        target = root / export.file_name
        if target == origin or target in origin.parents:
            where, why = str(folder / export.file_name), f"{export.name} is written under this name"
            raise UsageError("an output would replace the video", where=where, why=why, fix="choose another folder (-o)")


def _source_path(result: SegmentationResult) -> Path | None:
    return Path(result.source) if isinstance(result.source, str | Path) else None


# ---- the way from a result to complete files ----


def _publish(staging: Path, targets: Iterable[Path]) -> None:
    """Move finished outputs to their places; on failure remove those that replaced nothing."""
    new = list[Path]()
    try:
        for target in targets:
            if target.is_dir() and not target.is_symlink():
                target.replace(staging / f"old-{target.name}")
            elif not target.exists():
                new.append(target)
            (staging / target.name).replace(target)
    except OSError:
        for target in new:
            _remove(target)
        raise


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _write_pictures(result: SegmentationResult, video: Video, staging: Path, exports: Sequence[Export]) -> tuple[str, ...]:
    """Decode the video once and give every frame to every format that needs pictures. Returns what they say of their outputs."""
    notes: list[str] = []
    sinks = [
        export.sink(result, staging / export.file_name, lambda note, name=export.name: notes.append(f"{name}: {note}"))
        for export in exports
        if export.sink is not None
    ]
    if not sinks:
        return ()
    made_from = result.trace.video
    known = made_from.fingerprinted()
    is_comparable = video.info.background == result.info.background  # on another one the same pictures differ
    with ExitStack() as stack:
        pushes = [stack.enter_context(sink) for sink in sinks]
        seen = 0
        for frame in video.frames(0, result.num_frames):
            if frame.rgb.shape[1::-1] != result.size:
                raise another_video(made_from, video, f"its frame {frame.index} is {frame.rgb.shape[1]} x {frame.rgb.shape[0]}")
            if is_comparable and not known.fits(frame.index, frame.rgb):
                raise another_video(made_from, video, f"its frame {frame.index} shows another picture")
            masks = result.masks(frame.index)
            for push in pushes:
                push(frame, masks)
            seen += 1
        if seen != result.num_frames:
            raise another_video(made_from, video, f"it has {seen} frames")
    return tuple(notes)


# ---- formats without pictures ----


def write_png(result: SegmentationResult, folder: Path) -> None:
    """A folder of indexed PNGs with object numbers, in the DAVIS palette, named as the frames of the source or 00000, 00001, ..."""
    folder.mkdir()
    for index, name in enumerate(frame_names(result)):
        write_label_png(folder / f"{name}.png", result.label_map(index))


def frame_names(result: SegmentationResult) -> Sequence[str]:
    """Return a file name without ending for every frame: that of the source, where it has one that is safe to use."""
    names = result.info.frame_names
    safe = all(name not in ("", ".", "..") and not set(name) & set("/\\:\0") for name in names)
    return names if safe and len(set(names)) == result.num_frames else [f"{index:05d}" for index in range(result.num_frames)]


def write_rle(result: SegmentationResult, path: Path) -> None:
    """Masks as JSON in the manner of YouTube-VIS: per object one COCO run-length mask per frame, null where it is not there.

    Written frame by frame, so a long video needs no more memory than a short one.
    """
    width, height = result.size
    name = result.query or "target"
    video = {"id": 1, "name": result.trace.video.name, "width": width, "height": height, "length": result.num_frames}
    video |= {"file_names": list(result.info.frame_names), "times_s": list(result.times)}
    head = {"schema": MASKS_SCHEMA, "videos": [video], "categories": [{"id": 1, "name": name}]}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(head, allow_nan=False)[:-1] + ', "annotations": [')
        for place, track in enumerate(result.tracks):
            facts = {"id": track.object_id, "video_id": 1, "category_id": 1, "iscrowd": 0, "width": width, "height": height}
            facts |= {"name": track.name} if track.name else {}
            facts |= {"score": round(track.score, 4)}
            facts |= {"confidences": [round(track.confidence(index), 4) for index in range(result.num_frames)]}
            file.write((",\n" if place else "\n") + json.dumps(facts, allow_nan=False)[:-1] + ', "segmentations": [')
            for index in range(result.num_frames):
                file.write((",\n" if index else "\n") + (json.dumps(track.rle(index)) if track.present(index) else "null"))
            file.write("]}")
        file.write("]}\n")


def write_json(result: SegmentationResult, path: Path) -> None:
    """Everything but the masks: reasoning, cues, key frames, votes, timings; see `SegmentationResult.to_dict`."""
    path.write_text(to_json(result.to_dict()), encoding="utf-8", newline="\n")


def write_trace(result: SegmentationResult, path: Path) -> None:
    """The trace, which `videoseg replay` reads; the same bytes for the same input, settings and seed."""
    path.write_text(result.trace.to_json(), encoding="utf-8", newline="\n")


# ---- formats with pictures ----


@contextmanager
def overlay_sink(result: SegmentationResult, path: Path, tell: Tell) -> Generator[Push]:
    """The video with tinted, outlined objects, H.264 with the sound of the source."""
    ids = [track.object_id for track in result.tracks]
    sound = _source_path(result) if result.info.has_audio else None
    with _video_sink(result, path, tell, "h264", lambda frame, masks: overlay(frame.rgb, masks, ids), sound) as push:
        yield push


@contextmanager
def cutout_sink(result: SegmentationResult, path: Path, tell: Tell) -> Generator[Push]:
    """The targets alone on transparency: VP9 for a path that ends in .webm, ProRes 4444 for .mov."""
    codec: Codec = "vp9-alpha" if path.suffix == ".webm" else "prores4444"
    with _video_sink(result, path, tell, codec, lambda frame, masks: cutout(frame.rgb, union_of(masks))) as push:
        yield push


@contextmanager
def matte_sink(result: SegmentationResult, path: Path, tell: Tell) -> Generator[Push]:
    """The union of the targets, white on black, H.264."""
    with _video_sink(result, path, tell, "h264", lambda _frame, masks: matte(union_of(masks))) as push:
        yield push


@contextmanager
def _video_sink(
    result: SegmentationResult,
    path: Path,
    tell: Tell,
    codec: Codec,
    draw: Callable[[Frame, BoolMask], npt.NDArray[np.uint8]],
    sound: Path | None = None,
) -> Generator[Push]:
    """A video of what `draw` makes of each frame, at the times and with the pixel shape of the source."""
    info = result.info
    with VideoWriter(path, codec=codec, fps=info.fps, audio_from=sound, pixel_aspect=info.pixel_aspect) as writer:
        yield lambda frame, masks: writer.write(draw(frame, masks), result.times[frame.index])
    for note in writer.notes:
        tell(note)


@contextmanager
def card_sink(result: SegmentationResult, path: Path, tell: Tell) -> Generator[Push]:
    """One picture that explains the result to people."""
    wanted, kept = set(card_frames(result)), dict[int, RgbImage]()

    def push(frame: Frame, masks: BoolMask) -> None:  # noqa: ARG001 - the card asks the result for masks
        if frame.index in wanted:
            kept[frame.index] = card_picture(frame.rgb)

    yield push
    draw_card(result, kept).save(path, format="PNG")
    if parts := unreadable_parts(result):
        tell(f"no font of this machine can draw {', '.join(parts[:_MAX_PARTS])}: words in brackets stand there, documents have the text")


EXPORTS: dict[str, Export] = {
    export.name: export
    for export in (
        Export("overlay", "video with tinted, outlined objects (H.264 mp4, sound kept)", "overlay.mp4", sink=overlay_sink),
        Export("cutout", "the targets alone with transparency (VP9 webm)", "cutout.webm", sink=cutout_sink),
        Export("prores", "the targets alone with transparency, for editors (ProRes 4444 mov)", "cutout.mov", sink=cutout_sink),
        Export("matte", "black and white matte (H.264 mp4)", "matte.mp4", sink=matte_sink),
        Export("card", "one picture that explains the result (PNG)", "card.png", sink=card_sink),
        Export("png", "indexed PNGs of object numbers, DAVIS palette, one per frame", "masks", write=write_png),
        Export("rle", "COCO run-length masks of every frame (JSON, as YouTube-VIS)", "masks.json", write=write_rle),
        Export("json", "reasoning, cues, key frames, votes and timings (JSON)", "result.json", write=write_json),
        Export("trace", "what replays the run without the language model (JSON)", "trace.json", write=write_trace),
    )
}
"""Every format, by name, in the order of help texts."""

_OTHER_NAMES: dict[str, tuple[str, str]] = {
    other: (name, what)
    for name, what, others in (
        ("rle", "a JSON file of COCO run lengths", "coco coco-rle youtube-vis ytvis npy npz numpy"),
        ("png", "a folder of indexed mask pictures in the DAVIS palette", "davis youtube-vos ytvos mask masks indexed palette"),
        ("overlay", "an mp4 with the masks drawn in", "mp4 m4v video h264 gif"),
        ("prores", "a mov with transparency", "mov prores4444"),
        ("cutout", "a webm with the targets alone on transparency", "webm vp9 alpha rgba transparent"),
        ("matte", "a black and white mp4", "bw binary"),
        ("card", "one picture that explains the result", "image picture jpg jpeg report"),
        ("json", "a document with the reasoning, key frames and timings", "result result.json"),
        ("trace", "what `videoseg replay` reads", "trace.json"),
    )
    for other in others.split()
}
"""What formats are called elsewhere -> the format of ours that is meant, and what it writes."""
