"""A law that is one equation: the subclass says the equation, this says how well it is known.

Fitting is robust least squares from several starts (:mod:`leadsman.laws.fitting.least_squares`),
on the log for losses and other positive quantities, on the value itself for scores in [0, 1].
Huber's delta is 1.345 times the robust scale of the residuals (95 % efficient under normal noise)
unless the law is given one. Parameter draws come from a residual bootstrap: residuals, inflated by
sqrt(n / (n - p)), are dealt anew onto the fitted curve and the law is fitted again.

A score measured on a finite test has binomial noise. Where the runs carry a column ``items`` (how
many questions each score is the mean of), the scatter is split into that noise and a rest, and
forecasts for points with ``items`` are drawn as fractions of so many answers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.errors import DesignError, InputError
from leadsman.laws.base import FittedLaw, Floats, Law
from leadsman.laws.fitting.least_squares import jacobian_at, minimise
from leadsman.laws.forecast import Forecast
from leadsman.laws.table import column, columns

BOOTSTRAPS = 300
HUBER_EFFICIENT = 1.345
POORLY_DETERMINED = 1e7
_SMALLEST = 1e-300


@dataclass(frozen=True)
class Parameter:
    """One number to be learned.

    Attributes:
        name: as in the equation.
        lower: smallest value allowed.
        upper: largest value allowed.
        positive: searched on a log scale; bounds are then on the value, not its log.
    """

    name: str
    lower: float = -np.inf
    upper: float = np.inf
    positive: bool = False

    def box(self) -> tuple[float, float]:
        """Bounds in the search coordinate."""
        if not self.positive:
            return self.lower, self.upper
        lower = np.log(self.lower) if self.lower > 0 else -np.inf
        return float(lower), float(np.log(self.upper))


class ParametricLaw(Law):
    """A law with an equation and a handful of parameters.

    Attributes:
        terms: the parameters, in the order of the equation.
    """

    terms: ClassVar[tuple[Parameter, ...]]
    delta: float | None = None

    @abstractmethod
    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """The law: parameters of shape (b, 1) and inputs of shape (n,) to results (b, n)."""

    @abstractmethod
    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Where to begin the search: each parameter with shape (s,), or () for all starts."""

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """The law's inputs from a table, by the names the equation uses."""
        return columns(frame, self.inputs)

    def parameters_of(self, x: Mapping[str, Floats]) -> tuple[Parameter, ...]:
        """Parameters the runs can speak about; a law may drop some that they cannot."""
        return self.terms

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
        problem = _Problem(self, terms, x, results)
        return problem.solve(rows, items, y=y, seed=seed)

    def link(self, values: Floats) -> Floats:
        """The scale on which scatter is even: the log of a loss, a score itself."""
        if self.output == "score":
            return values
        return np.asarray(np.log(np.maximum(values, _SMALLEST)))

    def unlink(self, values: Floats) -> Floats:
        """Inverse of :meth:`link`, kept within what can be."""
        if self.output == "score":
            return np.clip(values, 0.0, 1.0)
        return np.asarray(np.exp(np.clip(values, -690.0, 700.0)))


