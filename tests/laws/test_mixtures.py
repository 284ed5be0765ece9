"""Tables with mixtures: shares of sources move the forecast, at one size and across sizes."""

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from leadsman.cli.main import app
from leadsman.errors import DesignError, InputError, MethodError
from leadsman.laws import forecast_runs
from leadsman.laws.methods.mixture_scaling import MixtureScaling

PULL = np.array([-0.3, 0.1, 0.25])
NAMES = ["mix.web", "mix.code", "mix.math"]


def mixtures(count, seed):
    shares = np.random.default_rng(seed).dirichlet(np.ones(3), count)
    return pl.DataFrame(shares, schema=NAMES)


def at_sizes(low, high, count, seed):
    """Runs over sizes whose loss the mixture scales, noise 0.4 %."""
    rng = np.random.default_rng(seed)
    params = np.geomspace(low, high, count)
    tokens = params * rng.choice([10.0, 20.0, 40.0], count)
    shares = mixtures(count, seed)
    loss = 1.7 + 400 / params**0.34 + 1500 / tokens**0.36
    loss *= np.exp(shares.to_numpy() @ PULL + 0.004 * rng.standard_normal(count))
    return shares.with_columns(params=params, tokens=tokens, loss=loss)


def test_the_mixture_moves_a_forecast_across_sizes():
    runs, held = at_sizes(1e7, 3e8, 40, 1), at_sizes(1e9, 3e9, 12, 2)
    found = forecast_runs(runs, held.drop("loss"))
    truth = held["loss"].to_numpy()
    low, high = found.interval(0.95).T
    assert "mixture-scaling" in found.law
    # Without the shares the error is 20 %, their effect.
    assert np.abs(found.quantile(0.5) / truth - 1).mean() < 0.02
    assert ((low <= truth) & (truth <= high)).mean() > 0.9


def test_points_without_the_mixture_are_answered_with_a_warning():
    runs = at_sizes(1e7, 3e8, 30, 1)
    point = pl.DataFrame({"params": [1e9], "tokens": [2e10]})
    found = forecast_runs(runs, point)
    assert "the points have no mix.code, mix.math, mix.web" in " ".join(found.warnings[0])
    assert "mixture-scaling" not in found.law


def test_a_source_beyond_all_runs_is_told():
    runs = at_sizes(1e7, 3e8, 40, 1).filter(pl.col("mix.code") < 0.6)
    point = pl.DataFrame({"params": [1e9], "tokens": [2e10]}).with_columns(
        **{"mix.web": pl.lit(0.05), "mix.code": pl.lit(0.95), "mix.math": pl.lit(0.0)}
    )
    assert any(
        each.startswith("mix.code is 0.95") for each in forecast_runs(runs, point).warnings[0]
    )


def one_size(count, seed, noise=0.003):
    shares = mixtures(count, seed)
    scatter = noise * np.random.default_rng(seed).standard_normal(count)
    loss = (1.5 + 1.2 * np.exp(shares.to_numpy() @ (4 * PULL))) * np.exp(scatter)
    return shares.with_columns(loss=loss, params=pl.lit(1e7))


def test_mixtures_at_one_size_are_covered_as_often_as_said():
    inside = []
    for seed in range(20):
        runs, held = one_size(40, seed), one_size(20, 100 + seed)
        found = forecast_runs(runs, held.drop("loss"), law="exponential-mixing", seed=seed)
        low, high = found.interval(0.8).T
        inside.append((low <= held["loss"].to_numpy()) & (held["loss"].to_numpy() <= high))
    # 400 points of 20 tables: a standard deviation is at most 4 %.
    assert 0.68 < np.mean(inside) < 0.92


def test_laws_of_mixtures_compete():
    runs, held = one_size(40, 0), one_size(20, 100)
    found = forecast_runs(runs, held.drop("loss"))
    assert found.law == "exponential-mixing 1.00"  # it is the truth; the trees know steps alone
    assert np.abs(found.quantile(0.5) / held["loss"].to_numpy() - 1).mean() < 0.005


