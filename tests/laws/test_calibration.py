"""The error model: planted constants are learned, and level and tails hold out of sample."""

import numpy as np
import polars as pl
import pytest

from leadsman.laws.backtest.scores import point_scores, winkler
from leadsman.laws.calibration import (
    ErrorModel,
    Origin,
    OwnErrors,
    Parts,
    bundled_history,
    bundled_model,
    learn,
    own_rates,
    past_errors,
)
from leadsman.laws.competition import Block, law_weights, says


def planted_history(sets=24, rows=30, seed=0):
    """Errors with scale 0.6 R (1 + d), R known exactly from own errors; no drift."""
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(sets):
        rate = np.exp(rng.normal(-4, 1))
        for origin in (0, 1, 2, -1):
            distance = rng.uniform(0.5, 3, rows)
            size = rate if origin >= 0 else 0.6 * rate * rng.standard_t(6, rows)
            error = size * (1 + distance) * (rng.choice([-1, 1], rows) if origin >= 0 else 1)
            frames.append(
                pl.DataFrame(
                    {
                        "source": f"s{k}",
                        "dataset": f"s{k}",
                        "case": "c",
                        "group": 0,
                        "single": False,
                        "origin": origin,
                        "share": 0.5,
                        "noise": np.full(rows, 0.01),
                        "spread": np.full(rows, 0.01),
                        "disagreement": np.full(rows, 0.0),
                        "distance": distance,
                        "error": error,
                        "law": "combined",
                    }
                )
            )
    return pl.concat(frames)


def test_planted_constants_are_learned():
    model = learn(past_errors(planted_history()))
    # 24 data sets: own rate enters with power 1, distance with power 1.
    assert model.own == pytest.approx(1.0, abs=0.15)
    assert model.growth == pytest.approx(1.0, abs=0.35)
    assert abs(model.drift) < 0.003


def test_intervals_of_a_new_data_set_cover_at_the_nominal_rate():
    past = past_errors(planted_history(sets=40))
    fresh = past_errors(planted_history(sets=40, seed=1))
    model = learn(past)
    from scipy.stats import t

    parts = Parts(
        noise=np.full(len(fresh.error), 0.01),
        spread=np.full(len(fresh.error), 0.01),
        disagreement=np.zeros(len(fresh.error)),
        distance=fresh.distance,
    )
    for level in (0.5, 0.95):
        inside = [
            abs(e - model.centre(parts, own)[k])
            <= t.ppf(0.5 + level / 2, model.dof) * model.scale(parts, own, single=False)[k]
            for k, (e, rate, signed) in enumerate(
                zip(fresh.error, fresh.rate, fresh.signed, strict=True)
            )
            for own in [OwnErrors(float(rate), float(signed))]
        ]
        # 1,200 errors in 40 sets.
        assert np.mean(inside) == pytest.approx(level, abs=0.05)


def test_own_rate_is_the_weighted_root_mean_square():
    origins = [
        Origin(np.array([0.02, -0.02]), np.array([1.0, 1.0]), 0.5),
        Origin(np.array([0.04]), np.array([1.0]), 1.0),
    ]
    (own,) = own_rates([origins])
    expected = np.sqrt((0.5 * 0.01**2 + 1.0 * 0.02**2) / 1.5)
    assert np.exp(own.log_rate) == pytest.approx(expected, rel=0.02)
    assert own.signed == pytest.approx(0.02 / 1.5)


def test_larger_own_errors_and_longer_reach_widen_the_scale():
    model: ErrorModel = bundled_model()
    parts = Parts(*(np.full(2, 0.01) for _ in range(3)), distance=np.array([0.5, 3.0]))
    calm = model.scale(parts, OwnErrors(np.log(0.005), 0.0), single=False)
    wild = model.scale(parts, OwnErrors(np.log(0.05), 0.0), single=False)
    assert calm[1] > calm[0]
    assert (wild > calm).all()
    assert np.isfinite(model.scale(parts, OwnErrors(float("nan"), 0.0), single=True)).all()


def test_bundled_history_reproduces_the_bundled_model():
    history = bundled_history().filter(pl.col("law") == "combined")
    learned = learn(past_errors(history))
    assert learned.own == pytest.approx(bundled_model().own, rel=0.02)
    assert learned.dof == pytest.approx(bundled_model().dof, rel=0.05)


def test_winkler_of_a_known_interval():
    interval = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    np.testing.assert_allclose(winkler(interval, np.array([1.5, 0.9, 2.2]), 0.95), [1, 5, 9])


def test_point_scores_of_draws_around_the_truth():
    draws = np.random.default_rng(0).normal(2.0, 0.1, (4000, 3))
    scores = point_scores(draws, np.full(3, 2.0), np.array([2.0, 2.5, 2.1]))
    assert scores["in95"].tolist() == [1, 0, 1]
    np.testing.assert_allclose(scores["error"], [0.0, -0.2, -0.1 / 2.1])


def test_the_better_predictor_gets_the_weight():
    log_y = np.zeros(5)
    log_pred = np.stack([np.full(5, 0.001), np.full(5, 0.1), np.full(5, np.nan)])
    block = Block(10, log_pred, log_pred, np.ones(3), np.full(5, 1.0), log_y)
    said = [says(block, 1.0)] * 4
    weights = law_weights(said, np.full(3, 1 / 3))
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0] > 0.9
    assert said[0][2] == 0.0
    np.testing.assert_allclose(law_weights([], np.full(3, 1 / 3)), 1 / 3)
