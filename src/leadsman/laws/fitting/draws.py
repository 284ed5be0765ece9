"""Draws of the parameters of a power sum, its shape parameters among them.

Exponents and log amplitudes are walked as they are; a shape parameter as its place on the law's
grid, a real number between the grid's ends, so that draws are not tied to the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.fitting import _kernel
from leadsman.laws.fitting.least_squares import huber
from leadsman.laws.fitting.posterior import Target, Temper, sample, temper
from leadsman.laws.fitting.power_sum import PowerSum, gradient_at

_STEP = 1e-4
"""Step of derivatives along a shape axis, in grid intervals."""

ShapeTerms = Callable[[tuple[float, ...]], tuple[Floats, Floats, float]]
"""Features (n, J, p), base (n, J) and outer power at given values of the shape parameters."""


@dataclass(frozen=True)
class ShapeAxes:
    """The grid of a law's shape parameters.

    Attributes:
        axes: sorted values of each, one array a parameter.
    """

    axes: tuple[Floats, ...]

    @classmethod
    def of(cls, grid: Sequence[tuple[float, ...]]) -> ShapeAxes:
        """The axes whose product the grid is."""
        return cls(tuple(np.unique(values) for values in np.array(grid).reshape(len(grid), -1).T))

    @property
    def size(self) -> int:
        """Number of shape parameters."""
        return len(self.axes)

    def last(self) -> Floats:
        """Place of the last value on each axis, shape (m,)."""
        return np.array([len(axis) - 1.0 for axis in self.axes])

    def places(self, shape: tuple[float, ...]) -> Floats:
        """Where values of the grid stand on it, shape (m,)."""
        return np.array(
            [float(np.searchsorted(axis, value)) for axis, value in zip(self.axes, shape)]
        )

    def values(self, places: Floats) -> Floats:
        """Shape parameters at places (b, m): geometric between grid values, linear from zero."""
        out = np.empty_like(places)
        for k, axis in enumerate(self.axes):
            below = np.clip(places[:, k].astype(int), 0, max(len(axis) - 2, 0))
            part = places[:, k] - below
            low, high = axis[below], axis[np.minimum(below + 1, len(axis) - 1)]
            with np.errstate(divide="ignore", invalid="ignore"):
                geometric = low * (high / low) ** part
            out[:, k] = np.where(low > 0, geometric, low + part * (high - low))
        return out


def temper_of(problem: PowerSum, theta: Floats, shapes: int = 0) -> Temper:
    """How the objective of ``problem`` turns into a likelihood at its optimum ``theta``."""
    residuals, _ = gradient_at(problem, theta)
    return temper(residuals, problem.weights, problem.delta, problem.size + shapes)


def draw_power_sum(
    problem: PowerSum,
    theta: Floats,
    *,
    axes: ShapeAxes,
    shape: tuple[float, ...],
    at: ShapeTerms,
    seed: int,
) -> tuple[Floats, Floats]:
    """Draws of the parameters (k, q) and of the shape parameters (k, m).

    Args:
        problem: what was fitted.
        theta: its optimum, shape (q,).
        axes: grid of the shape parameters.
        shape: their fitted values.
        at: the terms at other values of them.
        seed: of the draws.
    """
    scale = temper_of(problem, theta, axes.size)
    if scale.exact:
        return theta[None].copy(), np.array([shape]).reshape(1, -1)
    linearised = _Linearised(problem, axes, at)
    q, none = problem.size, np.zeros(axes.size)
    centre = np.concatenate([theta, axes.places(shape)])
    target = Target(
        linearised=linearised,
        residuals=lambda states: linearised(states)[0],
        jeffreys=True,
        temper=scale,
        lowest=float(huber(linearised(centre[None])[0], problem.weights, problem.delta)[0]),
        weights=problem.weights,
        delta=problem.delta,
        lower=np.concatenate([problem.lower, none]),
        upper=np.concatenate([problem.upper, axes.last()]),
        prior_mean=np.concatenate([problem.prior_mean, none]),
        # A prior's precision is stated in units of delta^2; see PowerSumLaw.
        prior_precision=np.concatenate([problem.prior_precision / problem.delta**2, none]),
    )
    states = sample(target, centre, seed=seed)
    return states[:, :q], axes.values(states[:, q:])


class _Linearised:
    """Residuals and their derivatives in (parameters, places on the shape axes)."""

    def __init__(self, problem: PowerSum, axes: ShapeAxes, at: ShapeTerms) -> None:
        self.problem, self.axes, self.at = problem, axes, at

    def __call__(self, states: Floats) -> tuple[Floats, Floats]:
        problem, q = self.problem, self.problem.size
        thetas = np.ascontiguousarray(states[:, :q])
        if not self.axes.size:
            terms = problem.features[None], problem.base[None], np.array([problem.power])
            return self._filled(thetas, *terms)
        places = states[:, q:]
        residuals, slopes = self._filled(thetas, *self._terms(places))
        columns = [slopes]
        for k, last in enumerate(self.axes.last()):
            step = np.where(places[:, k] + _STEP > last, -_STEP, _STEP)
            moved = places.copy()
            moved[:, k] += step
            change = self._filled(thetas, *self._terms(moved))[0] - residuals
            columns.append((change / step[:, None])[..., None])
        return residuals, np.concatenate(columns, axis=2)

    def _terms(self, places: Floats) -> tuple[Floats, Floats, Floats]:
        each = [self.at(tuple(row)) for row in self.axes.values(places).tolist()]
        features, base, powers = zip(*each)
        return np.stack(features), np.stack(base), np.array(powers)

    def _filled(
        self, thetas: Floats, features: Floats, base: Floats, powers: Floats
    ) -> tuple[Floats, Floats]:
        residuals = np.empty((len(thetas), len(self.problem.log_y)))
        slopes = np.empty((*residuals.shape, self.problem.size))
        _kernel.many_residuals(
            thetas, features, base, self.problem.log_y, powers, residuals, slopes
        )
        return residuals, slopes
