"""The outputs of a verb: checked before any work, so that what cannot be written fails early, then written and summarised."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from videoseg_r1.cli.terminal import Outcome
from videoseg_r1.errors import OutputExists
from videoseg_r1.files import check_folder, output_errors

if TYPE_CHECKING:
    from videoseg_r1.output.result import SegmentationResult, Track
    from videoseg_r1.types import Progress, TrackEvent
    from videoseg_r1.video import Video

_PROBE = bytes(1 << 16)
_MAX_EVENTS = 6
_DEEDS = {"lost": "is lost", "found": "is back", "drift": "may drift"}


def formats_of(text: str) -> list[str]:
    """Return the names in a list with commas."""
    return [name for name in (part.strip() for part in text.split(",")) if name]


def check_outputs(folder: Path, formats: Sequence[str], *, overwrite: bool, source: Path | None) -> None:
    """Refuse, before any work, what `output.save` would refuse after it; `source` is the video, which no output may replace.

    Raises: UnknownName, UsageError: no such format, or none; an output would meet the source. OutputExists. OutputError: the folder cannot
        be written, or the disk is full.
    """
    from videoseg_r1.output import save

    save.checked_exports(folder, formats, overwrite=overwrite, source=source)
    check_writable(folder)


def check_new(folder: Path) -> None:
    """Refuse a folder that holds anything, or cannot be written. Raises OutputExists, OutputError."""
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputExists("the folder is not empty", where=str(folder), fix="choose another folder")
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be made or written, by writing a little to where it will be. Raises OutputError."""
    check_folder(folder)
    place = existing_part(folder)
    with output_errors("nothing can be written here", place), tempfile.TemporaryFile(dir=place) as file:
        file.write(_PROBE)
        file.flush()


def existing_part(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def saved(
    result: SegmentationResult,
    folder: Path,
    formats: Sequence[str],
    *,
    overwrite: bool,
    progress: Progress,
    video: Video | None = None,
    notes: Sequence[str] = (),
) -> Outcome:
    """Write a result and tell of it; `video` is the one that was segmented, where it is still open. Raises: see `output.save`.

    `notes` on the inputs come before those of the result.
    """
    from videoseg_r1.output.save import save

    result = replace(result, notes=(*notes, *result.notes))
    progress("save", 0, 1)
    files = save(result, folder, formats, overwrite=overwrite, video=video)
    progress("save", 1, 1)
    outputs = {name: str(path) for name, path in files.items()}
    result = replace(result, notes=tuple(dict.fromkeys((*result.notes, *files.notes))))
    failed = result.reasoning is not None and result.reasoning.failed
    return Outcome({**result.to_dict(), "outputs": outputs}, _summary(result, outputs), exit_code=int(failed))


def _summary(result: SegmentationResult, outputs: dict[str, str]) -> str:
    width, height = result.size
    lines = [("video", f"{result.trace.video.name}, {result.num_frames} frames of {width} x {height}")]
    lines += [("note", note) for note in (*result.info.notes, *result.notes)]
    if result.keyframes is not None:
        first, last = result.keyframes.segment
        lines.append(("frames", f"key segment {first} to {last}, target frame {result.keyframes.target_frame}"))
    if result.reasoning is not None:
        lines.append(("thinking", result.reasoning.text.replace("\n", "\n" + " " * 12)))
    for track in result.tracks:
        shown = sum(track.present(index) for index in range(result.num_frames))
        named = f"{track.name}, " if track.name else ""
        lines.append((f"object {track.object_id}", f"{named}in {shown} of {result.num_frames} frames, confidence {track.score:.2f}"))
    lines += [("noticed", _told(event, result.tracks)) for event in result.trace.events[:_MAX_EVENTS]]
    if len(result.trace.events) > _MAX_EVENTS:
        lines.append(("noticed", f"{len(result.trace.events) - _MAX_EVENTS} things more, see the trace"))
    if not result.tracks:
        failed = result.reasoning is not None and result.reasoning.failed
        lines.append(("answer", "the model gave no answer that can be used" if failed else "no target: nothing in this video fits"))
    lines.append(("seconds", ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in result.timings_s.items())))
    lines += outputs.items()
    return "\n".join(f"{label:<10}  {text}" for label, text in lines)


def _told(event: TrackEvent, tracks: Sequence[Track]) -> str:
    what = "a cut" if event.object_index is None else f"object {tracks[event.object_index].object_id} {_DEEDS[event.kind]}"
    return f"at frame {event.frame_index} {what}: {event.detail}"
