"""Fits sums of powers: most scaling laws, in one vectorised core.

    y = (sum_j exp(base_j(x) + b_j + features_j(x) . e)) ^ power

``b_j`` are log amplitudes (an offset E is a term without features), ``e`` exponents. Minimises the
summed Huber loss of log residuals (Hoffmann et al. 2022, approach 3) with optional priors and a
box. Amplitudes are eliminated by non-negative least squares at every start (variable projection);
then amplitudes and exponents descend together with analytic gradients, from a wide Huber loss to
the narrow one. Units: ``log_y`` is a natural logarithm, ``delta`` is on that scale.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from leadsman.engine import usable_cores
from leadsman.errors import DesignError
from leadsman.laws.base import Floats
from leadsman.laws.fitting import _kernel

WIDE = 0.1
"""Huber width (log units) at which every start begins."""


@dataclass(frozen=True)
class PowerSum:
    """One fitting problem: n rows, J terms, p exponents, q = J + p parameters.

    Attributes:
        features: shape (n, J, p); log inputs, with sign (``-log N`` for a falling power).
        log_y: shape (n,).
        weights: shape (n,); how much each row counts.
        base: shape (n, J); known part of each log term, ``-inf`` where a term is absent.
        power: the outer power.
        delta: Huber width.
        lower, upper: box on the parameters, shape (q,).
        prior_mean, prior_precision: shape (q,); precision 0 is no prior.
    """

    features: Floats
    log_y: Floats
    weights: Floats
    base: Floats
    power: float
    delta: float
    lower: Floats
    upper: Floats
    prior_mean: Floats
    prior_precision: Floats

    @property
    def size(self) -> int:
        """Number of parameters."""
        return int(self.features.shape[1] + self.features.shape[2])


@dataclass(frozen=True)
class Optimum:
    """Where a fit ended.

    Attributes:
        theta: parameters, shape (q,).
        value: the objective there.
    """

    theta: Floats
    value: float


def fit(problem: PowerSum, starts: Floats, *, keep: int = 24, max_steps: int = 400) -> Optimum:
    """The best optimum found from many starting exponents.

    Every start takes a few steps on a wide Huber loss; the ``keep`` best distinct places are
    then followed to the end.

    Args:
        problem: what to fit.
        starts: exponents to start from, shape (s, p).
        keep: places followed to the end.
        max_steps: limit of steps from each.

    Raises:
        DesignError: fewer rows than parameters.
    """
    count = int(np.count_nonzero(problem.weights))
    if count < problem.size:
        raise DesignError(
            f"{count} runs cannot determine {problem.size} parameters; "
            f"add at least {problem.size - count} more at other settings"
        )
    terms = problem.features.shape[1]
    thetas = np.concatenate([np.zeros((len(starts), terms)), starts], axis=1)
    thetas[:, terms:] = np.clip(starts, problem.lower[terms:], problem.upper[terms:])
    coarse, values = _descend(problem, thetas, WIDE, WIDE, 6, 1e-4, project=True)
    places = _distinct(coarse, values, keep)
    ends, values = _descend(
        problem, coarse[places], problem.delta, WIDE, max_steps, 1e-11, project=False
    )
    best = int(np.nanargmin(values))
    return Optimum(theta=ends[best], value=float(values[best]))


def polish(problem: PowerSum, theta: Floats, *, max_steps: int = 200) -> Optimum:
    """Follow one place to its optimum."""
    ends, values = _descend(
        problem, theta[None].copy(), problem.delta, 0.01, max_steps, 1e-11, project=False
    )
    return Optimum(theta=ends[0], value=float(values[0]))


def refit(
    problem: PowerSum,
    theta: Floats,
    weights: Floats,
    *,
    log_y: Floats | None = None,
    prior_mean: Floats | None = None,
    max_steps: int = 60,
) -> Floats:
    """Warm-started fits under other row weights or results: bootstrap draws, shape (k, q).

    Args:
        problem: the problem that was fitted.
        theta: its optimum, shape (q,), or one start a draw, shape (k, q).
        weights: shape (k, n).
        log_y: results of each draw, shape (k, n); the problem's own by default.
        prior_mean: prior means of each draw, shape (k, q); the problem's own by default.
        max_steps: limit of steps a draw.
    """
    draws = len(weights)
    thetas = np.array(np.broadcast_to(theta, (draws, problem.size)), dtype=np.float64)
    log_ys = np.broadcast_to(problem.log_y if log_y is None else log_y, weights.shape)
    means = np.broadcast_to(problem.prior_mean if prior_mean is None else prior_mean, thetas.shape)
    values = np.empty(draws)

    def work(part: slice) -> None:
        _kernel.descend_draws(
            thetas[part],
            values[part],
            problem.features,
            problem.base,
            np.ascontiguousarray(log_ys[part]),
            np.ascontiguousarray(weights[part], dtype=np.float64),
            problem.power,
            problem.delta,
            max(problem.delta, 0.01),
            problem.lower,
            problem.upper,
            np.ascontiguousarray(means[part]),
            problem.prior_precision,
            max_steps,
            1e-7,
        )

    _in_threads(work, draws)
    return thetas


def log_curves(
    thetas: Floats, features: Floats, base: Floats | None = None, power: float = 1.0
) -> Floats:
    """Log of the curve for each parameter row, shape (k, n).

    Args:
        thetas: shape (k, q).
        features: shape (n, J, p).
        base: shape (n, J); zero by default.
        power: the outer power.
    """
    thetas = np.ascontiguousarray(np.atleast_2d(thetas), dtype=np.float64)
    out = np.empty((len(thetas), len(features)))
    known = np.zeros(features.shape[:2]) if base is None else base
    _kernel.log_curves(thetas, np.ascontiguousarray(features), known, power, out)
    return out


def gradient_at(problem: PowerSum, theta: Floats) -> tuple[Floats, Floats]:
    """Residuals (n,) and their Jacobian (n, q) at ``theta``."""
    n = len(problem.log_y)
    r, jac = np.empty(n), np.empty((n, problem.size))
    _kernel.residuals(theta, problem.features, problem.base, problem.log_y, problem.power, r, jac)
    return r, jac


def robust_scale(residuals: Floats, parameters: int) -> float:
    """Standard deviation of the noise from residuals of a fit, unmoved by a few outliers.

    A robust fit passes through about as many runs as it has parameters; the median is taken
    over the others.

    Args:
        residuals: shape (n,).
        parameters: number of fitted parameters.
    """
    n = len(residuals)
    if n <= parameters:
        return 0.0
    sizes = np.sort(np.abs(residuals))
    return float(sizes[min((n + parameters) // 2, n - 1)] / 0.6745)


def _descend(
    problem: PowerSum,
    thetas: Floats,
    delta: float,
    first_delta: float,
    max_steps: int,
    tolerance: float,
    *,
    project: bool,
) -> tuple[Floats, Floats]:
    thetas = np.ascontiguousarray(thetas)
    values = np.empty(len(thetas))

    def work(part: slice) -> None:
        _kernel.descend_starts(
            thetas[part],
            values[part],
            problem.features,
            problem.base,
            problem.log_y,
            problem.weights,
            problem.power,
            delta,
            first_delta,
            problem.lower,
            problem.upper,
            problem.prior_mean,
            problem.prior_precision,
            max_steps,
            tolerance,
            project,
        )

    _in_threads(work, len(thetas))
    return thetas, values


def _distinct(thetas: Floats, values: Floats, keep: int) -> list[int]:
    """Indices of the best places that are not within 1 % of a better one."""
    places: list[int] = []
    for index in np.argsort(values):
        if not np.isfinite(values[index]):
            break
        near = any(
            np.all(np.abs(thetas[index] - thetas[p]) <= 0.01 * (0.1 + np.abs(thetas[p])))
            for p in places
        )
        if not near:
            places.append(int(index))
        if len(places) == keep:
            break
    return places or [0]


def _in_threads(work: Callable[[slice], None], count: int) -> None:
    """Run ``work(slice)`` over ``count`` rows on the cores there are; the kernels drop the GIL."""
    cores = min(usable_cores(), max(1, count // 16))
    limit = os.environ.get("NUMBA_NUM_THREADS")
    cores = min(cores, int(limit)) if limit else cores
    edges = np.linspace(0, count, cores + 1).astype(int)
    parts = [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]
    if cores == 1:
        work(parts[0])
        return
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(work, parts))
