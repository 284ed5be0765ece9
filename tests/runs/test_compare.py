from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from leadsman.errors import InputError
from leadsman.runs import Ledger, Mixture, ModelShape, Recipe, Run
from leadsman.runs.compare import compare
from leadsman.runs.curves import write_curves

SHAPE = ModelShape(
    layers=2, width=32, heads=4, kv_heads=2, ffn_width=48, vocab_size=320, seq_len=16
)
RECIPE = Recipe(
    shape=SHAPE, mixture=Mixture("m", {"a": 1}), data="d", tokens=6400, batch_tokens=64, lr=0.01
)


def curve(level: float, steps: int = 100) -> pl.DataFrame:
    tokens = 64 * np.arange(1, steps + 1)
    return pl.DataFrame(
        {
            "step": np.arange(1, steps + 1),
            "tokens": tokens,
            "loss": level + 100 / tokens,
            "lr": 0.01,
        }
    )


def add(ledger: Ledger, recipe: Recipe, bpb: float, level: float = 2.0) -> str:
    run = Run(id=recipe.id, recipe=recipe, bpb={"t": bpb}, losses={"t": 2 * bpb}, device="cpu")
    ledger.add(run, curve=curve(level))
    return recipe.id


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(str(tmp_path))


def test_settings_that_differ_are_told_and_no_others(ledger):
    a = add(ledger, RECIPE, 1.0)
    wide = replace(SHAPE, width=64)
    b = add(ledger, replace(RECIPE, shape=wide, lr=0.02, methods={"lion": {"beta": 1}}), 1.1)
    found = compare(ledger, a[:12], b)
    assert dict(found.settings) == {
        "shape.width": (32, 64),
        "lr": (0.01, 0.02),
        "methods.lion.beta": (None, 1),
    }
    bpb = next(each for each in found.results if each.name == "bpb.t")
    assert bpb.change == pytest.approx(0.1)
    assert math.isnan(bpb.noise)
    assert bpb.replicates == 0


def test_seed_noise_is_that_of_the_replicates(ledger):
    values = {0: 1.00, 1: 1.02, 2: 1.04}
    ids = [add(ledger, replace(RECIPE, seed=seed), value) for seed, value in values.items()]
    other = add(ledger, replace(RECIPE, lr=0.02), 1.30)
    found = next(e for e in compare(ledger, ids[0], other).results if e.name == "bpb.t")
    relative = np.std([1.00, 1.02, 1.04], ddof=1) / 1.02
    assert found.noise == pytest.approx(relative * math.hypot(1.00, 1.30))
    assert found.replicates == 3
    assert found.deviations == pytest.approx(0.30 / found.noise)


def test_noise_of_other_recipes_serves_where_there_is_no_better(ledger):
    elsewhere = replace(RECIPE, tokens=12_800)
    for seed, value in ((0, 2.0), (1, 2.2)):
        add(ledger, replace(elsewhere, seed=seed), value)
    a, b = add(ledger, RECIPE, 1.0), add(ledger, replace(RECIPE, lr=0.02), 1.0)
    found = next(e for e in compare(ledger, a, b).results if e.name == "bpb.t")
    relative = np.std([2.0, 2.2], ddof=1) / 2.1
    assert found.noise == pytest.approx(relative * math.sqrt(2))


def test_curves_meet_at_equal_tokens(ledger):
    a = add(ledger, RECIPE, 1.0, level=2.0)
    b = add(ledger, replace(RECIPE, seed=7), 1.0, level=2.5)
    found = compare(ledger, a, b).curves
    assert found["tokens"].to_list() == [800 * k for k in range(1, 9)]
    assert (found["b"] - found["a"]).to_list() == pytest.approx([0.5] * 8)
    tokens = 64 * np.arange(1, 101)
    first = (2.0 + 100 / tokens)[tokens <= 800].mean()
    assert found["a"][0] == pytest.approx(first)


def test_an_imported_run_can_be_compared(ledger):
    ledger.add(Run(id="theirs", settings={"params": 5.0}, losses={"t": 3.0}))
    found = compare(ledger, "theirs", add(ledger, RECIPE, 1.0))
    assert found.settings["params"] == (5.0, None)
    assert found.curves.is_empty()
    assert [each.name for each in found.results] == ["loss.t"]
    with pytest.raises(InputError, match="no run begins with 'nothing'"):
        compare(ledger, "theirs", "nothing")


def test_the_command_and_its_plot(ledger, tmp_path):
    from typer.testing import CliRunner

    from leadsman.cli.main import app

    a, b = add(ledger, RECIPE, 1.0), add(ledger, replace(RECIPE, lr=0.02), 1.1)
    page = tmp_path / "curves.html"
    arguments = ["runs", "compare", a, b, "--ledger", ledger.location, "--plot", str(page)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "+10.00%" in result.output
    assert "no runs differ" in result.output
    assert "lr 0.02" in page.read_text()
    ledger.add(Run(id="bare"))
    with pytest.raises(InputError, match="none of these runs has a curve"):
        write_curves(ledger, ["bare"], page)


def test_a_run_that_ended_at_once_is_compared_where_both_have_steps(ledger):
    a = add(ledger, RECIPE, 1.0)
    short = replace(RECIPE, lr=1e6)
    failed = Run(id=short.id, recipe=short, status="failed", reason="diverged at step 2")
    ledger.add(failed, curve=curve(9.0, steps=2))
    found = compare(ledger, a, short.id)
    assert found.settings["status"] == ("finished", "failed")
    assert found.curves["tokens"].to_list() == [64, 128]
    assert found.curves.null_count().sum_horizontal().item() == 0
