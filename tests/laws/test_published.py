"""Published figures that are quick to measure stay reached; the rest is in docs/claims-laws.md."""

import importlib.util
import os
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "laws" / "published.py"


@pytest.fixture(scope="module")
def published():
    spec = importlib.util.spec_from_file_location("published", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def datasets():
    if "LEADSMAN_DATASETS" not in os.environ:
        pytest.skip("LEADSMAN_DATASETS is not set")
    return Path(os.environ["LEADSMAN_DATASETS"])


@pytest.mark.datasets
def test_gadre(published, datasets):
    rows = published.gadre(datasets)
    assert sum(each["verdict"] == "reached" for each in rows) >= 3
    assert all("95 % interval contains it" in each["reason"] for each in rows)


@pytest.mark.datasets
def test_multipower(published, datasets):
    mean, worst = published.multipower(datasets)[-2:]
    assert mean["ours"] < 0.17
    assert worst["ours"] < 1.0


def test_a_row_is_judged_in_the_direction_of_its_figure(published):
    assert published.against(0.96, 0.95, higher=True) == "reached"
    assert published.against(0.96, 0.95) == "not reached"
    page = published.markdown({"x": [published.row("f", "r", "1", 0.5, "reached")]}, "here")
    assert "| f | r | 1 | 0.5 | reached |  |" in page
