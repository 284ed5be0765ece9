"""Forecasts from a table of runs: planted truths, and every kind of bad input."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError, InputError
from leadsman.laws import forecast_runs
from leadsman.laws.table import read_table


def planted(noise=0.003, seed=0, mixture="a", shift=0.0):
    rng = np.random.default_rng(seed)
    rows = []
    for params in (5e4, 1.5e5, 4e5, 8e5):
        for ratio in (5, 10, 20, 40):
            tokens = params * ratio
            bpb = 0.8 + shift + 20 / params**0.3 + 60 / tokens**0.3
            rows.append(
                {
                    "mixture": mixture,
                    "params": params,
                    "tokens": tokens,
                    "loss": bpb * np.exp(noise * rng.standard_normal()),
                }
            )
    return pl.DataFrame(rows)


FAR = pl.DataFrame({"mixture": ["a"], "params": [2.4e6], "tokens": [4.8e7]})
TRUTH = 0.8 + 20 / 2.4e6**0.3 + 60 / 4.8e7**0.3


def test_planted_truth_lies_in_the_interval_and_near_the_median():
    forecast = forecast_runs(planted(), FAR)
    low, high = forecast.interval(0.95)[0]
    assert low < TRUTH < high
    assert forecast.quantile(0.5)[0] == pytest.approx(TRUTH, rel=0.03)
    assert forecast.to_frame().columns[-2:] == ["law", "warnings"]


def test_same_seed_same_draws():
    first = forecast_runs(planted(), FAR, seed=3).draws
    np.testing.assert_array_equal(first, forecast_runs(planted(), FAR, seed=3).draws)


def test_intervals_widen_with_distance_and_noise():
    points = pl.DataFrame({"params": [1e6, 1e8], "tokens": [2e7, 2e9]})
    quiet = forecast_runs(planted(noise=0.001), points)
    width = np.diff(np.log(quiet.interval(0.8)), axis=1)[:, 0]
    assert width[1] > width[0]
    loud = forecast_runs(planted(noise=0.02), points)
    assert (np.diff(np.log(loud.interval(0.8)), axis=1)[:, 0] > width).all()


def test_groups_keep_their_order_and_own_parameters():
    runs = pl.concat([planted(), planted(mixture="b", shift=0.2, seed=1)])
    points = pl.concat([FAR.with_columns(mixture=pl.lit("b")), FAR])
    medians = forecast_runs(runs, points, group="mixture").quantile(0.5)
    assert medians[0] - medians[1] == pytest.approx(0.2, abs=0.06)


def test_one_ratio_is_forecast_along_compute_and_says_so_elsewhere():
    wide = pl.DataFrame({"params": np.geomspace(1e5, 1e7, 9)}).with_columns(
        tokens=pl.col("params") * 20
    )
    wide = wide.with_columns(loss=1 + 30 / pl.col("params") ** 0.3)
    points = pl.DataFrame({"params": [5e7, 5e7], "tokens": [1e9, 1e10]})
    result = forecast_runs(wide, points)
    assert "flops" in result.law
    assert not any("tokens per parameter" in w for w in result.warnings[0])
    assert any("add a run at params" in w for w in result.warnings[1])


def test_units_off_by_a_billion_are_pointed_out():
    points = FAR.with_columns(params=pl.col("params") / 1e9)
    assert any("same unit" in w for w in forecast_runs(planted(), points).warnings[0])
    mixed = planted().with_columns(
        params=pl.when(pl.col("tokens") > 2e7).then(pl.col("params") / 1e9).otherwise("params")
    )
    assert any("one unit" in w for w in forecast_runs(mixed, FAR).warnings[0])


def test_repeated_rows_count_once():
    runs = planted()
    doubled = forecast_runs(pl.concat([runs, runs.head(3)]), FAR)
    assert any("3 rows repeat another" in w for w in doubled.warnings[0])
    np.testing.assert_array_equal(doubled.draws, forecast_runs(runs, FAR).draws)


@pytest.mark.parametrize("bad", [float("nan"), -1.0, 0.0, float("inf")])
def test_a_bad_loss_is_named(bad):
    runs = planted().with_columns(
        loss=pl.when(pl.int_range(pl.len()) == 4).then(pl.lit(bad)).otherwise("loss")
    )
    with pytest.raises(InputError, match=r"line 5, field 'loss'"):
        forecast_runs(runs, FAR)


def test_single_rows_and_empty_tables_are_refused():
    with pytest.raises(DesignError, match="one run"):
        forecast_runs(planted().head(1), FAR)
    with pytest.raises(InputError, match="no points"):
        forecast_runs(planted(), FAR.clear())


def test_missing_and_misspelt_columns_are_named():
    with pytest.raises(InputError, match=r"no column 'los'; did you mean 'loss'"):
        forecast_runs(planted(), FAR, y="los")
    with pytest.raises(InputError, match="no column 'params'"):
        forecast_runs(planted(), FAR.drop("params"))
    with pytest.raises(InputError, match="no runs with mixture = 'z'"):
        forecast_runs(planted(), FAR.with_columns(mixture=pl.lit("z")), group="mixture")


def test_an_unknown_law_is_named():
    with pytest.raises(InputError, match="no law is called 'chinchila'"):
        forecast_runs(planted(), FAR, law="chinchila")


def test_a_run_that_failed_hardly_moves_the_forecast_nor_its_width():
    runs = planted()
    failed = runs.with_columns(
        loss=pl.when(pl.int_range(pl.len()) == 5).then(3 * pl.col("loss")).otherwise("loss")
    )
    clean, spoilt = (forecast_runs(each, FAR) for each in (runs, failed))
    low, high = spoilt.interval(0.95)[0]
    assert low < TRUTH < high
    assert high - low < 4 * np.diff(clean.interval(0.95)[0])[0]


@pytest.mark.parametrize("count", [4, 5, 6])
def test_few_runs_give_wide_intervals_and_say_why(count):
    few = planted().filter(pl.col("tokens") == 20 * pl.col("params"))
    more = planted().filter(pl.col("tokens") != 20 * pl.col("params"))
    runs = pl.concat([few, more])[:count]
    forecast = forecast_runs(runs, FAR)
    low, high = forecast.interval(0.95)[0]
    assert low < TRUTH < high
    assert high / low > 1.05
    assert any("Too few runs for a rolling origin" in w for w in forecast.warnings[0]) or count > 5


def test_a_group_that_cannot_be_fitted_is_named():
    one_size = planted(mixture="b").filter(pl.col("params") == 4e5)
    runs = pl.concat([planted(), one_size])
    with pytest.raises(DesignError, match="mixture = 'b': chinchilla: params is 4e\\+05 in every"):
        forecast_runs(runs, FAR.with_columns(mixture=pl.lit("b")), group="mixture")


def test_a_group_with_one_ratio_borrows_the_exponents_of_another():
    tied = planted(mixture="b", shift=0.2, seed=1).filter(pl.col("tokens") == 20 * pl.col("params"))
    asked = FAR.with_columns(mixture=pl.lit("b"))
    with pytest.raises(DesignError):
        forecast_runs(tied, asked, law="chinchilla")
    forecast = forecast_runs(pl.concat([planted(), tied]), asked, group="mixture")
    assert "/shared" in forecast.law
    low, high = forecast.interval(0.95)[0]
    assert low < TRUTH + 0.2 < high
    assert forecast.quantile(0.5)[0] == pytest.approx(TRUTH + 0.2, rel=0.03)


def test_clear_noise_is_covered_by_noise():
    rng = np.random.default_rng(5)
    runs = planted().with_columns(loss=pl.Series(2 * np.exp(0.05 * rng.standard_normal(16))))
    low, high = forecast_runs(runs, FAR).interval(0.95)[0]
    assert low < 2 < high
    assert high / low > np.exp(2 * 0.05)


def test_rising_losses_are_pointed_out():
    runs = planted().with_columns(loss=4 - pl.col("loss"))
    assert any("rises with compute" in w for w in forecast_runs(runs, FAR).warnings[0])


def test_constant_inputs_are_refused():
    same = planted().with_columns(params=pl.lit(1e6), tokens=pl.lit(1e8))
    with pytest.raises(DesignError, match="do not differ in any input"):
        forecast_runs(same, FAR)


def test_a_word_in_a_number_column_is_named_by_file_and_line(tmp_path):
    from leadsman.laws.table import column

    file = tmp_path / "runs.csv"
    file.write_text("params,tokens,loss\n1e6,2e7,3.1\n1e6,many,3.0\n")
    with pytest.raises(InputError, match=r"runs\.csv, line 3, field 'tokens': 'many'"):
        column(read_table(file), "tokens", file=file)


def test_tables_are_read_in_every_format_with_renaming(tmp_path):
    frame = planted().rename({"params": "N"})
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_csv(tmp_path / "a.csv")
    frame.write_ndjson(tmp_path / "a.jsonl")
    for name in ("a.parquet", "a.csv", "a.jsonl"):
        read = read_table(tmp_path / name, rename={"params": "N"})
        assert read["params"].to_list() == frame["N"].to_list()
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "b.csv")
    with pytest.raises(InputError, match=r"no column 'M'"):
        read_table(tmp_path / "a.csv", rename={"params": "M"})
