"""What is done today, to be compared with in the same run.

Chinchilla's approach 3: L = E + A / N^alpha + B / D^beta (one term where there is one input),
Huber loss of width 1e-3 on log residuals, 4,500 starts, and an interval from 1,000 bootstrap
refits; and the same with residual noise added. Hoffmann et al. 2022; the search is our own, which
reaches the same optimum (``benchmarks/laws/fit_speed.py``).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import polars as pl

from leadsman.errors import DesignError
from leadsman.laws.base import Floats
from leadsman.laws.fitting import PowerSum, fit, log_curves, refit
from leadsman.laws.table import column

STARTS = 4500
BOOTSTRAPS = 1000
DELTA = 1e-3


@dataclass(frozen=True)
class Baseline:
    """Draws of the two baselines at n points.

    Attributes:
        centre: prediction of the fit on all runs, shape (n,).
        bootstrap: shape (draws, n).
        with_noise: the same plus residual noise, shape (draws, n).
    """

    centre: Floats
    bootstrap: Floats
    with_noise: Floats


def chinchilla_baseline(
    runs: pl.DataFrame, points: pl.DataFrame, x: tuple[str, ...], *, seed: int = 0
) -> Baseline:
    """Approach 3 fitted on ``runs`` and predicted at ``points``.

    Args:
        runs: with the inputs ``x`` and ``loss``, n rows.
        points: with the inputs ``x``.
        x: one or two inputs.
        seed: of the bootstrap.

    Raises:
        DesignError: fewer runs than parameters.
    """
    log_y = np.log(column(runs, "loss"))
    problem = _problem(_features(runs, x), log_y)
    side = round(STARTS ** (1 / len(x)))
    starts = np.array(list(itertools.product(np.linspace(0.02, 1.5, side), repeat=len(x))))
    if len(runs) < problem.size:
        raise DesignError(f"{len(runs)} runs, {problem.size} parameters")
    optimum = fit(problem, starts)
    rng = np.random.default_rng([seed, 3])
    n = len(runs)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=BOOTSTRAPS).astype(np.float64)
    thetas = refit(problem, optimum.theta, weights, max_steps=200)
    features = _features(points, x)
    curves = log_curves(thetas, features)
    residuals = log_y - log_curves(optimum.theta, problem.features)[0]
    noise = residuals.std(ddof=min(problem.size, n - 1))
    scatter = noise * rng.standard_normal(curves.shape)
    return Baseline(
        centre=np.exp(log_curves(optimum.theta, features)[0]),
        bootstrap=np.exp(curves),
        with_noise=np.exp(curves + scatter),
    )


def _features(frame: pl.DataFrame, x: tuple[str, ...]) -> Floats:
    features = np.zeros((len(frame), 1 + len(x), len(x)))
    for k, name in enumerate(x):
        features[:, k + 1, k] = -np.log(column(frame, name))
    return features


def _problem(features: Floats, log_y: Floats) -> PowerSum:
    n, terms, exponents = features.shape
    size = terms + exponents
    return PowerSum(
        features=features,
        log_y=log_y,
        weights=np.ones(n),
        base=np.zeros((n, terms)),
        power=1.0,
        delta=DELTA,
        lower=np.concatenate([np.full(terms, -25.0), np.zeros(exponents)]),
        upper=np.concatenate([np.full(terms, 120.0), np.full(exponents, 3.0)]),
        prior_mean=np.zeros(size),
        prior_precision=np.zeros(size),
    )
