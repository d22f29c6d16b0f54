"""Downloads weights: resumable, checked by hash, and not visible in their place before they are complete and correct.

A file is fetched over https into a folder `.partial` beside its place, checked, and moved. What was fetched stays there when a
download breaks off, and the next one goes on from it, also in another process. (huggingface_hub starts anew, so it is not used.)
Not here: which file is right (`table`), conversion of old formats, files that need a token.
"""

from __future__ import annotations

import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from videoseg_r1.errors import ModelError, OutputError, ResourceError
from videoseg_r1.files import output_errors
from videoseg_r1.models.weights.files import by_hand, check, folder_of, missing_files, record, sha256_of, verify_file
from videoseg_r1.models.weights.table import ModelFile, ModelRef
from videoseg_r1.types import Progress

_TIMEOUT_S = 30.0
_BLOCK = 1 << 20
_SPARE_BYTES = 64 << 20
# what breaks a connection, and may well not do so again
_BROKEN = (http.client.HTTPException, TimeoutError, ConnectionError)


def pull(ref: ModelRef, *, progress: Progress | None = None, opener: urllib.request.OpenerDirector | None = None) -> list[Path]:
    """Fetch what is missing or damaged of a model.

    Args:
        ref: the model.
        progress: called with the file, megabytes done and megabytes in all; see `Progress`.
        opener: opens addresses; by default one that follows https only.
    Returns: the files, each whole and with the pinned hash, or with the first hash recorded beside it.
    Raises: ModelError: there is no network, the file is gone, or its content is not the pinned one. OutputError: the disk. ResourceError:
        another pull is running.
    """
    folder = folder_of(ref)
    partial = folder / ".partial"
    with output_errors("weights cannot be written", folder):  # errors of the network are mapped inside, what is left is the disk
        try:
            partial.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock", timeout=0):
                for file in ref.files:
                    if not verify_file(ref, file).good:
                        _check_space(folder, file)
                        _take(_fetch(ref, file, partial, progress, opener or https_only()), folder / file.name, ref, file)
                shutil.rmtree(partial)
        except Timeout as error:
            raise ResourceError("another pull of this model is running", where=str(folder), fix="wait for it to end") from error
    return [folder / file.name for file in ref.files]


def https_only() -> urllib.request.OpenerDirector:
    """Return an opener that follows no redirect away from https."""
    return urllib.request.build_opener(_HttpsRedirects)


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            raise urllib.error.URLError(f"it leads away from https: {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(ref: ModelRef, file: ModelFile, partial: Path, progress: Progress | None, opener: urllib.request.OpenerDirector) -> Path:
    """Fetch a file, resuming a partial download; after a broken connection it is resumed as long as each attempt brings new bytes."""
    if any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")):
        raise _failed(ref, file, "offline mode is set (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE)")
    target = partial / f"{file.name}.{(ref.revision or 'newest')[:12]}"
    while True:
        before = _size(target)
        try:
            _append(ref.url(file), target, before, opener, lambda done, total: progress and progress(file.name, done >> 20, total >> 20))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and before:  # there is nothing left to fetch
                return target
            raise _failed(ref, file, f"HTTP {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            raise _failed(ref, file, str(error.reason)) from error
        except _BROKEN as error:
            if _size(target) <= before:
                raise _failed(ref, file, str(error) or type(error).__name__) from error
        else:
            return target


def _append(url: str, target: Path, start: int, opener: urllib.request.OpenerDirector, report: Callable[[int, int], object]) -> None:
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})  # noqa: S310 - an address of the table
    with opener.open(request, timeout=_TIMEOUT_S) as response:
        goes_on = start > 0 and response.status == 206
        done = start if goes_on else 0
        total = done + int(response.headers.get("Content-Length") or 0)
        with target.open("ab" if goes_on else "wb") as out:
            while block := response.read(_BLOCK):
                out.write(block)
                done += len(block)
                report(done, max(done, total))
        if done < total:
            raise ConnectionError(f"the connection broke off after {done} of {total} bytes")


def _take(fetched: Path, target: Path, ref: ModelRef, file: ModelFile) -> None:
    wrong = check(fetched, file)
    if wrong:
        fetched.unlink()
        raise ModelError(
            f"the file that was fetched is not the pinned one: {file.name}",
            where=ref.url(file),
            why=wrong,
            fix="try again; if it happens again, do not use the file, and report it",
        )
    if file.sha256 is None:
        record(target, sha256_of(fetched))
    fetched.replace(target)  # not `files.staged`: what was fetched must outlive a failure, to be resumed


def _check_space(folder: Path, file: ModelFile) -> None:
    needed = (file.num_bytes or 0) + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            "the disk is too full for the weights",
            where=str(folder),
            why=f"{needed >> 20} MB are needed, {free >> 20} MB are free",
            fix="make room, or set VIDEOSEG_MODELS to a folder on another disk",
        )


def _failed(ref: ModelRef, file: ModelFile, why: str) -> ModelError:
    return ModelError(
        f"{file.name} of {ref.name} could not be fetched",
        where=ref.url(file),
        why=why,
        fix=f"try again where there is a network, what was fetched is kept; or {by_hand(ref, missing_files(ref))}",
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
