"""Optimizers that step by a sign: torch implementations of Signum and Lion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class SignedMomentum(torch.optim.Optimizer):
    """``p <- (1 - lr d) p - lr sign(b1 m + (1 - b1) g)``, then ``m <- b2 m + (1 - b2) g``.

    Lion as it stands; Signum for ``b1 = b2``, where the mean that gives the sign is also kept.

    Args:
        groups: parameter groups with ``lr`` and ``weight_decay``.
        beta1: weight of the kept mean in the step.
        beta2: decay of the kept mean.
    """

    def __init__(self, groups: list[dict[str, Any]], *, beta1: float, beta2: float) -> None:
        super().__init__(groups, {"beta1": beta1, "beta2": beta2})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Step all parameters that have a gradient."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._step_one(param, param.grad, group)

    def _step_one(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[param]
        if not state:
            state["mean"] = torch.zeros_like(param)
        direction = torch.lerp(grad, state["mean"], group["beta1"]).sign_()
        param.mul_(1 - group["lr"] * group["weight_decay"]).sub_(direction, alpha=group["lr"])
        state["mean"].lerp_(grad, 1 - group["beta2"])
