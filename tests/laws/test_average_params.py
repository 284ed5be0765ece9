"""Pruned and dense runs lie on one curve of the average parameter count."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import InputError
from leadsman.laws.methods.average_params import AverageParams, average_params


def truth(average, tokens):
    return 1.7 + 400 * average**-0.34 + 800 * tokens**-0.3


def runs(noise):
    rows = [
        (params, params * kept, tokens)
        for params in (1e8, 2e8, 4e8, 1e9)
        for kept in (1.0, 0.5, 0.25)
        for tokens in (1e9, 3e9, 1e10, 3e10)
    ]
    params, final, tokens = np.array(rows).T
    # Linear pruning between 25 % and 75 % of training: the mean is the mean of the two counts.
    loss = truth((params + final) / 2, tokens)
    loss = loss * np.exp(noise * np.random.default_rng(0).standard_normal(len(loss)))
    return pl.DataFrame(
        {"params": params, "final_params": final, "tokens": tokens, "loss": loss}
    ).with_columns(change_start=pl.lit(0.25), change_end=pl.lit(0.75))


def test_planted_law_is_found_from_pruning_schedules():
    fitted = AverageParams().fit(runs(0.003), seed=0)
    forecast = fitted.predict(pl.DataFrame({"average_params": [3e9], "tokens": [1e11]}), seed=0)
    low, high = forecast.interval(0.99)[0]
    assert low < truth(3e9, 1e11) < high
    assert (high - low) / truth(3e9, 1e11) < 0.1


def test_exact_without_noise():
    found = AverageParams().fit(runs(0.0)).parameters()
    planted = {"E": 1.7, "A": 400.0, "B": 800.0, "alpha": 0.34, "beta": 0.3}
    assert found == pytest.approx(planted, rel=1e-2)


def test_average_agrees_with_a_numerical_integral():
    start, end, first, last = 0.2, 0.9, 10.0, 4.0
    moments = np.linspace(0, 1, 200_001)
    count = np.interp(moments, [start, end], [first, last])
    assert average_params(
        np.array(first), np.array(last), np.array(start), np.array(end)
    ) == pytest.approx(count.mean(), abs=1e-4)


def test_a_change_that_ends_before_it_starts_is_refused():
    with pytest.raises(InputError, match="change_start"):
        AverageParams().fit(runs(0.0).with_columns(change_end=pl.lit(0.1)))
