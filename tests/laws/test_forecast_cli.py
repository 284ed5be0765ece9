"""The forecast commands, end to end on small tables."""

import json

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from leadsman.cli import forecast as commands
from leadsman.errors import InputError


@pytest.fixture
def app():
    app = typer.Typer()
    commands.register(app)
    return app


@pytest.fixture
def tables(tmp_path):
    params, ratio = np.meshgrid([1e6, 3e6, 1e7, 3e7], [5.0, 20.0, 80.0])
    runs = pl.DataFrame({"N": params.ravel(), "D": (params * ratio).ravel()})
    runs = runs.with_columns(loss=1.8 + 40 / pl.col("N") ** 0.3 + 90 / pl.col("D") ** 0.3)
    runs.write_csv(tmp_path / "runs.csv")
    pl.DataFrame({"N": [1e8], "D": [2e9]}).write_csv(tmp_path / "points.csv")
    return tmp_path


def test_forecast_writes_points_with_quantiles(app, tables):
    out = tables / "out.jsonl"
    arguments = ["forecast", str(tables / "runs.csv"), "--at", str(tables / "points.csv")]
    arguments += ["--x", "params=N,tokens=D", "--out", str(out), "--plot", str(tables / "p.html")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    row = json.loads(out.read_text().splitlines()[0])
    truth = 1.8 + 40 / 1e8**0.3 + 90 / 2e9**0.3
    assert row["q025"] < truth < row["q975"]
    assert row["mean"] == pytest.approx(truth, rel=0.03)
    names = [
        "mean",
        "q025",
        "q05",
        "q10",
        "q25",
        "q50",
        "q75",
        "q90",
        "q95",
        "q975",
        "law",
        "warnings",
    ]
    assert list(row)[-12:] == names
    page = (tables / "p.html").read_text()
    assert "training compute (FLOPs)" in page


def test_scores_are_forecast_with_their_items(app, tables):
    runs = pl.read_csv(tables / "runs.csv").with_columns(acc=1.2 - pl.col("loss") / 4)
    runs.drop("loss").write_csv(tables / "scores.csv")
    out = tables / "scores.parquet"
    arguments = ["forecast", str(tables / "scores.csv"), "--at", str(tables / "points.csv")]
    arguments += ["--x", "params=N,tokens=D", "--y", "acc", "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--items", "200", "--chance", "0.2"])
    assert result.exit_code == 0, result.output
    row = pl.read_parquet(out).row(0, named=True)
    assert 0.2 <= row["q025"] < row["q975"] <= 1
    assert row["q50"] * 200 == pytest.approx(round(row["q50"] * 200))
    wrong = CliRunner().invoke(app, [*arguments, "--no-score", "--items", "200"])
    assert isinstance(wrong.exception, InputError)
    told = CliRunner().invoke(app, arguments)
    assert "forecast as a score" in told.output.replace("\n", " ")


def test_law_fit_prints_planted_parameters(app, tables):
    arguments = ["law", "fit", str(tables / "runs.csv"), "--x", "params=N,tokens=D"]
    result = CliRunner().invoke(app, [*arguments, "--plot", str(tables / "fit.html")])
    assert result.exit_code == 0, result.output
    assert "alpha" in result.output
    assert "1.8" in result.output
    assert "isoFLOP" in (tables / "fit.html").read_text()


def test_law_show_prints_the_equation(app):
    result = CliRunner().invoke(app, ["law", "show", "chinchilla"])
    assert "A / N^alpha" in result.output
    assert "Hoffmann" in result.output


