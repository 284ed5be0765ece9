"""Lion: the sign of an interpolated momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import OptimizerMethod, require

if TYPE_CHECKING:
    import torch

    from leadsman.runs import Recipe
    from leadsman.train.model import Decoder


class Lion(OptimizerMethod):
    """Steps by the sign of an interpolation between gradient and momentum; half Adam's state.

        p <- (1 - lr d) p - lr sign(b1 m + (1 - b1) g)        m <- b2 m + (1 - b2) g

    Every entry moves by ``lr``, about three times an AdamW step of the same ``lr``: divide AdamW's
    by 3 to 10. State: 4 bytes a parameter.

    Args:
        beta1: weight of the momentum in the step.
        beta2: decay of the momentum.

    Raises:
        MethodError: a value out of bounds.
    """

    name = "lion"
    state_numbers = 1
    paper = Paper("Symbolic Discovery of Optimization Algorithms", 2023)

    def __init__(self, *, beta1: float = 0.9, beta2: float = 0.99) -> None:
        require(beta1, "beta1", below=1)
        require(beta2, "beta2", below=1)
        self.beta1, self.beta2 = beta1, beta2

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """Lion over all parameters."""
        from leadsman.train.optimizers._signed import SignedMomentum
        from leadsman.train.parametrization import param_groups

        return SignedMomentum(param_groups(model, recipe), beta1=self.beta1, beta2=self.beta2)
