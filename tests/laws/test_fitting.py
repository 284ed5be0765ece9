"""The fitting core against scipy, closed forms and planted parameters."""

import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import linregress, t

from leadsman.errors import DesignError
from leadsman.laws.fitting import PowerSum, fit, log_curves, refit, robust_scale
from leadsman.laws.methods.chinchilla import Chinchilla
from leadsman.laws.methods.power import Power

TRUE = {"E": 1.82, "A": 482.0, "alpha": 0.348, "B": 2085.0, "beta": 0.366}


def published_runs(n=240, noise=0.01, outliers=5, seed=0):
    rng = np.random.default_rng(seed)
    params = 10 ** rng.uniform(7.5, 10, n)
    tokens = params * 10 ** rng.uniform(0.5, 2.2, n)
    loss = TRUE["E"] + TRUE["A"] / params ** TRUE["alpha"] + TRUE["B"] / tokens ** TRUE["beta"]
    loss = loss * np.exp(noise * rng.standard_normal(n))
    loss[:outliers] *= 1.3
    return pl.DataFrame({"params": params, "tokens": tokens, "loss": loss})


def problem_of(runs, delta=1e-3):
    n = len(runs)
    features = np.zeros((n, 3, 2))
    features[:, 1, 0] = -np.log(runs["params"])
    features[:, 2, 1] = -np.log(runs["tokens"])
    return PowerSum(
        features=features,
        log_y=np.log(runs["loss"].to_numpy()),
        weights=np.ones(n),
        base=np.zeros((n, 3)),
        power=1.0,
        delta=delta,
        lower=np.array([-20.0, -20, -20, 0.01, 0.01]),
        upper=np.array([10.0, 60, 60, 3, 3]),
        prior_mean=np.zeros(5),
        prior_precision=np.zeros(5),
    )


def classical_objective(runs, delta=1e-3):
    log_n, log_d = np.log(runs["params"].to_numpy()), np.log(runs["tokens"].to_numpy())
    log_y = np.log(runs["loss"].to_numpy())

    def value(theta):
        e, a, b, alpha, beta = theta
        terms = np.stack([np.full_like(log_n, e), a - alpha * log_n, b - beta * log_d])
        size = np.abs(logsumexp(terms, axis=0) - log_y)
        return np.where(size <= delta, size**2 / 2, delta * (size - delta / 2)).sum()

    return value


def test_same_optimum_as_nelder_mead_to_four_digits():
    runs = published_runs()
    grid = np.linspace(0.05, 1.2, 12)
    optimum = fit(problem_of(runs), np.array(list(itertools.product(grid, grid))))
    options = {"maxiter": 20000, "maxfev": 20000, "xatol": 1e-10, "fatol": 1e-14}
    start = [0.5, 6.0, 7.0, 0.35, 0.36]
    reference = minimize(classical_objective(runs), start, method="Nelder-Mead", options=options)
    assert optimum.value <= reference.fun * (1 + 1e-6)
    np.testing.assert_allclose(optimum.theta, reference.x, rtol=1e-4)


def test_exact_runs_are_recovered_exactly():
    fitted = Chinchilla().fit(published_runs(n=30, noise=0.0, outliers=0))
    for name, value in fitted.parameters().items():
        assert value == pytest.approx(TRUE[name], rel=1e-4)


def test_outliers_do_not_move_the_robust_fit():
    clean = Chinchilla().fit(published_runs(noise=1e-4, outliers=0)).parameters()
    dirty = Chinchilla().fit(published_runs(noise=1e-4, outliers=5)).parameters()
    assert dirty["alpha"] == pytest.approx(clean["alpha"], abs=2e-3)
    assert dirty["E"] == pytest.approx(clean["E"], rel=1e-3)


def test_refit_reaches_the_optimum_of_each_draw():
    runs = published_runs(n=60)
    problem = problem_of(runs)
    grid = np.linspace(0.1, 1.0, 6)
    starts = np.array(list(itertools.product(grid, grid)))
    optimum = fit(problem, starts)
    weights = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60), size=5).astype(float)
    thetas = refit(problem, optimum.theta, weights)
    for row, theta in zip(weights, thetas, strict=True):
        alone = fit(replace(problem, weights=row), starts)
        curves = log_curves(np.stack([theta, alone.theta]), problem.features)
        np.testing.assert_allclose(curves[0], curves[1], atol=2e-4)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.1, 10), unit=st.floats(0.01, 100))
