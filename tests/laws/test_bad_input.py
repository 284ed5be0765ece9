"""Bad tables, through the commands as a user meets them: a clear error or a warning, never silence.

The good table is planted from Chinchilla's law, so that a wrong number would be seen.
"""

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from leadsman.cli import forecast as commands
from leadsman.errors import DesignError, InputError
from leadsman.laws import forecast_runs
from leadsman.laws.methods.chinchilla import Chinchilla

ROWS = 14


def good():
    rng = np.random.default_rng(0)
    params = 10 ** rng.uniform(7, 9, ROWS)
    tokens = params * 10 ** rng.uniform(0.5, 2, ROWS)
    loss = 1.8 + 400 / params**0.34 + 1500 / tokens**0.36
    loss = loss * np.exp(0.003 * rng.standard_normal(ROWS))
    return pl.DataFrame({"params": params, "tokens": tokens, "loss": loss})


def with_cell(name, row, value):
    runs = good()
    values = runs[name].to_list()
    values[row] = value
    if isinstance(value, str):
        values = [str(each) for each in values]
    return runs.with_columns(pl.Series(name, values))


@pytest.fixture
def run(tmp_path):
    app = typer.Typer()
    commands.register(app)

    def call(command, runs, points=None):
        runs.write_csv(tmp_path / "runs.csv")
        arguments = [*command.split(), str(tmp_path / "runs.csv")]
        if points is not None:
            points.write_csv(tmp_path / "points.csv")
            arguments += ["--at", str(tmp_path / "points.csv")]
        return CliRunner().invoke(app, arguments)

    return call


COMMANDS = ["law fit", "law compare"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("name", "value"), [("loss", float("nan")), ("loss", -1.0), ("loss", "?"), ("params", "1.3 bn")]
)
def test_a_bad_cell_is_named_by_file_line_and_column(run, command, name, value):
    error = run(command, with_cell(name, 4, value)).exception
    assert isinstance(error, InputError)
    # Row 5 of the table is line 6 of the file, below the header.
    for said in ("runs.csv", "line 6", f"'{name}'", "row 5"):
        assert said in str(error)


@pytest.mark.parametrize("command", COMMANDS)
def test_one_run_says_which_more_are_needed(run, command):
    error = run(command, good()[:1]).exception
    assert isinstance(error, DesignError)
    assert "add" in str(error)


@pytest.mark.parametrize("command", COMMANDS)
def test_repeated_rows_are_counted_once_and_said(run, command):
    doubled = run(command, pl.concat([good(), good()[:3]]))
    assert "3 rows repeat another" in doubled.stderr
    assert doubled.stdout == run(command, good()).stdout


def test_one_line_in_log_space_is_refused_with_the_run_that_cures_it(run):
    error = run("law fit", good().with_columns(tokens=pl.col("params") * 20)).exception
    assert isinstance(error, DesignError)
    assert "change only together" in str(error)
    assert "add a run at params" in str(error)


@pytest.mark.parametrize("command", COMMANDS)
def test_units_off_by_a_billion_are_doubted(run, command):
    billions = run(command, good().with_columns(pl.col("params") / 1e9))
    assert "is it in millions or billions?" in billions.stderr
    first = pl.int_range(ROWS) < 2
    mixed = good().with_columns(
        params=pl.when(first).then(pl.col("params") / 1e9).otherwise("params")
    )
    assert "are all rows in one unit?" in run(command, mixed).stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_misspelt_column_is_pointed_out(run, command):
    said = run(command, good().rename({"params": "parms"}))
    assert "--x params=parms" in said.stderr + str(said.exception)


def test_a_missing_result_names_the_columns_there_are(run):
    error = run("law fit", good().drop("loss")).exception
    assert isinstance(error, InputError)
    assert "no column 'loss' among params, tokens" in str(error)


def test_a_misspelt_column_of_the_user_is_answered_with_the_nearest(run, tmp_path):
    good().write_csv(tmp_path / "runs.csv")
    app = typer.Typer()
    commands.register(app)
    arguments = ["law", "fit", str(tmp_path / "runs.csv"), "--x", "params=prams,tokens"]
    error = CliRunner().invoke(app, arguments).exception
    assert "did you mean 'params'" in str(error)


def test_a_ragged_file_is_named_with_its_line(tmp_path):
    (tmp_path / "runs.csv").write_text("params,tokens,loss\n1e8,1e9,3.1\n2e8,2e9,2.9,7\n")
    app = typer.Typer()
    commands.register(app)
    error = CliRunner().invoke(app, ["law", "fit", str(tmp_path / "runs.csv")]).exception
    assert isinstance(error, InputError)
    assert "line 3 has 4 cells, the header 3" in str(error)


def test_equal_results_teach_nothing():
    with pytest.raises(DesignError, match="loss is 3 in every run"):
        Chinchilla().fit(good().with_columns(loss=pl.lit(3.0)))


def test_points_inside_are_quiet_and_far_points_warn():
    points = pl.DataFrame({"params": [1e8, 1e13, 1.0], "tokens": [1e10, 1e16, 1e10]})
    forecast = forecast_runs(good(), points, y="loss", law="chinchilla", draws=200)
    inside, far, billions = (" ".join(each) for each in forecast.warnings)
    assert "compute of the largest run" not in inside
    assert "same unit" not in inside
    assert "compute of the largest run" in far
    assert "params is 1 here" in billions


def test_an_unknown_law_is_answered_with_the_nearest(run):
    error = run("law fit --law chinchila", good()).exception
    assert isinstance(error, InputError)
    assert "did you mean chinchilla" in str(error)
