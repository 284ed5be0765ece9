"""Numba kernels of the power-sum fit, the model of :mod:`.variable_projection`.

Parameters are theta = (b_1..b_J, e_1..e_p): log amplitudes, then exponents. With
t_ij = base_ij + b_j + features_ij . e, a row's residual is

    r_i = power * log(sum_j exp t_ij) - log y_i

and the objective is  sum_i w_i Huber_delta(r_i) + 1/2 sum_k precision_k (theta_k - mean_k)^2
inside a box. A step solves  (H_in + lam * H_out) step = -gradient  where H_in is the Gauss-Newton
Hessian of the rows inside delta and H_out the reweighted-least-squares bound on the rest: lam = 1
is reweighted least squares (safe, slow), lam = 0 is Newton on the Huber loss (fast at the end).
"""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]


@njit(cache=True, nogil=True)
def residuals(
    theta: Array, features: Array, base: Array, log_y: Array, power: float, r: Array, jac: Array
) -> None:
    """Fill ``r`` (n,) and its Jacobian ``jac`` (n, q)."""
    n, n_terms, n_exponents = features.shape
    t = np.empty(n_terms)
    for i in range(n):
        top = -np.inf
        for j in range(n_terms):
            t[j] = base[i, j] + theta[j]
            for k in range(n_exponents):
                t[j] += features[i, j, k] * theta[n_terms + k]
            top = max(top, t[j])
        total = 0.0
        for j in range(n_terms):
            t[j] = math.exp(t[j] - top)
            total += t[j]
        r[i] = power * (top + math.log(total)) - log_y[i]
        for k in range(n_exponents):
            jac[i, n_terms + k] = 0.0
        for j in range(n_terms):
            share = power * t[j] / total
            jac[i, j] = share
            for k in range(n_exponents):
                jac[i, n_terms + k] += share * features[i, j, k]


@njit(cache=True, nogil=True)
def objective(
    r: Array,
    weights: Array,
    delta: float,
    theta: Array,
    prior_mean: Array,
    prior_precision: Array,
) -> float:
    """Summed Huber loss of the residuals plus the priors."""
    total = 0.0
    for i in range(r.shape[0]):
        size = abs(r[i])
        if size <= delta:
            total += weights[i] * 0.5 * size * size
        else:
            total += weights[i] * delta * (size - 0.5 * delta)
    for k in range(theta.shape[0]):
        off = theta[k] - prior_mean[k]
        total += 0.5 * prior_precision[k] * off * off
    return total


