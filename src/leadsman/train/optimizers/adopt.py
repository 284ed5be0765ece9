"""ADOPT: Adam that converges with any beta2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import OptimizerMethod, require

if TYPE_CHECKING:
    import torch

    from leadsman.runs import Recipe
    from leadsman.train.model import Decoder


class ADOPT(OptimizerMethod):
    """Divides the gradient by the previous step's second moment before it enters the momentum.

        m <- b1 m + (1 - b1) clip(g / max(sqrt(v), eps))        p <- (1 - lr d) p - lr m

    ``v`` takes in ``g^2`` only afterwards; the first step only initialises it. State: 8 bytes a
    parameter.

    Args:
        beta1: decay of the mean gradient.
        beta2: decay of the squared gradient.

    Raises:
        MethodError: a value out of bounds.
    """

    name = "adopt"
    paper = Paper("ADOPT: Modified Adam Can Converge with Any beta2 with the Optimal Rate", 2024)

    def __init__(self, *, beta1: float = 0.9, beta2: float = 0.99) -> None:
        require(beta1, "beta1", below=1)
        require(beta2, "beta2", below=1)
        self.beta1, self.beta2 = beta1, beta2

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """ADOPT over all parameters."""
        from leadsman.train.optimizers._library import from_library

        return from_library(
            "ADOPT", model, recipe, betas=(self.beta1, self.beta2), weight_decouple=True
        )
