"""videoseg train: train the language model by a recipe, or write the launch files for several machines."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoseg_r1.cli.options import OutOption
from videoseg_r1.cli.terminal import Outcome, Terminal
from videoseg_r1.errors import InvalidConfig, UsageError

if TYPE_CHECKING:
    from videoseg_r1.training.recipe import Recipe

_SHOWN = ("step", "loss", "reward", "kl", "skipped_steps")
_RELEASE_EXAM = 192
_NEEDED = ("trl", "peft", "accelerate", "datasets")


def train_verb(
    terminal: Terminal,
    *,
    source: Annotated[str, typer.Argument(metavar="RECIPE", help="A TOML file, or one of paper-7b, paper-3b, lite, smoke.")],
    out: OutOption = Path("training"),
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value, such as grpo.beta=0; may be repeated.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")] = False,
    exam: Annotated[
        int, typer.Option("--exam", metavar="N", min=0, help="Then ask N held-out questions, and N shuffled ones (recipes on the world).")
    ] = 0,
    reproduce: Annotated[
        bool, typer.Option("--reproduce", help="Begin or resume, examine, pack what was learned in one file and write its card (lite).")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the recipe and say what would be done.")] = False,
    launch: Annotated[
        int | None, typer.Option("--launch", metavar="N", min=1, help="With --dry-run: write the configuration for N GPUs per node.")
    ] = None,
    nodes: Annotated[int, typer.Option("--nodes", metavar="M", min=1, help="Nodes for --launch.")] = 1,
) -> Outcome:
    """Train the language model: examples first, then rewards.

    Example: videoseg train lite -o run --set grpo.steps=50
    """
    from videoseg_r1.training.recipe import load_recipe

    recipe = load_recipe(source, changes or ())
    if launch is not None or nodes > 1:
        return _launched(recipe, source, out, launch or 1, nodes, changes or [], dry_run=dry_run)
    if dry_run:
        document = _plan(recipe)
        return Outcome(document, "\n".join(f"{key}: {value}" for key, value in document.items()))
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        fix = 'run `python -m pip install "videoseg-r1[train]"`'
        raise InvalidConfig("training needs packages that are not installed", where=", ".join(missing), fix=fix)

    # oneDNN keeps a compiled routine for every shape of a matrix, 1,024 of them, and hardly any step has the shapes of another
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    from videoseg_r1.training.run import last_rows, train

    with terminal.progress() as progress:
        final = train(recipe, out, resume=resume or reproduce, progress=progress)
    document: dict[str, Any] = {"final": str(final), "last": last_rows(recipe, out)}
    if exam or reproduce:
        from videoseg_r1.training.exam import examine_run

        document["exam"] = examine_run(recipe, out, exam or _RELEASE_EXAM)
    if reproduce:
        from videoseg_r1.training.release import release

        document["release"] = [str(path) for path in release(recipe, out, document["exam"])]
    return Outcome(document, _text(document))


def _launched(recipe: Recipe, source: str, out: Path, num_gpus: int, num_nodes: int, changes: list[str], *, dry_run: bool) -> Outcome:
    from videoseg_r1.training.launch import write_launch

    if not dry_run:
        fix = "add --dry-run; it writes the configuration and prints the command for each node"
        raise UsageError("videoseg starts nothing on several devices by itself", where="--launch", fix=fix)
    written = write_launch(recipe, source, out, num_gpus=num_gpus, num_nodes=num_nodes, changes=changes)
    document = {"files": [str(path) for path in written.files], "commands": list(written.commands), "notes": list(written.notes)}
    lines = [f"wrote {path}" for path in document["files"]] + document["commands"] + [f"note: {note}" for note in document["notes"]]
    return Outcome(document, "\n".join(lines))


def _plan(recipe: Recipe) -> dict[str, Any]:
    stages = {name: recipe.stage(name) for name in recipe.run.stages}
    return {
        "model": recipe.model.source,
        "data": f"{recipe.data.source} {recipe.data.root}".strip(),
        **{
            name: f"{stage.steps or -(-stage.samples // stage.batch_size)} steps of {stage.batch_size}, {stage.method}"
            for name, stage in stages.items()
        },
    }


def _text(document: Mapping[str, Any]) -> str:
    lines = [f"{name}: " + ", ".join(f"{key} {row[key]:g}" for key in _SHOWN if key in row) for name, row in document["last"].items()]
    lines += [
        f"{name} {split}: success {found['success']:.3f}, reward {found['reward']:.2f}, {found['num_think_tokens']:.0f} thinking tokens"
        for name, exam in document.get("exam", {}).items()
        for split, found in exam.items()
    ]
    return "\n".join([*lines, f"weights in {document['final']}", *(f"wrote {path}" for path in document.get("release", ()))])
