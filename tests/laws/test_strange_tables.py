"""Tables as engineers have them: other names, gaps, other units, settings no law reads."""

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from leadsman.cli import forecast as commands
from leadsman.errors import DesignError, InputError
from leadsman.laws import forecast_runs
from leadsman.laws.screening import (
    checkpoint_warnings,
    complete,
    constant_input_warnings,
    fewer_rows,
    in_unit_of,
)
from leadsman.laws.table import column, read_table
from leadsman.laws.unmodelled import unmodelled_warnings


def runs(seed=0, noise=0.004):
    rng = np.random.default_rng(seed)
    params, ratio = (
        each.ravel() for each in np.meshgrid([1e7, 3e7, 1e8, 3e8], [5.0, 20.0, 80.0, 320.0])
    )
    tokens = params * ratio
    loss = 1.75 + 410 / params**0.34 + 480 / tokens**0.29
    loss *= np.exp(noise * rng.standard_normal(len(loss)))
    return pl.DataFrame({"params": params, "tokens": tokens, "loss": loss})


POINT = pl.DataFrame({"params": [1e9], "tokens": [1e11]})


@pytest.fixture
def call(tmp_path):
    app = typer.Typer()
    commands.register(app)

    def run(table, *options, points=POINT):
        table.write_csv(tmp_path / "runs.csv")
        points.write_csv(tmp_path / "points.csv")
        at = ["--at", str(tmp_path / "points.csv"), "--out", str(tmp_path / "out.csv")]
        return CliRunner().invoke(app, ["forecast", str(tmp_path / "runs.csv"), *at, *options])

    return run


def forecast_at(tmp_path):
    return pl.read_csv(tmp_path / "out.csv")["q50"].to_list()


def test_sizes_with_letters_give_the_forecast_of_the_numbers(call, tmp_path):
    letters = runs().with_columns(
        params=pl.Series([f"{n / 1e6:g}M" for n in runs()["params"]]),
        tokens=pl.Series([f"{n / 1e6:,g}M" for n in runs()["tokens"]]),
    )
    asked = pl.DataFrame({"params": ["1B"], "tokens": ["100,000,000,000"]})
    assert call(letters, "--law", "power", points=asked).exit_code == 0
    with_letters = forecast_at(tmp_path)
    assert call(runs(), "--law", "power").exit_code == 0
    assert with_letters == pytest.approx(forecast_at(tmp_path), rel=1e-6)


def test_a_word_among_sizes_is_named_and_not_the_letters(call):
    sizes = ["big" if k == 3 else f"{n / 1e6:g}M" for k, n in enumerate(runs()["params"])]
    error = call(runs().with_columns(params=pl.Series(sizes))).exception
    assert isinstance(error, InputError)
    assert "line 5, field 'params': 'big' in row 4" in str(error)


def test_columns_of_other_names_are_answered_with_the_option_to_type(call):
    own = {"params": "config.n_params", "tokens": "summary/tokens_seen", "loss": "train/loss"}
    error = str(call(runs().rename(own)).exception)
    assert "--x params=config.n_params,tokens=summary/tokens_seen" in error
    options = ["--x", "params=config.n_params,tokens=summary/tokens_seen"]
    error = str(call(runs().rename(own), *options).exception)
    assert "did you mean 'train/loss'; name yours with --y" in error
    # Points may have the canonical names.
    found = call(runs().rename(own), *options, "--y", "train/loss", "--law", "power")
    assert found.exit_code == 0, found.exception
    blank = str(call(runs().rename({"params": "Model Size", "tokens": "Tokens"})).exception)
    assert '--x "params=Model Size,tokens=Tokens"' in blank


