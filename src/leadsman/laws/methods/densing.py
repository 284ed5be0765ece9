"""How fast capability packs into fewer parameters: density grows exponentially over time.

    ln density(t) = a + g * t

Xiao et al., "Densing Law of LLMs" (2024, catalogue 159): the highest density among models released
so far doubles about every three months. t in years; the doubling time is ln 2 / g years.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.laws.base import Floats
from leadsman.laws.fitting.fitted_parametric import FittedParametric
from leadsman.laws.fitting.parametric import ParametricLaw
from leadsman.laws.fitting.parametric_form import Parameter
from leadsman.laws.table import column
from leadsman.methods import Paper


class Densing(ParametricLaw):
    """Density of models over their release dates: an exponential through the best so far.

    Args:
        frontier: fit only models denser than every earlier one.
        delta: Huber's delta on log residuals; ``None`` adapts it to their scale.

    Columns: ``year`` (fractional, 2024.5 for July 2024); ``y`` is the density.

    Raises:
        InputError: a column is missing or not positive.
        DesignError: fewer than three models (on the frontier).
    """

    name = "densing"
    paper = Paper("Densing Law of LLMs", 2024, 159)
    inputs = ("year",)
    terms: ClassVar = (Parameter("a"), Parameter("g"))

    def __init__(self, *, frontier: bool = True, delta: float | None = None) -> None:
        self.frontier = frontier
        self.delta = delta

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "density",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedParametric:
        """Fit on models with a density each."""
        if self.frontier:
            order = np.argsort(column(runs, "year"), kind="stable")
            values = column(runs, y)[order]
            best = order[values >= np.maximum.accumulate(values)]
            runs = runs[best]
            weights = None if weights is None else weights[best]
        return super().fit(runs, y=y, weights=weights, seed=seed)

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """exp(a + g (t - 2024))."""
        return np.asarray(np.exp(theta["a"] + theta["g"] * (x["year"] - 2024.0)))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """A straight line through the logs."""
        growth, level = np.polyfit(x["year"] - 2024.0, np.log(y), 1)
        return {"a": np.array([level]), "g": np.array([growth])}