class _Problem:
    """One data set to be fitted by one law, in the coordinates of the search."""

    def __init__(
        self,
        law: ParametricLaw,
        terms: tuple[Parameter, ...],
        x: Mapping[str, Floats],
        results: Floats,
    ) -> None:
        self.law, self.terms, self.x, self.results = law, terms, x, results
        self.target = law.link(results)
        self.logged = np.array([term.positive for term in terms])
        box = np.array([term.box() for term in terms])
        self.lower, self.upper = box[:, 0], box[:, 1]

    def named(self, theta: Floats) -> dict[str, Floats]:
        values = np.where(self.logged, np.exp(np.where(self.logged, theta, 0.0)), theta)
        return {term.name: values[..., i, None] for i, term in enumerate(self.terms)}

    def curve(self, theta: Floats, x: Mapping[str, Floats]) -> Floats:
        return self.law.equation(self.named(theta), x)

    def linked(self, theta: Floats) -> Floats:
        return self.law.link(self.curve(theta, self.x))

    def first(self) -> Floats:
        given = self.law.starts(
            self.x, np.exp(self.target) if self.law.output == "loss" else self.target
        )
        size = max(np.size(value) for value in given.values())
        table = np.empty((size, len(self.terms)))
        for index, term in enumerate(self.terms):
            value = np.broadcast_to(np.asarray(given[term.name], dtype=np.float64), (size,))
            table[:, index] = np.log(np.maximum(value, _SMALLEST)) if term.positive else value
        return table

    def search(self, start: Floats, target: Floats, weights: Floats, delta: float) -> Floats:
        theta, cost = minimise(
            lambda at: self.linked(at) - target,
            start,
            lower=self.lower,
            upper=self.upper,
            weights=weights,
            delta=delta,
        )
        return theta[np.argsort(cost, kind="stable")]

    def solve(self, rows: Floats, items: Floats | None, *, y: str, seed: int) -> FittedParametric:
        best = self.search(self.first(), self.target, rows, np.inf)[:3]
        extra, weights = 0.0, rows
        for _ in range(1 if items is None else 3):
            if items is not None:
                extra, weights = self._split(best[0], items, rows)
            delta = self._delta(best[0])
            best = self.search(best, self.target, weights, delta)[:1]
        theta = best[0]
        residuals = (self.linked(theta[None])[0] - self.target) * np.sqrt(weights)
        freedom = max(len(residuals) - self._free(), 1)
        # A run that failed must not pass for ordinary scatter: residuals count up to 3.5 sigma.
        limit = 3.5 / HUBER_EFFICIENT * self._delta(theta, fixed=False) * np.sqrt(weights)
        kept = np.clip(residuals, -limit, limit)
        scale = float(np.sqrt(np.sum(kept**2) / freedom / np.mean(rows)))
        return FittedParametric(
            problem=self,
            theta=theta,
            y=y,
            noise=extra if items is not None else scale,
            freedom=freedom,
            weights=weights,
            delta=self._delta(theta),
            warnings=self._warnings(theta, weights),
            seed=seed,
        )

    def _split(self, theta: Floats, items: Floats, rows: Floats) -> tuple[float, Floats]:
        fitted = np.clip(self.curve(theta[None], self.x)[0], 0.0, 1.0)
        # Half an item keeps a curve at 0 or 1 from claiming that a score there has no noise.
        chance = (fitted * items + 0.5) / (items + 1)
        sampling = chance * (1 - chance) / items
        freedom = max(len(items) - self._free(), 1)
        squares = (fitted - self.target) ** 2 * len(items) / freedom
        extra = float(np.sqrt(max(np.average(squares - sampling, weights=rows), 0.0)))
        return extra, rows / (sampling + extra**2)

    def _delta(self, theta: Floats, *, fixed: bool = True) -> float:
        """Huber's delta: the law's own if ``fixed`` and it has one, or from the residuals."""
        if fixed and self.law.delta is not None:
            return self.law.delta
        size = np.abs(self.linked(theta[None])[0] - self.target)
        scale = (
            1.4826 * float(np.median(size)) * np.sqrt(len(size) / max(len(size) - self._free(), 1))
        )
        return HUBER_EFFICIENT * max(float(scale), 1e-9)

    def _free(self) -> int:
        return int(np.sum(self.lower < self.upper))

    def _warnings(self, theta: Floats, weights: Floats) -> tuple[str, ...]:
        """Which parameters these runs hardly tell apart, and which sit at their bounds."""
        slopes = jacobian_at(self.linked, theta, self.upper) * np.sqrt(weights)[:, None]
        size = np.linalg.norm(slopes, axis=0)
        names = [term.name for term in self.terms]
        fixed = self.lower == self.upper
        silent = [n for n, s, f in zip(names, size, fixed) if s == 0 and not f]
        if silent:
            return (f"{self.law.name}: these runs say nothing about {', '.join(silent)}",)
        keep = ~fixed
        _, spread, directions = np.linalg.svd(slopes[:, keep] / size[keep], full_matrices=False)
        if spread[0] / max(spread[-1], _SMALLEST) < POORLY_DETERMINED:
            return ()
        kept = [name for name, free in zip(names, keep) if free]
        mixed = [n for n, part in zip(kept, np.abs(directions[-1])) if part > 0.3]
        return (
            f"{self.law.name}: these runs hardly tell {' and '.join(mixed)} apart; "
            f"add runs that widen the range of {', '.join(self.x)}",
        )


