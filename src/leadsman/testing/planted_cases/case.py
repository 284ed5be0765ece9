"""A planted truth, and ways to write down its settings."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from leadsman.laws.fitting.parametric import ParametricLaw
from leadsman.laws.fitting.power_sum import PowerSumLaw


@dataclass(frozen=True)
class Case:
    """A planted truth.

    Attributes:
        law: gives the equation.
        runs: settings of the runs.
        points: settings to forecast.
        theta: the true parameters.
        noise: scatter, as in :func:`leadsman.testing.planted.planted`.
        outliers: runs moved far up.
        variant: what tells the case from others of its law.
        bound: labels that a fit would have learned.
    """

    law: ParametricLaw | PowerSumLaw
    runs: pl.DataFrame
    points: pl.DataFrame
    theta: dict[str, float]
    noise: float
    outliers: int = 0
    variant: str = ""
    bound: dict[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The law, and what tells two cases of it apart."""
        return "-".join(filter(None, [self.law.name, self.variant]))

    def design(self, seed: int) -> pl.DataFrame:
        """Settings of a replicate: 85 % of them, whichever are lost, so that some are unlucky."""
        kept = self.runs.sample(fraction=0.85, seed=seed)
        return kept if len(kept) > len(self.theta) + 3 else self.runs

    @property
    def y(self) -> str:
        """The column of results."""
        return "score" if self.law.output == "score" else "loss"

    def equipped(self) -> ParametricLaw | PowerSumLaw:
        """A copy of the law with the labels that a fit would have learned."""
        law = copy(self.law)
        for name, value in self.bound.items():
            setattr(law, name, value)
        return law


def cross(**columns: Iterable[object]) -> pl.DataFrame:
    """Every combination of the values."""
    frame = pl.DataFrame({"_": [0]})
    for name, values in columns.items():
        frame = frame.join(pl.DataFrame({name: list(values)}), how="cross")
    return frame.drop("_")


def dirichlet(n: int, seed: int) -> pl.DataFrame:
    """Mixtures of four sources, even over the simplex."""
    shares = np.random.default_rng(seed).dirichlet(np.ones(4), n)
    return pl.DataFrame({f"mix.{name}": shares[:, i] for i, name in enumerate("abcd")})


def powers(low: float, high: float, n: int) -> list[float]:
    """Evenly spaced in the log."""
    return [float(value) for value in np.geomspace(low, high, n)]
