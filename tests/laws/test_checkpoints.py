"""Tables that hold checkpoints beside finished runs: recognised, and in the fit only if it pays."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import InputError
from leadsman.laws import forecast_runs
from leadsman.laws.competition import RunTable, run_column
from leadsman.laws.competition.ranking import rank
from leadsman.laws.forecasting import combine, gather_series, weigh
from leadsman.laws.table import read_table
from leadsman.runs import Ledger, Run

POINTS = pl.DataFrame({"params": [3e9, 6e9], "tokens": [2e11, 1e11]})


def law(params, tokens):
    return 1.8 + 400 / params**0.34 + 410 / tokens**0.28


def training(*, decay, noise=0.002, seed=0, warmup=0.0, sizes=(1e7, 3e7, 1e8, 3e8)):
    """Three runs of each size with 16 checkpoints each.

    ``decay`` is how far, as a share of the loss, a checkpoint lies above a run that ends there: the
    learning rate has not come down. ``warmup`` is how far those of the first tenth lie above.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for params in sizes:
        for ratio in (10, 30, 90):
            end = params * ratio
            for share in np.geomspace(0.02, 1, 16):
                above = 1 + decay * (1 - share) + warmup * (share < 0.1)
                loss = law(params, share * end) * above * np.exp(noise * rng.standard_normal())
                name = f"{params:.0e}-{ratio}"
                rows.append({"run": name, "params": params, "tokens": share * end, "loss": loss})
    return pl.DataFrame(rows)


def compete(seeds=2, **given):
    """Mean absolute log error by choice of rows, and the weight of each."""
    errors, shares = [], []
    for seed in range(seeds):
        runs = training(seed=seed, **given)
        series = gather_series(
            runs, POINTS, y="loss", x=None, law="chinchilla", group=None, run="run", seed=0
        )
        weights, names = weigh(series), series[0].evidence.names
        masks = [np.array([name.endswith(end) for name in names]) for end in ("warmed-up", "all")]
        masks = [~(masks[0] | masks[1]), *masks]
        truth = np.log(law(POINTS["params"].to_numpy(), POINTS["tokens"].to_numpy()))
        final = series[0].evidence.final
        errors.append([np.abs(combine(final, mask * 1.0)[0] - truth).mean() for mask in masks])
        shares.append([weights[mask].sum() for mask in masks])
    return np.mean(errors, axis=0), np.mean(shares, axis=0)


def test_checkpoints_as_good_as_finished_runs_are_used():
    (ends, _, everything), (alone, *_) = compete(decay=0.0, noise=0.01)
    assert everything < 0.5 * ends
    assert alone < 1 / 3


def test_checkpoints_under_a_decaying_rate_are_left_out():
    (ends, warmed_up, everything), (alone, *_) = compete(decay=0.15)
    assert ends < 0.5 * min(warmed_up, everything)
    assert alone > 0.8


def test_checkpoints_of_the_warm_up_are_left_out():
    (_, warmed_up, everything), (_, some, most) = compete(decay=0.0, warmup=0.2)
    assert warmed_up < 0.8 * everything
    assert some > 10 * most


def test_origins_hide_whole_runs_and_score_finished_ones():
    table = RunTable.of(training(decay=0.1), run="run")
    assert table.finished.sum() == 12
    series = gather_series(
        training(decay=0.1), POINTS, y="loss", x=None, law="chinchilla", group=None, run="run",
        seed=0,
    )  # fmt: skip
    origins = series[0].evidence.origins
    assert [block.train + len(block.log_y) for block in origins] == [12] * len(origins)
    ends = np.log(np.sort(table.frame.filter(table.finished)["loss"].to_numpy()))
    for block in origins:
        assert np.isin(np.round(block.log_y, 12), np.round(ends, 12)).all()


def test_a_forecast_says_what_checkpoints_are_and_how_much_they_count():
    forecast = forecast_runs(training(decay=0.1), POINTS, law="chinchilla")
    said = [each for each in forecast.warnings[0] if "checkpoints" in each]
    assert len(said) == 1
    assert "not a finished run" in said[0]
    low, high = forecast.interval(0.95).T
    truth = law(POINTS["params"].to_numpy(), POINTS["tokens"].to_numpy())
    assert ((low < truth) & (truth < high)).all()


