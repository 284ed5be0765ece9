"""Fits a sum of powers to several groups of runs at once: one set of exponents for all.

    y = (sum_j exp(base_j(x) + b_gj + features_j(x) . e)) ^ power        for a run x of group g

Amplitudes ``b_g`` (the offset among them) belong to the group, exponents ``e`` to all. A group with
few runs then needs only as many as it has amplitudes. The objective is the sum of the groups' own
(:mod:`leadsman.laws.fitting.variable_projection`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from leadsman.errors import DesignError
from leadsman.laws.base import Floats
from leadsman.laws.fitting import Optimum, PowerSum, _shared_kernel

WIDE = 0.1
"""Huber width (log units) at which every start begins."""

KEEP = 2
"""Distinct places followed to the end."""


@dataclass(frozen=True)
class SharedPowerSum:
    """The problems of G groups as one: n rows, q = G J + p parameters.

    Attributes:
        rows: all rows, a group's together; its bounds and priors are of length q.
        edges: first row of each group, and n, shape (G + 1,).
    """

    rows: PowerSum
    edges: npt.NDArray[np.int64]

    @classmethod
    def of(cls, problems: Sequence[PowerSum]) -> SharedPowerSum:
        """Join problems of one law; exponents' bounds and priors are those of the first."""
        first = problems[0]
        terms = first.features.shape[1]

        def parameters(name: str) -> Floats:
            own = [getattr(each, name)[:terms] for each in problems]
            return np.concatenate([*own, getattr(first, name)[terms:]])

        def joined(name: str) -> Floats:
            return np.concatenate([getattr(each, name) for each in problems])

        rows = replace(
            first,
            features=joined("features"),
            log_y=joined("log_y"),
            weights=joined("weights"),
            base=joined("base"),
            lower=parameters("lower"),
            upper=parameters("upper"),
            prior_mean=parameters("prior_mean"),
            prior_precision=parameters("prior_precision"),
        )
        counts = [len(each.log_y) for each in problems]
        return cls(rows, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.rows.lower)

    def own(self, thetas: Floats, group: int) -> Floats:
        """A group's amplitudes and the exponents, shape (k, J + p), of ``thetas`` (k, q)."""
        terms, exponents = self.rows.features.shape[1:]
        mine = thetas[:, group * terms : (group + 1) * terms]
        return np.concatenate([mine, thetas[:, thetas.shape[1] - exponents :]], axis=1)

    def residuals(self, theta: Floats) -> Floats:
        """Log of the curve over the result for each row, shape (n,)."""
        rows = self.rows
        n, terms, exponents = rows.features.shape
        r, jac = np.empty(n), np.empty((n, terms + exponents))
        _shared_kernel.residuals_by_group(
            theta, rows.features, rows.base, rows.log_y, rows.power, self.edges, r, jac
        )
        return r


def fit_shared(problem: SharedPowerSum, starts: Floats, *, max_steps: int = 400) -> Optimum:
    """The best optimum from starting exponents, shape (s, p).

    Raises:
        DesignError: fewer rows than parameters.
    """
    count = int(np.count_nonzero(problem.rows.weights))
    if count <= problem.size:
        raise DesignError(
            f"{count} runs of {len(problem.edges) - 1} groups cannot determine {problem.size} "
            f"parameters; add at least {problem.size + 1 - count} runs at other settings"
        )
    rows = problem.rows
    amplitudes = np.zeros((len(starts), problem.size - starts.shape[1]))
    thetas = np.concatenate([amplitudes, starts], axis=1)
    values = np.empty(len(starts))
    for theta in thetas:
        _shared_kernel.project(
            theta,
            rows.features,
            rows.base,
            rows.log_y,
            rows.weights,
            rows.power,
            rows.lower,
            rows.upper,
            problem.edges,
        )
    for k, theta in enumerate(thetas):
        values[k] = _descend(problem, theta, rows.weights, WIDE, WIDE, 6, 1e-4)
    best = Optimum(thetas[0], np.inf)
    for k in np.argsort(values)[:KEEP]:
        value = _descend(problem, thetas[k], rows.weights, rows.delta, WIDE, max_steps, 1e-11)
        if value < best.value:
            best = Optimum(thetas[k], value)
    return best


def refit_shared(
    problem: SharedPowerSum, theta: Floats, weights: Floats, *, max_steps: int = 60
) -> Floats:
    """Warm-started fits under other row weights (k, n): bootstrap draws, shape (k, q)."""
    thetas = np.repeat(theta[None], len(weights), axis=0)
    wide = max(problem.rows.delta, 0.01)
    for draw, shares in zip(thetas, np.ascontiguousarray(weights), strict=True):
        _descend(problem, draw, shares, problem.rows.delta, wide, max_steps, 1e-7)
    return thetas


def _descend(
    problem: SharedPowerSum,
    theta: Floats,
    weights: Floats,
    delta: float,
    first_delta: float,
    max_steps: int,
    tolerance: float,
) -> float:
    rows = problem.rows
    return float(
        _shared_kernel.descend(
            theta,
            rows.features,
            rows.base,
            rows.log_y,
            weights,
            rows.power,
            delta,
            first_delta,
            rows.lower,
            rows.upper,
            rows.prior_mean,
            rows.prior_precision,
            problem.edges,
            max_steps,
            tolerance,
        )
    )
