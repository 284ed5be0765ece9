"""The chain from a project to a decision, and on to the run and the score of its forecast.

    prepare -> select -> tokenise -> mixtures -> sound -> forecast, plan      make_plan
    final run and naive run -> score                                          carry_out

Every stage is kept (:mod:`leadsman.plan.workspace`) and every run is in the ledger, so a chain
that was stopped anywhere continues where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from leadsman._version import __version__
from leadsman.engine import Engine
from leadsman.errors import DesignError, EngineError
from leadsman.laws import Forecast, forecast_runs
from leadsman.plan import data, tell
from leadsman.plan.account import account, stored_draws
from leadsman.plan.adaptive import belief_of_soundings, sound_adaptively
from leadsman.plan.decide import decide
from leadsman.plan.decision import Objective
from leadsman.plan.plan import Plan
from leadsman.plan.project import Project
from leadsman.plan.soundings import (
    check_budget,
    final_options,
    further_soundings,
    sounding_recipes,
)
from leadsman.plan.workspace import Workspace, fingerprint_of
from leadsman.runs import ForecastScore, Mixture, Recipe, Run
from leadsman.train.ladder import plan_trunks, train_ladder

Y = f"bpb.{data.HELD_OUT}"
DRAWS = 4000
CURVE_POINTS = 40


def make_plan(
    project: Project, workspace: Workspace, engine: Engine, *, adaptive: bool = False
) -> Plan:
    """Select, sound, forecast, decide; the forecasts are registered before anything else is run.

    Args:
        project: what to plan; sources of an excluded licence are left out.
        workspace: where stages and runs are kept.
        engine: where to train.
        adaptive: choose soundings one round after another, by what they would save.

    Raises:
        InputError: something in the project or its files is wrong.
        BudgetError: the budget does not pay for a sounding.
        DesignError: the soundings cannot carry a forecast.
    """
    project = project.allowed()
    measured = project.budget.measured(workspace.ledger)
    project = project.model_copy(update={"budget": measured})
    check_budget(project)
    tokens, mixtures = _data_stages(project, workspace)
    recipes = sounding_recipes(
        project.soundings,
        mixtures,
        vocab_size=tokens["vocab_size"],
        data=tokens["data"],
        seed=project.seed,
    )
    if adaptive:
        places = _places(workspace, tokens)
        options = _options(project, mixtures, tokens)
        runs = sound_adaptively(project, recipes, options, workspace, engine, y=Y, places=places)
    else:
        runs = _sound(recipes, tokens, workspace, engine)
    finished = [run for run in runs if run.status == "finished"]
    table = pl.DataFrame([run.row() for run in finished], infer_schema_length=None)
    inputs = {
        "runs": sorted(run.id for run in finished),
        "project": project.model_dump(mode="json", exclude={"sources", "target"}),
        "budget": project.budget.total_flops,
    }

    def do() -> dict[str, Any]:
        return _decide(project, mixtures, tokens, table, finished, recipes, workspace)

    result = workspace.stage("forecast", "Forecast and plan", inputs | {"version": __version__}, do)
    plan = Plan.from_dict(result["plan"])
    workspace.files.write_json("plan.json", result["plan"])
    for option in (plan.chosen, plan.naive, *plan.alternatives):
        if option.forecast.id not in workspace.ledger:
            workspace.ledger.register(option.forecast)
    tell.tell_plan(plan, workspace.watcher)
    return plan


def carry_out(
    project: Project, plan: Plan, workspace: Workspace, engine: Engine
) -> list[ForecastScore]:
    """Do the chosen run and the naive one, and score their forecasts.

    Raises:
        EngineError: a run was lost or diverged.
    """
    tokens = workspace.result("tokenise")
    wanted = {plan.chosen.recipe.id: (plan.chosen.recipe, "final")}
    wanted.setdefault(plan.naive.recipe.id, (plan.naive.recipe, "naive"))
    jobs = [
        job
        for recipe, role in wanted.values()
        for job in plan_trunks(
            [recipe], **_places(workspace, tokens), role=role, models=str(workspace.path / "models")
        )
    ]
    recipes = [recipe for recipe, _ in wanted.values()]
    workspace.watcher.stage("The real run, and the naive one beside it")
    tell.tell_remaining(recipes, workspace, engine.workers)
    runs = train_ladder(jobs, engine, on_progress=tell.progress_to(workspace.watcher))
    for run in runs:
        if run.status != "finished":
            raise EngineError(f"run {run.id} failed: {run.reason}")
    workspace.watcher.stage("Score of the forecast")
    scores = workspace.ledger.track_record()
    tell.tell_scores(scores, runs, workspace.watcher)
    return scores


def _data_stages(project: Project, workspace: Workspace) -> tuple[dict[str, Any], list[Mixture]]:
    """From files to token sets and mixtures."""
    files = data.input_files(project)
    prepared = workspace.stage(
        "prepare",
        "Prepare: read, drop duplicates, drop what the target holds",
        {
            "files": files,
            "sources": [source.model_dump() for source in project.sources],
            "target": project.target.model_dump(),
            "seed": project.seed,
        },
        lambda: data.prepare(project, workspace),
        owns=["corpora"],
    )
    tell.tell_prepared(prepared, workspace.watcher)
    selected = workspace.stage(
        "select",
        f"Select towards the target: {project.selection.method}",
        [prepared["corpus"], prepared["reference"], project.selection.model_dump(), project.seed],
        lambda: data.choose_documents(project, workspace),
        owns=["corpora/selected"],
    )
    workspace.watcher.note(f"{selected['documents']:,} documents kept. {selected['note']}")
    tokens = workspace.stage(
        "tokenise",
        "Tokenise",
        [
            prepared["corpus"],
            selected["corpus"],
            prepared["held_out"],
            project.tokenizer.model_dump(),
        ],
        lambda: data.tokenise(project, workspace),
        owns=["tokens", "tokenizer.json"],
    )
    tell.tell_tokens(tokens, workspace.watcher)
    mixtures = data.mixtures(project, prepared)
    workspace.files.write_json(
        "stages/mixtures.json",
        {
            "fingerprint": fingerprint_of([prepared, selected]),
            "result": {
                "by_source": {
                    mixture.name: data.shares_by_source(mixture, selected) for mixture in mixtures
                }
            },
        },
    )
    return tokens, mixtures


def _sound(
    recipes: Sequence[Recipe], tokens: dict[str, Any], workspace: Workspace, engine: Engine
) -> list[Run]:
    sizes = {recipe.shape.non_embedding_params for recipe in recipes}
    names = {recipe.mixture.name for recipe in recipes}
    workspace.watcher.stage(
        f"Sound: {len(recipes)} small runs ({len(sizes)} sizes, {len(names)} mixtures)"
    )
    tell.tell_remaining(recipes, workspace, engine.workers)
    jobs = plan_trunks(recipes, **_places(workspace, tokens), role="proxy")
    runs = train_ladder(jobs, engine, on_progress=tell.progress_to(workspace.watcher))
    for run in runs:
        if run.status != "finished":
            workspace.watcher.note(f"Note: sounding {run.id} failed: {run.reason}")
    workspace.watcher.note(
        f"{len(runs)} runs in the ledger, {sum(recipe.flops for recipe in recipes):.3g} FLOPs"
    )
    return runs


def _decide(
    project: Project,
    mixtures: Sequence[Mixture],
    tokens: dict[str, Any],
    table: pl.DataFrame,
    finished: Sequence[Run],
    ladder: Sequence[Recipe],
    workspace: Workspace,
) -> dict[str, Any]:
    if len(table) < len(mixtures) * 5:
        raise DesignError(
            f"only {len(table)} soundings finished, too few for a forecast of {len(mixtures)} "
            f"mixtures; see `leadsman runs ls` for why the others failed"
        )

    def predict(points: pl.DataFrame) -> Forecast:
        return forecast_runs(table, points, y=Y, group="mixture", draws=DRAWS, seed=project.seed)

    options = _options(project, mixtures, tokens)
    belief = belief_of_soundings(table, options, y=Y, seed=project.seed)
    plan = decide(
        options,
        predict,
        objective=Objective(project.decision.objective, project.decision.quantile),
        belief=belief,
        budget_flops=project.budget.total_flops,
        sounding_flops=float(sum(run.recipe.flops for run in finished if run.recipe is not None)),
        fitted_on=[run.id for run in finished],
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    done = [run.recipe for run in finished if run.recipe is not None]
    details = account(
        project,
        plan,
        options,
        belief,
        candidates=further_soundings(done, ladder),
        noise=belief.noise,
    )
    workspace.files.write_frame(
        "plan_draws.parquet", stored_draws(options, belief, project.serving)
    )
    plan = replace(plan, details=details)
    return {"plan": plan.to_dict(), "curves": _curves(plan, mixtures, table, predict)}


def _options(project: Project, mixtures: Sequence[Mixture], tokens: dict[str, Any]) -> list[Recipe]:
    return final_options(project, mixtures, vocab_size=tokens["vocab_size"], data=tokens["data"])


def _curves(
    plan: Plan, mixtures: Sequence[Mixture], table: pl.DataFrame, predict: Any
) -> list[dict[str, Any]]:
    """The forecast for the chosen shape over compute, from the soundings to the budget."""
    shape = plan.chosen.recipe.shape
    least = float(table["flops"].min() or plan.budget_flops)  # type: ignore[arg-type]
    flops = np.geomspace(least, plan.budget_flops, CURVE_POINTS)
    curves = []
    for mixture in mixtures:
        forecast = predict(
            pl.DataFrame(
                {
                    "params": [float(shape.non_embedding_params)] * CURVE_POINTS,
                    "tokens": flops / shape.train_flops_per_token,
                    "flops": flops,
                    "mixture": [mixture.name] * CURVE_POINTS,
                }
            )
        )
        curves.append(
            {
                "mixture": mixture.name,
                "flops": flops.tolist(),
                "median": forecast.quantile(0.5).tolist(),
                "intervals": {
                    str(level): forecast.interval(level).tolist() for level in (0.5, 0.8, 0.95)
                },
            }
        )
    return curves


def _places(workspace: Workspace, tokens: dict[str, Any]) -> dict[str, Any]:
    return {
        "sources": data.token_directories(workspace, tokens),
        "held_out": data.held_out_directories(workspace),
        "ledger": workspace.ledger.location,
        "work": str(workspace.path / "training"),
    }
