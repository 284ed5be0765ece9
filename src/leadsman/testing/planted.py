"""Planted truth: results simulated from a law, to see whether a fit finds the law again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from leadsman.laws.base import Floats, Law
from leadsman.laws.fitting import log_curves
from leadsman.laws.fitting.parametric import ParametricLaw
from leadsman.laws.fitting.power_sum import PowerSumLaw


def truth_at(law: Law, points: pl.DataFrame, theta: Mapping[str, float]) -> Floats:
    """Noise-free results of ``law`` with parameters ``theta`` at each point, shape (n,)."""
    if isinstance(law, PowerSumLaw):
        shape = tuple(theta[each.name] for each in law.shapes)
        amplitudes = [np.log(theta[name]) for name in law.terms]
        row = np.array([*amplitudes, *(theta[each.name] for each in law.exponents)])
        return np.asarray(np.exp(log_curves(row, *law.terms_at(law.read(points), shape))[0]))
    assert isinstance(law, ParametricLaw)
    named = {name: np.full((1, 1), value) for name, value in theta.items()}
    return np.asarray(law.equation(named, law.read(points))[0])


def planted(
    law: Law,
    points: pl.DataFrame,
    theta: Mapping[str, float],
    *,
    y: str,
    noise: float,
    seed: int,
    outliers: int = 0,
) -> pl.DataFrame:
    """The points with results in column ``y``: the law's own, plus scatter.

    Args:
        law: gives the equation and the scale on which the scatter is even.
        points: settings, n rows; ``items`` in them makes a score a fraction of so many answers.
        theta: the true parameters.
        y: column to add.
        noise: standard deviation of the scatter (of the log of a loss, of a score itself).
        seed: of the scatter.
        outliers: results moved up by twenty times the noise.
    """
    rng = np.random.default_rng(seed)
    scatter = noise * rng.standard_normal(len(points))
    scatter[rng.permutation(len(points))[:outliers]] += 20 * noise
    true = truth_at(law, points, theta)
    if isinstance(law, ParametricLaw):
        values = law.unlink(law.link(true) + scatter)
    elif law.output == "loss":
        values = true * np.exp(scatter)
    else:
        values = np.clip(true + scatter, 0.0, 1.0)
    if "items" in points.columns:
        items = points["items"].to_numpy()
        values = rng.binomial(items, values) / items
    return points.with_columns(pl.Series(y, values))


def coverage(
    law: Law,
    design: Callable[[int], pl.DataFrame],
    theta: Mapping[str, float],
    *,
    y: str,
    noise: float,
    replicates: int,
    first: int = 0,
    outliers: int = 0,
    levels: Sequence[float] = (0.5, 0.8, 0.95),
) -> dict[str, Floats]:
    """How often central intervals of each free parameter contain the planted value.

    Args:
        law: fitted on each replicate.
        design: the settings of a replicate from its number, so that lucky and unlucky ones occur.
        theta: the true parameters.
        y: column of results.
        noise: as in :func:`planted`.
        replicates: tables planted and fitted.
        first: number of the first of them; each number always gives the same table and draws.
        outliers: as in :func:`planted`.
        levels: of the intervals.

    Returns:
        For each parameter that is not held fixed, the share of replicates, shape (levels,).
    """
    tails = np.array([[(1 - level) / 2, (1 + level) / 2] for level in levels])
    inside = {name: np.zeros(len(levels)) for name in theta}
    fixed = dict.fromkeys(theta, True)
    for seed in range(first, first + replicates):
        points = design(seed)
        runs = planted(law, points, theta, y=y, noise=noise, seed=seed, outliers=outliers)
        drawn = law.fit(runs, y=y, seed=seed).parameter_draws(draws=1000, seed=seed)
        for name, true in theta.items():
            low, high = np.quantile(drawn[name], tails.T)
            inside[name] += (low <= true) & (true <= high)
            fixed[name] &= bool(np.ptp(drawn[name]) == 0)
    return {name: count / replicates for name, count in inside.items() if not fixed[name]}