def test_rows_without_a_result_are_left_out_and_counted(call):
    gaps = runs().with_columns(loss=pl.when(pl.int_range(16) % 5 == 2).then(None).otherwise("loss"))
    asked = call(gaps, "--law", "power")
    assert asked.exit_code == 0, asked.exception
    assert "3 of 16 rows have no loss and were left out." in asked.output.replace("\n", " ")
    bare = forecast_runs(gaps.drop_nulls(), POINT, law="power").draws
    np.testing.assert_array_equal(forecast_runs(gaps, POINT, law="power").draws, bare)


def test_an_input_with_a_gap_is_not_silently_unread():
    gap = runs().with_columns(params=pl.when(pl.int_range(16) == 2).then(None).otherwise("params"))
    kept, said = complete(gap, y="loss")
    assert len(kept) == 15
    assert said == ("1 of 16 rows have no params and were left out.",)
    # A column that is empty throughout is none, and an input not asked for has no say.
    assert complete(runs().with_columns(step=pl.lit(None)), y="loss")[1] == ()
    assert complete(gap, y="loss", x=["tokens"])[1] == ()
    experts = runs().with_columns(experts=pl.when(pl.int_range(16) < 3).then(None).otherwise(8))
    assert complete(experts, y="loss")[1] == ("experts is empty in 3 rows, so it is not read.",)


def test_compute_that_is_known_of_some_runs_is_estimated_for_all():
    flops = 6 * pl.col("params") * pl.col("tokens")
    some = runs().with_columns(flops=pl.when(pl.int_range(16) < 6).then(None).otherwise(2 * flops))
    found = forecast_runs(some, POINT)
    assert "flops is empty in 6 rows" in found.warnings[0][0]
    np.testing.assert_array_equal(found.draws, forecast_runs(runs(), POINT).draws)


def test_no_result_at_all_is_refused():
    with pytest.raises(InputError, match="field 'loss': every cell is empty"):
        complete(runs().with_columns(loss=pl.lit(None)), y="loss")


def test_rows_without_a_group_are_left_out():
    named = runs().with_columns(
        corpus=pl.when(pl.int_range(16) == 2).then(None).otherwise(pl.lit("c4"))
    )
    assert len(complete(named, y="loss", group="corpus")[0]) == 15


def test_points_are_counted_in_the_flops_of_the_runs():
    exact = runs().with_columns(flops=7.5e-18 * pl.col("params") * pl.col("tokens"))
    np.testing.assert_allclose(in_unit_of(exact, POINT)["flops"], 7.5e-18 * 1e9 * 1e11)
    given = POINT.with_columns(flops=pl.lit(9e20))
    assert in_unit_of(exact, given) is given
    assert "flops" not in in_unit_of(runs(), given).columns
    # The forecast does not depend on the unit, and repeats the points as they were given.
    plain = forecast_runs(runs(), POINT)
    other = forecast_runs(exact, POINT)
    np.testing.assert_allclose(other.quantile(0.5), plain.quantile(0.5), rtol=1e-3)
    assert other.points.columns == POINT.columns
    assert not any("compute of the largest" in each for each in other.warnings[0])


def test_an_input_that_never_varies_is_not_forecast_silently():
    one_size = runs().filter(pl.col("params") == 1e8)
    elsewhere = POINT.with_columns(tokens=pl.lit(1e10))
    said = constant_input_warnings(one_size, elsewhere, ["params", "tokens"])[0]
    assert said[0].startswith("every run has params 1e+08, this point 1e+09")
    assert constant_input_warnings(one_size, elsewhere.with_columns(params=1e8), ["params"]) == [()]


def swept(rng, effect):
    parts = [
        runs(seed=k).with_columns(optimizer=pl.lit(name), loss=pl.col("loss") * np.exp(k * effect))
        for k, name in enumerate(("adamw", "muon", "sgd"))
    ]
    return pl.concat(parts).with_columns(seed=pl.Series(rng.integers(0, 3, 48)))


