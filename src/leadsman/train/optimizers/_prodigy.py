"""Prodigy of ``pytorch_optimizer`` (Apache-2.0) with a learning rate for each group."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_optimizer import Prodigy

from leadsman.runs import Recipe
from leadsman.train.model import Decoder
from leadsman.train.parametrization import param_groups


class ScaledProdigy(Prodigy):  # type: ignore[misc]
    """Prodigy in the coordinates in which all groups have one learning rate.

    The library steps every group by the first group's rate, because ``d`` is one number for all.
    Where the parametrization asks for a rate ``u`` times the common one, the step is taken on
    ``p / u`` (whose gradient is ``u g``): Adam then moves ``p`` by ``u`` times as much, and ``d``
    measures the distance in these units.
    """

    def __init__(
        self, model: Decoder, recipe: Recipe, *, betas: tuple[float, float], d0: float
    ) -> None:
        groups = param_groups(model, recipe)
        for group in groups:
            group["unit"] = group["lr_scale"]
            group["weight_decay"] *= group["unit"]
            group["lr"], group["lr_scale"] = recipe.lr, 1.0
        super().__init__(groups, betas=betas, d0=d0, bias_correction=True, safeguard_warmup=True)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step in the common coordinates."""
        for group in self.param_groups:
            for param in group["params"]:
                param.div_(group["unit"])
                if param.grad is not None:
                    param.grad.mul_(group["unit"])
        loss = super().step(closure)
        for group in self.param_groups:
            for param in group["params"]:
                param.mul_(group["unit"])
        return loss
