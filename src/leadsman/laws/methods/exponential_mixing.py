"""Loss on a domain as a function of the mixture trained on.

    L(r) = c + k * exp(sum_j t_j r_j)

Ye et al., "Data Mixing Laws" (2024). r_j are the proportions of the sources, in [0, 1] and adding
up to one, so that k is a common shift of all t_j: it is fixed at 1 here. Loss in nats per token
(or bits per byte) on one validation domain; all runs share model size and token count.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.errors import InputError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.fitted_parametric import FittedParametric
from leadsman.laws.fitting.parametric import ParametricLaw
from leadsman.laws.fitting.parametric_form import Parameter
from leadsman.laws.table import column, mixture_columns
from leadsman.methods import Paper


class ExponentialMixing(ParametricLaw):
    """Loss on one domain from the mixture: a floor plus the exponential of a linear function.

    Args:
        delta: Huber's delta on log residuals; ``None`` adapts it to their scale.

    Columns: ``mix.SOURCE``, one for each source; rows add up to one.

    Raises:
        InputError: no mixture columns, or a row that does not add up to one.
        DesignError: fewer runs than sources plus two.
    """

    name = "exponential-mixing"
    paper = Paper(
        "Data Mixing Laws: Optimizing Data Mixtures by Predicting Language Modeling Performance",
        2024,
    )
    inputs = ("mix.*",)
    terms: ClassVar = (Parameter("c", 0.0),)
    sources_: tuple[str, ...] = ()

    def __init__(self, *, delta: float | None = None) -> None:
        self.delta = delta

    def reads(self, frame: pl.DataFrame) -> tuple[str, ...]:
        """The shares."""
        return tuple(mixture_columns(frame))

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "loss",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedParametric:
        """Fit on runs that differ in their mixtures; sources are the ``mix.*`` columns."""
        law = copy.copy(self)
        law.sources_ = tuple(mixture_columns(runs))
        return super(ExponentialMixing, law).fit(runs, y=y, weights=weights, seed=seed)

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """Proportions of each source."""
        return mixture(frame, self.sources_)

    def parameters_of(self, x: Mapping[str, Floats]) -> tuple[Parameter, ...]:
        """The floor, and one coefficient a source."""
        return (*self.terms, *(Parameter(f"t.{name}", -50.0, 50.0) for name in x))

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """c + exp(sum_j t_j r_j)."""
        power = sum(theta[f"t.{name}"] * share for name, share in x.items())
        return np.asarray(theta["c"] + np.exp(power))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """For a few floors, log(L - c) is linear in the mixture: ridge regression."""
        floors = y.min() * np.array([0.0, 0.5, 0.9, 0.99])
        design = np.stack(list(x.values()), axis=1)
        gram = design.T @ design + 1e-6 * np.eye(design.shape[1])
        found = np.stack([np.linalg.solve(gram, design.T @ np.log(y - floor)) for floor in floors])
        return {"c": floors} | {f"t.{name}": found[:, i] for i, name in enumerate(x)}


def mixture(frame: pl.DataFrame, sources: tuple[str, ...]) -> dict[str, Floats]:
    """Proportions of each source, checked to add up to one.

    Args:
        frame: with the columns ``sources`` (``mix.SOURCE``).
        sources: the columns to read.

    Raises:
        InputError: there is none, a share is negative, or a row adds up to something else.
    """
    if not sources:
        raise InputError("no mixture columns; name the share of each source mix.SOURCE")
    shares = {name: column(frame, name, positive=False) for name in sources}
    total = np.sum(list(shares.values()), axis=0)
    # Published tables round each share to three digits.
    wrong = np.abs(total - 1) > 0.02
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"mixture adds up to {total[row]:.4g} in row {row + 1}, not to 1")
    negative = np.min(list(shares.values()), axis=0) < 0
    if negative.any():
        raise InputError(f"a negative share in row {int(np.argmax(negative)) + 1}")
    return {name: share / total for name, share in shares.items()}
