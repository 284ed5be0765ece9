"""Sparse models: the active size and the sparsity are read from the columns that tables have."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import InputError
from leadsman.laws import forecast_runs


def table(active, seed):
    """Runs of 1, 8 and 64 experts of a sixth of the model each, noise 0.4 %."""
    size, experts, ratio = (
        each.ravel() for each in np.meshgrid(active, [1.0, 8.0, 64.0], [20, 80])
    )
    total = size * (1 + 0.6 * (experts - 1))
    noise = 0.004 * np.random.default_rng(seed).standard_normal(len(size))
    loss = 1.6 + 420 / (size * (total / size) ** 0.3) ** 0.34 + 1500 / (size * ratio) ** 0.36
    return pl.DataFrame(
        {
            "active_params": size,
            "total_params": total,
            "experts": experts,
            "tokens": size * ratio,
            "loss": loss * np.exp(noise),
        }
    )


RUNS, HELD = table(np.geomspace(1e7, 3e8, 5), 0), table(np.array([2e9]), 1)


@pytest.mark.parametrize(
    "columns",
    [
        {"active_params": "active_params", "total_params": "total_params"},
        {"active_params": "active_params", "total_params": "params"},
        {"active_params": "params", "experts": "experts"},
        {"active_params": "params", "total_params": "total_params", "experts": "experts"},
        {"active_params": "active_params", "experts": "experts"},
    ],
    ids=lambda columns: "-".join(columns.values()),
)
def test_sparsity_is_read_from_what_the_table_has(columns):
    runs, held = (
        each.select("tokens", "loss", **{new: pl.col(old) for old, new in columns.items()})
        for each in (RUNS, HELD)
    )
    found = forecast_runs(runs, held.drop("loss"))
    truth = held["loss"].to_numpy()
    low, high = found.interval(0.95).T
    assert "moe" in found.law
    # A law of active size and data alone is 6 % off between 1 and 64 experts.
    assert np.abs(found.quantile(0.5) / truth - 1).mean() < 0.015
    assert ((low <= truth) & (truth <= high)).all()


def test_a_dense_run_in_a_sparse_table_may_leave_active_empty():
    dense = pl.col("experts") == 1
    runs = RUNS.with_columns(active_params=pl.when(~dense).then("active_params")).drop("experts")
    found = forecast_runs(runs, HELD.drop("loss", "experts"))
    assert np.abs(found.quantile(0.5) / HELD["loss"].to_numpy() - 1).mean() < 0.015


def test_points_must_tell_what_is_active_and_how_sparse():
    runs = RUNS.drop("experts")
    with pytest.raises(InputError, match="no column 'active_params', which the runs have"):
        forecast_runs(runs, HELD.select("tokens", params="total_params"))
    with pytest.raises(InputError, match="no column 'total_params'"):
        forecast_runs(runs, HELD.select("tokens", "active_params"))


def test_total_size_alone_is_the_size():
    grid = [(n, n * ratio) for n in np.geomspace(1e7, 1e9, 5) for ratio in (5, 20, 80)]
    runs = pl.DataFrame(grid, schema=["total_params", "tokens"], orient="row")
    loss = 1.8 + 480 / pl.col("total_params") ** 0.35 + 2100 / pl.col("tokens") ** 0.37
    runs = runs.with_columns(loss=loss)
    point = pl.DataFrame({"total_params": [1e10], "tokens": [2e11]})
    found = forecast_runs(runs, point, law="chinchilla")
    assert found.quantile(0.5)[0] == pytest.approx(point.select(loss).item(), rel=0.02)
    assert found.points.columns == point.columns
