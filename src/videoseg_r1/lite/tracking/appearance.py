"""The appearance of all objects and of the background: one multinomial logistic regression, fitted while the video runs.

The window read follows an object that moves a little. This model recognises the objects wherever they are, tells them from each other as
well as from the background, and finds them again after they were hidden. Its cost hardly grows with their number: all classes share the
features and the preconditioner of every Newton step. Not here: the features (`features`).

Source: the idea of a target model fitted at run time is that of FRTM (Robinson et al. 2020); theirs is a small convolutional
network, this is a convex problem. Newton steps by conjugate gradients: Nocedal and Wright 2006, section 7.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

_FIRST_STEPS = 8
_PACE = 0.6
"""Of each Newton step: whole ones go too far where many classes are told apart, and the masks grow and shrink from fit to fit."""
_NEVER = -1e4
"""Log odds of an object that is not known yet."""


@dataclass(frozen=True, slots=True, eq=False)
class AppearanceSample:
    """One frame to fit to.

    Attributes:
        features: (P, C) float32, of its cells.
        cover: (1 + N, P), which part of each cell the background and each object cover; columns sum to 1.
        known: bool (N,) on the CPU; about an object that was not known yet the frame says nothing: it may be in the background.
        seen: (N,) float32, which part of each object is to be seen, 0..1; 1 for one that is as large as where it was given, or larger.
    """

    features: torch.Tensor
    cover: torch.Tensor
    known: torch.Tensor
    seen: torch.Tensor


class AppearanceModel:
    """Log probabilities of the background and N objects per cell, on the device of the features it is given.

    Classes come first in every array: products with a few long rows take a quarter of the time of those with a few long columns.

    Args:
        regularisation: weight of the squared norm.
        steps: Newton steps per fit; the first fit takes more.
        directions: conjugate directions per Newton step.
    """

    def __init__(self, regularisation: float, steps: int = 1, directions: int = 8) -> None:
        self._regularisation = regularisation
        self._steps = steps
        self._directions = directions
        self._weights: torch.Tensor | None = None
        self._open = torch.zeros(0)

    def log_probabilities(self, features: torch.Tensor) -> torch.Tensor:
        """Return log probabilities (1 + N, P) for the features (P, C) of a frame, very low for objects that are not known.

        Raises: RuntimeError: nothing was fitted yet.
        """
        if self._weights is None:
            raise RuntimeError("fit() comes before log_probabilities()")
        return torch.log_softmax(self._weights @ features.T + self._open, 0)

    def fit(self, samples: list[AppearanceSample], shares: list[float]) -> None:
        """Fit the model to frames, each with its share of the loss.

        The background and every known object count the same. Of a frame that shows less of an object than the given frames, that object
        counts less there: what is nearly hidden is easily mistaken.
        """
        features = torch.cat([sample.features for sample in samples])
        cover = torch.cat([sample.cover for sample in samples], 1)
        known = torch.stack([sample.known for sample in samples]).any(0).to(features.device)
        self._open = torch.where(torch.cat([torch.ones_like(known[:1]), known]), 0.0, _NEVER).to(features)[:, None]
        weight = torch.cat([_weights(sample, row) for sample, row in zip(samples, _class_shares(samples, shares), strict=True)])
        unsure = [(~sample.known).to(features)[:, None].expand(-1, sample.cover.shape[1]) for sample in samples]
        unsure = torch.cat(unsure, 1) * known[:, None]
        steps = self._steps
        weights = self._weights
        if weights is None:
            weights, steps = features.new_zeros(len(cover), features.shape[1]), _FIRST_STEPS
        eye = torch.eye(features.shape[1], dtype=features.dtype, device=features.device)
        factor = torch.linalg.cholesky((features * weight[:, None]).T @ features / 4 + self._regularisation * eye)
        for _ in range(steps):
            weights = weights + _PACE * self._newton_step(weights, features, cover, weight, unsure, factor)
        self._weights = weights

    def _newton_step(
        self, weights: torch.Tensor, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, unsure: torch.Tensor, factor: torch.Tensor
    ) -> torch.Tensor:
        """Return a step (1 + N, C) towards the minimum, by conjugate directions with the bound of the curvature as preconditioner."""
        p = torch.softmax(weights @ x.T + self._open, 0)
        if bool(unsure.any()):
            y = _share_background(p, y, unsure)
        residual = -((weight * (p - y)) @ x + self._regularisation * weights)
        step = torch.zeros_like(residual)
        conditioned = torch.cholesky_solve(residual.T, factor).T.contiguous()
        direction, length = conditioned, (residual * conditioned).sum()
        for _ in range(self._directions):
            along = direction @ x.T
            curved = (weight * p * (along - (p * along).sum(0))) @ x + self._regularisation * direction
            pace = length / (direction * curved).sum().clamp_min(1e-20)
            step, residual = step + pace * direction, residual - pace * curved
            conditioned = torch.cholesky_solve(residual.T, factor).T.contiguous()
            before, length = length, (residual * conditioned).sum()
            direction = conditioned + length / before.clamp_min(1e-20) * direction
        return step


def _share_background(p: torch.Tensor, y: torch.Tensor, unsure: torch.Tensor) -> torch.Tensor:
    """Return the cover (1 + N, P) with the background's part shared with the objects that were not known there, as likely as they are."""
    may_be = p * torch.cat([torch.ones_like(unsure[:1]), unsure])
    background = y[:1] * may_be / may_be.sum(0).clamp_min(1e-9)
    return background + torch.cat([torch.zeros_like(y[:1]), y[1:]])


def _class_shares(samples: list[AppearanceSample], shares: list[float]) -> torch.Tensor:
    """Return the share (frames, 1 + N) of each frame in the loss of each class; every class that is seen has one half."""
    seen = torch.stack([sample.seen for sample in samples])
    counts = torch.stack([sample.known for sample in samples]).to(seen) * seen
    each = torch.cat([torch.ones_like(counts[:, :1]), counts], 1) * torch.tensor(shares, dtype=seen.dtype, device=seen.device)[:, None]
    return 0.5 * each / each.sum(0).clamp_min(1e-9)


def _weights(sample: AppearanceSample, shares: torch.Tensor) -> torch.Tensor:
    """Return the weight (P,) of each cell: the share of a class is spread over all that it covers."""
    cover = sample.cover
    return shares.to(cover) @ (cover / cover.sum(1, keepdim=True).clamp_min(1e-3))
