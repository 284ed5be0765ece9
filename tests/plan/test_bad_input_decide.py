"""What a user can ask of `plan` and `decide` that cannot be: one clear sentence and exit code 2."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from leadsman.runs import Ledger, Mixture, Run
from leadsman.train.defaults import default_recipe, shape_of_width

SPEC = {
    "space": {"params": {"low": 1e7, "high": 1e10}, "tokens": {"low": 1e8, "high": 1e12}},
    "budget": {"flops": 1e20},
    "worlds": 500,
}
PROJECT = {
    "sources": [{"name": "a", "path": "a.jsonl"}, {"name": "b", "path": "b.jsonl"}],
    "target": {"path": "t.jsonl"},
    "budget": {"flops": 1e12},
}


def leadsman(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "leadsman", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def refusal(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


def decide(folder: Path, runs: pl.DataFrame | Path, **changes) -> subprocess.CompletedProcess[str]:
    if isinstance(runs, pl.DataFrame):
        runs.write_csv(folder / "runs.csv")
        runs = folder / "runs.csv"
    (folder / "spec.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(SPEC | changes))))
    return leadsman("decide", runs, folder / "spec.yaml", "--out", folder / "plan.json")


def plan(folder: Path, **changes) -> subprocess.CompletedProcess[str]:
    for name in ("a", "b", "t"):
        (folder / f"{name}.jsonl").touch()
    (folder / "leadsman.yaml").write_text(yaml.safe_dump(PROJECT | changes))
    return leadsman("plan", folder / "leadsman.yaml")


@pytest.fixture(scope="module")
def runs() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    params, ratio = np.meshgrid(np.geomspace(1e6, 6e7, 6), [5.0, 20.0, 80.0, 320.0])
    frame = pl.DataFrame({"params": params.ravel(), "tokens": (params * ratio).ravel()})
    loss = 1.7 + 400 / frame["params"] ** 0.34 + 1200 / frame["tokens"] ** 0.33
    return frame.with_columns(loss=loss * np.exp(0.002 * rng.standard_normal(len(frame))))


def test_a_budget_below_any_run(tmp_path, runs):
    assert "no choice meets budget: at most 1e+12 FLOPs" in refusal(
        decide(tmp_path, runs, budget={"flops": 1e12})
    )
    said = refusal(plan(tmp_path, budget={"flops": 1e6}))
    assert "a budget of 1e+06 FLOPs allows no run" in said
    assert not (tmp_path / "work/corpora").exists()


def test_limits_that_contradict_each_other_are_both_named(tmp_path, runs):
    """Ten billion tokens, and two sources of one: four passes over either leave the other short."""
    share = np.linspace(0.1, 0.9, len(runs))
    mixed = runs.with_columns(pl.Series("mix.a", share), pl.Series("mix.b", 1 - share))
    space = {
        "params": {"low": 1e7, "high": 1e9},
        "tokens": {"fixed": 1e10},
        "mix.a": {"low": 0.01, "high": 1.0, "scale": "linear"},
        "mix.b": {"low": 0.01, "high": 1.0, "scale": "linear"},
    }
    sources = {"a": {"tokens": 1e9}, "b": {"tokens": 1e9}}
    said = refusal(decide(tmp_path, mixed, space=space, sources=sources))
    assert "the quantity of 'a' (at most 4 epochs) and the quantity of 'b' (at most 4" in said
    assert "contradict each other: no choice meets both" in said
    budget = {"flops": 2e13, "max_params": 60_000}
    said = refusal(plan(tmp_path, budget=budget, decision={"memory_gb": 1e-4}))
    assert "a device has 0.0001 GB of memory" in said
    assert "at most 60,000 parameters may be served" in said


def test_no_support_near_the_plan_is_said_and_wider(tmp_path, runs):
    near_space = {"params": {"low": 1e6, "high": 1e9}, "tokens": {"low": 1e8, "high": 1e11}}
    widths = []
    for budget, space in ((1e18, near_space), (1e22, SPEC["space"])):
        result = decide(tmp_path, runs, budget={"flops": budget}, space=space)
        assert result.returncode == 0, result.stderr
        found = json.loads((tmp_path / "plan.json").read_text())
        widths.append(np.log(found["high"] / found["low"]))
    assert "the compute of the largest run" in result.stdout
    assert widths[1] > 1.5 * widths[0]


def test_prices_in_two_currencies(tmp_path, runs):
    sources = {"a": {"tokens": 1e9}, "b": {"tokens": 1e9, "price": "9 EUR"}}
    money = {"money": "100 USD", "price_per_hour": "2 USD", "flops_per_second": 6e14}
    assert "mixed currencies: the money for data is 100.00 USD, source 'b' is 9.00 EUR" in refusal(
        decide(tmp_path, runs, sources=sources, budget=money)
    )
    priced = [{"name": "a", "path": "a.jsonl"}, {"name": "b", "path": "b.jsonl", "price": "9 EUR"}]
    said = refusal(plan(tmp_path, sources=priced, budget=money))
    assert "mixed currencies: budget.money is 100.00 USD" in said
    assert "source 'b' is 9.00 EUR" in said


def test_a_source_larger_than_declared(tmp_path, runs):
    sources = {"web": {"tokens": 1000, "sample_tokens": 5000}}
    assert "'web' declares 1,000 tokens, its sample alone has 5,000" in refusal(
        decide(tmp_path, runs, sources=sources)
    )


def test_a_ledger_with_runs_of_two_tokenizers(tmp_path):
    ledger = Ledger(str(tmp_path / "ledger"))
    for vocab_size in (512, 2048):
        for width in (48, 72, 96, 128):
            shape = shape_of_width(width, vocab_size=vocab_size, seq_len=256)
            for tokens in (100_000, 200_000, 400_000):
                recipe = default_recipe(
                    shape, Mixture("web", {"web": 1}), "d", tokens, seed=0, precision="float32"
                )
                loss = 2 + 9 / shape.non_embedding_params**0.2 + 9 / tokens**0.2
                ledger.add(Run(id=recipe.id, recipe=recipe, losses={"web": loss}))
    space = {"params": {"low": 1e5, "high": 1e7}, "tokens": {"low": 1e5, "high": 1e9}}
    changes = {"y": "loss.web", "space": space, "budget": {"flops": 1e15}}
    said = refusal(decide(tmp_path, tmp_path / "ledger", **changes))
    assert "several tokenizers (shape.vocab_size is 512, 2048)" in said
    assert "bits per byte" in said


def test_a_space_in_another_unit_than_the_runs(tmp_path, runs):
    millions = runs.with_columns(pl.col("params") / 1e6, pl.col("tokens") / 1e9)
    said = refusal(decide(tmp_path, millions))
    assert "the space has params from 1e+07 to 1e+10, the runs from 1 to 60" in said


def test_a_result_that_rises_and_is_no_score(tmp_path, runs):
    rising = runs.with_columns(elo=5000 - 100 * pl.col("loss"))
    said = refusal(decide(tmp_path, rising, y="elo"))
    assert "elo rises with compute, and a plan lowers it" in said
