"""Base of the laws that are sums of powers; a law is then its terms, exponents and features.

    y = (sum_j a_j * exp(features_j(x, shape) . e)) ^ power(shape)

``a_j`` amplitudes (an offset is a term whose features are all zero), ``e`` exponents, ``shape``
the few parameters that enter in no simpler way (a saturation constant, a break): those are
profiled over a grid. Fitted by :mod:`leadsman.laws.fitting`. Draws come from the likelihood
(:mod:`leadsman.laws.fitting.posterior`): their intervals hold at the nominal rate. The competition
of laws, which fits hundreds, uses cheaper refits under exponential row weights.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from leadsman.errors import DesignError, MethodError
from leadsman.laws.base import Floats, Law
from leadsman.laws.fitted_power_sum import FittedPowerSum
from leadsman.laws.fitting import Optimum, PowerSum, fit, polish
from leadsman.laws.fitting.identify import check_design
from leadsman.laws.table import column, columns

AMPLITUDE_RANGE = 25.0
"""How many natural-log units below the results a single term may lie at the fitted runs."""


KEEP = 6
"""Distinct places followed to the end in a fit from a law's own starts."""

FOLLOWED = 4
"""Shapes of a grid whose fit is followed to the end."""


@dataclass(frozen=True)
class Exponent:
    """An exponent of a law.

    Attributes:
        name: in the equation (``alpha``).
        lower, upper: the box it is searched in.
        starts: values the search starts from.
        prior: mean and standard deviation, or ``None``.
    """

    name: str
    lower: float = 0.01
    upper: float = 2.5
    starts: tuple[float, ...] = (0.08, 0.2, 0.35, 0.55, 0.9)
    prior: tuple[float, float] | None = None


@dataclass(frozen=True)
class Shape:
    """A parameter that enters through the features; searched on a grid.

    Attributes:
        name: in the equation.
        grid: values tried, unless the law derives them from the runs.
    """

    name: str
    grid: tuple[float, ...] = ()


class PowerSumLaw(Law):
    """Base of laws that are sums of powers.

    Attributes:
        terms: names of the amplitudes; the offset, if any, first and called ``E``.
        exponents: the exponents.
        shapes: parameters searched on a grid.

    Args:
        delta: Huber width on log residuals; 1e-3 is Hoffmann et al.'s, near absolute error.
        priors: mean and standard deviation for exponents by name, in place of the law's own.
        bounds: lower and upper bound for exponents by name.
    """

    terms: tuple[str, ...]
    exponents: tuple[Exponent, ...]
    shapes: tuple[Shape, ...] = ()

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

    @abstractmethod
    def features(self, x: Mapping[str, Floats], shape: tuple[float, ...]) -> Floats:
        """Log features, shape (n, terms, exponents), at inputs ``x`` (each (n,))."""

    def base(self, x: Mapping[str, Floats], shape: tuple[float, ...]) -> Floats | None:
        """Known log factor of each term, shape (n, terms); ``None`` is zero throughout."""
        return None

    def shape_grid(self, x: Mapping[str, Floats]) -> list[tuple[float, ...]]:
        """Shape parameters tried for runs with inputs ``x``."""
        return list(itertools.product(*(shape.grid for shape in self.shapes)))

    def power(self, shape: tuple[float, ...]) -> float:
        """The outer power."""
        return 1.0

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """The law's inputs from a table, each (n,); override for derived or optional inputs."""
        return columns(frame, self.inputs)

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "loss",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedPowerSum:
        """Fit on a table of runs, one a row; see :meth:`leadsman.laws.Law.fit`."""
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
        best = int(np.argmin([optimum.value for optimum in optima]))
        return FittedPowerSum(self, y, x, grids, problems, optima, best, seed=seed)

    def terms_at(
        self, x: Mapping[str, Floats], shape: tuple[float, ...]
    ) -> tuple[Floats, Floats, float]:
        """Features (n, J, p), base (n, J) and outer power, as the kernels take them."""
        features = np.ascontiguousarray(self.features(x, shape), dtype=np.float64)
        base = self.base(x, shape)
        known = np.zeros(features.shape[:2]) if base is None else np.ascontiguousarray(base)
        return features, known, self.power(shape)

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
