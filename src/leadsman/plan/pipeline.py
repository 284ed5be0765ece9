"""The chain from a project to a decision, and on to the run and the score of its forecast.

    prepare -> select -> tokenise -> mixtures -> sound -> forecast, plan      make_plan
    final run and naive run -> score                                          carry_out

Every stage is kept (:mod:`leadsman.plan.workspace`) and every run is in the ledger, so a chain
that was stopped anywhere continues where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from leadsman._version import __version__
from leadsman.engine import Engine
from leadsman.errors import DesignError, EngineError
from leadsman.humanize import count, duration
from leadsman.laws import Forecast, forecast_runs
from leadsman.plan import data
from leadsman.plan.decide import decide
from leadsman.plan.plan import Plan
from leadsman.plan.project import Project
from leadsman.plan.soundings import (
    final_options,
    ladder,
    sounding_recipes,
    told_seconds,
    top_flops_of,
)
from leadsman.plan.workspace import Watcher, Workspace, fingerprint_of
from leadsman.runs import ForecastScore, Mixture, Recipe, Run
from leadsman.train.ladder import TrunkProgress, plan_trunks, train_ladder

Y = f"bpb.{data.HELD_OUT}"
DRAWS = 4000
CURVE_POINTS = 40


def make_plan(project: Project, workspace: Workspace, engine: Engine) -> Plan:
    """Select, sound, forecast, decide; the forecasts are registered before anything else is run.

    Raises:
        InputError: something in the project or its files is wrong.
        BudgetError: the budget does not pay for a sounding.
        DesignError: the soundings cannot carry a forecast.
    """
    tokens, mixtures = _data_stages(project, workspace)
    recipes = _sounding_design(project, mixtures, tokens)
    runs = _sound(recipes, tokens, workspace, engine)
    finished = [run for run in runs if run.status == "finished"]
    table = pl.DataFrame([run.row() for run in finished], infer_schema_length=None)
    inputs = {"runs": sorted(run.id for run in finished), "budget": project.budget.total_flops}

    def do() -> dict[str, Any]:
        return _decide(project, mixtures, tokens, table, finished, workspace)

    result = workspace.stage(
        "forecast", "Forecast and plan", inputs | {"version": __version__}, do
    )
    plan = Plan.from_dict(result["plan"])
    workspace.files.write_json("plan.json", result["plan"])
    for option in (plan.chosen, plan.naive, *plan.alternatives):
        if option.forecast.id not in workspace.ledger:
            workspace.ledger.register(option.forecast)
    _tell_plan(plan, workspace.watcher)
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
    _tell_remaining(recipes, workspace, engine)
    runs = train_ladder(jobs, engine, on_progress=_progress_to(workspace.watcher))
    for run in runs:
        if run.status != "finished":
            raise EngineError(f"run {run.id} failed: {run.reason}")
    workspace.watcher.stage("Score of the forecast")
    scores = workspace.ledger.track_record()
    _tell_scores(scores, runs, workspace.watcher)
    return scores


def describe(project: Project, engine: Engine, watcher: Watcher) -> None:
    """What a plan would do and how long it would take, without doing it."""
    mixtures = [Mixture(name, {name: 1.0}) for name in project.soundings.mixtures]
    shapes = ladder(project, vocab_size=project.tokenizer.vocab_size)
    recipes = sounding_recipes(
        shapes,
        mixtures,
        top_flops=top_flops_of(project, shapes, mixtures),
        data="",
        seed=project.seed,
    )
    watcher.stage(f"Dry run of {project.name}: nothing is read or written")
    watcher.note(f"sources: {', '.join(source.path for source in project.sources)}")
    watcher.note(f"target: {project.target.path}; selector: {project.selection.method}")
    watcher.table(
        "Soundings",
        ["parameters", "tokens", "mixtures", "steps"],
        [
            [
                count(recipe.shape.non_embedding_params),
                count(recipe.tokens),
                ", ".join(mixture.name for mixture in mixtures),
                f"{recipe.steps:,}",
            ]
            for recipe in recipes
            if recipe.mixture is mixtures[0]
        ],
    )
    watcher.note(
        f"{len(recipes)} soundings, {sum(recipe.flops for recipe in recipes):.3g} FLOPs, about "
        f"{duration(told_seconds(recipes, engine.workers))} on {engine.workers} workers"
    )
    options = final_options(
        project, vocab_size=project.tokenizer.vocab_size, mixtures=mixtures[:1], data=""
    )
    watcher.note(
        f"The run being planned costs {project.budget.total_flops:.3g} FLOPs, about "
        f"{duration(told_seconds(options[-1:], 1))} here for {count(options[-1].tokens)} tokens"
    )


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
    )
    data.tell_prepared(prepared, workspace)
    selected = workspace.stage(
        "select",
        f"Select towards the target: {project.selection.method}",
        [prepared["corpus"], prepared["reference"], project.selection.model_dump(), project.seed],
        lambda: data.choose_documents(project, workspace),
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
    )
    data.tell_tokens(tokens, workspace)
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


def _sounding_design(
    project: Project, mixtures: Sequence[Mixture], tokens: dict[str, Any]
) -> list[Recipe]:
    shapes = ladder(project, vocab_size=tokens["vocab_size"])
    return sounding_recipes(
        shapes,
        mixtures,
        top_flops=top_flops_of(project, shapes, mixtures),
        data=tokens["data"],
        seed=project.seed,
    )


def _sound(
    recipes: Sequence[Recipe], tokens: dict[str, Any], workspace: Workspace, engine: Engine
) -> list[Run]:
    sizes = {recipe.shape.non_embedding_params for recipe in recipes}
    names = {recipe.mixture.name for recipe in recipes}
    workspace.watcher.stage(
        f"Sound: {len(recipes)} small runs ({len(sizes)} sizes, {len(names)} mixtures)"
    )
    _tell_remaining(recipes, workspace, engine)
    jobs = plan_trunks(recipes, **_places(workspace, tokens), role="proxy")
    runs = train_ladder(jobs, engine, on_progress=_progress_to(workspace.watcher))
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
    workspace: Workspace,
) -> dict[str, Any]:
    if len(table) < len(mixtures) * 5:
        raise DesignError(
            f"only {len(table)} soundings finished, too few for a forecast of {len(mixtures)} "
            f"mixtures; see `leadsman runs ls` for why the others failed"
        )

    def predict(points: pl.DataFrame) -> Forecast:
        return forecast_runs(
            table, points, y=Y, group="mixture", draws=DRAWS, seed=project.seed
        )

    options = final_options(
        project, vocab_size=tokens["vocab_size"], mixtures=mixtures, data=tokens["data"]
    )
    plan = decide(
        options,
        predict,
        budget_flops=project.budget.total_flops,
        sounding_flops=float(sum(run.recipe.flops for run in finished if run.recipe is not None)),
        fitted_on=[run.id for run in finished],
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return {"plan": plan.to_dict(), "curves": _curves(plan, mixtures, table, predict)}


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


def _progress_to(watcher: Watcher) -> Any:
    def show(states: Sequence[TrunkProgress]) -> None:
        done = sum(state.tokens for state in states)
        total = sum(state.total_tokens for state in states)
        busy = [state.label for state in states if 0 < state.tokens < state.total_tokens]
        watcher.progress(done, total, ", ".join(busy[:2]) or "training")

    return show


def _tell_remaining(recipes: Sequence[Recipe], workspace: Workspace, engine: Engine) -> None:
    todo = [recipe for recipe in recipes if recipe.id not in workspace.ledger]
    if len(todo) < len(recipes):
        workspace.watcher.note(
            f"{len(recipes) - len(todo)} of {len(recipes)} done before; kept"
        )
    if todo:
        workspace.watcher.note(
            f"about {duration(told_seconds(todo, engine.workers))} with {engine.workers} workers "
            f"on a machine like the one the speeds were measured on"
        )


def _tell_plan(plan: Plan, watcher: Watcher) -> None:
    rows = []
    for option in (plan.chosen, plan.naive, *plan.alternatives):
        low, high = option.forecast.intervals["0.95"]
        mark = "recommended" if option is plan.chosen else ""
        mark = "naive" if option is plan.naive and not mark else mark
        rows.append(
            [
                mark,
                option.recipe.mixture.name,
                count(option.recipe.shape.non_embedding_params),
                count(option.recipe.tokens),
                f"{option.forecast.median:.4f}",
                f"{low:.4f} to {high:.4f}",
                f"{100 * option.probability_best:.0f} %",
            ]
        )
    unique = list({tuple(row): row for row in rows}.values())
    header = ["", "mixture", "params", "tokens", "bits/byte", "95 % interval", "is best"]
    watcher.table(f"Forecast for {plan.budget_flops:.3g} FLOPs", header, unique[:8])
    recipe = plan.chosen.recipe
    watcher.note(
        f"Plan: {count(recipe.shape.non_embedding_params)} parameters "
        f"({recipe.shape.layers} layers, width {recipe.shape.width}), {count(recipe.tokens)} "
        f"tokens of the {recipe.mixture.name} mixture, lr {recipe.lr:g}, batch "
        f"{recipe.batch_tokens} tokens, {recipe.schedule.name}"
    )
    if plan.saving is not None:
        more = "at least " if plan.saving.censored else ""
        watcher.note(
            f"Saves {more}{100 * plan.saving.fraction:.0f} % of the compute at the quality of the "
            f"naive choice (80 %: {100 * plan.saving.low:.0f} to {100 * plan.saving.high:.0f} %)"
        )
    for warning in plan.chosen.forecast.warnings:
        watcher.note(f"Note: {warning}")


def _tell_scores(
    scores: Sequence[ForecastScore], runs: Sequence[Run], watcher: Watcher
) -> None:
    roles = {run.id: run for run in runs}
    rows = []
    for score in scores:
        run = roles.get(score.forecast.id)
        if run is None or run.recipe is None:
            continue
        low, high = score.forecast.intervals["0.95"]
        rows.append(
            [
                run.role,
                run.recipe.mixture.name,
                f"{score.forecast.median:.4f}",
                f"{low:.4f} to {high:.4f}",
                f"{score.actual:.4f}",
                f"{100 * score.relative_error:+.2f} %",
                "inside" if score.inside["0.95"] else "OUTSIDE",
            ]
        )
    header = ["run", "mixture", "forecast", "95 % interval", "actual", "error", "95 %"]
    watcher.table("", header, rows)
