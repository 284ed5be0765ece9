"""Simulation-based calibration: intervals of parameters hold at their nominal rate.

Every law with parameters is planted with noise, outliers, and settings of which a different 15 %
are lost in each replicate; see :mod:`leadsman.testing.planted_cases`.
"""

import numpy as np
import polars as pl
import pytest

from leadsman.testing.planted import coverage, planted
from leadsman.testing.planted_cases import CASES

LEVELS = np.array([0.5, 0.8, 0.95])


def shares(case, replicates):
    return coverage(
        case.equipped(),
        case.design,
        case.theta,
        y=case.y,
        noise=case.noise,
        replicates=replicates,
        outliers=case.outliers,
        levels=LEVELS,
    )


def named(*names):
    return [pytest.param(case, id=case.name) for case in CASES if case.name in names]


@pytest.mark.parametrize("case", named("chinchilla-wide", "learning-curve"))
def test_intervals_hold_quickly(case):
    for name, share in shares(case, 24).items():
        # Binomial(24, 0.8) has a standard deviation of 8.2 %; three of them allowed.
        assert abs(share[1] - 0.8) <= 0.25, (name, share)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_intervals_hold_at_the_nominal_rate(case):
    replicates = 200
    spread = np.sqrt(LEVELS * (1 - LEVELS) / replicates)
    for name, share in shares(case, replicates).items():
        assert (share >= LEVELS - 3 * spread - 0.02).all(), (name, share)
        assert (share <= LEVELS + 3 * spread + 0.1).all(), (name, share)


@pytest.mark.parametrize("case", named("overtraining-harm"))
def test_parameters_that_are_hardly_determined_are_named(case):
    for seed in range(10):
        runs = planted(
            case.law, case.design(seed), case.theta, y="loss", noise=case.noise, seed=seed
        )
        warnings = case.law.fit(runs).warnings
        assert any("exponent beta" in each and "hardly determined" in each for each in warnings)
        assert all("a run at tokens" in each for each in warnings)


def test_a_parameter_that_changes_nothing_is_named():
    case = next(case for case in CASES if case.name == "fact-frequency")
    one_size = case.runs.with_columns(params=pl.lit(1e9))
    runs = planted(case.law, one_size, case.theta, y="score", noise=case.noise, seed=0)
    assert case.law.fit(runs, y="score").warnings
