"""Planted truth: results simulated from a law, to see whether a fit finds the law again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from leadsman.laws.base import Floats
from leadsman.laws.fitting.parametric import ParametricLaw


def truth_at(law: ParametricLaw, points: pl.DataFrame, theta: Mapping[str, float]) -> Floats:
    """Noise-free results of ``law`` with parameters ``theta`` at each point, shape (n,)."""
    named = {name: np.full((1, 1), value) for name, value in theta.items()}
    return np.asarray(law.equation(named, law.read(points))[0])


def planted(
    law: ParametricLaw,
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
    values = law.unlink(law.link(truth_at(law, points, theta)) + scatter)
    if "items" in points.columns:
        items = points["items"].to_numpy()
        values = rng.binomial(items, values) / items
    return points.with_columns(pl.Series(y, values))
