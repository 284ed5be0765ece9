"""Fits one equation and says how well its parameters are known; see :mod:`.parametric`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.laws.base import FittedLaw, Floats
from leadsman.laws.fitting.least_squares import huber, jacobian_at, linearised, minimise
from leadsman.laws.fitting.likelihood import Target, temper
from leadsman.laws.fitting.parametric_form import SMALLEST, Parameter, ParametricForm
from leadsman.laws.fitting.posterior import choose, sample
from leadsman.laws.forecast import Forecast
from leadsman.laws.table import column

BOOTSTRAPS = 300
HUBER_EFFICIENT = 1.345
POORLY_DETERMINED = 1e7
WIDE_FACTOR = 1.0
"""Standard error of the log of a positive parameter from which it is reported."""


class Problem:
    """One data set to be fitted by one law, in the coordinates of the search."""

    def __init__(
        self,
        law: ParametricForm,
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
        """Parameters by name, (b, 1), from search coordinates (b, p)."""
        values = np.where(self.logged, np.exp(np.where(self.logged, theta, 0.0)), theta)
        return {term.name: values[..., i, None] for i, term in enumerate(self.terms)}

    def curve(self, theta: Floats, x: Mapping[str, Floats]) -> Floats:
        """The equation at parameters (b, p) and inputs (n,), shape (b, n)."""
        return self.law.equation(self.named(theta), x)

    def linked(self, theta: Floats) -> Floats:
        """The curve at the runs, on the scale of even scatter, shape (b, n)."""
        return self.law.link(self.curve(theta, self.x))

    def first(self) -> Floats:
        """Where the search starts, shape (s, p)."""
        given = self.law.starts(self.x, self.results)
        size = max(np.size(value) for value in given.values())
        table = np.empty((size, len(self.terms)))
        for index, term in enumerate(self.terms):
            value = np.broadcast_to(np.asarray(given[term.name], dtype=np.float64), (size,))
            table[:, index] = np.log(np.maximum(value, SMALLEST)) if term.positive else value
        return table

    def search(self, start: Floats, target: Floats, weights: Floats, delta: float) -> Floats:
        """Optima from each start, best first, shape (s, p)."""
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
        """The best fit with its scatter; ``items`` splits off the noise of so many answers."""
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
        free = self.lower < self.upper
        silent = [n for n, s, f in zip(names, size, free) if s == 0 and f]
        if silent:
            return (f"{self.law.name}: these runs say nothing about {', '.join(silent)}",)
        kept = [name for name, f in zip(names, free) if f]
        _, spread, directions = np.linalg.svd(slopes[:, free] / size[free], full_matrices=False)
        cure = f"add runs that widen the range of {', '.join(self.x)}"
        if spread[0] / max(spread[-1], SMALLEST) >= POORLY_DETERMINED:
            mixed = [n for n, part in zip(kept, np.abs(directions[-1])) if part > 0.3]
            return (f"{self.law.name}: these runs hardly tell {' and '.join(mixed)} apart; {cure}",)
        residuals = self.linked(theta[None])[0] - self.target
        scale = temper(residuals, weights, self._delta(theta), int(free.sum()))
        unit = (directions.T / spread) / size[free][:, None]
        errors = np.linalg.norm(unit, axis=1) / np.sqrt(scale.eta)
        wide = [
            f"{name} (a factor of {np.exp(min(error, 50)):.2g})"
            for name, error, logged in zip(kept, errors, self.logged[free])
            if logged and error > WIDE_FACTOR
        ]
        if not wide:
            return ()
        return (f"{self.law.name}: these runs hardly determine {', '.join(wide)}; {cure}",)


class FittedParametric(FittedLaw):
    """A parametric law with its parameters, draws of them, and the scatter of the runs."""

    def __init__(
        self,
        *,
        problem: Problem,
        theta: Floats,
        y: str,
        noise: float,
        freedom: int,
        weights: Floats,
        delta: float,
        warnings: tuple[str, ...],
        seed: int,
    ) -> None:
        self.law: ParametricForm = problem.law
        self.y, self.noise, self.freedom, self.warnings = y, noise, freedom, warnings
        self._problem, self._theta = problem, theta
        self._weights, self._delta, self._seed = weights, delta, seed
        self._bank: Floats | None = None
        self._refits: Floats | None = None

    def parameters(self) -> dict[str, float]:
        """Learned parameters by their names in the equation."""
        named = self._problem.named(self._theta[None])
        return {name: float(value[0, 0]) for name, value in named.items()}

    def parameter_draws(self, *, draws: int = 200, seed: int = 0) -> dict[str, Floats]:
        """Draws of each parameter from the likelihood, shape (draws,)."""
        named = self._problem.named(self._bank_of_draws()[self._pick(draws, seed)])
        return {name: np.asarray(value[:, 0]) for name, value in named.items()}

    def curve(self, points: pl.DataFrame) -> Floats:
        """Best estimate of the noise-free result, shape (n,)."""
        return np.asarray(self._evaluate(self._theta[None], points)[0])

    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws of the noise-free result, shape (draws, n)."""
        # More draws than the bank holds repeat some: each curve is evaluated once.
        used, which = np.unique(self._pick(draws, seed), return_inverse=True)
        return self._evaluate(self._bank_of_draws()[used], points)[which]

    def predict(self, points: pl.DataFrame, *, draws: int = 1000, seed: int = 0) -> Forecast:
        """The predictive distribution at each row of ``points``.

        The scatter is known from few runs, so its size is drawn too (a scaled inverse chi-square:
        Student's t rather than normal). ``items`` in the points of a score gives it the noise of
        so many answers.
        """
        curves = self.curve_draws(points, draws=draws, seed=seed)
        rng = np.random.default_rng([seed, 1])
        size = self.noise * np.sqrt(self.freedom / rng.chisquare(self.freedom, (draws, 1)))
        scatter = rng.standard_normal(curves.shape)
        scatter *= size
        values = self.law.scattered(curves, scatter)
        if self.law.output == "score" and "items" in points.columns:
            items = column(points, "items").astype(np.int64)
            values = rng.binomial(items, values) / items
        warnings = (self.warnings,) * len(points)
        return Forecast(points=points, draws=values, y=self.y, law=self.law.name, warnings=warnings)

    def _evaluate(self, theta: Floats, points: pl.DataFrame) -> Floats:
        with np.errstate(over="ignore", under="ignore"):
            values = self._problem.curve(theta, self.law.read(points))
        low, high = (SMALLEST, np.finfo(float).max) if self.law.output == "loss" else (0.0, 1.0)
        return np.clip(values, low, high)

    def refit_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws of the curve by a residual bootstrap, shape (draws, n); cheaper, and too narrow."""
        if self._refits is None:
            self._refits = self._bootstrap(BOOTSTRAPS)
        pick = np.random.default_rng(seed).integers(len(self._refits), size=draws)
        return self._evaluate(self._refits[pick], points)

    def _bank_of_draws(self) -> Floats:
        if self._bank is None:
            self._bank = self._sampled()
        return self._bank

    def _pick(self, draws: int, seed: int) -> npt.NDArray[np.int64]:
        return choose(len(self._bank_of_draws()), draws, seed=seed)

    def _sampled(self) -> Floats:
        """Draws from the likelihood; parameters that are fixed or change nothing stay put."""
        problem, theta, weights = self._problem, self._theta, self._weights
        target = problem.target

        def residuals(at: Floats) -> Floats:
            return problem.linked(at) - target

        values, slopes = linearised(residuals, theta[None], problem.upper)
        free = (problem.lower < problem.upper) & (np.abs(slopes[0]).sum(axis=0) > 0)
        scale = temper(values[0], weights, self._delta, int(free.sum()))
        if scale.exact or not free.any():
            return theta[None].copy()

        def linearised_free(state: Floats) -> tuple[Floats, Floats]:
            whole = np.repeat(theta[None], len(state), axis=0)
            whole[:, free] = state
            values, slopes = linearised(residuals, whole, problem.upper)
            return values, slopes[..., free]

        def residuals_free(state: Floats) -> Floats:
            whole = np.repeat(theta[None], len(state), axis=0)
            whole[:, free] = state
            with np.errstate(all="ignore"):
                return np.nan_to_num(residuals(whole), nan=1e12, posinf=1e12, neginf=-1e12)

        none = np.zeros(int(free.sum()))
        target_density = Target(
            linearised=linearised_free,
            residuals=residuals_free,
            jeffreys=False,
            temper=scale,
            lowest=float(huber(values, weights, self._delta)[0]),
            weights=weights,
            delta=self._delta,
            lower=problem.lower[free],
            upper=problem.upper[free],
            prior_mean=none,
            prior_precision=none,
        )
        states = sample(target_density, theta[free], seed=self._seed)
        bank = np.repeat(theta[None], len(states), axis=0)
        bank[:, free] = states
        return bank

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
