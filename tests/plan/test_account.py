"""The account of a plan and adaptive soundings, in a world whose law is known."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from leadsman.errors import BudgetError
from leadsman.laws import Forecast, forecast_runs
from leadsman.plan import Plan, Project
from leadsman.plan import adaptive as adaptive_module
from leadsman.plan.account import account, stored_draws
from leadsman.plan.adaptive import belief_of_soundings, first_round, sound_adaptively
from leadsman.plan.decide import decide, points_of
from leadsman.plan.soundings import final_options, further_soundings, sounding_recipes
from leadsman.plan.workspace import Workspace
from leadsman.runs import Mixture, Run

Y = "bpb.target"
QUALITY = {"natural": 1.0, "uniform": 0.7, "selected": 3.0}
MIXTURES = [Mixture(name, {name: 1.0}) for name in QUALITY]


def project(**changes) -> Project:
    fields = {
        "sources": [{"name": "web", "path": "w.jsonl"}], "target": {"path": "t.jsonl"},
        "budget": {"flops": 2e13},
    }  # fmt: skip
    return Project.model_validate(fields | changes)


def ladder():
    return sounding_recipes(project().soundings, MIXTURES, vocab_size=2048, data="d", seed=0)


def truth(recipe) -> float:
    """A selected token is worth three natural ones; a run's scatter follows from its id."""
    noise = np.random.default_rng(int(recipe.id, 16)).normal(0, 0.002)
    tokens = QUALITY[recipe.mixture.name] * recipe.tokens
    loss = 0.9 + 9 / recipe.shape.non_embedding_params**0.25 + 90 / tokens**0.4
    return float(loss * np.exp(noise))


def done(recipe) -> Run:
    return Run(id=recipe.id, recipe=recipe, bpb={"target": truth(recipe)})


def planned(given: Project):
    runs = [done(recipe) for recipe in ladder()]
    table = pl.DataFrame([run.row() for run in runs], infer_schema_length=None)
    options = final_options(given, MIXTURES, vocab_size=2048, data="d")
    belief = belief_of_soundings(table, options, y=Y, seed=0)

    def predict(points: pl.DataFrame) -> Forecast:
        return forecast_runs(table, points, y=Y, group="mixture", draws=500)

    plan = decide(
        options, predict, budget_flops=given.budget.total_flops, sounding_flops=1.0,
        fitted_on=["a"], created="now", belief=belief,
    )  # fmt: skip
    further = further_soundings([run.recipe for run in runs], ladder())
    details = account(given, plan, options, belief, candidates=further, noise=belief.noise)
    return plan, details, options, belief


@pytest.fixture(scope="module")
def simple():
    given = project(
        budget={"hours": 40, "hardware": "CPU-core", "devices": 2, "utilisation": 0.5},
        serving={"tokens": 1e6},
    )
    budget = given.budget.model_copy(update={"hours": 2e13 / given.budget.flops_rate / 3600})
    return given, *planned(given.model_copy(update={"budget": budget}))


def test_account_adds_up(simple):
    _, plan, details, _, _ = simple
    assert plan.chosen.recipe.mixture.name == "selected"
    assert sum(each["p"] for each in details["probability_best"]) == pytest.approx(1)
    assert details["regret"]["expected"] >= 0
    cost = details["cost"]
    assert cost["money"] == pytest.approx(cost["hours"] * 2 * 0.04)
    assert cost["energy_kwh"] == pytest.approx(cost["hours"] * 2 * 0.005 * 1.2)
    memory = details["memory"]
    assert memory["limit_bytes"] == 4e9
    assert sum(memory["parts"].values()) == pytest.approx(memory["total_bytes"])
    medians = [each["median"] for each in details["pareto"]]
    assert medians == sorted(medians, reverse=True)
    gaps = [rule["gap"] for rule in details["rules"]]
    assert min(gaps) > -1e-3
    spent = plan.chosen.recipe.flops + 1e6 * details["serving"]["flops_per_token"]
    assert spent == pytest.approx(2e13, rel=0.01)


def test_next_runs_are_cheap_and_plan_survives_json(simple):
    _, plan, details, _, _ = simple
    top = max(recipe.flops for recipe in ladder())
    for each in details["next"]["runs"]:
        assert each["flops"] <= 2.01 * top
        assert each["value"] >= 0
    stored = json.loads(json.dumps(replace(plan, details=details).to_dict()))
    again = Plan.from_dict(stored)
    assert again.details["cost"] == details["cost"]
    assert again.chosen == plan.chosen


