"""Shape parameters: a grid that is searched first, and the places between its points.

A place counts grid intervals from the first value on each axis. Between two values it is geometric,
from zero linear, so that the search and the draws move in even steps whatever the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.fitting import _kernel
from leadsman.laws.fitting.least_squares import minimise
from leadsman.laws.fitting.variable_projection import PowerSum

_STEP = 1e-4
"""Step of derivatives along a shape axis, in grid intervals."""

_WIDE = 0.01
"""Huber width at which the search between grid points begins, if the problem's is narrower."""

ShapeTerms = Callable[[Floats], tuple[Floats, Floats, Floats]]
"""Features (b, n, J, p), base (b, n, J) and outer powers (b,) at shape parameters (b, m)."""


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

    def places(self, shape: Sequence[float]) -> Floats:
        """Where values inside the grid stand on it, shape (m,); inverse of :meth:`values`."""
        out = np.empty(self.size)
        for k, (axis, value) in enumerate(zip(self.axes, shape, strict=True)):
            below = int(
                np.clip(np.searchsorted(axis, value, "right") - 1, 0, max(len(axis) - 2, 0))
            )
            low, high = axis[below], axis[min(below + 1, len(axis) - 1)]
            if high == low:
                part = 0.0
            elif low > 0:
                part = np.log(value / low) / np.log(high / low)
            else:
                part = (value - low) / (high - low)
            out[k] = below + part
        return out

    def values(self, places: Floats) -> Floats:
        """Shape parameters at places (b, m)."""
        out = np.empty_like(places)
        for k, axis in enumerate(self.axes):
            below = np.clip(places[:, k].astype(int), 0, max(len(axis) - 2, 0))
            part = places[:, k] - below
            low, high = axis[below], axis[np.minimum(below + 1, len(axis) - 1)]
            with np.errstate(divide="ignore", invalid="ignore"):
                geometric = low * (high / low) ** part
            out[:, k] = np.where(low > 0, geometric, low + part * (high - low))
        return out


class ShapedCurves:
    """Residuals and their derivatives in states: parameters, then places on the shape axes."""

    def __init__(self, problem: PowerSum, axes: ShapeAxes, at: ShapeTerms) -> None:
        self.problem, self.axes, self.at = problem, axes, at

    def residuals(self, states: Floats) -> Floats:
        """Log residuals at states (b, q + m), shape (b, n)."""
        return self._linearised(states, states[:, self.problem.size :])[0]

    def linearised(self, states: Floats) -> tuple[Floats, Floats]:
        """Residuals (b, n) and their derivatives (b, n, q + m)."""
        places = states[:, self.problem.size :]
        residuals, slopes = self._linearised(states, places)
        columns = [slopes]
        for k, last in enumerate(self.axes.last()):
            step = np.where(places[:, k] + _STEP > last, -_STEP, _STEP)
            moved = places.copy()
            moved[:, k] += step
            change = self._linearised(states, moved)[0] - residuals
            columns.append((change / step[:, None])[..., None])
        return residuals, np.concatenate(columns, axis=2)

    def _linearised(self, states: Floats, places: Floats) -> tuple[Floats, Floats]:
        """Residuals and their derivatives in the parameters alone (b, n, q)."""
        problem = self.problem
        if self.axes.size:
            terms = self.at(self.axes.values(places))
        else:
            terms = problem.features[None], problem.base[None], np.array([problem.power])
        residuals = np.empty((len(states), len(problem.log_y)))
        slopes = np.empty((*residuals.shape, problem.size))
        thetas = np.ascontiguousarray(states[:, : problem.size])
        features, base, powers = terms
        _kernel.many_residuals(thetas, features, base, problem.log_y, powers, residuals, slopes)
        return residuals, slopes


def between(curves: ShapedCurves, starts: Floats) -> tuple[Floats, Floats]:
    """The lowest state near any of ``starts`` (s, q + m): its parameters (q,) and places (m,)."""
    problem, q = curves.problem, curves.problem.size
    none = np.zeros(curves.axes.size)
    mean = np.concatenate([problem.prior_mean, none])
    root = np.sqrt(np.concatenate([problem.prior_precision, none]))

    def with_priors(states: Floats) -> Floats:
        return np.concatenate([curves.residuals(states), (states - mean) * root], axis=1)

    def slopes(states: Floats) -> Floats:
        rows = np.tile(np.diag(root), (len(states), 1, 1))
        return np.concatenate([curves.linearised(states)[1], rows], axis=1)

    states = starts
    for width, steps in ((max(_WIDE, problem.delta), 30), (problem.delta, 60)):
        states, costs = minimise(
            with_priors,
            states,
            lower=np.concatenate([problem.lower, none]),
            upper=np.concatenate([problem.upper, curves.axes.last()]),
            weights=np.concatenate([problem.weights, np.ones(len(mean))]),
            delta=np.concatenate([np.full(len(problem.log_y), width), np.full(len(mean), np.inf)]),
            slopes=slopes,
            iterations=steps,
            tolerance=1e-6,
        )
    best = states[int(np.argmin(costs))]
    return best[:q], best[q:]
