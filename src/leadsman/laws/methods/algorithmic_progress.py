"""Progress of algorithms: how much less compute the same loss takes each year.

    L(N, D, t) = E + A * exp(-p (t - t0)) * N^-alpha + B * exp(-q (t - t0)) * D^-beta

Ho et al., "Algorithmic progress in language models" (2024, catalogue 440): a Chinchilla law whose
effective parameters and data grow with the year t. Effective N grows by p/alpha e-folds a year,
effective D by q/beta, effective compute by their sum: :func:`halving_months`. Runs come from many
groups and years, so the scatter is large. Loss in nats per token on one test set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from leadsman.laws.base import FittedLaw, Floats
from leadsman.laws.fitting.parametric import ParametricLaw, grid
from leadsman.laws.fitting.parametric_form import Parameter
from leadsman.methods import Paper


class AlgorithmicProgress(ParametricLaw):
    """Loss in size, data and year: effective compute grows as algorithms improve.

    Args:
        origin: year at which effective and actual quantities are the same.
        delta: Huber's delta on log residuals; ``None`` adapts it to their scale.

    Columns: ``params``, ``tokens``, ``year`` (fractional).

    Raises:
        InputError: a column is missing or not positive.
        DesignError: fewer than eight runs.
    """

    name = "algorithmic-progress"
    paper = Paper("Algorithmic progress in language models", 2024, 440)
    inputs = ("params", "tokens", "year")
    terms: ClassVar = (
        Parameter("E", 1e-6, positive=True),
        Parameter("A", positive=True),
        Parameter("alpha", 0.01, 2.0),
        Parameter("p", -1.0, 3.0),
        Parameter("B", positive=True),
        Parameter("beta", 0.01, 2.0),
        Parameter("q", -1.0, 3.0),
    )

    def __init__(self, *, origin: float = 2018.0, delta: float | None = None) -> None:
        self.origin = origin
        self.delta = delta

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """E + A exp(-p t) N^-alpha + B exp(-q t) D^-beta."""
        years = x["year"] - self.origin
        size = -theta["p"] * years - theta["alpha"] * np.log(x["params"])
        data = -theta["q"] * years - theta["beta"] * np.log(x["tokens"])
        return np.asarray(theta["E"] + theta["A"] * np.exp(size) + theta["B"] * np.exp(data))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """The loss above the floor is shared evenly between size and data at the middle run."""
        start = grid(
            E=y.min() * np.array([0.2, 0.6]),
            alpha=[0.1, 0.3],
            beta=[0.1, 0.3],
            p=[0.0, 0.15],
            q=[0.0, 0.15],
        )
        half = np.maximum(np.median(y) - start["E"], 1e-3) / 2
        years = float(np.median(x["year"])) - self.origin
        size = start["alpha"] * np.median(np.log(x["params"])) + start["p"] * years
        data = start["beta"] * np.median(np.log(x["tokens"])) + start["q"] * years
        return start | {"A": half * np.exp(size), "B": half * np.exp(data)}


def halving_months(fitted: FittedLaw, *, draws: int = 1000, seed: int = 0) -> Floats:
    """Draws of the months in which the compute for one loss halves, shape (draws,).

    Negative where a draw says that algorithms got worse.
    """
    theta = fitted.parameter_draws(draws=draws, seed=seed)
    growth = theta["p"] / theta["alpha"] + theta["q"] / theta["beta"]
    return np.asarray(12 * np.log(2) / growth)
