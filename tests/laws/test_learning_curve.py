"""Learning curves: asymptotes, the point from which they can be trusted, and when to stop."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError, MethodError
from leadsman.laws.methods.learning_curve import LearningCurve, trace

TOKENS = np.linspace(1e6, 1e8, 100)


def curve(c, a, b, noise, sign=1.0, seed=0):
    rng = np.random.default_rng(seed)
    y = c + sign * a * TOKENS**-b + noise * rng.standard_normal(100)
    return pl.DataFrame({"tokens": TOKENS, "loss": y, "score": y})


@pytest.mark.parametrize("seed", range(4))
def test_the_end_of_a_loss_curve_is_forecast_from_its_first_third(seed):
    runs = curve(2.0, 300.0, 0.4, 0.004, seed=seed)
    fitted = LearningCurve().fit(runs[:33], seed=seed)
    low, high = fitted.predict(runs[-1:], seed=0).interval(0.99)[0]
    true = 2.0 + 300 * 1e8**-0.4
    assert low < true < high
    assert high - low < 0.3


def test_a_score_rises_to_its_asymptote_and_stays_below_one():
    runs = curve(0.9, 60.0, 0.4, 0.003, sign=-1.0)
    fitted = LearningCurve(of="score").fit(runs, y="score")
    drawn = fitted.parameter_draws(draws=500)["c"]
    assert np.quantile(drawn, 0.001) < 0.9 < np.quantile(drawn, 0.999)
    assert fitted.predict(runs[-1:]).draws.max() <= 1.0


def test_stops_when_what_remains_is_within_the_threshold():
    c, a, b = 2.0, 3000.0, 0.5
    runs = curve(c, a, b, 1e-5)
    found = trace(runs, threshold=0.4)
    assert found.prediction_level is not None
    # The gap a x^-b falls to 0.4 at x = (a / 0.4)^(1/b) = 5.6e7 tokens.
    expected = (a / 0.4) ** (1 / b)
    at = found.x[found.stop]
    before = found.x[found.stop - 1]
    assert before < expected <= at * 1.001
    np.testing.assert_allclose(found.gap, a * found.x**-b, rtol=0.05)


def test_goes_on_while_more_is_to_be_gained():
    assert trace(curve(2.0, 3000.0, 0.5, 1e-4), threshold=0.01).stop is None


def test_short_curves_and_bad_thresholds_are_refused():
    with pytest.raises(DesignError, match="7 rows"):
        trace(curve(2.0, 300.0, 0.4, 0.0)[:6], threshold=0.1)
    with pytest.raises(MethodError, match="threshold"):
        trace(curve(2.0, 300.0, 0.4, 0.0), threshold=0.0)
