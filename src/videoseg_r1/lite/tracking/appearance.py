"""The appearance of the objects, fitted while the video runs: one logistic regression per object on frozen features.

The window read follows an object that moves a little. This model recognises the object wherever it is, so it follows fast and deforming
objects and finds them again after they were hidden. Each fit is a few Newton steps from the last weights. Not here: the features
(`tracker`).

Source: the idea of a target model fitted at run time is that of FRTM (Robinson et al. 2020); theirs is a small convolutional
network, this is a convex problem with a closed Newton step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

_FIRST_STEPS = 8


@dataclass(frozen=True, slots=True)
class AppearanceSample:
    """One frame to fit to: float32 features (P, C) of its cells, and which part of each cell each object covers, (P, N) in 0..1.

    `known`, bool (N,) on the CPU: the frame says nothing about an object that was not known yet.
    """

    features: torch.Tensor
    cover: torch.Tensor
    known: torch.Tensor


class AppearanceModel:
    """Scores of N objects per cell, on the device of the features it is given.

    Args:
        regularisation: weight of the squared norm.
        steps: Newton steps per fit; the first fit takes more.
    """

    def __init__(self, regularisation: float, steps: int) -> None:
        self._regularisation = regularisation
        self._steps = steps
        self._weights: torch.Tensor | None = None

    def scores(self, features: torch.Tensor) -> torch.Tensor:
        """Return log odds (P, N) for the features (P, C) of a frame.

        Raises: RuntimeError: nothing was fitted yet.
        """
        if self._weights is None:
            raise RuntimeError("fit() comes before scores()")
        return features @ self._weights

    def fit(self, samples: list[AppearanceSample], shares: list[float]) -> None:
        """Fit the model to frames, each with its share of the loss; in each frame object and surroundings count the same."""
        features = torch.cat([sample.features for sample in samples])
        cover = torch.cat([sample.cover for sample in samples])
        known = [sample.known.to(sample.cover.device) for sample in samples]
        weight = torch.cat([_balance(sample.cover) * there * share for sample, there, share in zip(samples, known, shares, strict=True)])
        steps = self._steps
        if self._weights is None:
            self._weights, steps = features.new_zeros(features.shape[1], cover.shape[1]), _FIRST_STEPS
        ridge = self._regularisation * torch.eye(features.shape[1], dtype=features.dtype, device=features.device)
        for column in range(cover.shape[1]):
            self._weights[:, column] = _newton(features, cover[:, column], weight[:, column], self._weights[:, column], ridge, steps)


def _balance(cover: torch.Tensor) -> torch.Tensor:
    inside, outside = cover.sum(0).clamp_min(1e-3), (1 - cover).sum(0).clamp_min(1e-3)
    return 0.5 * (cover / inside + (1 - cover) / outside)


def _newton(
    x: torch.Tensor, y: torch.Tensor, sample_weight: torch.Tensor, w: torch.Tensor, ridge: torch.Tensor, steps: int
) -> torch.Tensor:
    """Return the weights after some Newton steps of the weighted, ridge-regularised logistic loss."""
    for _ in range(steps):
        p = torch.sigmoid(x @ w)
        gradient = x.T @ (sample_weight * (p - y)) + ridge @ w
        curvature = (x * (sample_weight * p * (1 - p))[:, None]).T @ x + ridge
        w = w - torch.linalg.solve(curvature, gradient)
    return w
