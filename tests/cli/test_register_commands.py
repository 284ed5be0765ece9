"""``leadsman register`` and ``leadsman score`` as a person uses them."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from leadsman.cli.main import app
from leadsman.errors import InputError
from leadsman.laws import Forecast
from leadsman.runs import Ledger, RegisteredForecast, Run


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def leadsman(*arguments: str):
    return CliRunner().invoke(app, arguments)


def table(path: Path, rows: int = 1) -> Path:
    draws = np.random.default_rng(0).normal(2.0, 0.05, (4000, rows))
    points = pl.DataFrame({"params": [1e8] * rows})
    frame = Forecast(points=points, draws=draws, y="loss.val", law="power").to_frame()
    frame.write_csv(path)
    return path


def test_forecast_table_is_registered_scored_and_verified(here):
    told = leadsman(
        "register", "add", str(table(here / "f.csv")), "-l", "ledger", "--id", "big", "--y",
        "loss.val",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    assert "registered: entry 1" in told.output
    Ledger("ledger").add(Run(id="big", losses={"val": 2.03}))
    scored = leadsman("score", "-l", "ledger")
    assert "95% intervals held 1 of 1" in scored.output
    listed = leadsman("register", "ls", "-l", "ledger").output
    assert "Forecasts of loss.val" in listed
    assert "2.0300" in listed
    assert "none changed" in leadsman("register", "verify", "-l", "ledger").output
    (score,) = Ledger("ledger").book.scores()
    sorted_draws = np.sort(np.random.default_rng(0).normal(2.0, 0.05, 4000))
    assert score.forecast.intervals["0.8"] == pytest.approx(
        tuple(np.quantile(sorted_draws, [0.1, 0.9])), rel=1e-6
    )


def test_verify_names_the_first_bad_entry(here):
    ledger = Ledger("ledger")
    for name in "ab":
        ledger.register(
            RegisteredForecast.from_draws(name, np.array([1.0, 2.0, 3.0]), y="y", law="l")
        )
    path = here / "ledger/registry/00000001.json"
    path.write_text(path.read_text().replace('"law": "l"', '"law": "m"'))
    told = leadsman("register", "verify", "-l", "ledger")
    assert isinstance(told.exception, InputError)
    assert str(told.exception).startswith("ledger/registry: entry 1 was changed after")


def test_result_told_by_hand(here):
    table(here / "f.csv")
    leadsman("register", "add", "f.csv", "-l", "ledger", "--id", "big", "--y", "loss.val")
    told = leadsman("score", "-l", "ledger", "--id", "big", "--actual", "2.3")
    assert "95% intervals held 0 of 1" in told.output


def test_forecasts_of_a_plan_are_registered(here):
    option = RegisteredForecast.from_draws("r1", np.array([1.0, 1.1]), y="bpb.t", law="l").to_dict()
    naive = option | {"id": "r2"}
    plan = {"chosen": {"forecast": option}, "naive": {"forecast": naive}}
    (here / "plan.json").write_text(json.dumps(plan))
    leadsman("register", "add", "plan.json", "-l", "ledger")
    assert list(Ledger("ledger").book.forecasts()) == ["r1", "r2"]
    again = leadsman("register", "add", "plan.json", "-l", "ledger")
    assert "entry 2" in again.output
    assert len(Ledger("ledger").book.chain) == 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", None, "there is no such file"),
        ("f.txt", "x", "a forecast is a plan.json"),
        ("f.csv", "a,b\n1,2\n", "no column 'mean'"),
        ("f.json", "{", "not JSON"),
        ("f.json", '{"id": "a"}', "neither a plan nor a forecast"),
        ("f.json", "[1, 2]", "neither a plan nor a forecast"),
        ("f.parquet", "no", "not a table"),
    ],
)
def test_bad_file_is_one_clear_sentence(here, name, content, words):
    if content is not None:
        (here / name).write_text(content)
    told = leadsman("register", "add", name, "-l", "ledger")
    assert isinstance(told.exception, InputError)
    assert words in str(told.exception)


def test_table_of_many_rows_needs_ids(here):
    table(here / "f.csv", rows=2)
    told = leadsman("register", "add", "f.csv", "-l", "ledger", "--id", "big", "--y", "loss.val")
    assert "has 2 rows and no column 'id'" in str(told.exception)


def test_no_ledger_here(here):
    for arguments in (["score"], ["register", "verify"], ["register", "ls"]):
        assert "there is no ledger here" in str(leadsman(*arguments, "-l", "nowhere").exception)
