"""The back-test: the split rule, the whole path on one data set, thinning."""

import os

import numpy as np
import polars as pl
import pytest

from leadsman.errors import InputError
from leadsman.laws.backtest import Case, load_cases
from leadsman.laws.backtest.cases import thin


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


@pytest.mark.datasets
@pytest.mark.skipif("LEADSMAN_DATASETS" not in os.environ, reason="LEADSMAN_DATASETS is not set")
def test_one_data_set_end_to_end(tmp_path):
    from leadsman.laws.backtest.report import bars, write_report
    from leadsman.laws.backtest.suite import run_suite

    result = run_suite(os.environ["LEADSMAN_DATASETS"], only="opt", workers=1)
    assert set(result.points["method"]) == {"leadsman", "bootstrap", "bootstrap+noise"}
    assert bars(result)["sets"] == 1
    write_report(result, tmp_path)
    assert (tmp_path / "backtest.html").read_text().startswith("<!doctype html>")
