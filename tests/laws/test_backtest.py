"""The back-test: the split rule, the whole path on one data set, thinning."""

import json
import os

import numpy as np
import polars as pl
import pytest

from leadsman.errors import InputError
from leadsman.laws.backtest import Case, load_cases
from leadsman.laws.backtest.measure import measure_all
from leadsman.laws.backtest.report import summarise
from leadsman.laws.backtest.suite import assemble, score
from leadsman.laws.calibration import bundled_history
from leadsman.laws.table import thin


def test_split_shows_at_most_a_tenth_of_the_top_compute():
    params = np.geomspace(1e6, 1e9, 20)
    runs = pl.DataFrame({"params": params, "tokens": params * 20, "loss": np.linspace(4, 2, 20)})
    fit, held = Case("s", "d", "c", runs).split()
    top = float((runs["params"] * runs["tokens"]).max())
    assert (fit["params"] * fit["tokens"]).max() <= 0.1 * top
    assert (held["params"] * held["tokens"]).min() > 0.1 * top
    assert len(fit) + len(held) == 20


def test_split_drops_groups_with_too_few_small_runs():
    tokens = [*np.geomspace(1e6, 1e9, 12), *np.geomspace(9e8, 1e9, 12)]
    runs = pl.DataFrame({"model": ["a"] * 12 + ["b"] * 12, "tokens": tokens, "loss": [2.0] * 24})
    fit, held = Case("s", "d", "c", runs, x=("tokens",), group="model").split()
    assert set(fit["model"]) == set(held["model"]) == {"a"}


def test_thin_keeps_the_ends_and_spaces_in_logs():
    frame = pl.DataFrame({"tokens": np.arange(1.0, 1001.0)})
    kept = thin(frame, "tokens", 10)["tokens"].to_numpy()
    assert kept[0] == 1
    assert kept[-1] == 1000
    assert len(kept) <= 10
    assert np.diff(np.log(kept)).max() < 1.0


def test_an_unknown_data_set_is_named(tmp_path):
    with pytest.raises(InputError, match="no data set 'x'"):
        load_cases(tmp_path, only="x")
    with pytest.raises(InputError, match="no known data set is here"):
        load_cases(tmp_path)


def test_kept_measurements_are_read_again(tmp_path, monkeypatch):
    params = np.geomspace(1e6, 1e9, 12)
    runs = pl.DataFrame({"params": params, "tokens": 20 * params, "loss": 1 + 9 / params**0.2})
    case = Case("s", "d", "c", runs)
    first, left_out = measure_all([case], workers=1, keep=tmp_path)
    assert not left_out
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr("leadsman.laws.backtest.measure.measure", lambda case: "not measured again")
    again, left_out = measure_all([case], workers=1, keep=tmp_path)
    assert not left_out
    np.testing.assert_array_equal(
        again[0].series[0].evidence.final.log_pred, first[0].series[0].evidence.final.log_pred
    )
    # Other runs under the same name are another case.
    other = Case("s", "d", "c", runs.with_columns(loss=2 * pl.col("loss")))
    assert measure_all([other], workers=1, keep=tmp_path)[1] == {"d/c": "not measured again"}


@pytest.fixture(scope="module")
def measured():
    if "LEADSMAN_DATASETS" not in os.environ:
        pytest.skip("LEADSMAN_DATASETS is not set")
    cases = [
        case
        for name in ("opt", "t5_pile", "nmt")
        for case in load_cases(os.environ["LEADSMAN_DATASETS"], only=name)
    ]
    return measure_all(cases, workers=1)[0]


@pytest.mark.datasets
def test_error_and_coverage_are_not_worse_than_the_committed_history(measured):
    """Fits anew a few quick sets, forecast with the bundled history of the other sources."""
    committed = summarise_history(bundled_history())
    points = score(measured, bundled_history())
    found = summarise(points).filter(pl.col("method") == "leadsman")
    joined = found.join(committed, on="dataset", suffix="_committed")
    assert len(joined) == 3
    for row in joined.iter_rows(named=True):
        assert row["mape"] <= 1.1 * row["mape_committed"] + 5e-4, row
        assert row["in95"] >= 0.85, row


def summarise_history(history):
    held = history.filter((pl.col("origin") < 0) & (pl.col("law") == "combined"))
    # The centre moves with own errors by less than the error itself.
    return held.group_by("dataset").agg(mape=((-pl.col("error")).exp() - 1).abs().mean())


@pytest.mark.datasets
def test_the_report_is_written(measured, tmp_path):
    from leadsman.laws.backtest.report import bars, print_report, write_report

    result = assemble(measured, {}, bundled_history())
    assert set(result.points["method"]) == {"leadsman", "bootstrap", "bootstrap+noise"}
    assert bars(result)["sets"] == 3
    write_report(result, tmp_path)
    print_report(result)
    assert (tmp_path / "backtest.html").read_text().startswith("<!doctype html>")
    written = json.loads((tmp_path / "backtest.json").read_text())
    assert {row["dataset"] for row in written["sets"]} == {"opt", "t5_pile", "nmt"}
