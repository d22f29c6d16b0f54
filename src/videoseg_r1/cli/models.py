"""videoseg models: which weights the presets need, fetching, checking and converting them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from videoseg_r1.cli.options import OverwriteOption
from videoseg_r1.cli.terminal import Outcome, Terminal
from videoseg_r1.errors import UsageError

if TYPE_CHECKING:
    from videoseg_r1.models.weights import ModelRef

_MB = 1_000_000


def models(
    terminal: Terminal,
    *,
    action: Annotated[Literal["list", "pull", "verify", "convert"], typer.Argument(metavar="list|pull|verify|convert", help="What to do.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Presets or models; for convert, one checkpoint file.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="For convert: the file to write.")] = None,
    overwrite: OverwriteOption = False,
) -> Outcome:
    """List, fetch, check or convert the weights of presets.

    pull goes on where it broke off and checks every file by its hash. Set VIDEOSEG_MODELS to keep weights in another folder.
    Example: videoseg models pull 3b
    """
    names = names or []
    if action != "convert" and out is not None:
        raise UsageError("only convert takes --out", where=action)
    if action == "list":
        return _list(names)
    if not names:
        raise UsageError(f"models {action} needs a name", fix="videoseg models list shows them")
    if action == "pull":
        return _pull(terminal, names)
    return _verify(names) if action == "verify" else _convert(names, out, overwrite=overwrite)


def _list(names: list[str]) -> Outcome:
    from videoseg_r1.models.weights import models_folder
    from videoseg_r1.presets.table import PRESETS
    from videoseg_r1.presets.weights import find_models

    presets = {name: find_models([name]) for name in names or PRESETS}
    lines = [f"weights lie in {models_folder()}"]
    for name, refs in presets.items():
        lines += [f"{name}:", *(_line(ref) for ref in refs)] if refs else [f"{name}: nothing to fetch, its weights are installed"]
    rows = {name: [_row(ref) for ref in refs] for name, refs in presets.items()}
    return Outcome({"folder": str(models_folder()), "presets": rows}, "\n".join(lines))


def _row(ref: ModelRef) -> dict[str, object]:
    from videoseg_r1.models.weights import folder_of, missing_files

    return {
        "name": ref.name,
        "model_id": ref.model_id,
        "revision": ref.revision,
        "licence": ref.licence,
        "num_bytes": ref.num_bytes,
        "folder": str(folder_of(ref)),
        "files": [file.name for file in ref.files],
        "missing": [file.name for file in missing_files(ref)],
    }


def _line(ref: ModelRef) -> str:
    from videoseg_r1.models.weights import missing_files

    missing = ", ".join(file.name for file in missing_files(ref))
    presence = f"missing: {missing}" if missing else "present"
    return f"  {ref.name:<14}{ref.num_bytes / _MB:>6.0f} MB  {ref.licence:<12}{ref.model_id} {(ref.revision or 'newest')[:12]}  {presence}"


def _pull(terminal: Terminal, names: list[str]) -> Outcome:
    from videoseg_r1.models.weights.pull import pull
    from videoseg_r1.presets.weights import find_models

    refs = find_models(names)
    with terminal.progress() as progress:
        files = {ref.name: [str(path) for path in pull(ref, progress=progress)] for ref in refs}
    return Outcome({"files": files}, "\n".join(path for paths in files.values() for path in paths) or "nothing to fetch")


def _verify(names: list[str]) -> Outcome:
    from videoseg_r1.models.weights import verify
    from videoseg_r1.presets.weights import find_models

    verdicts = [verdict for ref in find_models(names) for verdict in verify(ref)]
    rows = [{"path": str(v.path), "state": v.state, "detail": v.detail} for v in verdicts]
    text = "\n".join(f"{v.state:<8} {v.path}{f': {v.detail}' if v.detail else ''}" for v in verdicts)
    return Outcome({"files": rows}, text or "nothing to check", exit_code=0 if all(v.good for v in verdicts) else 4)


def _convert(names: list[str], out: Path | None, *, overwrite: bool) -> Outcome:
    from videoseg_r1.models.weights.convert import convert

    if len(names) != 1:
        raise UsageError("convert takes one file", where=", ".join(names))
    written = convert(Path(names[0]), out, overwrite=overwrite)
    return Outcome({"written": str(written)}, f"wrote {written}")