def test_a_setting_no_law_reads_is_pointed_out_and_a_seed_is_not():
    table = swept(np.random.default_rng(0), 0.03)
    (said,) = unmodelled_warnings(table, y="loss", x=["params", "tokens"])
    assert said.startswith("optimizer has 3 values, which differ by 6.")
    assert "make it the group" in said
    assert unmodelled_warnings(table, y="loss", x=["params", "tokens", "optimizer"]) == ()
    assert any("optimizer has 3 values" in each for each in forecast_runs(table, POINT).warnings[0])


def test_replicates_that_differ_by_noise_are_not_called_settings():
    false = [
        unmodelled_warnings(swept(np.random.default_rng(k), 0.0), y="loss", x=["params", "tokens"])
        for k in range(20)
    ]
    assert false == [()] * 20


def test_a_table_without_replicates_has_no_unread_settings():
    table = runs().with_columns(half=pl.col("params") > 5e7)
    assert unmodelled_warnings(table, y="loss", x=["params", "tokens"]) == ()


def test_decimals_and_whole_numbers_are_numbers(tmp_path):
    table = runs().with_columns(
        pl.col("loss").cast(pl.Decimal(10, 4)), pl.col("params").cast(pl.Int64)
    )
    table.write_parquet(tmp_path / "runs.parquet")
    read = read_table(tmp_path / "runs.parquet")
    np.testing.assert_allclose(column(read, "loss"), runs()["loss"], atol=1e-4)


def test_runs_of_a_few_budgets_are_cut_between_budgets():
    """6ND of one budget differs in its last digit."""
    rows = [
        {"params": size, "tokens": budget / 6 / size}
        for budget in (1e18, 3e18, 1e19, 3e19, 1e20)
        for size in np.geomspace(0.2, 5, 9) * np.sqrt(budget / 120)
    ]
    table = pl.DataFrame(rows).with_columns(
        loss=1.75 + 410 / pl.col("params") ** 0.34 + 480 / pl.col("tokens") ** 0.29
    )
    found = forecast_runs(table, POINT)
    assert found.quantile(0.5)[0] == pytest.approx(
        1.75 + 410 / 1e9**0.34 + 480 / 1e11**0.29, rel=0.01
    )


def test_a_perplexity_is_forecast_as_the_loss_it_is_the_exponential_of():
    loss = forecast_runs(runs(), POINT).draws
    table = runs().select("params", "tokens", pl.col("loss").exp().alias("eval/ppl"))
    np.testing.assert_allclose(np.log(forecast_runs(table, POINT, y="eval/ppl").draws), loss)


def test_points_without_an_input_are_told_so():
    with pytest.raises(InputError, match="the points have no column 'tokens', which differs"):
        forecast_runs(runs(), POINT.drop("tokens"))


def test_an_input_no_law_reads_is_told(call):
    odd = runs().with_columns(final=pl.col("loss"))
    asked = call(odd, "--x", "params,tokens,final", points=POINT.with_columns(final=2.0))
    assert "no law that competes reads final" in asked.output


def test_one_size_at_another_length_is_no_other_ratio():
    one_size = runs().filter(pl.col("params") == 1e8)
    found = forecast_runs(one_size, pl.DataFrame({"params": [1e8], "tokens": [1e11]}))
    assert not any("tokens per parameter" in each for each in found.warnings[0])


def test_points_below_the_runs_are_told_so():
    found = forecast_runs(runs(), pl.DataFrame({"params": [1e6], "tokens": [1e7]}))
    assert any("of the compute of the smallest run" in each for each in found.warnings[0])


def test_runs_that_differ_in_their_mixture_alone_say_so():
    same = runs().with_columns(params=pl.lit(1e8), tokens=pl.lit(1e9))
    mixed = same.with_columns(pl.Series("mix.web", np.linspace(0, 1, 16)))
    with pytest.raises(InputError, match=r"no mix\.web, and the runs differ in nothing else"):
        forecast_runs(mixed, POINT)


def curves(count):
    rows = [
        {"run_id": f"r{k}", "step": step, "loss": 2 + 3 / step**0.3 + 0.1 * k}
        for k in range(count)
        for step in range(100, 3001, 100)
    ]
    return pl.DataFrame(rows)


