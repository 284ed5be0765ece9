"""Base of the laws that are sums of powers; a law is then its terms, exponents and features.

    y = (sum_j a_j * exp(features_j(x, shape) . e)) ^ power(shape)

``a_j`` amplitudes (an offset is a term whose features are all zero), ``e`` exponents, ``shape``
the few parameters that enter in no simpler way (a saturation constant, a break): those are
profiled over a grid, then searched between its points. Fitted by :mod:`leadsman.laws.fitting`.
Draws come from the likelihood (:mod:`leadsman.laws.fitting.posterior`): their intervals hold at the
nominal rate. The competition of laws, which fits hundreds, uses cheaper refits under exponential
row weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import polars as pl

from leadsman.errors import DesignError, MethodError
from leadsman.laws.base import Floats
from leadsman.laws.fitting import Optimum, PowerSum, fit, polish
from leadsman.laws.fitting.fitted_power_sum import FittedPowerSum, ShapeFit
from leadsman.laws.fitting.identify import check_design
from leadsman.laws.fitting.power_sum_form import Exponent, PowerSumForm
from leadsman.laws.fitting.shapes import ShapeAxes, ShapedCurves, between
from leadsman.laws.table import column

AMPLITUDE_RANGE = 25.0
"""How many natural-log units below the results a single term may lie at the fitted runs."""


KEEP = 6
"""Distinct places followed to the end in a fit from a law's own starts."""

FOLLOWED = 4
"""Shapes of a grid whose fit is followed to the end."""


class PowerSumLaw(PowerSumForm):
    """Base of laws that are sums of powers.

    Args:
        delta: Huber width on log residuals; 1e-3 is Hoffmann et al.'s, near absolute error.
        priors: mean and standard deviation for exponents by name, in place of the law's own.
        bounds: lower and upper bound for exponents by name.
    """

    def __init__(
        self,
        *,
        delta: float = 1e-3,
        priors: Mapping[str, tuple[float, float]] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        if not delta > 0:
            raise MethodError(f"{self.name}: delta must be above zero, not {delta}")
        known = {exponent.name for exponent in self.exponents}
        for name in {**(priors or {}), **(bounds or {})}:
            if name not in known:
                raise MethodError(
                    f"{self.name}: no exponent {name!r}; it has {', '.join(sorted(known))}"
                )
        self.delta = delta
        self.priors = priors
        self.bounds = bounds

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "loss",
        weights: Floats | None = None,
        seed: int = 0,
        off_grid: bool = True,
    ) -> FittedPowerSum:
        """Fit on a table of runs, one a row; see :meth:`leadsman.laws.Law.fit`.

        Args:
            runs, y, weights, seed: as there.
            off_grid: whether shape parameters may lie between the points of their grid, which takes
                ten times as long; a competition of hundreds of fits does without.
        """
        x = self.read(runs)
        log_y = np.log(column(runs, y))
        rows = np.ones(len(log_y)) if weights is None else np.asarray(weights, np.float64)
        check_design(self.name, {name: x[name] for name in self.inputs}, rows)
        count, size = int(np.count_nonzero(rows)), len(self.terms) + len(self.exponents)
        if count == size:
            raise DesignError(
                f"{self.name}: {count} runs fit {size} parameters exactly and show no error; "
                f"add at least 1 run at other settings"
            )
        if np.ptp(log_y) == 0:
            raise DesignError(
                f"{self.name}: {y} is {np.exp(log_y[0]):.4g} in every run, so nothing can be "
                f"learned from it; add runs whose {y} differs"
            )
        grids = self.shape_grid(x)
        problems = [self.problem(x, log_y, rows, shape) for shape in grids]
        optima = _search(problems, self.starting_exponents())
        fits = [ShapeFit(*each) for each in zip(grids, problems, optima, strict=True)]
        axes = ShapeAxes.of(grids)
        if axes.size and off_grid:
            fits.append(self._between(fits, axes, x))
        return FittedPowerSum(self, y, x, axes, fits, seed=seed)

    def _between(self, fits: list[ShapeFit], axes: ShapeAxes, x: Mapping[str, Floats]) -> ShapeFit:
        """The best fit near the best grid points, with shape parameters between the grid's."""
        near = sorted(fits, key=lambda each: each.optimum.value)[:FOLLOWED]
        starts = [np.concatenate([each.optimum.theta, axes.places(each.shape)]) for each in near]
        best = near[0].problem
        curves = ShapedCurves(best, axes, lambda shapes: self.terms_at_each(x, shapes))
        theta, places = between(curves, np.array(starts))
        shape = tuple(axes.values(places[None])[0].tolist())
        problem = self.problem(x, best.log_y, best.weights, shape)
        return ShapeFit(shape, problem, polish(problem, theta))

    def problem(
        self, x: Mapping[str, Floats], log_y: Floats, weights: Floats, shape: tuple[float, ...]
    ) -> PowerSum:
        """What is fitted: inputs and ``log_y`` (n,), row weights (n,), values of the shapes."""
        features, base, power = self.terms_at(x, shape)
        n_terms = features.shape[1]
        boxes = [
            (self.bounds or {}).get(each.name, (each.lower, each.upper)) for each in self.exponents
        ]
        priors = [(self.priors or {}).get(each.name, each.prior) for each in self.exponents]
        # A prior competes with a Huber loss whose rows weigh delta * |r|: in that unit one
        # standard deviation costs as much as one run one noise level off.
        precision = [0.0 if prior is None else self.delta**2 / prior[1] ** 2 for prior in priors]
        middle, spread = log_y.mean() / power, np.ptp(log_y) / power
        centre = np.abs(features.mean(axis=0)) @ np.array([box[1] for box in boxes])
        known = np.where(np.isfinite(base), base, 0.0)
        lower = np.full(n_terms, middle - AMPLITUDE_RANGE)
        upper = np.full(n_terms, middle + spread + 1.0)
        return PowerSum(
            features=features,
            log_y=log_y,
            weights=weights,
            base=base,
            power=power,
            delta=self.delta,
            lower=np.concatenate([lower - centre - known.max(axis=0), [box[0] for box in boxes]]),
            upper=np.concatenate([upper + centre - known.min(axis=0), [box[1] for box in boxes]]),
            prior_mean=np.concatenate(
                [np.zeros(n_terms), [0.0 if prior is None else prior[0] for prior in priors]]
            ),
            prior_precision=np.concatenate([np.zeros(n_terms), precision]),
        )

    def starting_exponents(self) -> Floats:
        """Exponents the search starts from, shape (s, p)."""
        return np.array(list(itertools.product(*(self._starts(each) for each in self.exponents))))

    def _starts(self, exponent: Exponent) -> tuple[float, ...]:
        lower, upper = (self.bounds or {}).get(exponent.name, (exponent.lower, exponent.upper))
        inside = tuple(start for start in exponent.starts if lower <= start <= upper)
        return inside or ((lower + upper) / 2,)


def _search(problems: list[PowerSum], starts: Floats) -> list[Optimum]:
    """Optimum of each problem; with a grid of shapes only the most promising are followed."""
    if len(problems) == 1:
        return [fit(problems[0], starts, keep=KEEP)]
    optima = [fit(problem, starts, keep=2, max_steps=25) for problem in problems]
    for k in np.argsort([optimum.value for optimum in optima])[:FOLLOWED]:
        optima[k] = polish(problems[k], optima[k].theta)
    return optima
