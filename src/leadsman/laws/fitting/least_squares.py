"""Robust non-linear least squares, vectorised over many starts and many bootstrap data sets.

Levenberg-Marquardt on ``sum_i w_i rho(r_i)`` with Huber's ``rho`` (by reweighting), where a batch
of ``b`` problems of one shape moves together: each iteration evaluates the residuals of the whole
batch at once, and solves ``b`` small linear systems. Derivatives are forward differences in the
search coordinates, so a law only has to say its equation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Residuals = Callable[[Floats], Floats]
"""Parameters of shape (b, p) to residuals of shape (b, n)."""

_STEP = 1e-7
_LARGE = 1e12


def minimise(
    residuals: Residuals,
    start: Floats,
    *,
    lower: Floats,
    upper: Floats,
    weights: Floats,
    delta: Floats | float = np.inf,
    slopes: Residuals | None = None,
    iterations: int = 200,
    tolerance: float = 1e-10,
) -> tuple[Floats, Floats]:
    """Local minima of a batch of robust least-squares problems.

    Args:
        residuals: called with parameters (b, p), returns residuals (b, n).
        start: first parameters, shape (b, p); clipped into the box.
        lower: lower bounds, shape (p,).
        upper: upper bounds, shape (p,).
        weights: of the rows, shape (n,).
        delta: where Huber's loss turns from square to linear, in the unit of the residuals.
        slopes: derivatives (b, n, p) of the residuals; forward differences by default.
        iterations: steps at most.
        tolerance: stop when no cost falls by more than this fraction of itself.

    Returns:
        Parameters (b, p) and their costs (b,).
    """
    with np.errstate(all="ignore"):
        return _descend(
            residuals,
            slopes or (lambda theta: linearised(residuals, theta, upper)[1]),
            start,
            lower,
            upper,
            weights,
            delta,
            iterations=iterations,
            tol=tolerance,
        )


def _descend(
    residuals: Residuals,
    slopes: Residuals,
    start: Floats,
    lower: Floats,
    upper: Floats,
    weights: Floats,
    delta: Floats | float,
    *,
    iterations: int,
    tol: float,
) -> tuple[Floats, Floats]:
    theta = np.clip(start, lower, upper)
    values = _finite(residuals(theta))
    cost = _cost(values, weights, delta)
    damping = np.full(len(theta), 1e-3)
    active = np.ones(len(theta), dtype=bool)
    for _ in range(iterations):
        jacobian = slopes(theta)
        robust = weights * np.minimum(1.0, delta / np.maximum(np.abs(values), 1e-300))
        normal = np.einsum("bnp,bn,bnq->bpq", jacobian, robust, jacobian)
        gradient = np.einsum("bnp,bn,bn->bp", jacobian, robust, values)
        scale = np.einsum("bpp->bp", normal)
        diagonal = damping[:, None] * scale + 1e-14 * (1.0 + scale)
        step = np.linalg.solve(normal + _diagonal(diagonal), gradient[..., None])[..., 0]
        trial = np.clip(theta - step, lower, upper)
        trial_values = _finite(residuals(trial))
        trial_cost = _cost(trial_values, weights, delta)
        better = (trial_cost < cost) & active
        gain = np.where(better, (cost - trial_cost) / np.maximum(cost, 1e-300), 0.0)
        theta = np.where(better[:, None], trial, theta)
        values = np.where(better[:, None], trial_values, values)
        cost = np.where(better, trial_cost, cost)
        damping = np.clip(np.where(better, damping / 5, damping * 4), 1e-14, 1e14)
        active &= np.where(better, gain > tol, damping < 1e8)
        if not active.any():
            break
    return theta, cost


def jacobian_at(residuals: Residuals, theta: Floats, upper: Floats) -> Floats:
    """Derivatives of the residuals at one point ``theta`` (p,), shape (n, p)."""
    return np.asarray(linearised(residuals, theta[None], upper)[1][0])


def linearised(residuals: Residuals, theta: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Residuals (b, n) and their derivatives (b, n, p) at each row of ``theta`` (b, p)."""
    with np.errstate(all="ignore"):
        values = _finite(residuals(theta))
        return values, np.asarray(_jacobian(residuals, theta, values, upper))


def huber(values: Floats, weights: Floats, delta: Floats | float) -> Floats:
    """Summed Huber loss of residuals (b, n), shape (b,)."""
    return _cost(values, weights, delta)


def _jacobian(residuals: Residuals, theta: Floats, values: Floats, upper: Floats) -> Floats:
    result = np.empty((*values.shape, theta.shape[1]))
    for index in range(theta.shape[1]):
        step = _STEP * np.maximum(1.0, np.abs(theta[:, index]))
        step = np.where(theta[:, index] + step > upper[index], -step, step)
        moved = theta.copy()
        moved[:, index] += step
        result[..., index] = (_finite(residuals(moved)) - values) / step[:, None]
    return np.clip(result, -_LARGE, _LARGE)


def _cost(values: Floats, weights: Floats, delta: Floats | float) -> Floats:
    size = np.abs(values)
    linear = np.where(np.isfinite(delta), delta * (size - 0.5 * delta), 0.0)
    return np.asarray((weights * np.where(size <= delta, 0.5 * values**2, linear)).sum(axis=-1))


def _finite(values: Floats) -> Floats:
    return np.nan_to_num(values, nan=_LARGE, posinf=_LARGE, neginf=-_LARGE)


def _diagonal(values: Floats) -> Floats:
    return np.asarray(values[..., None] * np.eye(values.shape[-1]))
