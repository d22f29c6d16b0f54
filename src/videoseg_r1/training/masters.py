"""AdamW for a network whose weights are held in bfloat16: what is updated are float32 copies of them.

A CPU computes in bfloat16 most quickly when the weights are in it already; under autocast every weight would be converted at every use.
An update is often too small to change a weight of eight bits, so it goes to the copy, and the weight is that, rounded. Not here:
DeepSpeed, which keeps its own copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


class MasterAdamW(torch.optim.AdamW):
    """Updates `weights` through float32 copies, which are part of its state.

    Args:
        weights: bfloat16, all that are to be trained.
        settings: of `torch.optim.AdamW`.
    """

    def __init__(self, weights: Sequence[torch.nn.Parameter], **settings: Any) -> None:
        self._weights = list(weights)
        super().__init__([torch.nn.Parameter(weight.detach().float()) for weight in self._weights], fused=True, **settings)

    @property
    def _masters(self) -> list[torch.Tensor]:
        return [master for group in self.param_groups for master in group["params"]]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Do one update of the copies, and round them."""
        for master, weight in zip(self._masters, self._weights, strict=True):
            master.grad = None if weight.grad is None else weight.grad.float()
        loss = super().step(closure)
        self._round()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of weights and copies."""
        super().zero_grad(set_to_none)
        for weight in self._weights:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with the copies under `masters`."""
        return {**super().state_dict(), "masters": [master.detach() for master in self._masters]}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take a state back, and the weights with it."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "masters"})
        for master, saved in zip(self._masters, state_dict["masters"], strict=True):
            master.copy_(saved)
        self._round()

    def _round(self) -> None:
        for master, weight in zip(self._masters, self._weights, strict=True):
            weight.copy_(master)


class MasterCopies:
    """For a `transformers.Trainer`: comes before it in the bases, and takes `MasterAdamW` where all trained weights are in bfloat16."""

    args: Any
    model: Any
    optimizer: Any
    is_deepspeed_enabled: bool

    def create_optimizer(self, model: Any = None) -> Any:
        """Return the optimizer; weight decay is for all weights alike."""
        weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        if self.optimizer is None and not self.is_deepspeed_enabled and all(weight.dtype == torch.bfloat16 for weight in weights):
            args = self.args
            betas = (args.adam_beta1, args.adam_beta2)
            self.optimizer = MasterAdamW(weights, lr=args.learning_rate, betas=betas, eps=args.adam_epsilon, weight_decay=args.weight_decay)
        return super().create_optimizer(model)  # type: ignore[misc]
