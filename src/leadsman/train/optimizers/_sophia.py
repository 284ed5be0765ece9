"""The curvature estimate of Sophia-G over the update of ``pytorch_optimizer`` (Apache-2.0)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from pytorch_optimizer import SophiaH
from torch import Tensor

from leadsman.runs import Recipe
from leadsman.train.model import Decoder
from leadsman.train.parametrization import param_groups


class SophiaG(SophiaH):  # type: ignore[misc]
    """Sophia whose curvature comes from labels the model draws itself.

    The library clips ``m / h`` at ``gamma``; learning rates are divided by ``gamma`` (and decay
    multiplied), which is the paper's ``clip(m / (gamma h), 1)``.
    """

    def __init__(
        self,
        model: Decoder,
        recipe: Recipe,
        *,
        betas: tuple[float, float],
        gamma: float,
        period: int,
    ) -> None:
        groups = param_groups(model, recipe)
        for group in groups:
            group["lr_scale"] /= gamma
            group["weight_decay"] *= gamma
        super().__init__(groups, betas=betas, p=gamma, update_period=period)
        self._model, self._recipe = model, recipe
        self._curvature: list[Tensor] | None = None

    def observe(self, batch: Tensor) -> None:
        """Estimate the curvature on a batch ``[sequences, seq_len + 1]`` if its turn has come."""
        done = int(self.param_groups[0].get("step", 0))
        if done % self.update_period:
            return
        bf16 = self._recipe.precision == "bf16"
        with torch.enable_grad(), torch.autocast(batch.device.type, torch.bfloat16, enabled=bf16):
            logits = self._model(batch[:, :-1]).float().flatten(0, 1)
        generator = torch.Generator(batch.device).manual_seed(self._recipe.seed * 1_000_003 + done)
        labels = torch.multinomial(logits.detach().softmax(-1), 1, generator=generator).flatten()
        params = [param for group in self.param_groups for param in group["params"]]
        grads = torch.autograd.grad(F.cross_entropy(logits, labels), params)
        self._curvature = [grad.square() * len(labels) for grad in grads]

    def step(self, closure: Any = None, hessian: Any = None) -> Any:
        """One step, with the curvature if one has been estimated since the last."""
        loss = super().step(closure, hessian=self._curvature)
        self._curvature = None
        for state in self.state.values():
            state.pop("hessian", None)
        return loss
