"""Sophia: momentum over a clipped diagonal curvature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import OptimizerMethod, require

if TYPE_CHECKING:
    import torch

    from leadsman.runs import Recipe
    from leadsman.train.model import Decoder


class Sophia(OptimizerMethod):
    """Divides the momentum by the curvature of each parameter, and clips the quotient.

        p <- (1 - lr d) p - lr clip(m / (gamma h), 1)
        h <- b2 h + (1 - b2) B g'^2                      every ``period`` steps

    ``g'`` is the gradient on labels drawn from the model's own predictions for the ``B`` tokens of
    a batch (Gauss-Newton-Bartlett, the paper's Sophia-G). Every entry moves by ``lr`` at most, as
    in Lion. State: 8 bytes a parameter. Claim: half the steps of AdamW to the same loss.

    Args:
        beta1: decay of the momentum.
        beta2: decay of the curvature.
        gamma: a smaller one clips more entries.
        period: steps between estimates of the curvature, each a forward and backward pass.

    Raises:
        MethodError: a value out of bounds.
        MissingExtraError: ``pytorch_optimizer``, which holds the update, is not installed.
    """

    name = "sophia"
    paper = Paper(
        "Sophia: A Scalable Stochastic Second-order Optimizer for Language Model Pre-training", 2023
    )

    def __init__(
        self, *, beta1: float = 0.96, beta2: float = 0.99, gamma: float = 0.04, period: int = 10
    ) -> None:
        require(beta1, "beta1", below=1)
        require(beta2, "beta2", below=1)
        require(gamma, "gamma")
        require(period, "period")
        self.beta1, self.beta2, self.gamma, self.period = beta1, beta2, gamma, period

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """Sophia-G over all parameters."""
        from leadsman.train.optimizers._library import library_class

        library_class("SophiaH")
        from leadsman.train.optimizers._sophia import SophiaG

        return SophiaG(
            model,
            recipe,
            betas=(self.beta1, self.beta2),
            gamma=self.gamma,
            period=self.period,
        )
