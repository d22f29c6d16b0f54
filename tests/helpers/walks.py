"""The way that one thing takes through the package in a real run: the functions that are handed it, in the order of first calls.

`docs/architecture.md` shows two such walks; `tests/e2e/test_walks.py` keeps them true, and `tools/write_walks.py` writes them.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import videoseg_r1
from videoseg_r1.cli import main
from videoseg_r1.lite.language.words import understand
from videoseg_r1.output.typeset import lay_out
from videoseg_r1.types import Frame
from videoseg_r1.video import open_video, write_video

PACKAGE = Path(videoseg_r1.__file__).parent
QUERY = "the red ball"


def walk(run: Callable[[], object], carries: Callable[[Any], bool], *, given_back: bool = False) -> list[tuple[str, str]]:
    """Return (module, function) of the functions of the package that are given a value that `carries` says yes to, by their first calls.

    Functions whose names begin with an underscore are left out: what they do belongs to their caller. With `given_back`, functions that
    return or yield such a value come in too, whatever their names: that is how frames leave a reader.
    """
    found: dict[tuple[str, str], None] = {}

    def look(frame: FrameType, event: str, argument: object) -> None:
        if event not in ("call", "return") or not frame.f_code.co_filename.startswith(str(PACKAGE)):
            return
        code = frame.f_code
        key = _module_of(code.co_filename), code.co_qualname
        if key in found or "<" in code.co_qualname:
            return
        if event == "return":
            handed: Iterable[Any] = (argument,) if given_back else ()
        else:
            is_private = any(part.startswith("_") for part in code.co_qualname.split("."))
            handed = () if is_private else _arguments_of(frame)
        if any(map(carries, handed)):
            found[key] = None

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        run()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return list(found)


def draw_clip(path: Path) -> Path:
    """Write a clip of six frames of 160 x 96, a red disc that crosses it, and return its path."""
    rows, columns = np.mgrid[:96, :160]
    frames = np.empty((6, 96, 160, 3), np.uint8)
    for number, frame in enumerate(frames):
        frame[:] = (90 + 30 * np.sin(columns / 9) + 30 * np.cos(rows / 7))[..., None] + (0, 20, 40)
        frame[(columns - 20 - 24 * number) ** 2 + (rows - 48) ** 2 <= 19**2] = (220, 40, 40)
    write_video(path, frames, fps=6.0, overwrite=True)
    return path


def query_walk(clip: Path, out: Path) -> list[tuple[str, str]]:
    """Return the walk of a query through `videoseg segment`, with everything that holds it as `query` or `text`."""

    def carries(value: Any) -> bool:
        return value == QUERY if isinstance(value, str) else QUERY in (getattr(value, "query", None), getattr(value, "text", None))

    for cached in (understand, lay_out):  # what an earlier run understood or drew would not be asked for again
        cached.cache_clear()
    return walk(lambda: _run("segment", clip, out, QUERY), carries)


def frame_walk(clip: Path, out: Path, index: int = 2) -> list[tuple[str, str]]:
    """Return the walk of one frame through `videoseg propagate`, as a `Frame` or as its pixels."""
    with open_video(clip) as video:
        rgb = video.read([index])[0].rgb

    def carries(value: Any) -> bool:
        if isinstance(value, Frame):
            return value.index == index
        return isinstance(value, np.ndarray) and value.shape == rgb.shape and value.dtype == rgb.dtype and bool((value == rgb).all())

    return walk(lambda: _run("propagate", clip, out, "--box", "20,30,52,66"), carries, given_back=True)


def as_markdown(functions: list[tuple[str, str]]) -> str:
    """Return a walk as a numbered list, one line for each stay in a module."""
    stays = ((module, [name for _, name in stay]) for module, stay in groupby(functions, key=lambda one: one[0]))
    return "\n".join(f"{n}. `{module}`: {', '.join(f'`{name}`' for name in names)}" for n, (module, names) in enumerate(stays, 1))


def marked(text: str, name: str) -> str:
    """Return what stands between `<!-- walk:NAME -->` and `<!-- end -->` in a document."""
    return text.split(f"<!-- walk:{name} -->")[1].split("<!-- end -->", maxsplit=1)[0].strip()


def rooms_of(functions: list[tuple[str, str]]) -> Iterator[str]:
    """Yield the room of each stay: the first part of the module's name, one after another."""
    for room, _ in groupby(module.split(".")[0] for module, _ in functions):
        yield room


def _run(verb: str, clip: Path, out: Path, *arguments: str) -> None:
    formats = ("--formats", "overlay,card,png,rle,json,trace", "--quiet", "--overwrite")
    code = main([verb, str(clip), *arguments, "-o", str(out), *formats])
    if code:
        raise RuntimeError(f"videoseg {verb} ended with {code}")


def _arguments_of(frame: FrameType) -> Iterator[Any]:
    code = frame.f_code
    num_named = code.co_argcount + code.co_kwonlyargcount
    for name in code.co_varnames[:num_named]:
        yield frame.f_locals.get(name)
    if code.co_flags & inspect.CO_VARKEYWORDS:
        yield from frame.f_locals[code.co_varnames[num_named + bool(code.co_flags & inspect.CO_VARARGS)]].values()


def _module_of(file: str) -> str:
    return ".".join(Path(file).relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
