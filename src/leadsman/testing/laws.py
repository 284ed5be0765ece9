"""Conformance checks for laws; a third party calls :func:`check_law` in a test of its own."""

from __future__ import annotations

import numpy as np
import polars as pl

from leadsman.laws.base import Law
from leadsman.testing.hyperparameters import check_hyperparameters


def check_law(law: Law, runs: pl.DataFrame, points: pl.DataFrame, *, y: str = "loss") -> None:
    """Assert what every law promises.

    The constructor stores its arguments untouched; a fit leaves the law and the table untouched;
    the curve is finite, and positive for a loss; draws have the shape asked for and repeat with
    their seed; intervals nest and contain the curve.

    Args:
        law: an instance of the law.
        runs: a table the law can be fitted on.
        points: settings to predict, n rows.
        y: column to predict.
    """
    check_hyperparameters(law)
    before = dict(vars(law))
    kept = runs.clone()
    fitted = law.fit(runs, y=y, seed=0)
    assert vars(law) == before, "fit must not change the law's hyperparameters"
    assert runs.equals(kept), "fit must not change the runs"
    # A law that learns what to read (its sources, say) fits with a copy of itself.
    assert type(fitted.law) is type(law)
    assert fitted.law.get_params() == law.get_params()
    assert fitted.y == y
    curve = fitted.curve(points)
    assert curve.shape == (len(points),)
    assert np.isfinite(curve).all()
    assert fitted.noise >= 0
    draws = fitted.curve_draws(points, draws=50, seed=1)
    assert draws.shape == (50, len(points))
    np.testing.assert_array_equal(draws, fitted.curve_draws(points, draws=50, seed=1))
    forecast = fitted.predict(points, draws=400, seed=0)
    assert forecast.y == y
    low, high = forecast.interval(0.95).T
    inner_low, inner_high = forecast.interval(0.5).T
    assert (low <= inner_low).all()
    assert (inner_high <= high).all()
    assert ((low <= curve) & (curve <= high)).all(), "the curve lies outside its own interval"
    if law.output == "loss":
        assert (curve > 0).all()
    else:
        assert ((forecast.draws >= 0) & (forecast.draws <= 1)).all()