class FittedParametric(FittedLaw):
    """A parametric law with its parameters, their bootstrap draws, and the scatter of the runs."""

    def __init__(
        self,
        *,
        problem: _Problem,
        theta: Floats,
        y: str,
        noise: float,
        freedom: int,
        weights: Floats,
        delta: float,
        warnings: tuple[str, ...],
        seed: int,
    ) -> None:
        self.law: ParametricLaw = problem.law
        self.y, self.noise, self.freedom, self.warnings = y, noise, freedom, warnings
        self._problem, self._theta = problem, theta
        self._weights, self._delta, self._seed = weights, delta, seed
        self._bank: Floats | None = None

    def parameters(self) -> dict[str, float]:
        """Learned parameters by their names in the equation."""
        named = self._problem.named(self._theta[None])
        return {name: float(value[0, 0]) for name, value in named.items()}

    def parameter_draws(self, *, draws: int = 200, seed: int = 0) -> dict[str, Floats]:
        """Bootstrap draws of each parameter, shape (draws,)."""
        named = self._problem.named(self._draws(draws, seed))
        return {name: np.asarray(value[:, 0]) for name, value in named.items()}

    def curve(self, points: pl.DataFrame) -> Floats:
        """Best estimate of the noise-free result, shape (n,)."""
        return np.asarray(self._evaluate(self._theta[None], points)[0])

    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws of the noise-free result, shape (draws, n)."""
        return self._evaluate(self._draws(draws, seed), points)

    def predict(self, points: pl.DataFrame, *, draws: int = 1000, seed: int = 0) -> Forecast:
        """The predictive distribution at each row of ``points``.

        The scatter is known from few runs, so its size is drawn too (a scaled inverse chi-square:
        Student's t rather than normal). ``items`` in the points of a score gives it the noise of
        so many answers.
        """
        curves = self.curve_draws(points, draws=draws, seed=seed)
        rng = np.random.default_rng([seed, 1])
        size = self.noise * np.sqrt(self.freedom / rng.chisquare(self.freedom, (draws, 1)))
        scatter = size * rng.standard_normal(curves.shape)
        values = self.law.unlink(self.law.link(curves) + scatter)
        if self.law.output == "score" and "items" in points.columns:
            items = column(points, "items").astype(np.int64)
            values = rng.binomial(items, values) / items
        warnings = (self.warnings,) * len(points)
        return Forecast(points=points, draws=values, y=self.y, law=self.law.name, warnings=warnings)

    def _evaluate(self, theta: Floats, points: pl.DataFrame) -> Floats:
        with np.errstate(over="ignore", under="ignore"):
            values = self._problem.curve(theta, self.law.read(points))
        low, high = (_SMALLEST, np.finfo(float).max) if self.law.output == "loss" else (0.0, 1.0)
        return np.clip(values, low, high)

    def _draws(self, draws: int, seed: int) -> Floats:
        if self._bank is None:
            self._bank = self._bootstrap(BOOTSTRAPS)
        pick = np.random.default_rng(seed).integers(len(self._bank), size=draws)
        return self._bank[pick]

    def _bootstrap(self, size: int) -> Floats:
        problem = self._problem
        fitted = problem.linked(self._theta[None])[0]
        root = np.sqrt(self._weights)
        standard = (problem.target - fitted) * root
        standard = standard - np.average(standard)
        standard *= np.sqrt(len(standard) / self.freedom)
        rng = np.random.default_rng([self._seed, 2])
        dealt = rng.choice(standard, size=(size, len(standard))) / root
        target = fitted + dealt
        theta, _ = minimise(
            lambda at: problem.linked(at) - target,
            np.repeat(self._theta[None], size, axis=0),
            lower=problem.lower,
            upper=problem.upper,
            weights=self._weights,
            delta=self._delta,
            iterations=200,
            tolerance=1e-9,
        )
        return theta


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
