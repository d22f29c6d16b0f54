"""A training run: the stages of a recipe one after the other, each in its folder, and where a run that was stopped goes on.

    OUT/recipe.json                   the recipe, as it was resolved
    OUT/STAGE/curve.csv               what was measured at each step
    OUT/STAGE/checkpoint-N/           the newest ones, whole
    OUT/STAGE/final/                  weights (or the adapter) as safetensors, with tokenizer or processor

Not here: trainers (`trainers`), configurations for several machines (`launch`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videoseg_r1.documents import read_json, to_json
from videoseg_r1.errors import InvalidConfig, OutputExists
from videoseg_r1.files import write_whole
from videoseg_r1.training.checkpoints import latest
from videoseg_r1.training.recipe import Recipe, StageName
from videoseg_r1.types import Progress

FINAL, CURVE = "final", "curve.csv"
_RECIPE = "recipe.json"
_MAY_CHANGE = ("steps", "save_steps", "log_steps", "keep", "tracker")


def train(recipe: Recipe, out: Path, *, resume: bool = False, progress: Progress | None = None) -> Path:
    """Carry out a recipe. Returns the folder with the weights of the last stage.

    Args:
        out: folder of the run.
        resume: go on from the last whole checkpoint in it; with nothing in it, start.
        progress: see `Progress`.
    Raises: OutputExists: there is a run, and it is not to be resumed. InvalidConfig: it is a run of another recipe, or the recipe
        cannot be run here. ModelError: weights are missing, or training diverged. OutputError: the folder cannot be written.
    """
    from datasets import disable_progress_bars

    from videoseg_r1.models.pretrained import quiet

    _claim(recipe, out, resume)
    disable_progress_bars()
    if recipe.run.tracker == "trackio":
        os.environ.setdefault("TRACKIO_DIR", str(out.absolute() / "trackio"))
    with quiet():
        for number, name in enumerate(recipe.run.stages):
            *earlier, final = finals(recipe, out)[: number + 1]
            if not final.is_dir():
                _run_stage(recipe, name, out / name, earlier, progress)
    return finals(recipe, out)[-1]


def finals(recipe: Recipe, out: Path) -> list[Path]:
    """Return the folders of what the stages of a run make, in their order."""
    return [out / name / FINAL for name in recipe.run.stages]


def last_rows(recipe: Recipe, out: Path) -> dict[str, dict[str, float]]:
    """Return the last row of the curve of each stage of a run."""
    from videoseg_r1.training.curves import read_curve

    rows = {name: row for name in recipe.run.stages for row in read_curve(out / name / CURVE)[-1:]}
    return {name: {key: float(value) for key, value in row.items() if value} for name, row in rows.items()}


def _run_stage(recipe: Recipe, name: StageName, folder: Path, earlier: Sequence[Path], progress: Progress | None) -> None:
    from transformers import PrinterCallback

    from videoseg_r1.training.checkpoints import OwnRhythm
    from videoseg_r1.training.curves import Curve
    from videoseg_r1.training.network import load_learner
    from videoseg_r1.training.trainers import grpo_stage, sft_stage

    deepspeed = os.environ.get("ACCELERATE_USE_DEEPSPEED", "false") == "true"
    learner = load_learner(recipe, earlier, name, compact=deepspeed)
    trainer: Any = grpo_stage(recipe, learner, folder) if name == "grpo" else sft_stage(recipe, learner, folder, name)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(OwnRhythm())
    trainer.add_callback(Curve(folder / CURVE))
    if progress:
        trainer.add_callback(_told(name, progress))
    checkpoint = latest(folder)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.save_whole(folder / FINAL)


def _told(name: str, progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Reported(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            progress(name, state.global_step, state.max_steps)

    return Reported()


def _claim(recipe: Recipe, out: Path, resume: bool) -> None:
    """Write the recipe into the folder, or see that it is the one that is there."""
    path = out / _RECIPE
    document = to_json(recipe)
    if path.exists():
        if not resume:
            raise OutputExists("there is a training run already", where=str(out), fix="go on with --resume, or choose another folder")
        changed = sorted(_differences(read_json(path), json.loads(document)))
        if changed:
            fix = f"go on with the recipe it was started with; {', '.join(_MAY_CHANGE)} may change"
            raise InvalidConfig("the run was started with another recipe", where=str(path), why=", ".join(changed), fix=fix)
    write_whole(path, document, "the run cannot be written")


def _differences(old: Any, new: Any, path: str = "") -> set[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = (old.keys() | new.keys()) - set(_MAY_CHANGE)
        return {found for key in keys for found in _differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)}
    return set() if old == new else {path}
