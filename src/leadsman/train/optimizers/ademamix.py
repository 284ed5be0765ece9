"""AdEMAMix: a fast and a slow mean of the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import OptimizerMethod, require

if TYPE_CHECKING:
    import torch

    from leadsman.runs import Recipe
    from leadsman.train.model import Decoder


class AdEMAMix(OptimizerMethod):
    """Adds a slow mean of the gradient to Adam's: old gradients stay relevant for long.

        p <- (1 - lr d) p - lr (m1^ + alpha m2) / (sqrt(v^) + eps)

    ``m2`` decays by ``beta3``. Over the first ``warmup_steps`` (T) steps t, as the paper does over
    the whole run, old gradients come in slowly:

        alpha_t = alpha t / T        log(1/2) / log(beta3_t)  grows evenly from beta1's to beta3's

    State: 12 bytes a parameter.

    Args:
        beta1: decay of the mean gradient.
        beta2: decay of the squared gradient.
        beta3: decay of the slow mean; its memory must be shorter than the run.
        alpha: weight of the slow mean.
        warmup_steps: steps until ``alpha`` and ``beta3`` are reached; ``None`` for from the start.

    Raises:
        MethodError: a value out of bounds.
    """

    name = "ademamix"
    state_numbers = 3
    paper = Paper("The AdEMAMix Optimizer: Better, Faster, Older", 2024)

    def __init__(
        self,
        *,
        beta1: float = 0.9,
        beta2: float = 0.95,
        beta3: float = 0.999,
        alpha: float = 5.0,
        warmup_steps: int | None = None,
    ) -> None:
        require(beta1, "beta1", below=1)
        require(beta2, "beta2", below=1)
        require(beta3, "beta3", below=1)
        require(alpha, "alpha")
        require(1 if warmup_steps is None else warmup_steps, "warmup_steps")
        self.beta1, self.beta2, self.beta3, self.alpha = beta1, beta2, beta3, alpha
        self.warmup_steps = warmup_steps

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """AdEMAMix over all parameters."""
        from leadsman.train.optimizers._library import from_library

        return from_library(
            "AdEMAMix",
            model,
            recipe,
            betas=(self.beta1, self.beta2, self.beta3),
            alpha=self.alpha,
            t_alpha_beta3=self.warmup_steps,
            weight_decouple=True,
        )
