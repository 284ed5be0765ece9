"""Scores in [0, 1]: the noise of the test is carried, bounds hold, planted truths are covered."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from leadsman.errors import InputError
from leadsman.laws import ScoreTest, forecast_runs
from leadsman.laws.score_results import recognise

CHANCE = 0.25


def truth(params, tokens):
    """Score that starts at chance and grows as the error rate falls as a power law."""
    return 1 - np.minimum(0.1 + 30 / params**0.3 + 30 / tokens**0.28, 1 - CHANCE)


def planted(items, seed=0):
    rng = np.random.default_rng(seed)
    params, ratio = (
        each.ravel() for each in np.meshgrid([1e7, 3e7, 1e8, 3e8, 1e9], [5.0, 20.0, 80.0])
    )
    score = truth(params, params * ratio)
    seen = score if items is None else rng.binomial(items, score) / items
    return pl.DataFrame({"params": params, "tokens": params * ratio, "acc": seen})


FAR = pl.DataFrame({"params": [4e9, 1e10], "tokens": [8e10, 2e11]})


def test_planted_scores_lie_in_the_intervals():
    rng = np.random.default_rng(1)
    actual = truth(FAR["params"].to_numpy(), FAR["tokens"].to_numpy())
    inside = []
    for seed in range(12):
        test = ScoreTest(items=400, chance=CHANCE)
        forecast = forecast_runs(planted(400, seed), FAR, y="acc", score=test, draws=400)
        low, high = forecast.interval(0.95).T
        came = rng.binomial(400, actual) / 400
        inside.append((low <= came) & (came <= high))
    # 24 scores; at 95 % fewer than 20 inside has probability 0.001.
    assert np.sum(inside) >= 20


def test_the_noise_of_the_test_is_that_of_its_items():
    runs = planted(None)

    def width(items):
        runs_, points = (each.with_columns(n=pl.lit(items)) for each in (runs, FAR))
        test = ScoreTest(items="n", chance=CHANCE)
        forecast = forecast_runs(runs_, points, y="acc", score=test, draws=2000)
        return np.diff(forecast.interval(0.95), axis=1)[:, 0]

    many, few = width(1_000_000), width(50)
    middle = truth(FAR["params"].to_numpy(), FAR["tokens"].to_numpy())
    sampling = 2 * 1.96 * np.sqrt(middle * (1 - middle) / 50)
    # Independent parts add in squares; 50 items make steps of 0.02.
    np.testing.assert_allclose(few, np.sqrt(many**2 + sampling**2), atol=0.04)


def test_known_sampling_noise_is_not_counted_twice():
    runs = planted(100)
    blind = forecast_runs(runs, FAR, y="acc", score=True)
    test = ScoreTest(items="n", chance=0)
    told = forecast_runs(runs.with_columns(n=100), FAR.with_columns(n=10**7), y="acc", score=test)
    assert (np.diff(told.interval(0.8)) < np.diff(blind.interval(0.8))).all()


def test_forecasts_stay_between_chance_and_one():
    points = pl.concat([FAR, pl.DataFrame({"params": [1e3], "tokens": [1e4]})])
    test = ScoreTest(chance=CHANCE)
    draws = forecast_runs(planted(300), points, y="acc", score=test).draws
    assert draws.min() >= CHANCE
    assert draws.max() <= 1
    assert np.median(draws[:, 2]) == pytest.approx(CHANCE, abs=0.02)


def test_runs_at_chance_are_left_out_and_named():
    flat = pl.DataFrame({"params": [1e5, 2e5], "tokens": [1e6, 2e6], "acc": [0.24, 0.26]})
    runs = pl.concat([flat, planted(1000)])
    test = ScoreTest(items=1000, chance=CHANCE)
    forecast = forecast_runs(runs, FAR, y="acc", score=test)
    assert any("no better than guessing" in w for w in forecast.warnings[0])


def test_scores_are_recognised_by_their_direction():
    assert recognise(planted(None), "acc", None)[0]
    assert recognise(planted(None).with_columns(acc=1 - pl.col("acc")), "acc", None) == (None, ())
    percent = planted(None).with_columns(acc=100 * pl.col("acc"))
    found, said = recognise(percent, "acc", None)
    assert found is not None
    assert "forecast as a percentage" in said[0]
    found, said = recognise(planted(None).rename({"acc": "loss"}), "loss", None)
    assert not found
    assert "rises with compute" in said[0]


def test_percentages_are_the_scores_times_a_hundred():
    test = ScoreTest(items=400, chance=CHANCE)
    share = forecast_runs(planted(400), FAR, y="acc", score=test).draws
    percent = planted(400).with_columns(acc=100 * pl.col("acc"))
    np.testing.assert_allclose(
        forecast_runs(percent, FAR, y="acc", score=test).draws, 100 * share, rtol=1e-6
    )


def test_items_that_every_run_shares_are_those_of_the_points():
    runs = planted(400).with_columns(n=400)
    test = ScoreTest(items="n")
    given = forecast_runs(runs, FAR.with_columns(n=400), y="acc", score=test).draws
    np.testing.assert_array_equal(forecast_runs(runs, FAR, y="acc", score=test).draws, given)
    several = runs.with_columns(n=pl.when(pl.int_range(pl.len()) > 3).then(100).otherwise(400))
    with pytest.raises(InputError, match="the points have no column 'n' with the items"):
        forecast_runs(several, FAR, y="acc", score=test)


def test_bad_scores_and_tests_are_named():
    with pytest.raises(InputError, match="divide percentages by 100"):
        forecast_runs(planted(None).with_columns(acc=150.0), FAR, y="acc", score=True)
    with pytest.raises(InputError, match="chance lies in"):
        ScoreTest(chance=1.2)
    with pytest.raises(InputError, match="at least one item"):
        ScoreTest(items=0)
    with pytest.raises(InputError, match="no column 'n'"):
        forecast_runs(planted(None), FAR, y="acc", score=ScoreTest(items="n"))


@pytest.mark.datasets
@pytest.mark.skipif("LEADSMAN_DATASETS" not in os.environ, reason="LEADSMAN_DATASETS is not set")
def test_real_scores_of_larger_models_lie_in_the_intervals():
    """Gadre's 17-task average of 1.4B and 6.9B models from models a tenth as dear."""
    from leadsman.laws.backtest.tables import load_cases

    root = Path(os.environ["LEADSMAN_DATASETS"])
    inside = []
    for case in load_cases(root, only="gadre_tasks"):
        if case.name.endswith("avg_subset"):
            runs, held = (part.with_columns(loss=1 - pl.col("loss")) for part in case.split())
            runs, held = (part.rename({"loss": "acc"}) for part in (runs, held))
            forecast = forecast_runs(runs, held.drop("acc"), y="acc", score=True)
            low, high = forecast.interval(0.95).T
            assert 0 <= low.min() <= high.max() <= 1
            inside += list((low <= held["acc"].to_numpy()) & (held["acc"].to_numpy() <= high))
    assert len(inside) >= 6
    assert np.mean(inside) >= 0.8