def test_another_size_is_told_where_runs_have_one():
    point = mixtures(1, 9).with_columns(params=pl.lit(1e9))
    assert "every run has params 1e+07" in forecast_runs(one_size(40, 0), point).warnings[0][0]


def test_a_law_that_reads_no_mixture_is_refused_where_nothing_else_differs():
    with pytest.raises(InputError, match="chinchilla reads no mixtures"):
        forecast_runs(one_size(40, 0), mixtures(1, 9), law="chinchilla")
    with pytest.raises(DesignError, match="add 2 or more"):
        forecast_runs(one_size(4, 0), mixtures(1, 9))


def test_the_command_reads_a_table_of_mixtures(tmp_path):
    one_size(40, 0).drop("params").write_csv(tmp_path / "runs.csv")
    mixtures(2, 9).write_csv(tmp_path / "points.csv")
    out = tmp_path / "out.csv"
    arguments = ["forecast", str(tmp_path / "runs.csv"), "--at", str(tmp_path / "points.csv")]
    result = CliRunner().invoke(app, [*arguments, "--law", "exponential-mixing", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert pl.read_csv(out).columns[:4] == [*NAMES, "mean"]


def test_a_factor_is_recovered_exactly_without_noise():
    runs = at_sizes(1e7, 1e9, 40, 3)
    exact = 1.7 + 400 / runs["params"] ** 0.34 + 1500 / runs["tokens"] ** 0.36
    pull = np.exp(runs.select(sorted(NAMES)).to_numpy() @ np.array([0.5, -0.2, 0.0]))
    found = MixtureScaling(coupling="factor").fit(runs.with_columns(loss=exact * pull)).parameters()
    truth = {"E": 1.7, "alpha": 0.34, "beta": 0.36, "t.code": 0.5, "t.math": -0.2}
    assert {name: found[name] for name in truth} == pytest.approx(truth, rel=1e-3)


def test_shares_that_cannot_be_told_apart_are_refused():
    runs = at_sizes(1e7, 1e9, 40, 3)
    half = runs.with_columns(
        **{"mix.code": (1 - pl.col("mix.web")) / 2, "mix.math": (1 - pl.col("mix.web")) / 2}
    )
    with pytest.raises(DesignError, match="change only together"):
        MixtureScaling().fit(half)
    with pytest.raises(MethodError, match="coupling is offset or factor"):
        MixtureScaling(coupling="both")


def test_groups_of_one_mixture_each_are_no_mixtures_to_read():
    runs = at_sizes(1e7, 3e8, 30, 1).with_columns(
        group=pl.Series(["a", "b"] * 15), **{name: pl.lit(0.0) for name in NAMES}
    )
    one = pl.col("group") == "a"
    runs = runs.with_columns(**{"mix.web": one.cast(float), "mix.code": (~one).cast(float)})
    point = pl.DataFrame({"params": [1e9], "tokens": [2e10], "group": ["a"]})
    found = forecast_runs(runs, point, group="group", law="chinchilla")
    assert not any("mix" in each for each in found.warnings[0])


def test_an_empty_share_is_none_where_the_others_are_whole():
    runs = one_size(30, 0).with_columns(**{name: pl.col(name) for name in NAMES})
    alone = pl.DataFrame(
        {"mix.web": [1.0, None], "mix.code": [None, 1.0], "mix.math": [None, None], "params": 1e7},
        schema_overrides={"mix.math": pl.Float64},
    ).with_columns(loss=1.5 + 1.2 * np.exp(4 * PULL[:2]))
    whole = pl.concat([runs, alone.select(runs.columns).fill_null(0.0)])
    gaps = pl.concat([runs, alone.select(runs.columns)])
    point = alone.drop("loss")
    options = {"law": "exponential-mixing", "seed": 0}
    found, wanted = (forecast_runs(each, point, **options) for each in (gaps, whole))
    assert found.quantile(0.5) == pytest.approx(wanted.quantile(0.5))
    assert found.points.equals(point)
