"""Points that have other columns than the runs: distance is counted in what both have."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import InputError
from leadsman.laws import forecast_runs


@pytest.fixture
def runs():
    params = np.geomspace(1e7, 1e9, 10)
    loss = 1.8 + 480 / params**0.35
    return pl.DataFrame({"params": params, "tokens": [1e10] * 10, "loss": loss})


def width(runs, points, **options):
    low, high = forecast_runs(runs, points, seed=0, **options).interval(0.95).T
    return np.log(high / low)


def test_tokens_that_never_change_may_be_left_out_of_either_table(runs):
    point = pl.DataFrame({"params": [1e11]})
    full = point.with_columns(tokens=pl.lit(1e10))
    both = width(runs, full)
    assert width(runs, point) == pytest.approx(both)
    assert width(runs.drop("tokens"), full) == pytest.approx(both)
    assert width(runs.drop("tokens"), point) == pytest.approx(both)


def test_an_input_that_is_not_asked_about_does_not_bring_the_point_near(runs):
    other = runs.with_columns(tokens=20 * pl.col("params"), flops=120 * pl.col("params") ** 2)
    point = pl.DataFrame({"params": [1e11]})
    alone = width(other.select("params", "loss"), point)
    assert width(other, point, x=["params"]) == pytest.approx(alone)


def test_distance_is_told_in_the_measure_of_the_runs(runs):
    point = pl.DataFrame({"params": [2e11], "tokens": [4e12]})
    said = " ".join(forecast_runs(runs.drop("tokens"), point).warnings[0])
    assert "200x the compute of the largest run" in said


@pytest.mark.parametrize("where", ["runs", "points"])
def test_a_group_that_is_no_column_is_named(runs, where):
    runs = runs.with_columns(corpus=pl.lit("web"))
    point = pl.DataFrame({"params": [1e10], "tokens": [1e10], "corpus": ["web"]})
    runs, point = (runs.drop("corpus"), point) if where == "runs" else (runs, point.drop("corpus"))
    with pytest.raises(InputError, match="no column 'corpus'"):
        forecast_runs(runs, point, group="corpus")
