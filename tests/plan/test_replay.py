"""Decisions replayed on real runs; the whole of it is benchmarks/plan/replay.py."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

ROOT = os.environ.get("LEADSMAN_DATASETS")

pytestmark = [
    pytest.mark.datasets,
    pytest.mark.skipif(not ROOT, reason="set LEADSMAN_DATASETS to the public tables"),
]


def replay():
    file = Path(__file__).parents[2] / "benchmarks/plan/replay.py"
    spec = importlib.util.spec_from_file_location("replay", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mean_regrets(tasks):
    rows = list(tasks)
    return {rule: float(np.mean([row[rule] for row in rows])) for rule in rows[0]}, len(rows)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_size_length_and_corpus_on_gadre():
    found, count = mean_regrets(replay().gadre("openlm"))
    print(count, found)
    assert count >= 3
    assert found["plan"] <= 0.5 * found["ratio20"]
    assert found["plan"] <= found["random"]


@pytest.mark.filterwarnings("ignore")
def test_adapters_from_a_fifth_of_their_steps():
    found, _ = mean_regrets(replay().peft())
    assert found["plan"] <= 0.5 * found["best_small"]
    assert found["plan"] <= 0.5 * found["classical"]
