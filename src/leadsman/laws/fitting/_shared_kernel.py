"""Numba kernels of a power-sum fit whose exponents are shared by groups of rows.

Parameters are theta = (b_11..b_1J, ..., b_G1..b_GJ, e_1..e_p): each group's log amplitudes, then
the exponents of all. Rows of a group stand together. The method is that of
:mod:`leadsman.laws.fitting._kernel`; the Hessian is a row of small blocks with a border, so the
Cholesky factor keeps its envelope and a step costs no more than a step in every group.
"""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from leadsman.laws.fitting._kernel import objective, project_amplitudes, residuals

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def _solve(matrix: Array, vector: Array, first: Integers) -> bool:
    """Cholesky solve in place; row i of the lower triangle begins at ``first[i]``."""
    size = len(vector)
    for i in range(size):
        for j in range(first[i], i + 1):
            value = matrix[i, j]
            for k in range(max(first[i], first[j]), j):
                value -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not value > 0.0:
                    return False
                matrix[i, i] = math.sqrt(value)
            else:
                matrix[i, j] = value / matrix[j, j]
    for i in range(size):
        for k in range(first[i], i):
            vector[i] -= matrix[i, k] * vector[k]
        vector[i] /= matrix[i, i]
    for i in range(size - 1, -1, -1):
        vector[i] /= matrix[i, i]
        for k in range(first[i], i):
            vector[k] -= matrix[i, k] * vector[i]
    return True


@njit(cache=True, nogil=True)
def residuals_by_group(
    theta: Array,
    features: Array,
    base: Array,
    log_y: Array,
    power: float,
    edges: Integers,
    r: Array,
    jac: Array,
) -> None:
    """Fill ``r`` (n,) and the Jacobian (n, J + p) in each row's own amplitudes and exponents."""
    terms, groups = features.shape[1], len(edges) - 1
    own = np.empty(terms + features.shape[2])
    own[terms:] = theta[groups * terms :]
    for g in range(groups):
        a, b = edges[g], edges[g + 1]
        own[:terms] = theta[g * terms : (g + 1) * terms]
        residuals(own, features[a:b], base[a:b], log_y[a:b], power, r[a:b], jac[a:b])


@njit(cache=True, nogil=True)
def _curvature(
    r: Array,
    jac: Array,
    weights: Array,
    delta: float,
    edges: Integers,
    terms: int,
    gradient: Array,
    inner: Array,
    outer: Array,
) -> None:
    """Gradient of the Huber part, and the two halves of its Hessian (lower triangles)."""
    groups = len(edges) - 1
    place = np.empty(jac.shape[1], np.int64)
    for a in range(terms, len(place)):
        place[a] = groups * terms + a - terms
    gradient[:] = 0.0
    inner[:] = 0.0
    outer[:] = 0.0
    for g in range(groups):
        for a in range(terms):
            place[a] = g * terms + a
        for i in range(edges[g], edges[g + 1]):
            if weights[i] == 0.0:
                continue
            size = abs(r[i])
            inside = size <= delta
            scale = weights[i] if inside else weights[i] * delta / size
            half = inner if inside else outer
            for a in range(len(place)):
                gradient[place[a]] += scale * r[i] * jac[i, a]
                scaled = scale * jac[i, a]
                for b in range(a + 1):
                    half[place[a], place[b]] += scaled * jac[i, b]


