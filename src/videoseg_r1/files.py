"""Files and folders that appear whole or not at all: written in a hidden folder beside their place, then moved there.

A process that is killed leaves that hidden folder, `.saving-*`, which may be deleted. Not here: files that are resumed or shared while
they are written, which have a side name of their own (`models.weights.pull`, `training.checkpoints`), and videos (`video.write`).
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from videoseg_r1.errors import OutputError

SIDE_PREFIX = ".saving-"
"""How the names of the hidden folders begin."""
_FIX = "free some space, or choose a folder that may be written"


def write_whole(path: Path, content: str | bytes, what: str) -> None:
    """Write a file, text as UTF-8; its folder is made if need be, and a file that is there is replaced.

    `what` begins the message of the error: "the curve cannot be written".
    Raises: OutputError: nothing can be written there; then nothing is left behind.
    """
    with staged(path, what) as side:
        side.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def staged(target: Path, what: str) -> Generator[Path]:
    """Give a path to write a file or a folder to; at the end it is moved to `target`, after an error it is removed.

    The folder of `target` is made if need be. A file that is there is replaced; a folder must be empty or gone. The file gets the
    usual permissions, also where its writer (safetensors) would keep it for the owner alone.
    Raises: OutputError, which `what` begins: something cannot be written. Other errors inside the block pass through.
    """
    with output_errors(what, target), side_folder(target.absolute().parent) as side:
        written = side / target.name
        yield written
        if written.is_file():
            written.chmod(side.stat().st_mode & 0o666)
        written.replace(target)


@contextmanager
def side_folder(folder: Path) -> Generator[Path]:
    """Give a hidden folder inside `folder`, to work in; it always goes at the end, and so do, after an error, the folders made here.

    Raises: OSError: it cannot be made.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    side = folder / f"{SIDE_PREFIX}{secrets.token_hex(4)}"
    try:
        side.mkdir(parents=True)
        yield side
    except BaseException:
        shutil.rmtree(side, ignore_errors=True)
        with suppress(OSError):
            for path in made:
                path.rmdir()
        raise
    else:
        shutil.rmtree(side, ignore_errors=True)


def check_folder(folder: Path) -> None:
    """Refuse a path that cannot become a folder, because it, or what should hold it, is a file. Raises OutputError."""
    for path in (folder, *folder.parents):
        if path.is_dir():
            return
        if os.path.lexists(path):
            fix = "name a folder: it is made if need be, and files of fixed names are written into it"
            raise OutputError("the output folder cannot be made", where=str(folder), why=f"{path} is a file, not a folder", fix=fix)


@contextmanager
def output_errors(what: str, where: Path, fix: str = _FIX) -> Generator[None]:
    """Raise what the operating system refuses inside the block as OutputError: `what`, `where`, its reason, `fix`."""
    try:
        yield
    except OSError as error:
        raise OutputError(what, where=str(where), why=error.strerror or str(error), fix=fix) from error
