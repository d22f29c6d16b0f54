"""What every verb has: --json, --quiet and --debug, a terminal to speak to, and errors that become exit codes."""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext, redirect_stdout
from typing import Annotated

import typer

from videoseg_r1.cli import INTERRUPTED
from videoseg_r1.cli.terminal import Outcome, Terminal, complain
from videoseg_r1.errors import OutputError, ResourceError, UsageError, VideosegError

_COMMON: Mapping[str, tuple[str, str]] = {
    "as_json": ("--json", "Print one JSON document on standard output, also for errors."),
    "quiet": ("--quiet", "Show no progress."),
    "debug": ("--debug", "Show the traceback of an error."),
}


def verb(function: Callable[..., Outcome]) -> Callable[..., None]:
    """Return the command for a function that takes a `Terminal` first, with the common options added to its own."""
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, typer.Option(flag, help=text)])
        for name, (flag, text) in _COMMON.items()
    ]

    @functools.wraps(function)
    def command(*, as_json: bool, quiet: bool, debug: bool, **options: object) -> None:
        code = _run(functools.partial(function, **options), Terminal(as_json, quiet), debug)
        raise typer.Exit(code)

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + common
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    vars(command)["__signature__"] = inspect.Signature(parameters)
    return command


def usage_failed(message: str, hint: str, *, as_json: bool) -> int:
    """Tell of arguments that were not understood. Returns the exit code."""
    return _told(UsageError(message, fix=hint), Terminal(as_json), debug=False)


def _run(function: Callable[[Terminal], Outcome], terminal: Terminal, debug: bool) -> int:
    try:
        # whatever a library prints must not end up in the document
        with redirect_stdout(sys.stderr) if terminal.as_json else nullcontext():
            outcome = function(terminal)
        terminal.show(outcome)
    except KeyboardInterrupt:
        return _told(InterruptionError("interrupted", why="nothing half-written was left behind"), terminal, debug)
    except VideosegError as error:
        return _told(error, terminal, debug)
    except Exception as error:  # noqa: BLE001 - the outermost place: whatever comes here is told as what it is
        return _told(_out_of_memory(error) or _bug(error), terminal, debug)
    return outcome.exit_code


def _told(error: VideosegError, terminal: Terminal, debug: bool) -> int:
    if debug:
        complain(traceback.format_exc())
    try:
        terminal.fail(error)
    except OutputError as failure:  # the document cannot be printed
        complain(f"error: {error}\nerror: {failure}")
    return error.exit_code


class InterruptionError(VideosegError):
    """The user pressed Ctrl-C."""

    exit_code = INTERRUPTED


class UnexpectedError(VideosegError):
    """An error that nobody thought of."""


def _bug(error: Exception) -> VideosegError:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return UnexpectedError(
        "this is a bug in videoseg", why=what, fix="run it again with --debug and report what it shows, with `videoseg doctor`"
    )


def _out_of_memory(error: Exception) -> VideosegError | None:
    if not isinstance(error, MemoryError) and "DefaultCPUAllocator" not in str(error):  # torch raises a RuntimeError
        return None
    return ResourceError("memory ran out", why=str(error), fix="close other programs, or use a smaller or shorter video")
