"""The one shape of a law: ``fit(runs) -> FittedLaw``, then ``predict(points) -> Forecast``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import polars as pl

from leadsman.laws.forecast import Forecast
from leadsman.methods import Kind, Method


class FittedLaw(ABC):
    """A law with its parameters learned."""

    @abstractmethod
    def predict(self, points: pl.DataFrame, *, draws: int = 1000, seed: int = 0) -> Forecast:
        """The predictive distribution at each row of ``points`` (same columns as the runs)."""


class Law(Method, ABC):
    """A hypothesis about how results depend on settings.

    Attributes:
        inputs: columns of the run table the law reads (``params``, ``tokens``, ...).
    """

    kind: ClassVar[Kind] = "law"
    inputs: ClassVar[tuple[str, ...]]

    @abstractmethod
    def fit(self, runs: pl.DataFrame, *, y: str = "loss", seed: int = 0) -> FittedLaw:
        """Fit on a table of runs, one a row; ``y`` names the column to predict."""