@njit(cache=True, nogil=True)
def _solve(matrix: Array, vector: Array, size: int) -> bool:
    """Cholesky solve in place of the leading ``size`` block; False if not positive definite."""
    for i in range(size):
        for j in range(i + 1):
            value = matrix[i, j]
            for k in range(j):
                value -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not value > 0.0:
                    return False
                matrix[i, i] = math.sqrt(value)
            else:
                matrix[i, j] = value / matrix[j, j]
    for i in range(size):
        for k in range(i):
            vector[i] -= matrix[i, k] * vector[k]
        vector[i] /= matrix[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            vector[i] -= matrix[k, i] * vector[k]
        vector[i] /= matrix[i, i]
    return True


@njit(cache=True, nogil=True)
def _curvature(
    r: Array, jac: Array, weights: Array, delta: float, gradient: Array, inner: Array, outer: Array
) -> None:
    """Gradient of the Huber part, and the two halves of its Hessian (lower triangles)."""
    n, q = jac.shape
    gradient[:] = 0.0
    inner[:] = 0.0
    outer[:] = 0.0
    for i in range(n):
        if weights[i] == 0.0:
            continue
        size = abs(r[i])
        inside = size <= delta
        scale = weights[i] if inside else weights[i] * delta / size
        half = inner if inside else outer
        for a in range(q):
            gradient[a] += scale * r[i] * jac[i, a]
            scaled = scale * jac[i, a]
            for b in range(a + 1):
                half[a, b] += scaled * jac[i, b]


@njit(cache=True, nogil=True)
def descend(
    theta: Array,
    features: Array,
    base: Array,
    log_y: Array,
    weights: Array,
    power: float,
    delta: float,
    first_delta: float,
    lower: Array,
    upper: Array,
    prior_mean: Array,
    prior_precision: Array,
    max_steps: int,
    tolerance: float,
) -> float:
    """Improve ``theta`` in place; returns the objective at ``delta``.

    The Huber width falls from ``first_delta`` to ``delta`` by factors of four: wide first, so
    that a start far away sees a smooth valley.
    """
    n = features.shape[0]
    q = theta.shape[0]
    r, jac = np.empty(n), np.empty((n, q))
    trial_r, trial_jac = np.empty(n), np.empty((n, q))
    trial, gradient, step = np.empty(q), np.empty(q), np.empty(q)
    inner, outer, matrix = np.empty((q, q)), np.empty((q, q)), np.empty((q, q))
    free = np.empty(q, np.int64)
    width = max(first_delta, delta)
    for k in range(q):
        theta[k] = min(max(theta[k], lower[k]), upper[k])
    residuals(theta, features, base, log_y, power, r, jac)
    value = objective(r, weights, width, theta, prior_mean, prior_precision)
    lam = 1.0
    calm = 0
    fresh = True
    for _ in range(max_steps):
        if fresh:
            _curvature(r, jac, weights, width, gradient, inner, outer)
            for k in range(q):
                gradient[k] += prior_precision[k] * (theta[k] - prior_mean[k])
            fresh = False
        size = 0
        for k in range(q):
            held = (theta[k] <= lower[k] and gradient[k] > 0) or (
                theta[k] >= upper[k] and gradient[k] < 0
            )
            if not held:
                free[size] = k
                size += 1
        for a in range(size):
            i = free[a]
            step[a] = -gradient[i]
            for b in range(a + 1):
                j = free[b]
                matrix[a, b] = inner[i, j] + lam * outer[i, j]
            bound = inner[i, i] + outer[i, i]
            matrix[a, a] += prior_precision[i] + 1e-3 * lam * bound + 1e-12 * bound + 1e-14
        better = False
        gain = 0.0
        if size > 0 and _solve(matrix, step, size):
            trial[:] = theta
            for a in range(size):
                k = free[a]
                trial[k] = min(max(theta[k] + step[a], lower[k]), upper[k])
            residuals(trial, features, base, log_y, power, trial_r, trial_jac)
            trial_value = objective(trial_r, weights, width, trial, prior_mean, prior_precision)
            gain = value - trial_value
            better = trial_value <= value
        if better:
            theta[:] = trial
            r, trial_r = trial_r, r
            jac, trial_jac = trial_jac, jac
            value = trial_value
            lam = max(lam * 0.2, 1e-8)
            fresh = True
        else:
            lam = lam * 6.0
        small = tolerance if width <= delta else 1e-3
        calm = calm + 1 if (better and gain <= small * value) else 0
        if calm >= 2 or lam > 1e10 or size == 0:
            if width <= delta:
                break
            width = max(width * 0.25, delta)
            value = objective(r, weights, width, theta, prior_mean, prior_precision)
            lam, calm, fresh = 0.1, 0, True
    value = objective(r, weights, delta, theta, prior_mean, prior_precision)
    return float(value)


@njit(cache=True, nogil=True)
def project_amplitudes(
    theta: Array,
    features: Array,
    base: Array,
    log_y: Array,
    weights: Array,
    power: float,
    lower: Array,
    upper: Array,
) -> None:
    """Variable projection: non-negative least squares for the amplitudes, exponents given.

    Minimises sum_i w_i (sum_j a_j phi_ij / y_i^(1/power) - 1)^2 over a >= 0 by coordinate
    descent on the normal equations; writes log a into ``theta``.
    """
    n, n_terms, n_exponents = features.shape
    gram = np.zeros((n_terms, n_terms))
    right = np.zeros(n_terms)
    shift = np.full(n_terms, -np.inf)
    logs = np.empty((n, n_terms))
    for i in range(n):
        for j in range(n_terms):
            value = base[i, j] - log_y[i] / power
            for k in range(n_exponents):
                value += features[i, j, k] * theta[n_terms + k]
            logs[i, j] = value
            shift[j] = max(shift[j], value)
    phi = np.empty(n_terms)
    for i in range(n):
        for j in range(n_terms):
            phi[j] = math.exp(logs[i, j] - shift[j])
            right[j] += weights[i] * phi[j]
        for a in range(n_terms):
            for b in range(n_terms):
                gram[a, b] += weights[i] * phi[a] * phi[b]
    amplitude = np.zeros(n_terms)
    for _ in range(200):
        change = 0.0
        for j in range(n_terms):
            if gram[j, j] <= 0.0:
                continue
            value = right[j]
            for b in range(n_terms):
                if b != j:
                    value -= gram[j, b] * amplitude[b]
            value = max(value / gram[j, j], 0.0)
            change = max(change, abs(value - amplitude[j]))
            amplitude[j] = value
        if change < 1e-9:
            break
    for j in range(n_terms):
        # A log amplitude cannot leave minus infinity again: start it small instead.
        log_a = math.log(max(amplitude[j], 1e-4)) - shift[j]
        theta[j] = min(max(log_a, lower[j]), upper[j])


@njit(cache=True, nogil=True)
def descend_starts(
    thetas: Array,
    values: Array,
    features: Array,
    base: Array,
    log_y: Array,
    weights: Array,
    power: float,
    delta: float,
    first_delta: float,
    lower: Array,
    upper: Array,
    prior_mean: Array,
    prior_precision: Array,
    max_steps: int,
    tolerance: float,
    project: bool,
) -> None:
    """Descend from every row of ``thetas`` in place; fills ``values``."""
    for s in range(thetas.shape[0]):
        if project:
            project_amplitudes(thetas[s], features, base, log_y, weights, power, lower, upper)
        values[s] = descend(
            thetas[s],
            features,
            base,
            log_y,
            weights,
            power,
            delta,
            first_delta,
            lower,
            upper,
            prior_mean,
            prior_precision,
            max_steps,
            tolerance,
        )


@njit(cache=True, nogil=True)
def descend_draws(
    thetas: Array,
    values: Array,
    features: Array,
    base: Array,
    log_ys: Array,
    weights: Array,
    power: float,
    delta: float,
    first_delta: float,
    lower: Array,
    upper: Array,
    prior_means: Array,
    prior_precision: Array,
    max_steps: int,
    tolerance: float,
) -> None:
    """As :func:`descend_starts`, with weights, results and prior means of its own for each row."""
    for s in range(thetas.shape[0]):
        values[s] = descend(
            thetas[s],
            features,
            base,
            log_ys[s],
            weights[s],
            power,
            delta,
            first_delta,
            lower,
            upper,
            prior_means[s],
            prior_precision,
            max_steps,
            tolerance,
        )


@njit(cache=True, nogil=True)
def log_curves(thetas: Array, features: Array, base: Array, power: float, out: Array) -> None:
    """Log of the curve for each row of ``thetas`` (k, q) at n points into ``out`` (k, n)."""
    n, n_terms, n_exponents = features.shape
    t = np.empty(n_terms)
    for s in range(thetas.shape[0]):
        for i in range(n):
            top = -np.inf
            for j in range(n_terms):
                t[j] = base[i, j] + thetas[s, j]
                for k in range(n_exponents):
                    t[j] += features[i, j, k] * thetas[s, n_terms + k]
                top = max(top, t[j])
            total = 0.0
            for j in range(n_terms):
                total += math.exp(t[j] - top)
            out[s, i] = power * (top + math.log(total))


@njit(cache=True, nogil=True)
def many_residuals(
    thetas: Array,
    features: Array,
    base: Array,
    log_y: Array,
    powers: Array,
    r: Array,
    jac: Array,
) -> None:
    """Fill ``r`` (k, n) and ``jac`` (k, n, q) for each row of ``thetas`` (k, q).

    ``features`` (m, n, J, p), ``base`` (m, n, J) and ``powers`` (m,) with m = k, or m = 1 for all.
    """
    for s in range(thetas.shape[0]):
        m = s if features.shape[0] > 1 else 0
        residuals(thetas[s], features[m], base[m], log_y, powers[m], r[s], jac[s])