def test_curves_of_one_length_are_answered_with_the_option_that_carries_them_on():
    asked = pl.DataFrame({"run_id": ["r1"], "step": [10000]})
    with pytest.raises(DesignError, match="say --group run_id"):
        forecast_runs(curves(5), asked)
    found = forecast_runs(curves(5), asked, group="run_id").quantile(0.5)[0]
    assert found == pytest.approx(2.1 + 3 / 10000**0.3, rel=0.01)


def test_rows_that_may_be_checkpoints_are_asked_about():
    steps = np.arange(1, 9)
    table = pl.DataFrame(
        [
            {"model": name, "params": size, "step": step, "tokens": 2e6 * step, "loss": 3.0}
            for name, size in (("a", 1e7), ("b", 1e8))
            for step in steps
        ]
    )
    assert "--run COLUMN" in checkpoint_warnings(table)[0]
    assert checkpoint_warnings(runs().with_columns(step=pl.col("tokens"))) == ()


def test_thousands_of_rows_are_thinned_evenly_and_said():
    rng = np.random.default_rng(1)
    compute = 10 ** rng.uniform(18, 21, 5000)
    table = pl.DataFrame({"flops": compute, "half": compute > 10**19.5, "loss": compute**-0.05})
    kept, said = fewer_rows(table, compute, group=None, run=None)
    assert len(kept) == 1000
    assert said == ("laws are fitted on 1000 of 5000 rows, even in order of compute.",)
    assert kept["flops"].max() == compute.max()
    assert kept["half"].mean() == pytest.approx(table["half"].mean(), abs=1e-3)
    by_group, _ = fewer_rows(table, compute, group="half", run=None)
    assert by_group.group_by("half").len()["len"].to_list() == [500, 500]
    assert fewer_rows(table.head(900), compute[:900], group=None, run=None)[1] == ()


def test_whole_runs_are_thinned_where_rows_are_checkpoints():
    table = pl.DataFrame(
        {"run": np.repeat(np.arange(400), 10), "step": np.tile(np.arange(1, 11), 400)}
    )
    kept, said = fewer_rows(table, table["step"].to_numpy(), group=None, run="run")
    assert kept["run"].n_unique() == 200
    assert (kept.group_by("run").len()["len"] == 10).all()
    assert "200 of 400 runs (run)" in said[0]


def test_a_group_of_too_few_runs_is_left_out_and_named_while_others_are_forecast(call, tmp_path):
    few = pl.DataFrame({"params": [1e7, 2e7], "tokens": [1e8, 1e8], "loss": [4.0, 3.9]})
    parts = {"web": runs(0), "code": runs(1), "notes": few}
    table = pl.concat(part.with_columns(corpus=pl.lit(name)) for name, part in parts.items())
    points = pl.concat(POINT.with_columns(corpus=pl.lit(name)) for name in ("web", "notes", "code"))
    result = call(table, "--group", "corpus", points=points)
    assert result.exit_code == 0
    found = pl.read_csv(tmp_path / "out.csv")
    assert found["mean"].is_null().to_list() == [False, True, False]
    assert found["q50"].is_null().to_list() == [False, True, False]
    assert found["q50"][0] == pytest.approx(1.75 + 410 / 1e9**0.34 + 480 / 1e11**0.29, rel=0.02)
    assert "no forecast: corpus = 'notes':" in found["warnings"][1]
    assert "no forecast: corpus = 'notes':" in result.output
    alone = call(table, "--group", "corpus", points=points[1:2])
    assert isinstance(alone.exception, DesignError)
    with pytest.raises(DesignError, match="corpus = 'notes':"):
        forecast_runs(table, points, group="corpus")
    told = []
    forecast_runs(
        table,
        points,
        group="corpus",
        law="chinchilla",
        skip=True,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
