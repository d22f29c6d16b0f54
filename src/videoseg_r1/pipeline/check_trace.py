"""Whether a trace may be replayed here: the same video, preset and settings, or an error that names what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from videoseg_r1.documents import at, to_plain
from videoseg_r1.errors import InvalidDocument
from videoseg_r1.output.trace import Trace, check_same_video
from videoseg_r1.video import Video

_MAX_NAMED = 4
_NOT_THERE = object()


def check_trace(trace: Trace, video: Video, preset: str, settings: Mapping[str, Any]) -> str:
    """Refuse a trace that this video, preset or these settings would not give the same masks for.

    Returns: what could not be compared, "" for nothing.
    Raises: InvalidDocument: naming the first thing that differs, settings each with both values.
    """
    unknown = check_same_video(trace.video, video)
    if trace.preset != preset:
        raise _another("another preset", trace, f"it was made with {trace.preset}, here {preset} is used", f"use the preset {trace.preset}")
    differing = list(_differing(to_plain(trace.settings), to_plain(settings), ""))
    if differing:
        more = f"; and {len(differing) - _MAX_NAMED} more" if len(differing) > _MAX_NAMED else ""
        fix = f"use the settings of the trace; it was made by version {trace.version}, and other versions may have others"
        raise _another("other settings", trace, "; ".join(differing[:_MAX_NAMED]) + more, fix)
    return unknown


def _another(what: str, trace: Trace, why: str, fix: str) -> InvalidDocument:
    return InvalidDocument(f"the trace was made with {what}", where=f"trace of {trace.video.name}", why=why, fix=fix)


def _differing(written: object, found: object, path: str) -> Iterator[str]:
    """Yield a sentence for every setting that differs, with its path."""
    if isinstance(written, dict) and isinstance(found, dict):
        one, other = cast("dict[str, object]", written), cast("dict[str, object]", found)
        for key in sorted(one.keys() | other.keys()):
            yield from _differing(one.get(key, _NOT_THERE), other.get(key, _NOT_THERE), at(path, key))
    elif written != found:
        yield f"{path or 'settings'} is {_told(written)} in the trace and {_told(found)} here"


def _told(value: object) -> str:
    return "not there" if value is _NOT_THERE else json.dumps(value, ensure_ascii=False)