def test_stored_draws_are_joint_curves(simple):
    given, _, _, options, belief = simple
    table = stored_draws(options, belief, given.serving)
    assert len(table) == len(options) * 24
    assert set(table["draws"].list.len()) == {200}
    one = table.filter((pl.col("mixture") == "natural") & (pl.col("width") == 72)).sort("flops")
    draws = np.array(one["draws"].to_list())
    assert (np.diff(draws.mean(axis=1)) < 0).all()  # more compute is better
    errors = np.log(draws) - np.log(draws).mean(axis=1, keepdims=True)
    assert np.corrcoef(errors[-1], errors[-2])[0, 1] > 0.99  # the same worlds along a curve


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"serving": {"tokens": 1e15}}, r"a budget of 2e\+13 FLOPs \(-.* after serving\)"),
        ({"decision": {"memory_gb": 1e-4}}, "a device has 0.0001 GB of memory"),
        ({"budget": {"flops": 2e13, "max_params": 10}}, "at most 10 parameters may be served"),
        (
            {"budget": {"flops": 2e13, "max_params": 60_000}, "decision": {"memory_gb": 1e-4}},
            "no model size is allowed: a device has .* at most 60,000 parameters",
        ),
    ],
)
def test_limits_that_leave_no_size_are_named(changes, message):
    with pytest.raises(BudgetError, match=message):
        final_options(project(**changes), MIXTURES, vocab_size=2048, data="d")


@pytest.mark.slow
def test_adaptive_soundings_keep_to_the_compute_and_leave_poor_mixtures(tmp_path, monkeypatch):
    """Training is replaced by the known law: what is tested is which runs are asked for."""
    made = []

    def train(jobs, engine, on_progress=None):
        recipes = [recipe for job in jobs for recipe in job.recipes]
        made.extend(recipes)
        return [done(recipe) for recipe in recipes]

    class Engine:
        workers = 4

    monkeypatch.setattr(adaptive_module, "train_ladder", train)
    monkeypatch.setattr(adaptive_module, "WORLDS", 500)
    given = project()
    options = final_options(given, MIXTURES, vocab_size=2048, data="d")
    places = {"sources": {}, "held_out": {}, "ledger": "", "work": ""}
    runs = sound_adaptively(
        given, ladder(), options, Workspace(tmp_path), Engine(), y=Y, places=places
    )
    first = {recipe.id for recipe in first_round(ladder())}
    later = [recipe for recipe in made if recipe.id not in first]
    assert len({run.id for run in runs}) == len(runs)
    assert first <= {run.id for run in runs}
    everything = {recipe.id for recipe in ladder()}
    fixed = sum(recipe.flops for recipe in ladder() if recipe.tokens == longest(recipe))
    spent = sum(recipe.flops for recipe in later)
    assert spent <= fixed
    assert later
    assert all(recipe.mixture.name != "uniform" for recipe in later)
    assert any(recipe.id in everything for recipe in later) or spent < fixed
    table = pl.DataFrame([run.row() for run in runs], infer_schema_length=None)
    belief = belief_of_soundings(table, options, y=Y, seed=0)
    best = int(belief.draws(points_of(options)).mean(axis=0).argmin())
    assert options[best].mixture.name == "selected"


def longest(recipe):
    return max(each.tokens for each in ladder() if each.trunk_id == recipe.trunk_id)


def test_the_pipeline_stores_plan_draws_and_next(tmp_path, monkeypatch):
    """Data stages and training are replaced; from the ledger to plan.json all is real."""
    from leadsman.plan import pipeline

    workspace = Workspace(tmp_path)

    def train(jobs, engine, on_progress=None):
        runs = [done(recipe) for job in jobs for recipe in job.recipes]
        for run in runs:
            workspace.ledger.add(run)
        return runs

    class Engine:
        workers = 2

    monkeypatch.setattr(pipeline, "train_ladder", train)
    tokens = {"vocab_size": 2048, "data": "d"}
    monkeypatch.setattr(pipeline, "_data_stages", lambda project, workspace: (tokens, MIXTURES))
    monkeypatch.setattr(
        pipeline, "_places", lambda workspace, tokens: {
            "sources": {}, "held_out": {}, "ledger": "", "work": ""
        },
    )  # fmt: skip
    plan = pipeline.make_plan(project(), workspace, Engine())
    stored = json.loads((tmp_path / "plan.json").read_text())
    for key in ("objective", "cost", "memory", "regret", "probability_best", "pareto", "next"):
        assert key in stored, key
    assert Plan.from_dict(stored) == plan
    draws = pl.read_parquet(tmp_path / "plan_draws.parquet")
    assert {"mixture", "width", "flops", "serve_flops_per_token", "draws"} <= set(draws.columns)
    assert plan.chosen.recipe.mixture.name == "selected"
    assert plan.chosen.forecast.id in {each.id for each in workspace.ledger.forecasts()}

    from typer.testing import CliRunner

    from leadsman.cli.main import app

    (tmp_path / "p").mkdir()
    file = tmp_path / "p" / "leadsman.yaml"
    missing = CliRunner().invoke(app, ["next", str(file)])
    assert "no plan has been made yet" in str(missing.exception)
    (tmp_path / "p" / "work").symlink_to(tmp_path)
    found = CliRunner().invoke(app, ["next", str(file), "--count", "2"])
    assert found.exit_code == 0, found.output
    assert len(found.output.splitlines()) <= 3
