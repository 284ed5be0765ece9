"""A law that is one equation: the subclass says the equation, this says how well it is known.

Fitting is robust least squares from several starts (:mod:`leadsman.laws.fitting.least_squares`),
on the log for losses and other positive quantities, on the value itself for scores in [0, 1].
Huber's delta is 1.345 times the robust scale of the residuals (95 % efficient under normal noise)
unless the law is given one. Parameter draws come from the likelihood
(:mod:`leadsman.laws.fitting.posterior`); the competition of laws uses a cheaper residual bootstrap.

A score measured on a finite test has binomial noise. Where the runs carry a column ``items`` (how
many questions each score is the mean of), the scatter is split into that noise and a rest, and
forecasts for points with ``items`` are drawn as fractions of so many answers.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from leadsman.errors import DesignError, InputError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.fitted_parametric import FittedParametric, Problem
from leadsman.laws.fitting.parametric_form import ParametricForm
from leadsman.laws.table import column


class ParametricLaw(ParametricForm):
    """A law with an equation and a handful of parameters, fitted as this module says."""

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "loss",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedParametric:
        """Fit on a table of runs; see :meth:`leadsman.laws.base.Law.fit`."""
        x = self.read(runs)
        results = column(runs, y) if self.output == "loss" else score_column(runs, y)
        terms = self.parameters_of(x)
        free = sum(term.lower < term.upper for term in terms)
        distinct = len(np.unique(np.stack([*x.values()], axis=1), axis=0))
        missing = max(free - distinct, free + 1 - len(results))
        if missing > 0:
            raise DesignError(
                f"{self.name} has {free} parameters; {len(results)} runs at {distinct} distinct "
                f"settings of {', '.join(x)} cannot show them and their error: add {missing} or "
                f"more at other settings"
            )
        rows = np.ones(len(results)) if weights is None else np.asarray(weights, dtype=np.float64)
        items = (
            column(runs, "items") if self.output == "score" and "items" in runs.columns else None
        )
        problem = Problem(self, terms, x, results)
        return problem.solve(rows, items, y=y, seed=seed)


def score_column(frame: pl.DataFrame, name: str) -> Floats:
    """A column of scores in [0, 1], shape (n,).

    Raises:
        InputError: the column is missing, not numeric, or holds something like a percentage.
    """
    values = column(frame, name, positive=False)
    bad = (values < 0) | (values > 1)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{values[row]:g} in row {row + 1} must lie in [0, 1]; divide percentages by 100",
            line=row + 1,
            column=name,
        )
    return values


def label_column(frame: pl.DataFrame, name: str) -> list[str]:
    """A column of labels as text.

    Raises:
        InputError: the column is missing or has an empty cell.
    """
    if name not in frame.columns:
        raise InputError(f"no column {name!r}; it labels the {name} of each row")
    series = frame[name]
    if series.null_count():
        row = int(series.is_null().arg_max() or 0)
        raise InputError("empty label", line=row + 1, column=name)
    return [str(value) for value in series.to_list()]


def grid(**values: Floats | float | list[float]) -> dict[str, Floats]:
    """Every combination of the values given, as starts: each name with shape (s,).

    >>> sorted(grid(a=1.0, b=[2.0, 3.0]).items())
    [('a', array([1., 1.])), ('b', array([2., 3.]))]
    """
    meshes = np.meshgrid(*[np.atleast_1d(each) for each in values.values()], indexing="ij")
    return {name: mesh.ravel() for name, mesh in zip(values, meshes)}


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + exp(-z)) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))


def logit(p: Floats, *, margin: float = 1e-3) -> Floats:
    """Inverse of :func:`sigmoid`, with ``p`` kept ``margin`` away from 0 and 1."""
    kept = np.clip(p, margin, 1 - margin)
    return np.asarray(np.log(kept / (1 - kept)))