@njit(cache=True, nogil=True)
def _step(
    theta: Array,
    gradient: Array,
    inner: Array,
    outer: Array,
    lam: float,
    lower: Array,
    upper: Array,
    prior_precision: Array,
    first: Integers,
    step: Array,
    matrix: Array,
) -> int:
    """The damped step of the free parameters into ``step``; returns how many are free, or -1."""
    free = 0
    held = np.empty(len(theta), np.bool_)
    for i in range(len(theta)):
        held[i] = (theta[i] <= lower[i] and gradient[i] > 0) or (
            theta[i] >= upper[i] and gradient[i] < 0
        )
        step[i] = 0.0 if held[i] else -gradient[i]
        free += not held[i]
    for i in range(len(theta)):
        for j in range(first[i], i):
            blocked = held[i] or held[j]
            matrix[i, j] = 0.0 if blocked else inner[i, j] + lam * outer[i, j]
        bound = inner[i, i] + outer[i, i]
        matrix[i, i] = inner[i, i] + lam * outer[i, i] + prior_precision[i]
        matrix[i, i] += 1e-3 * lam * bound + 1e-12 * bound + 1e-14
    return free if _solve(matrix, step, first) else -1


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
    edges: Integers,
    max_steps: int,
    tolerance: float,
) -> float:
    """Improve ``theta`` in place from a wide Huber loss to ``delta``; returns the objective."""
    n, terms, exponents = features.shape
    q = theta.shape[0]
    first = np.zeros(q, np.int64)
    for i in range(q - exponents):
        first[i] = i - i % terms
    r, jac = np.empty(n), np.empty((n, terms + exponents))
    trial_r, trial_jac = np.empty(n), np.empty((n, terms + exponents))
    gradient, step = np.empty(q), np.empty(q)
    inner, outer, matrix = np.empty((q, q)), np.empty((q, q)), np.empty((q, q))
    width = max(first_delta, delta)
    theta[:] = np.minimum(np.maximum(theta, lower), upper)
    residuals_by_group(theta, features, base, log_y, power, edges, r, jac)
    value = objective(r, weights, width, theta, prior_mean, prior_precision)
    lam, calm, fresh = 1.0, 0, True
    for _ in range(max_steps):
        if fresh:
            _curvature(r, jac, weights, width, edges, terms, gradient, inner, outer)
            gradient += prior_precision * (theta - prior_mean)
            fresh = False
        free = _step(
            theta, gradient, inner, outer, lam, lower, upper, prior_precision, first, step, matrix
        )
        better, gain = False, 0.0
        if free > 0:
            trial = np.minimum(np.maximum(theta + step, lower), upper)
            residuals_by_group(trial, features, base, log_y, power, edges, trial_r, trial_jac)
            trial_value = objective(trial_r, weights, width, trial, prior_mean, prior_precision)
            gain = value - trial_value
            if gain >= 0:
                better = True
                theta[:] = trial
                r, trial_r = trial_r, r
                jac, trial_jac = trial_jac, jac
                value = trial_value
        if better:
            lam, fresh = max(lam * 0.2, 1e-8), True
        else:
            lam = lam * 6.0
        small = tolerance if width <= delta else 1e-3
        calm = calm + 1 if (better and gain <= small * value) else 0
        if calm >= 2 or lam > 1e10 or free == 0:
            if width <= delta:
                break
            width = max(width * 0.25, delta)
            value = objective(r, weights, width, theta, prior_mean, prior_precision)
            lam, calm, fresh = 0.1, 0, True
    return float(objective(r, weights, delta, theta, prior_mean, prior_precision))


@njit(cache=True, nogil=True)
def project(
    theta: Array,
    features: Array,
    base: Array,
    log_y: Array,
    weights: Array,
    power: float,
    lower: Array,
    upper: Array,
    edges: Integers,
) -> None:
    """Non-negative least squares for every group's amplitudes, exponents given, in ``theta``."""
    terms, groups = features.shape[1], len(edges) - 1
    own = np.empty(terms + features.shape[2])
    own[terms:] = theta[groups * terms :]
    for g in range(groups):
        a, b, s = edges[g], edges[g + 1], g * terms
        project_amplitudes(
            own,
            features[a:b],
            base[a:b],
            log_y[a:b],
            weights[a:b],
            power,
            lower[s : s + terms],
            upper[s : s + terms],
        )
        theta[s : s + terms] = own[:terms]
