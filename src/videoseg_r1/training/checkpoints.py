"""Checkpoints that appear whole or not at all: written under another name, checked, then renamed.

A name `checkpoint-N` therefore always stands for a complete one, also after a kill or a full disk. The optimizer and the random
generators are saved by transformers, which reads them back with `weights_only`; the file of pickled arguments it adds is removed.
Not here: when checkpoints are written (the recipe), the trainers themselves (`trainers`).
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from videoseg_r1.errors import ModelError
from videoseg_r1.files import output_errors
from videoseg_r1.models.pretrained import Network

_NAME = re.compile(r"checkpoint-(\d+)")
_PARTIAL = ".partial-"  # a fixed name, unlike that of `files.staged`: every process of a run writes into the same folder
_PICKLED = "training_args.bin"


def latest(folder: Path) -> Path | None:
    """Return the checkpoint of a stage with the most steps, None where there is none."""
    found = {int(name[1]): path for path in folder.glob("checkpoint-*") if (name := _NAME.fullmatch(path.name))}
    return found[max(found)] if found else None


def require_finite(network: Network, where: str) -> None:
    """Raise ModelError when a weight that is trained is not a finite number."""
    for name, weight in network.named_parameters():
        if weight.requires_grad and not bool(torch.isfinite(weight).all()):
            fix = "go back to the last checkpoint (--resume) with a lower learning rate"
            raise ModelError("the weights are not finite, so they are not saved", where=where, why=name, fix=fix)


class AtomicCheckpoints:
    """Mix-in for a `transformers.Trainer`, before it in the bases: checkpoints are written aside and renamed when they are whole."""

    args: Any
    model: Any
    state: Any
    accelerator: Any
    _partial: Path | None = None

    def create_model_card(self, *_: object, **__: object) -> None:
        """Write no model card: the recipe beside the weights says what they are."""

    def save_whole(self, folder: Path) -> None:
        """Save the weights and the tokenizer or processor as `folder`, which appears whole. Raises OutputError, ModelError."""
        partial = folder.with_name(f"{_PARTIAL}{folder.name}")
        self._publish(partial, folder, lambda: self.save_model(str(partial)))  # type: ignore[attr-defined]

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._partial) if self._partial else super()._get_output_dir(trial)  # type: ignore[misc]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        home = Path(self.args.output_dir)
        name = f"checkpoint-{self.state.global_step}"
        self._partial = home / f"{_PARTIAL}{name}"
        try:
            self._publish(self._partial / name, home / name, lambda: super(AtomicCheckpoints, self)._save_checkpoint(model, trial))  # type: ignore[misc]
        finally:
            partial, self._partial = self._partial, None
        if self.accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
            _drop_old(home, self.args.save_total_limit)

    def _publish(self, partial: Path, folder: Path, write: Any) -> None:
        require_finite(self.model, str(folder))
        main = self.accelerator.is_main_process
        if main:
            shutil.rmtree(partial, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        with output_errors("a checkpoint cannot be written", folder, fix="free some space and go on with --resume"):
            write()
            self.accelerator.wait_for_everyone()
            if main:
                (partial / _PICKLED).unlink(missing_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
                partial.rename(folder)
        self.accelerator.wait_for_everyone()


class OwnRhythm(TrainerCallback):
    """Keeps the intervals of saving and logging of this run; the state of a checkpoint would bring back those of the earlier one."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        state.save_steps, state.logging_steps = args.save_steps, args.logging_steps


def _drop_old(home: Path, keep: int) -> None:
    found = sorted((int(name[1]), path) for path in home.iterdir() if (name := _NAME.fullmatch(path.name)))
    for _, path in found[:-keep]:
        shutil.rmtree(path, ignore_errors=True)
