"""The one shape of a law: ``fit(runs) -> FittedLaw``, then ``predict(points) -> Forecast``.

A fitted law gives its best curve, draws of that curve (what is not known about the parameters)
and the scatter of single runs around it; :meth:`FittedLaw.predict` joins the three. How wrong
the *form* of the law is beyond the runs is not known to a law: see
:func:`leadsman.laws.forecast_runs`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.laws.forecast import Forecast
from leadsman.methods import Kind, Method

Floats = npt.NDArray[np.float64]


class FittedLaw(ABC):
    """A law with its parameters learned.

    Attributes:
        law: the law that was fitted.
        y: name of the predicted column.
        noise: scatter of a single run around the curve: standard deviation of the log of a loss,
            or of a score itself.
        warnings: what a reader of every prediction must know (a poorly determined exponent, ...).
    """

    law: Law
    y: str
    noise: float
    warnings: tuple[str, ...] = ()

    @abstractmethod
    def curve(self, points: pl.DataFrame) -> Floats:
        """Best estimate of the noise-free result at each row of ``points``, shape (n,)."""

    @abstractmethod
    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws of the noise-free result, shape (draws, n): what is not known of the parameters.

        One row is one draw of the parameters, so rows keep the dependence between points.
        """

    def refit_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Cheaper draws for the competition of laws, where a law has them; shape (draws, n)."""
        return self.curve_draws(points, draws=draws, seed=seed)

    def parameters(self) -> dict[str, float]:
        """Learned parameters by the name they have in the equation; empty for a model without."""
        return {}

    def parameter_draws(self, *, draws: int = 200, seed: int = 0) -> dict[str, Floats]:
        """Draws of each parameter, shape (draws,); empty for a model without parameters."""
        return {}

    def predict(self, points: pl.DataFrame, *, draws: int = 1000, seed: int = 0) -> Forecast:
        """The predictive distribution at each row of ``points`` (same columns as the runs).

        Args:
            points: settings not yet run, n rows.
            draws: draws from the predictive distribution.
            seed: of the draws.

        Raises:
            InputError: a column the law reads is missing, or holds a value that cannot be.
        """
        curves = self.curve_draws(points, draws=draws, seed=seed)
        # In place: tens of millions of values are usual in planning.
        values = np.random.default_rng([seed, 1]).standard_normal(curves.shape)
        values *= self.noise
        if self.law.output == "loss":
            np.exp(values, out=values)
            values *= curves
        else:
            values += curves
            np.clip(values, 0.0, 1.0, out=values)
        warnings = (self.warnings,) * len(points)
        return Forecast(points=points, draws=values, y=self.y, law=self.law.name, warnings=warnings)


class Law(Method, ABC):
    """A hypothesis about how results depend on settings.

    Attributes:
        inputs: columns of the run table the law reads (``params``, ``tokens``, ...).
        output: ``loss`` (positive, falls, errors are relative) or ``score`` (in [0, 1], errors
            are absolute).
    """

    kind: ClassVar[Kind] = "law"
    inputs: tuple[str, ...]
    output: Literal["loss", "score"] = "loss"

    def reads(self, frame: pl.DataFrame) -> tuple[str, ...]:
        """Columns of a table that the law reads: its inputs, unless it derives them from others."""
        return self.inputs

    @abstractmethod
    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "loss",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedLaw:
        """Fit on a table of runs, one a row.

        Args:
            runs: the runs; columns as in :mod:`leadsman.laws.table`.
            y: name of the column to predict.
            weights: how much each row counts, shape (n,); all 1 by default.
            seed: of whatever the fit draws.

        Raises:
            InputError: a column is missing or holds a value that cannot be.
            DesignError: these runs cannot tell the law's parameters apart; names a run that would.
        """
