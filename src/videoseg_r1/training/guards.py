"""Protection against bad steps: an update whose gradient is not finite is skipped, and too many of them in a row end the run.

Under DeepSpeed the engine updates the weights itself, in `backward`: gradients are out of reach there, and only checkpoints are
guarded (`checkpoints.require_finite`). Source: docs/algorithm.md, "When something goes wrong".
"""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import TrainerCallback

from videoseg_r1.errors import ModelError


class NanGuard(TrainerCallback):
    """Skips updates whose gradient is not finite, and counts them as `skipped_steps` in the log.

    Args:
        max_in_row: as many skipped updates in a row end the run with ModelError.
    """

    def __init__(self, max_in_row: int) -> None:
        self.num_skipped = 0
        self._max_in_row, self._in_row = max_in_row, 0

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Remove a gradient that is not finite: AdamW then leaves every weight, its decay and its moments as they are."""
        model = kwargs["model"]
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        if not gradients or bool(torch.stack([gradient.isfinite().all() for gradient in gradients]).all()):
            self._in_row = 0
            return
        model.zero_grad(set_to_none=True)
        self.num_skipped += 1
        self._in_row += 1
        if self._in_row >= self._max_in_row:
            raise ModelError(
                "training has diverged",
                where=f"step {state.global_step + 1}",
                why=f"{self._in_row} gradients in a row were not finite; none of them changed a weight",
                fix="lower the learning rate; --resume goes on from the last checkpoint",
            )

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Add the count, and NaN as the loss of a skipped step, for which transformers logs 0."""
        if logs is not None:
            logs["skipped_steps"] = self.num_skipped
            if self._in_row:
                logs["loss"] = math.nan
