"""The table of verbs: which function of this room a command line calls, and what becomes of arguments that cannot be understood."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from videoseg_r1._version import __version__
from videoseg_r1.cli import INTERRUPTED
from videoseg_r1.cli.demo import demo
from videoseg_r1.cli.doctor import doctor
from videoseg_r1.cli.eval import eval_verb
from videoseg_r1.cli.export import export
from videoseg_r1.cli.models import models
from videoseg_r1.cli.propagate import propagate
from videoseg_r1.cli.rate import rate
from videoseg_r1.cli.replay import replay
from videoseg_r1.cli.reproduce import reproduce
from videoseg_r1.cli.segment import segment
from videoseg_r1.cli.terminal import Outcome
from videoseg_r1.cli.train import train_verb
from videoseg_r1.cli.verb import usage_failed, verb

VERBS: dict[str, Callable[..., Outcome]] = {
    "segment": segment,
    "propagate": propagate,
    "eval": eval_verb,
    "train": train_verb,
    "reproduce": reproduce,
    "rate": rate,
    "export": export,
    "replay": replay,
    "models": models,
    "doctor": doctor,
    "demo": demo,
}

# plain help: laying it out with rich would take longer than all the rest of the start
app = typer.Typer(name="videoseg", pretty_exceptions_enable=False, rich_markup_mode=None)
for _name, _function in VERBS.items():
    app.command(_name)(verb(_function))


def _version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _about(  # pyright: ignore[reportUnusedFunction]  (typer calls it)
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Find what a sentence asks for in a video, and mask it in every frame.

    Every verb takes --json, --quiet and --debug. Exit codes: 0 done, 1 some items failed, 2 usage, 3 bad input, 4 model, 5 memory or disk,
    130 interrupted.
    """


def run(argv: Sequence[str]) -> int:
    """Run the verb that the arguments name. Returns the exit code.

    A file whose name begins with a dash is taken as that file, where it is there and no option of two letters.
    """
    argv = [f"./{argument}" if _is_dashed_file(argument) else argument for argument in argv]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a locale without a character must not stop a run
            stream.reconfigure(errors="backslashreplace")
    try:
        return app(args=argv or ["--help"], prog_name="videoseg", standalone_mode=False) or 0
    except typer.Abort:
        return INTERRUPTED
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f"see {context.command_path} --help" if context else "see videoseg --help"
        dashed = next((argument for argument in argv if argument[:1] == "-" and Path(argument).suffix), None)
        hint = f"a file whose name begins with a dash is written ./{dashed}; {hint}" if dashed else hint
        if "--keep-prefix" in argv:  # its name until 0.1
            hint = "write --on-corrupt keep-prefix"
        return usage_failed(error.format_message(), hint, as_json="--json" in argv)


def _is_dashed_file(argument: str) -> bool:
    return len(argument) > 2 and argument[0] == "-" != argument[1] and os.path.lexists(argument)
