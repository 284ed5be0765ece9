"""Best learning rate under a warm-up, stable, decay schedule, at any batch size and token count.

    lr*(beta, T) = beta * a * T^b

Shen et al., "Power Scheduler" (2024, catalogue 192): the best rate is proportional to the batch
size beta and a power of the tokens T, whatever the model (with muP). Used during a run with the
tokens seen so far it is a schedule that needs no planned end: :func:`power_schedule`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from leadsman.laws.base import FittedLaw, Floats
from leadsman.laws.fitting.parametric import ParametricLaw
from leadsman.laws.fitting.parametric_form import Parameter
from leadsman.methods import Paper


class PowerLR(ParametricLaw):
    """Best learning rate: proportional to the batch, a power of the training tokens.

    Fit it on optima with ``y="lr"`` (see :func:`leadsman.laws.methods.step_law.optima`).

    Args:
        delta: Huber's delta on log residuals; ``None`` adapts it to their scale.

    Columns: ``batch_tokens``, ``tokens``.

    Raises:
        InputError: a column is missing or not positive.
        DesignError: fewer than three optima.
    """

    name = "power-lr"
    paper = Paper(
        "Power Scheduler: A Batch Size and Token Number Agnostic Learning Rate Scheduler", 2024, 192
    )
    inputs = ("batch_tokens", "tokens")
    terms: ClassVar = (Parameter("a", positive=True), Parameter("b", -3.0, 3.0))

    def __init__(self, *, delta: float | None = None) -> None:
        self.delta = delta

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """beta a T^b."""
        power = np.log(theta["a"]) + theta["b"] * np.log(x["tokens"])
        return np.asarray(x["batch_tokens"] * np.exp(power))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """A straight line through the logs."""
        slope, level = np.polyfit(np.log(x["tokens"]), np.log(y / x["batch_tokens"]), 1)
        return {"a": np.exp(np.array([level])), "b": np.array([slope])}


def power_schedule(
    fitted: FittedLaw, tokens_seen: Floats, *, batch_tokens: float, lr_max: float
) -> Floats:
    """Learning rate after ``tokens_seen`` tokens: the law, capped at ``lr_max``, shape (n,)."""
    values = fitted.parameters()
    law = batch_tokens * values["a"] * np.maximum(tokens_seen, 1.0) ** values["b"]
    return np.asarray(np.minimum(lr_max, law))
