"""Signum: the sign of the momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import OptimizerMethod, require

if TYPE_CHECKING:
    import torch

    from leadsman.runs import Recipe
    from leadsman.train.model import Decoder


class Signum(OptimizerMethod):
    """Steps by the sign of the mean gradient.

        m <- b m + (1 - b) g        p <- (1 - lr d) p - lr sign(m)

    State: 4 bytes a parameter.

    Args:
        beta: decay of the mean gradient.

    Raises:
        MethodError: a value out of bounds.
    """

    name = "signum"
    state_numbers = 1
    paper = Paper("signSGD: Compressed Optimisation for Non-Convex Problems", 2018)

    def __init__(self, *, beta: float = 0.95) -> None:
        require(beta, "beta", below=1)
        self.beta = beta

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """Signum over all parameters."""
        from leadsman.train.optimizers._signed import SignedMomentum
        from leadsman.train.parametrization import param_groups

        return SignedMomentum(param_groups(model, recipe), beta1=self.beta, beta2=self.beta)
