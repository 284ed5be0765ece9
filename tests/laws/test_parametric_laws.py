"""Every law that is one equation: planted parameters and held-out results are found again."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError, InputError
from leadsman.testing.planted import planted, truth_at
from leadsman.testing.planted_cases import CASES

IDS = [case.name for case in CASES]
COSTLY = ("kaplan-batch", "data-constrained", "broken-power", "kaplan", "algorithmic-progress")
"""Laws whose draws take more than a second: their tests of draws are slow-marked."""

SEEDED = ("rectified", "loss-to-score-items", "compute-gain", "chinchilla", "shifted-power")
"""One law of each way draws are made."""

DRAWN = [
    pytest.param(case, id=case.name, marks=pytest.mark.slow if case.name in COSTLY else ())
    for case in CASES
]


@pytest.mark.parametrize("case", DRAWN)
def test_planted_parameters_and_results_are_found(case):
    law = case.equipped()
    runs = planted(
        law, case.runs, case.theta, y=case.y, noise=case.noise, seed=1, outliers=case.outliers
    )
    fitted = law.fit(runs, y=case.y, seed=0)
    drawn = fitted.parameter_draws(draws=1000, seed=0)
    for name, true in case.theta.items():
        # 99.8 % of a bootstrap, widened by a hair for parameters that are held fixed.
        low, high = np.quantile(drawn[name], [0.001, 0.999])
        slack = 1e-9 + 0.15 * (high - low)
        assert low - slack <= true <= high + slack, (name, true, fitted.parameters())
    true = truth_at(law, case.points, case.theta)
    forecast = fitted.predict(case.points, seed=0)
    inside = forecast.interval(0.99)
    assert np.all((inside[:, 0] <= true) & (true <= inside[:, 1])), (inside, true)
    # The interval must also say something: scatter and parameters are small in these designs.
    relative = (inside[:, 1] - inside[:, 0]) / (true if case.y == "loss" else 1.0)
    assert np.all(relative < max(0.5, 20 * case.noise)), relative


@pytest.mark.slow
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_coverage_of_new_results_is_nominal(case):
    law, inside, replicates = case.equipped(), [], 60
    for seed in range(replicates):
        runs = planted(law, case.runs, case.theta, y=case.y, noise=case.noise, seed=seed)
        new = planted(law, case.points, case.theta, y=case.y, noise=case.noise, seed=10_000 + seed)
        bounds = law.fit(runs, y=case.y, seed=seed).predict(case.points, seed=seed).interval(0.9)
        value = new[case.y].to_numpy()
        inside.append(np.mean((bounds[:, 0] <= value) & (value <= bounds[:, 1])))
    # 90 % nominal; 60 replicates have a standard error of 3.9 points, three of them allowed.
    assert 0.78 <= np.mean(inside) <= 1.0, np.mean(inside)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name) for case in CASES if case.name in SEEDED]
)
def test_same_seed_same_forecast(case):
    law = case.equipped()
    runs = planted(law, case.runs, case.theta, y=case.y, noise=case.noise, seed=2)
    one, two = (
        law.fit(runs, y=case.y, seed=3).predict(case.points, seed=4).draws for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_bad_input_is_refused(case):
    law = case.equipped()
    runs = planted(law, case.runs, case.theta, y=case.y, noise=case.noise, seed=2)
    with pytest.raises(DesignError, match="add"):
        law.fit(runs[:2], y=case.y)
    name = case.y
    with pytest.raises(InputError, match=name):
        law.fit(runs.with_columns(pl.lit(float("nan")).alias(name)), y=name)
    with pytest.raises(InputError):
        law.fit(runs.drop(name), y=name)
    if name == "score":
        with pytest.raises(InputError, match="0"):
            law.fit(runs.with_columns(pl.col(name) * 100 + 1), y=name)
