"""MARS: variance-reduced gradients under AdamW."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import OptimizerMethod, require

if TYPE_CHECKING:
    import torch

    from leadsman.runs import Recipe
    from leadsman.train.model import Decoder


class MARS(OptimizerMethod):
    """AdamW on a gradient corrected by its change since the last step.

        c = g + gamma b1 / (1 - b1) (g - g_prev), scaled to norm 1 at most

    The previous step's stochastic gradient stands for the same batch's (the paper's approximate
    form). State: 12 bytes a parameter.

    Args:
        beta1: decay of the mean.
        beta2: decay of the square.
        gamma: strength of the correction.

    Raises:
        MethodError: a value out of bounds.
    """

    name = "mars"
    state_numbers = 3
    paper = Paper(
        "MARS: Unleashing the Power of Variance Reduction for Training Large Models", 2024
    )

    def __init__(self, *, beta1: float = 0.95, beta2: float = 0.99, gamma: float = 0.025) -> None:
        require(beta1, "beta1", below=1)
        require(beta2, "beta2", below=1)
        require(gamma, "gamma")
        self.beta1, self.beta2, self.gamma = beta1, beta2, gamma

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """MARS over all parameters."""
        from leadsman.train.optimizers._library import from_library

        return from_library(
            "MARS",
            model,
            recipe,
            betas=(self.beta1, self.beta2),
            gamma=self.gamma,
            optimize_1d=True,
        )
