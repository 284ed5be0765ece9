"""Prodigy: Adam that estimates its own learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import OptimizerMethod, require

if TYPE_CHECKING:
    import torch

    from leadsman.runs import Recipe
    from leadsman.train.model import Decoder


class Prodigy(OptimizerMethod):
    """Multiplies Adam's step by a growing estimate ``d`` of the distance to the solution.

        d <- max(d, sum_t d_t^2 <g_t, p0 - p_t> / || sum_t d_t^2 g_t ||_1)
        p <- (1 - d lr w) p - d lr m / (sqrt(v) + d eps)

    Both sums decay by ``sqrt(beta2)`` a step.

    The recipe's ``lr`` multiplies ``d``: leave it at 1. State: 16 bytes a parameter. Claim: the
    loss of a tuned Adam without tuning.

    Args:
        beta1: decay of the mean gradient.
        beta2: decay of the squared gradient.
        d0: first estimate of ``d``.

    Raises:
        MethodError: a value out of bounds.
        MissingExtraError: ``pytorch_optimizer``, which holds the update, is not installed.
    """

    name = "prodigy"
    state_numbers = 4
    paper = Paper("Prodigy: An Expeditiously Adaptive Parameter-Free Learner", 2023)

    def __init__(self, *, beta1: float = 0.9, beta2: float = 0.95, d0: float = 1e-6) -> None:
        require(beta1, "beta1", below=1)
        require(beta2, "beta2", below=1)
        require(d0, "d0")
        self.beta1, self.beta2, self.d0 = beta1, beta2, d0

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """Prodigy over all parameters."""
        from leadsman.train.optimizers._library import library_class

        library_class("Prodigy")
        from leadsman.train.optimizers._prodigy import ScaledProdigy

        return ScaledProdigy(model, recipe, betas=(self.beta1, self.beta2), d0=self.d0)
