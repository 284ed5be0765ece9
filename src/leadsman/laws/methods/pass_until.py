"""Pass rates too small for one sample a question, and how they scale.

    -ln p(N) = c * N^-alpha

Hu et al., "Unlock Predictable Scaling from Emergent Abilities" (2024, catalogue 315): sample each
question until it passes (or until a cap), so that rates of 1e-4 are still measured; the log of the
mean pass rate then follows a power law in model size long before one-shot accuracy leaves zero.
:func:`pass_rate` is the unbiased estimate from such a count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.errors import InputError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.fitted_parametric import FittedParametric
from leadsman.laws.fitting.parametric import ParametricLaw, grid
from leadsman.laws.fitting.parametric_form import Parameter
from leadsman.laws.table import column
from leadsman.methods import Paper


class PassUntil(ParametricLaw):
    """Pass rate from model size: the log of the rate is a power law.

    Args:
        delta: Huber's delta on the log of -ln p; ``None`` adapts it to the residuals' scale.

    Columns: ``params``; ``y`` is the pass rate, strictly between 0 and 1. If the table has
    ``passes``, each row weighs by the precision its count gives.

    Raises:
        InputError: a column is missing, or a rate is 0 or 1 (sample more).
        DesignError: fewer than three models.
    """

    name = "pass-until"
    paper = Paper("Unlock Predictable Scaling from Emergent Abilities", 2024, 315)
    inputs = ("params",)
    output = "score"
    terms: ClassVar = (Parameter("c", positive=True), Parameter("alpha", 0.0, 5.0))

    def __init__(self, *, delta: float | None = None) -> None:
        self.delta = delta

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "score",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedParametric:
        """Fit on mean pass rates of several models."""
        rate = column(runs, y)
        if (rate >= 1).any():
            row = int(np.argmax(rate >= 1))
            raise InputError(f"{rate[row]:g} must lie between 0 and 1", line=row + 1, column=y)
        if weights is None and "passes" in runs.columns:
            # Delta method: var(ln(-ln p)) = (1 - p) / (passes ln^2 p).
            weights = column(runs, "passes") * np.log(rate) ** 2 / (1 - rate)
            weights = weights / weights.mean()
        # The weights already carry the sampling noise that ``items`` would stand for.
        plain = runs.drop("items", strict=False)
        return super().fit(plain, y=y, weights=weights, seed=seed)

    def link(self, values: Floats) -> Floats:
        """ln(-ln p), in which the law is a straight line over ln N."""
        kept = np.clip(values, 1e-300, 1 - 1e-12)
        return np.asarray(np.log(-np.log(kept)))

    def unlink(self, values: Floats) -> Floats:
        """Inverse of :meth:`link`."""
        return np.asarray(np.exp(-np.exp(values)))

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """exp(-c N^-alpha)."""
        power = np.log(theta["c"]) - theta["alpha"] * np.log(x["params"])
        return np.asarray(np.exp(-np.exp(np.minimum(power, 6.5))))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """A straight line through ln(-ln p) over ln N, and a few exponents beside it."""
        slope, level = np.polyfit(np.log(x["params"]), self.link(y), 1)
        start = grid(alpha=[max(-slope, 0.01), 0.05, 0.3])
        middle = level + slope * np.mean(np.log(x["params"]))
        return start | {"c": np.exp(middle + start["alpha"] * np.mean(np.log(x["params"])))}


def pass_rate(passes: Floats, samples: Floats, *, until: int | None = None) -> Floats:
    """Unbiased pass rate of each question, shape (n,).

    Args:
        passes: passes seen, shape (n,).
        samples: samples drawn, shape (n,).
        until: sampling stopped at this many passes; then (r - 1) / (K - 1) is unbiased for
            r >= 2 (and r / K is used where it stopped at a cap before). ``None``: a fixed number
            of samples was drawn.

    >>> float(pass_rate(np.array([2.0]), np.array([401.0]), until=2)[0])
    0.0025
    """
    plain = passes / samples
    if until is None or until < 2:
        return np.asarray(plain)
    stopped = (passes >= until) & (samples > 1)
    return np.asarray(np.where(stopped, (passes - 1) / np.maximum(samples - 1, 1), plain))
