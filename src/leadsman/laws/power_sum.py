"""Base of the laws that are sums of powers; a law is then its terms, exponents and features.

    y = (sum_j a_j * exp(features_j(x, shape) . e)) ^ power(shape)

``a_j`` amplitudes (an offset is a term whose features are all zero), ``e`` exponents, ``shape``
the few parameters that enter in no simpler way (a saturation constant, a break): those are
profiled over a grid. Fitted by :mod:`leadsman.laws.fitting`; bootstrap draws are Bayesian
(exponential row weights), which stay defined when runs are few.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from leadsman.errors import MethodError
from leadsman.laws.base import FittedLaw, Floats, Law
from leadsman.laws.fitting import Optimum, PowerSum, fit, log_curves, polish, refit, robust_scale
from leadsman.laws.fitting.identify import check_design, describe_weakness
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
        grids = self.shape_grid(x)
        problems = [self._problem(x, log_y, rows, shape) for shape in grids]
        starts = np.array(
            list(itertools.product(*(self._starts(exponent) for exponent in self.exponents)))
        )
        optima = _search(problems, starts)
        best = int(np.argmin([optimum.value for optimum in optima]))
        return FittedPowerSum(self, y, x, grids, problems, optima, best)

    def _starts(self, exponent: Exponent) -> tuple[float, ...]:
        lower, upper = (self.bounds or {}).get(exponent.name, (exponent.lower, exponent.upper))
        inside = tuple(start for start in exponent.starts if lower <= start <= upper)
        return inside or ((lower + upper) / 2,)

    def _problem(
        self, x: Mapping[str, Floats], log_y: Floats, weights: Floats, shape: tuple[float, ...]
    ) -> PowerSum:
        features = np.ascontiguousarray(self.features(x, shape), dtype=np.float64)
        n, n_terms = features.shape[:2]
        base = self.base(x, shape)
        power = self.power(shape)
        boxes = [
            (self.bounds or {}).get(each.name, (each.lower, each.upper)) for each in self.exponents
        ]
        priors = [(self.priors or {}).get(each.name, each.prior) for each in self.exponents]
        # A prior competes with a Huber loss whose rows weigh delta * |r|: in that unit one
        # standard deviation costs as much as one run one noise level off.
        precision = [0.0 if prior is None else self.delta**2 / prior[1] ** 2 for prior in priors]
        middle, spread = log_y.mean() / power, np.ptp(log_y) / power
        centre = np.abs(features.mean(axis=0)) @ np.array([box[1] for box in boxes])
        lower = np.full(n_terms, middle - AMPLITUDE_RANGE)
        upper = np.full(n_terms, middle + spread + 1.0)
        return PowerSum(
            features=features,
            log_y=log_y,
            weights=weights,
            base=np.zeros((n, n_terms)) if base is None else np.ascontiguousarray(base),
            power=power,
            delta=self.delta,
            lower=np.concatenate([lower - centre, [box[0] for box in boxes]]),
            upper=np.concatenate([upper + centre, [box[1] for box in boxes]]),
            prior_mean=np.concatenate(
                [np.zeros(n_terms), [0.0 if prior is None else prior[0] for prior in priors]]
            ),
            prior_precision=np.concatenate([np.zeros(n_terms), precision]),
        )


class FittedPowerSum(FittedLaw):
    """A sum of powers with its parameters learned.

    Attributes:
        theta: log amplitudes, then exponents, shape (q,).
        shape: values of the law's shape parameters.
        value: the objective at the optimum.
    """

    law: PowerSumLaw

    def __init__(
        self,
        law: PowerSumLaw,
        y: str,
        x: Mapping[str, Floats],
        grids: list[tuple[float, ...]],
        problems: list[PowerSum],
        optima: list[Optimum],
        best: int,
    ) -> None:
        self.law, self.y = law, y
        self.theta, self.value = optima[best].theta, optima[best].value
        self.shape = grids[best]
        self.problem = problems[best]
        self._grids, self._problems, self._optima = grids, problems, optima
        self._draws: dict[tuple[int, int], tuple[Floats, list[tuple[float, ...]]]] = {}
        self.noise = robust_scale(self.residuals(), self.problem.size)
        self.warnings = describe_weakness(law, x, self.problem, self.theta, self.shape)

    def residuals(self) -> Floats:
        """Log of the result over the fitted curve for each run, shape (n,)."""
        problem = self.problem
        curve = log_curves(self.theta, problem.features, problem.base, problem.power)[0]
        return np.asarray(problem.log_y - curve)

    def curve(self, points: pl.DataFrame) -> Floats:
        """Best estimate at each point, shape (n,)."""
        return np.asarray(np.exp(self._log(points, self.theta, self.shape)[0]))

    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Bootstrap draws of the curve, shape (draws, n)."""
        thetas, shapes = self._bootstrap(draws, seed)
        x = self.law.read(points)
        out = np.empty((draws, len(points)))
        for shape in dict.fromkeys(shapes):
            mine = np.array([each == shape for each in shapes])
            out[mine] = np.exp(self._log_at(x, thetas[mine], shape))
        return out

    def parameters(self) -> dict[str, float]:
        """Amplitudes, exponents and shape parameters by name."""
        return {name: float(value[0]) for name, value in self._named([self.shape], self.theta)}

    def parameter_draws(self, *, draws: int = 200, seed: int = 0) -> dict[str, Floats]:
        """Bootstrap draws of each parameter, shape (draws,)."""
        thetas, shapes = self._bootstrap(draws, seed)
        return dict(self._named(shapes, thetas))

    def _named(self, shapes: list[tuple[float, ...]], thetas: Floats) -> list[tuple[str, Floats]]:
        thetas = np.atleast_2d(thetas)
        count = len(self.law.terms)
        named = [(name, np.exp(thetas[:, j])) for j, name in enumerate(self.law.terms)]
        named += [(each.name, thetas[:, count + k]) for k, each in enumerate(self.law.exponents)]
        values = np.array(shapes).reshape(len(shapes), -1)
        named += [(each.name, values[:, k]) for k, each in enumerate(self.law.shapes)]
        return named

    def _log(self, points: pl.DataFrame, thetas: Floats, shape: tuple[float, ...]) -> Floats:
        return self._log_at(self.law.read(points), thetas, shape)

    def _log_at(self, x: Mapping[str, Floats], thetas: Floats, shape: tuple[float, ...]) -> Floats:
        law = self.law
        return log_curves(thetas, law.features(x, shape), law.base(x, shape), law.power(shape))

    def _bootstrap(self, draws: int, seed: int) -> tuple[Floats, list[tuple[float, ...]]]:
        """Parameter draws (draws, q) and the shape each belongs to."""
        if (draws, seed) in self._draws:
            return self._draws[draws, seed]
        rows = self.problem.weights
        shares = np.random.default_rng([seed, 0]).standard_exponential((draws, len(rows)))
        weights = rows * shares / shares.mean(axis=1, keepdims=True)
        near = np.argsort([optimum.value for optimum in self._optima])[:3]
        candidates = [refit(self._problems[k], self._optima[k].theta, weights) for k in near]
        values = np.stack(
            [
                _values(self._problems[k], thetas, weights)
                for k, thetas in zip(near, candidates, strict=True)
            ]
        )
        pick = values.argmin(axis=0)
        thetas = np.stack(candidates)[pick, np.arange(draws)]
        self._draws[draws, seed] = thetas, [self._grids[near[each]] for each in pick]
        return self._draws[draws, seed]


def _search(problems: list[PowerSum], starts: Floats) -> list[Optimum]:
    """Optimum of each problem; with a grid of shapes only the most promising are followed."""
    if len(problems) == 1:
        return [fit(problems[0], starts, keep=KEEP)]
    optima = [fit(problem, starts, keep=2, max_steps=25) for problem in problems]
    for k in np.argsort([optimum.value for optimum in optima])[:FOLLOWED]:
        optima[k] = polish(problems[k], optima[k].theta)
    return optima


def _values(problem: PowerSum, thetas: Floats, weights: Floats) -> Floats:
    """The objective of each draw under its weights, shape (draws,)."""
    curves = log_curves(thetas, problem.features, problem.base, problem.power)
    size = np.abs(problem.log_y - curves)
    delta = problem.delta
    huber = np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))
    prior = problem.prior_precision * (thetas - problem.prior_mean) ** 2 / 2
    return np.asarray((weights * huber).sum(axis=1) + prior.sum(axis=1))
