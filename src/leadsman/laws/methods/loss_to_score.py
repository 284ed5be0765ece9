"""From the loss of a model to its score on a task, from chance to a ceiling.

    score(L) = chance + (top - chance) / (1 + exp(k (L - L_0)))

The step that task-scaling studies put after a loss law (Gadre et al. 2024, catalogue 165, with an
exponential; Bhagia et al. 2024 and the Llama 3 report with this sigmoid). L in nats per token or
bits per byte; score in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.laws.base import Floats
from leadsman.laws.fitting.parametric import ParametricLaw, grid, sigmoid
from leadsman.laws.fitting.parametric_form import Parameter, check_chance, held
from leadsman.laws.table import column
from leadsman.methods import Paper


class LossToScore(ParametricLaw):
    """Score on a task from the loss: a sigmoid between chance and a ceiling.

    Args:
        x: column with the loss.
        chance: score of a guess; learned if ``None``.
        top: highest score; learned if ``None``.
        delta: Huber's delta on residuals; ``None`` adapts it to their scale.

    Columns: the one named by ``x``; ``items`` if the number of questions is known.

    Raises:
        InputError: the column is missing or not positive.
        DesignError: fewer runs than parameters.
        MethodError: not 0 <= chance < top <= 1.
    """

    name = "loss-to-score"
    paper = Paper("Establishing Task Scaling Laws via Compute-Efficient Model Ladders", 2024)
    inputs = ("loss",)
    output = "score"
    terms: ClassVar = (
        Parameter("chance", 0.0, 1.0),
        Parameter("top", 0.0, 1.0),
        Parameter("k", 0.01, 100.0, positive=True),
        Parameter("L_0"),
    )

    def __init__(
        self,
        *,
        x: str = "loss",
        chance: float | None = None,
        top: float | None = None,
        delta: float | None = None,
    ) -> None:
        check_chance(chance, top)
        self.x = x
        self.chance = chance
        self.top = top
        self.delta = delta

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """The loss."""
        return {"loss": column(frame, self.x)}

    def parameters_of(self, x: Mapping[str, Floats]) -> tuple[Parameter, ...]:
        """Chance and ceiling are fixed where they are known."""
        return held(self.terms, {"chance": self.chance, "top": self.top})

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """chance + (top - chance) sigmoid(-k (L - L_0))."""
        rise = sigmoid(-theta["k"] * (x["loss"] - theta["L_0"]))
        return np.asarray(theta["chance"] + (theta["top"] - theta["chance"]) * rise)

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Turning points across the losses seen and a little below them."""
        low, high = x["loss"].min(), x["loss"].max()
        width = max(high - low, 1e-6)
        return grid(
            chance=y.min() if self.chance is None else self.chance,
            top=[y.max(), 0.5 * (1 + y.max())] if self.top is None else self.top,
            k=np.array([2.0, 6.0]) / width,
            L_0=np.array([low - 0.3 * width, low, 0.5 * (low + high)]),
        )
