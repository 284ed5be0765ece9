"""What is read off fitted laws: optima of sweeps, effective sizes, gains, turning points."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError, InputError
from leadsman.laws.methods.algorithmic_progress import AlgorithmicProgress, halving_months
from leadsman.laws.methods.compute_gain import ComputeGain
from leadsman.laws.methods.densing import Densing
from leadsman.laws.methods.density import Density, effective_params
from leadsman.laws.methods.exponential_mixing import ExponentialMixing
from leadsman.laws.methods.overtraining_harm import OvertrainingHarm, best_tokens
from leadsman.laws.methods.pass_until import PassUntil, pass_rate
from leadsman.laws.methods.power_lr import PowerLR, power_schedule
from leadsman.laws.methods.step_law import StepLaw, optima, published


def test_optima_of_parabolic_sweeps_give_back_the_published_step_law():
    rows = [
        {"params": n, "tokens": d, "lr": lr, "loss": 2 + 0.03 * np.log(lr / best) ** 2}
        for n in (5e7, 2e8, 1e9)
        for d in (1e9, 1e10, 1e11)
        for best in [float(published(np.array(n), np.array(d)))]
        for lr in 2.0 ** np.arange(-12.5, -4.5)
    ]
    best = optima(pl.DataFrame(rows))
    found = StepLaw().fit(best, y="lr").parameters()
    assert found == pytest.approx({"c": 1.79, "a": -0.713, "b": 0.307}, rel=1e-3)


def test_a_sweep_whose_best_is_at_its_edge_is_refused():
    sweep = pl.DataFrame(
        {
            "params": [1e8] * 3,
            "tokens": [1e9] * 3,
            "lr": [1e-4, 2e-4, 4e-4],
            "loss": [3.0, 2.9, 2.8],
        }
    )
    with pytest.raises(DesignError, match="larger"):
        optima(sweep)


def test_power_schedule_is_capped_and_decays():
    grid = [(b, t, b * 4.0 * t**-0.51) for b in (1e5, 1e6) for t in (1e9, 1e10, 1e11)]
    runs = pl.DataFrame(grid, schema=["batch_tokens", "tokens", "lr"], orient="row")
    rate = power_schedule(
        PowerLR().fit(runs, y="lr"), np.array([0.0, 1e10]), batch_tokens=1e6, lr_max=0.02
    )
    assert rate == pytest.approx([0.02, min(0.02, 4e6 * 1e10**-0.51)], rel=1e-3)


def test_effective_size_inverts_the_reference_curve():
    params = np.geomspace(1e8, 1e10, 12)
    score = 0.25 + 0.75 / (1 + np.exp(130 * params**-0.18 - 3))
    fitted = Density(chance=0.25).fit(pl.DataFrame({"params": params, "score": score}), y="score")
    asked = np.array([score[4], score[8], 0.2, 0.9999])
    sizes = np.median(effective_params(fitted, asked), axis=0)
    assert sizes[:2] == pytest.approx(params[[4, 8]], rel=0.02)
    assert sizes[2] == 0
    assert sizes[3] == np.inf


def test_densing_doubles_as_planted_and_keeps_to_the_frontier():
    year = np.linspace(2023, 2025, 25)
    best = np.exp(np.log(2) / 0.25 * (year - 2024))
    models = pl.DataFrame({"year": np.r_[year, year], "density": np.r_[best, best / 9]})
    growth = Densing().fit(models).parameters()["g"]
    assert np.log(2) / growth == pytest.approx(0.25, rel=1e-3)


def test_gain_needs_a_plain_recipe_and_known_methods():
    runs = pl.DataFrame({"flops": [1e20, 1e21], "method": ["x", "x"], "score": [0.1, 0.2]})
    with pytest.raises(InputError, match="plain"):
        ComputeGain().fit(runs)


def test_turning_point_of_overtraining_matches_a_search_on_the_curve():
    tokens = np.geomspace(5e10, 5e12, 30)
    loss = 1.8 + 1500 * tokens**-0.32 + 3e-10 * tokens**0.7
    turn, drawn = best_tokens(
        OvertrainingHarm().fit(pl.DataFrame({"tokens": tokens, "loss": loss}))
    )
    fine = np.geomspace(5e10, 5e12, 200_001)
    expected = fine[np.argmin(1500 * fine**-0.32 + 3e-10 * fine**0.7)]
    assert turn == pytest.approx(expected, rel=0.02)
    assert np.median(drawn) == pytest.approx(expected, rel=0.05)


def test_halving_time_adds_both_kinds_of_progress():
    grid = np.meshgrid(
        np.geomspace(1e7, 1e11, 5), np.geomspace(1e8, 1e12, 5), [2014.0, 2017.0, 2020.0, 2023.0]
    )
    n, d, year = (each.ravel() for each in grid)
    loss = (
        1.5
        + 50 * np.exp(-0.1 * (year - 2018)) * n**-0.2
        + 100 * np.exp(-0.12 * (year - 2018)) * d**-0.22
    )
    fitted = AlgorithmicProgress().fit(
        pl.DataFrame({"params": n, "tokens": d, "year": year, "loss": loss})
    )
    expected = 12 * np.log(2) / (0.1 / 0.2 + 0.12 / 0.22)
    assert np.median(halving_months(fitted)) == pytest.approx(expected, rel=0.02)


def test_pass_rate_is_unbiased_when_sampling_stops_at_the_second_pass():
    rng = np.random.default_rng(0)
    true, until = 0.02, 2
    samples = rng.negative_binomial(until, true, size=200_000) + until
    estimate = pass_rate(np.full(200_000, 2.0), samples.astype(float), until=until)
    # Standard error of the mean is about true / sqrt(200,000) = 4.5e-5; four of them allowed.
    assert estimate.mean() == pytest.approx(true, abs=2e-4)
    assert np.mean(2 / samples) > true * 1.2


def test_pass_until_sees_models_that_one_sample_a_question_does_not():
    params = np.geomspace(3e7, 1.5e9, 8)
    rate = np.exp(-400 * params**-0.22)
    rng = np.random.default_rng(1)
    samples = (rng.negative_binomial(100, rate) + 100).astype(float)
    runs = pl.DataFrame(
        {"params": params, "score": pass_rate(np.full(8, 100.0), samples, until=100)}
    ).with_columns(passes=pl.lit(100.0))
    low, high = PassUntil().fit(runs).predict(pl.DataFrame({"params": [2.4e9]})).interval(0.95)[0]
    assert low < np.exp(-400 * 2.4e9**-0.22) < high
    assert rate.min() < 2e-4


def test_a_pass_rate_of_zero_asks_for_more_samples():
    with pytest.raises(InputError, match="above zero"):
        PassUntil().fit(pl.DataFrame({"params": [1e8, 1e9, 1e10], "score": [0.0, 0.1, 0.2]}))


def test_mixtures_must_add_up_to_one():
    runs = pl.DataFrame({"mix.a": [0.5, 0.9], "mix.b": [0.5, 0.3], "loss": [2.0, 2.1]})
    with pytest.raises(InputError, match="row 2"):
        ExponentialMixing().fit(runs)
