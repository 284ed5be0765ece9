"""Schedule-free AdamW: averages the iterates where others decay the learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.errors import MethodError
from leadsman.methods import Paper
from leadsman.train.base import OptimizerMethod, require

if TYPE_CHECKING:
    import torch

    from leadsman.runs import Recipe
    from leadsman.train.model import Decoder


class ScheduleFreeAdamW(OptimizerMethod):
    """AdamW whose evaluated weights are a running average of its iterates.

        y = (1 - b1) z + b1 x              the gradient is taken at y
        z <- z - lr (g / (sqrt(v^) + eps) + d y)
        x <- (1 - c) x + c z               c = lr_max^2 / sum of lr_max^2

    ``x`` is what is evaluated and saved. The schedule is warm-up, then constant. State: 8 bytes a
    parameter. Claim: no worse than a tuned schedule, without knowing the run's length.

    Args:
        beta1: weight of the average at the point of the gradient.
        beta2: decay of the squared gradient.

    Raises:
        MethodError: a value out of bounds, or a recipe whose schedule decays.
        MissingExtraError: ``pytorch_optimizer`` is not installed.
    """

    name = "schedule_free"
    paper = Paper("The Road Less Scheduled", 2024)

    def __init__(self, *, beta1: float = 0.9, beta2: float = 0.95) -> None:
        require(beta1, "beta1", below=1)
        require(beta2, "beta2", below=1)
        self.beta1, self.beta2 = beta1, beta2

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """Schedule-free AdamW over all parameters, in training mode."""
        from leadsman.train.optimizers._library import from_library

        if recipe.schedule.name != "constant":
            raise MethodError(
                f"schedule_free averages instead of decaying; its schedule must be constant, "
                f"not {recipe.schedule.name}"
            )
        return from_library("ScheduleFreeAdamW", model, recipe, betas=(self.beta1, self.beta2))