def test_predictions_do_not_depend_on_units(scale, unit):
    runs = published_runs(n=25, noise=0.003, outliers=0)
    moved = runs.with_columns(pl.col("loss") * scale, pl.col("params") * unit)
    here = Chinchilla().fit(runs).curve(runs)
    there = Chinchilla().fit(moved).curve(moved)
    np.testing.assert_allclose(there / scale, here, rtol=2e-3)


def test_robust_scale_of_normal_noise():
    residuals = 0.02 * np.random.default_rng(0).standard_normal(4000)
    # 4,000 draws: the median's standard error is about 2 %.
    assert robust_scale(residuals, 0) == pytest.approx(0.02, rel=0.08)


def test_one_ratio_cannot_separate_size_from_data():
    runs = published_runs(n=20).with_columns(tokens=pl.col("params") * 20)
    with pytest.raises(DesignError, match=r"params and tokens change only together.*add a run at"):
        Chinchilla().fit(runs)


def test_too_few_runs_says_how_many_more():
    with pytest.raises(DesignError, match="add at least 2 more"):
        Chinchilla().fit(published_runs(n=3, outliers=0))


def test_a_constant_input_is_refused():
    runs = published_runs(n=20).with_columns(params=pl.lit(1e8))
    with pytest.raises(DesignError, match=r"params is 1e\+08 in every run"):
        Chinchilla().fit(runs)


def test_a_weak_exponent_is_reported_with_the_run_that_helps():
    rng = np.random.default_rng(3)
    params = 1e8 * np.exp(rng.uniform(-0.1, 0.1, 14))
    tokens = 10 ** rng.uniform(9, 11, 14)
    loss = 1.8 + 480 / params**0.35 + 2000 / tokens**0.37
    loss = loss * np.exp(0.01 * rng.standard_normal(14))
    fitted = Chinchilla().fit(pl.DataFrame({"params": params, "tokens": tokens, "loss": loss}))
    assert any(
        "alpha" in sentence and "a run at params" in sentence for sentence in fitted.warnings
    )


def test_priors_pull_and_bounds_hold():
    runs = published_runs(n=12, noise=0.03, outliers=0)
    held = Chinchilla(bounds={"alpha": (0.2, 0.3)}).fit(runs).parameters()
    assert 0.2 <= held["alpha"] <= 0.3
    pulled = Chinchilla(priors={"alpha": (0.9, 0.001)}).fit(runs).parameters()
    assert pulled["alpha"] == pytest.approx(0.9, abs=0.02)


def test_draws_of_a_linear_law_are_students_t():
    """With one term the log curve is linear: the textbook intervals are exact."""
    rng = np.random.default_rng(5)
    x = 10 ** rng.uniform(8, 11, 9)
    loss = 30 * x**-0.1 * np.exp(0.01 * rng.standard_normal(9))
    fitted = Power(x="tokens", offset=False, delta=10.0).fit(
        pl.DataFrame({"tokens": x, "loss": loss})
    )
    textbook = linregress(np.log(x), np.log(loss))
    drawn = fitted.parameter_draws(draws=1200)["alpha"]
    for tail in (0.05, 0.25, 0.75, 0.95):
        expected = -textbook.slope + textbook.stderr * t(7).ppf(tail)
        # 1,200 draws, some of them neighbours: three standard errors of a 5 % quantile.
        assert np.quantile(drawn, tail) == pytest.approx(expected, abs=0.25 * textbook.stderr)


def test_exact_runs_have_nothing_to_draw():
    fitted = Chinchilla().fit(published_runs(n=30, noise=0.0, outliers=0))
    assert np.ptp(fitted.parameter_draws(draws=50)["alpha"]) == 0


def test_a_prior_narrows_the_draws():
    runs = published_runs(n=14, noise=0.02, outliers=0)
    free = Chinchilla(delta=0.03).fit(runs).parameter_draws(draws=1000)["alpha"]
    held = Chinchilla(delta=0.03, priors={"alpha": (0.35, 0.01)}).fit(runs)
    assert held.parameter_draws(draws=1000)["alpha"].std() == pytest.approx(0.01, rel=0.3)
    assert free.std() > 0.03


def test_many_draws_repeat_the_bank_evenly():
    fitted = Chinchilla().fit(published_runs(n=20, outliers=0))
    drawn = fitted.parameter_draws(draws=3000)["alpha"]
    assert len(drawn) == 3000
    assert np.quantile(drawn, 0.5) == pytest.approx(
        np.quantile(fitted.parameter_draws(draws=1200)["alpha"], 0.5), rel=0.02
    )