def test_one_row_a_run_is_forecast_as_before():
    runs = training(decay=0.0)
    ends = runs.filter(pl.col("tokens") == pl.col("tokens").max().over("run"))
    named = forecast_runs(ends, POINTS, law="chinchilla")
    plain = forecast_runs(ends.drop("run"), POINTS, law="chinchilla")
    np.testing.assert_array_equal(named.draws, plain.draws)
    assert not any("checkpoint" in each for each in named.warnings[0])


def test_runs_are_recognised_by_name_and_by_what_cannot_change_within_one():
    runs = training(decay=0.0)
    assert run_column(runs) == "run"
    assert run_column(runs.rename({"run": "id"})) == "id"
    assert run_column(runs.rename({"run": "model"})) is None
    assert run_column(runs.rename({"run": "model"}), "model") == "model"
    assert run_column(runs, "") is None
    # A sweep of sizes under one name, or the same run measured twice, is no training curve.
    assert run_column(runs.with_columns(run=pl.lit("sweep"))) is None
    assert run_column(runs.with_columns(tokens=pl.lit(1e9))) is None
    with pytest.raises(InputError, match="no column 'trial'"):
        run_column(runs, "trial")


def test_rows_of_one_compute_are_refused():
    runs = training(decay=0.0).with_columns(flops=6 * pl.col("params") * 1e10)
    with pytest.raises(InputError, match="of other tokens but of one compute"):
        forecast_runs(runs, POINTS.with_columns(flops=pl.lit(1e21)))


def test_a_single_curve_is_still_extrapolated():
    tokens = np.geomspace(1e8, 1e10, 15)
    runs = pl.DataFrame({"run": ["a"] * 15, "tokens": tokens, "loss": 2 + 30 / tokens**0.25})
    forecast = forecast_runs(runs, pl.DataFrame({"tokens": [5e10]}), law="power")
    assert forecast.quantile(0.5)[0] == pytest.approx(2 + 30 / 5e10**0.25, rel=0.01)


def test_ranking_names_the_rows():
    ranking = rank(training(decay=0.1), law="chinchilla")
    assert not ranking["way"][0].endswith(("warmed-up", "all"))
    assert ranking["way"].str.ends_with("all").any()


def test_curves_of_the_ledger_are_checkpoints(tmp_path):
    rng = np.random.default_rng(0)
    ledger = Ledger(str(tmp_path))
    for params in (2e7, 8e7, 3e8):
        for ratio in (10, 30, 90):
            tokens = np.linspace(0.001, 1, 1000) * params * ratio
            loss = law(params, tokens) * np.exp(0.05 * rng.standard_normal(1000))
            settings = {"params": params, "tokens": params * ratio}
            settings["flops"] = 6 * params**2 * ratio
            run = Run(id=f"{params:.0e}-{ratio}", settings=settings, losses={"val": 3.0})
            ledger.add(run, curve=pl.DataFrame({"step": range(1000), "tokens": tokens,
                                                "loss": loss, "lr": 1e-3}))  # fmt: skip
    table = read_table(tmp_path, curves=True)
    assert "loss" not in read_table(tmp_path).columns
    read = RunTable.of(table, run=run_column(table))
    assert read.finished.sum() == 9
    assert len(table) > 100
    np.testing.assert_allclose(read.compute, 6 * table["params"] * table["tokens"])
    # Means over a tenth of the tokens, at first two batches with noise of 5 %.
    expected = law(table["params"].to_numpy(), 0.95 * table["tokens"].to_numpy())
    assert np.abs(np.log(table["loss"].to_numpy() / expected)).max() < 0.08
    forecast = forecast_runs(table, POINTS, law="chinchilla")
    truth = law(POINTS["params"].to_numpy(), POINTS["tokens"].to_numpy())
    assert forecast.quantile(0.5) == pytest.approx(truth, rel=0.03)


def test_the_plot_tells_checkpoints_from_runs():
    from leadsman.laws.plots import forecast_figure

    runs = training(decay=0.15)
    figure = forecast_figure(forecast_runs(runs, POINTS, law="chinchilla"), runs)
    drawn = {trace.name: len(trace.x) for trace in figure.data}
    assert (drawn["runs"], drawn["checkpoints"]) == (12, 12 * 15)
