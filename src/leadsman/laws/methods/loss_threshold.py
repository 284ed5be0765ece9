"""Scores that stay at chance until the loss passes a threshold.

    score(L) = chance + slope * max(eta - L, 0),  at most ``top``

Du et al., "Understanding Emergent Abilities of Language Models from the Loss Perspective" (2024,
catalogue 443): above a task's threshold loss eta every model guesses, below it the score rises
with falling loss whatever the model's size. The straight rise is the simplest form with that
property; the paper draws, and does not fit, the curve.
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


class LossThreshold(ParametricLaw):
    """Score at chance above a threshold loss, rising straight below it.

    Args:
        x: column with the loss.
        chance: score of a guess; learned if ``None``.
        top: highest score.
        delta: Huber's delta on residuals; ``None`` adapts it to their scale.

    Columns: the one named by ``x``; ``items`` if the number of questions is known.

    Raises:
        InputError: the column is missing or not positive.
        DesignError: fewer runs than parameters.
        MethodError: not 0 <= chance < top <= 1.
    """

    name = "loss-threshold"
    paper = Paper(
        "Understanding Emergent Abilities of Language Models from the Loss Perspective", 2024, 443
    )
    inputs = ("loss",)
    output = "score"
    terms: ClassVar = (
        Parameter("chance", 0.0, 1.0),
        Parameter("slope", positive=True),
        Parameter("eta"),
    )

    def __init__(
        self,
        *,
        x: str = "loss",
        chance: float | None = None,
        top: float = 1.0,
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
        """Chance is fixed where it is known."""
        return held(self.terms, {"chance": self.chance})

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """chance + slope max(eta - L, 0), at most top."""
        rise = theta["slope"] * np.maximum(theta["eta"] - x["loss"], 0.0)
        return np.asarray(np.minimum(theta["chance"] + rise, self.top))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Thresholds at the quantiles of the losses seen."""
        low = x["loss"].min()
        start = grid(
            chance=[y.min(), float(np.quantile(y, 0.25))] if self.chance is None else self.chance,
            eta=np.quantile(x["loss"], [0.2, 0.35, 0.5, 0.65, 0.8, 0.95]),
        )
        drop = np.maximum(start["eta"] - low, 1e-6)
        return start | {"slope": np.maximum(y.max() - start["chance"], 1e-3) / drop}
