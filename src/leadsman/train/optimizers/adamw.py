"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import OptimizerMethod, require

if TYPE_CHECKING:
    import torch

    from leadsman.runs import Recipe
    from leadsman.train.model import Decoder


class AdamW(OptimizerMethod):
    """Adam with decoupled weight decay: the baseline every other optimizer is held to.

        m <- b1 m + (1 - b1) g        v <- b2 v + (1 - b2) g^2
        p <- (1 - lr d) p - lr m^ / (sqrt(v^) + eps)

    State: 8 bytes a parameter.

    Args:
        beta1: decay of the mean gradient.
        beta2: decay of its square; 0.95 for the short runs here.
        eps: added to the denominator.

    Raises:
        MethodError: a value out of bounds.
    """

    name = "adamw"
    paper = Paper("Decoupled Weight Decay Regularization", 2019)

    def __init__(self, *, beta1: float = 0.9, beta2: float = 0.95, eps: float = 1e-8) -> None:
        require(beta1, "beta1", below=1)
        require(beta2, "beta2", below=1)
        require(eps, "eps")
        self.beta1, self.beta2, self.eps = beta1, beta2, eps

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """torch's fused AdamW."""
        import torch

        from leadsman.train.parametrization import param_groups

        return torch.optim.AdamW(
            param_groups(model, recipe), betas=(self.beta1, self.beta2), eps=self.eps, fused=True
        )
