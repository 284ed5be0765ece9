"""Hours and money by precision: what is measured, what is paid, and which is planned."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from leadsman.plan import Plan, Project, conclude
from leadsman.plan.budget import Budget
from leadsman.plan.decision import series as decision_series
from leadsman.plan.designed import Designed
from leadsman.plan.hardware import find_accelerator
from leadsman.plan.settings import believe
from leadsman.plan.settings.runs import setting_runs
from leadsman.plan.soundings import sounding_recipes
from leadsman.plan.speed import Speed, measured_speeds, precision_speeds
from leadsman.plan.workspace import Workspace
from leadsman.runs import Mixture, Run
from leadsman.train.defaults import default_recipe, shape_of_width

MIXTURES = [Mixture(name, {name: 1.0}) for name in ("natural", "selected")]
SETS = dict.fromkeys(("natural", "selected", "web"), 1e8)
TOKENS = {
    "vocab_size": 2048, "data": "d", "full": SETS,
    "sets": {name: {"tokens": size} for name, size in SETS.items()},
}  # fmt: skip
BETTER = 0.97
"""Loss in float32 over that in bf16 after as many tokens."""


def run_of(width: int, rate: float, precision: str = "bf16", **changes) -> Run:
    shape = shape_of_width(width, vocab_size=2048, seq_len=256)
    name = changes.pop("mixture", "natural")
    recipe = default_recipe(shape, Mixture(name, {name: 1.0}), "d", 100_000, seed=0)
    recipe = replace(recipe, precision=precision)
    return Run(id=f"{recipe.id}{rate}", recipe=recipe, tokens_per_second=rate, **changes)


def test_speed_is_the_ratio_of_medians_of_runs_that_are_alike():
    runs = [
        run_of(64, 900.0), run_of(64, 1000.0, mixture="selected"), run_of(64, 5000.0),
        run_of(64, 400.0, "float32"),
        run_of(96, 600.0), run_of(96, 300.0, "float32"),
        run_of(128, 1.0, "float32"),  # none in bf16 to compare with
        run_of(64, 9e9, "float32", device="another"), run_of(64, 9e9, "float32", role="final"),
        run_of(64, 9e9, "float32", status="failed"), run_of(64, float("nan"), "float32"),
    ]  # fmt: skip
    assert measured_speeds(runs, "bf16") == {"float32": pytest.approx((0.4 + 0.5) / 2)}


def test_without_runs_of_both_the_table_tells_and_else_nothing_is_known():
    h100 = find_accelerator("H100-SXM")
    only = [run_of(64, 900.0)]
    speeds = precision_speeds(["float32"], "bf16", only, h100)
    assert speeds == {"float32": Speed(67 / 989, "table")}
    assert precision_speeds(["float32"], "bf16", only) == {"float32": Speed(1.0, "unknown")}


@pytest.mark.parametrize(
    ("fields", "dearer"),
    [
        ({"flops": 1e15}, 1.0),
        ({"hours": 2.0, "flops_per_second": 1e12}, 2.5),
        ({"money": "10 USD", "hardware": "H100-SXM"}, 2.5),
        ({"flops": 1e15, "flops_per_second": 1e12, "deadline_hours": 10.0}, 1.0),
        # the deadline allows 3.6e15, in float32 1.44e15
        ({"flops": 2.88e15, "flops_per_second": 1e12, "deadline_hours": 1.0}, 2.0),
    ],
)
def test_what_a_flop_takes_of_a_budget(fields, dearer):
    budget = Budget.model_validate(fields).timed({"float32": Speed(0.4, "ledger")})
    assert budget.dearer("float32") == pytest.approx(dearer)
    assert budget.dearer("bf16") == 1.0


def truth(recipe) -> float:
    scatter = np.random.default_rng(int(recipe.id, 16)).normal(0, 0.001)
    worth = 3.0 if "selected" in recipe.mixture.name else 1.0
    tokens = worth * recipe.tokens
    loss = 0.9 + 9 / recipe.shape.non_embedding_params**0.25 + 90 / tokens**0.4
    return float(loss * (BETTER if recipe.precision == "float32" else 1.0) * np.exp(scatter))


def plan_of(tmp_path, ratio: float, budget: dict) -> tuple[Project, Plan]:
    """A plan in a world where float32 is better by token and ``ratio`` times as fast."""
    given = Project.model_validate({
        "sources": [{"name": "web", "path": "w.jsonl"}], "target": {"path": "t.jsonl"},
        "budget": budget, "soundings": {"minutes": 3, "mixtures": ["natural", "selected"]},
        "vary": {"lr": [], "batch_tokens": [], "keep": [], "added_share": 0,
                 "precision": ["float32"]},
    })  # fmt: skip

    def done(recipe, role: str) -> Run:
        rate = 1000.0 * (ratio if recipe.precision == "float32" else 1.0)
        return Run(id=recipe.id, role=role, recipe=recipe, tokens_per_second=rate,
                   bpb={"target": truth(recipe)})  # fmt: skip

    ladder = sounding_recipes(given.soundings, MIXTURES, vocab_size=2048, data="d", seed=0)
    found = Designed(given, MIXTURES, TOKENS, ladder)
    around = next(each for each in found.options() if each.mixture.name == "selected")
    tried = setting_runs(found.axes, ladder, around, share=0.25).recipes.values()
    runs = [done(each, "proxy") for each in [*ladder, *tried]]
    plan = Plan.from_dict(conclude.conclude(found, runs, Workspace(tmp_path))["plan"])
    return given, plan


HOURS = {"hours": 10.0, "flops_per_second": 2e13 / 36000, "price_per_hour": "3 USD"}


@pytest.mark.parametrize(
    ("ratio", "budget", "precision"),
    [
        (0.9, HOURS, "float32"),  # a tenth of the tokens costs less than it gains
        pytest.param(0.3, HOURS, "bf16", marks=pytest.mark.slow),
        pytest.param(0.3, {"flops": 2e13}, "float32", marks=pytest.mark.slow),
    ],
)
def test_the_faster_precision_is_planned_where_hours_bind(
    tmp_path, monkeypatch, ratio, budget, precision
):
    monkeypatch.setattr(believe, "WORLDS", 400)
    monkeypatch.setattr(conclude, "DRAWS", 400)
    monkeypatch.setattr(decision_series, "BOOTSTRAP", 50)
    given, plan = plan_of(tmp_path, ratio, budget)
    chosen = plan.chosen.recipe
    assert chosen.precision == precision
    (told,) = [each for each in plan.details["settings"] if each["axis"] == "precision"]
    assert told["speed"] == pytest.approx(ratio)
    assert told["chosen"] == (precision == "float32")
    if "hours" in budget:
        speed = ratio if precision == "float32" else 1.0
        assert chosen.flops == pytest.approx(speed * given.budget.total_flops, rel=0.02)
        assert plan.details["cost"]["hours"] == pytest.approx(10.0, rel=0.02)
        assert plan.details["cost"]["money"] == pytest.approx(30.0, rel=0.02)
        # what the sliders move over is counted at the budget's own speed
        table = pl.read_parquet(tmp_path / "plan_draws.parquet")
        own = table.filter(pl.col("settings") == (plan.chosen.label if speed < 1 else ""))
        assert own["flops"].max() == pytest.approx(3 * given.budget.total_flops, rel=0.02)
        rate = plan.details["cost"]["budget_flops_per_second"]
        assert rate == pytest.approx(plan.details["cost"]["flops_per_second"] / speed)
        # three per cent better by token, and what the lost tokens cost, by the planted law
        lost = replace(chosen, precision="float32")
        full = replace(chosen, precision="bf16", tokens=int(chosen.tokens / speed))
        lost = replace(lost, tokens=int(full.tokens * ratio))
        expected = np.log(truth(lost) / truth(full))
        assert np.log1p(told["effect"]) == pytest.approx(expected, abs=0.012)
    else:
        assert chosen.flops == pytest.approx(2e13, rel=0.02)
        assert np.log1p(told["effect"]) == pytest.approx(np.log(BETTER), abs=0.006)
