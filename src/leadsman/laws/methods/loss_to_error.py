"""From the loss of a model to its average error on tasks.

    Err(L) = epsilon - k * exp(-gamma * L)

Gadre et al., "Language models scale reliably with over-training and on downstream tasks" (2024,
catalogue 165). L in nats per token; Err a fraction. ``epsilon`` is the error of a model that
knows nothing: one minus chance, if that is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.laws.base import Floats
from leadsman.laws.fitting.parametric import ParametricLaw, grid
from leadsman.laws.fitting.parametric_form import Parameter, check_chance, held
from leadsman.laws.table import column
from leadsman.methods import Paper


class LossToError(ParametricLaw):
    """Average task error from the loss: exponential approach to the error of a guess.

    Args:
        x: column with the loss.
        chance: accuracy of a guess; learned if ``None``.
        delta: Huber's delta on residuals; ``None`` adapts it to their scale.

    Columns: the one named by ``x``; ``items`` if the number of questions is known.

    Raises:
        InputError: the column is missing or not positive.
        DesignError: fewer runs than parameters.
        MethodError: ``chance`` outside [0, 1).
    """

    name = "loss-to-error"
    paper = Paper(
        "Language models scale reliably with over-training and on downstream tasks", 2024, 165
    )
    inputs = ("loss",)
    output = "score"
    terms: ClassVar = (
        Parameter("epsilon", 0.0, 1.0),
        Parameter("k", positive=True),
        Parameter("gamma", 0.01, 20.0, positive=True),
    )

    def __init__(
        self, *, x: str = "loss", chance: float | None = None, delta: float | None = None
    ) -> None:
        check_chance(chance)
        self.x = x
        self.chance = chance
        self.delta = delta

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """The loss."""
        return {"loss": column(frame, self.x)}

    def parameters_of(self, x: Mapping[str, Floats]) -> tuple[Parameter, ...]:
        """``epsilon`` is fixed where chance is known."""
        return held(self.terms, {"epsilon": None if self.chance is None else 1 - self.chance})

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """epsilon - k exp(-gamma L)."""
        return np.asarray(theta["epsilon"] - theta["k"] * np.exp(-theta["gamma"] * x["loss"]))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Several rates; the amplitude follows from the run with the lowest loss."""
        top = y.max() if self.chance is None else 1 - self.chance
        start = grid(
            epsilon=np.minimum(top + np.array([0.01, 0.1]), 1.0), gamma=[0.3, 0.7, 1.5, 3.0]
        )
        best = np.argmin(x["loss"])
        drop = np.maximum(start["epsilon"] - y[best], 1e-3)
        return start | {"k": drop * np.exp(start["gamma"] * x["loss"][best])}