def test_law_compare_ranks_the_law_that_made_the_runs_first(app, tables):
    arguments = ["law", "compare", str(tables / "runs.csv"), "--x", "params=N,tokens=D"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    first = next(line for line in result.output.splitlines() if "d0." in line)
    assert "chinchilla" in first or "over-training" in first


def test_a_bad_level_and_a_bad_ending_are_refused(app, tables):
    base = ["forecast", str(tables / "runs.csv"), "--at", str(tables / "points.csv")]
    base += ["--x", "params=N,tokens=D"]
    wrong = CliRunner().invoke(app, [*base, "--levels", "95"])
    assert isinstance(wrong.exception, InputError)
    wrong = CliRunner().invoke(app, [*base, "--out", str(tables / "out.xlsx")])
    assert isinstance(wrong.exception, InputError)
    assert "forecasts are written as" in str(wrong.exception)


def test_backtest_needs_tables(app, monkeypatch):
    monkeypatch.delenv("LEADSMAN_DATASETS", raising=False)
    result = CliRunner().invoke(app, ["backtest"])
    assert isinstance(result.exception, InputError)
    assert "LEADSMAN_DATASETS" in str(result.exception)


def test_columns_of_no_known_name_are_listed_with_how_to_map_them(app, tables):
    arguments = ["forecast", str(tables / "runs.csv"), "--at", str(tables / "points.csv")]
    wrong = CliRunner().invoke(app, arguments)
    assert isinstance(wrong.exception, InputError)
    assert str(tables / "runs.csv") in str(wrong.exception)
    assert "among N, D, loss; if these are they, say --x params=N,tokens=D" in str(wrong.exception)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.9, 1.1], [0.9, 0.95, 1.0, 1.05, 1.1]),
        ([0.3, 4.0], [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]),
        ([1e-3, 10.0], [1e-3, 1e-2, 1e-1, 1.0, 10.0]),
    ],
)
def test_log_axes_are_labelled_with_whole_numbers(values, ticks):
    import plotly.graph_objects as go

    from leadsman.laws.plots import _ticks

    figure = go.Figure()
    figure.add_scatter(x=[1, 2], y=values)
    assert _ticks(figure) == ticks


def test_a_forecast_repeats_the_point_under_its_own_names(app, tables):
    point = pl.DataFrame({"name": ["big"], "N": ["100M"], "D": [2e9], "params": ["total: 120M"]})
    point.write_csv(tables / "points.csv")
    out = tables / "out.csv"
    arguments = ["forecast", str(tables / "runs.csv"), "--at", str(tables / "points.csv")]
    arguments += ["--x", "params=N,tokens=D", "--out", str(out), "--levels", "0.99"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    row = pl.read_csv(out).row(0, named=True)
    assert list(row)[:5] == [*point.columns, "mean"]
    assert (row["name"], row["N"], row["params"]) == ("big", "100M", "total: 120M")
    assert row["q005"] < row["q025"]
    assert row["q975"] < row["q995"]


@pytest.mark.parametrize(
    "options", [["--out", "o.xlsx"], ["--plot", "p.pdf"], ["--out", "no/o.csv"]]
)
def test_what_cannot_be_written_is_refused_before_the_work(app, tables, monkeypatch, options):
    monkeypatch.setattr("leadsman.laws.forecast_runs", lambda *a, **k: pytest.fail("it was fitted"))
    arguments = ["forecast", str(tables / "runs.csv"), "--at", str(tables / "points.csv")]
    arguments += ["--x", "params=N,tokens=D", options[0], str(tables / options[1])]
    assert isinstance(CliRunner().invoke(app, arguments).exception, InputError)


def test_compare_plots_errors_against_distance_and_warns_of_a_column_not_read(app, tables):
    runs = pl.read_csv(tables / "runs.csv")
    other = runs.with_columns(loss=1.3 * pl.col("loss"), corpus=pl.lit("code"))
    pl.concat([runs.with_columns(corpus=pl.lit("web")), other]).write_csv(tables / "two.csv")
    plot = tables / "laws.html"
    arguments = ["law", "compare", str(tables / "two.csv"), "--x", "params=N,tokens=D"]
    result = CliRunner().invoke(app, [*arguments, "--law", "power", "--plot", str(plot)])
    assert result.exit_code == 0, result.output
    assert "corpus has 2 values, which differ by 26" in result.stderr
    assert "compute over the largest run fitted on" in plot.read_text()
