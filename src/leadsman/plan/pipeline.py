"""The chain from a project to a decision, and on to the run and the score of its forecast.

    prepare -> select -> tokenise -> mixtures -> sound -> try settings -> forecast, plan   make_plan
    final run and naive run -> score                                                       carry_out

Every stage is kept (:mod:`leadsman.plan.workspace`) and every run is in the ledger, so a chain
that was stopped anywhere continues where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leadsman._version import __version__
from leadsman.engine import Engine
from leadsman.errors import EngineError
from leadsman.plan import data, tell
from leadsman.plan.adaptive import sound_adaptively
from leadsman.plan.check import check_project, size_notes
from leadsman.plan.conclude import Y, conclude, first_choice
from leadsman.plan.data.stages import data_stages
from leadsman.plan.designed import Designed
from leadsman.plan.plan import Plan
from leadsman.plan.project import Project
from leadsman.plan.settings.runs import setting_runs
from leadsman.plan.soundings import check_budget, looked_at, refusal, sounding_recipes
from leadsman.plan.starts import Start
from leadsman.plan.workspace import Workspace
from leadsman.runs import ForecastScore, Recipe, Run
from leadsman.train.ladder import plan_trunks, train_ladder

SETTING = "setting"
"""Role of the runs that try settings."""


def make_plan(
    project: Project,
    workspace: Workspace,
    engine: Engine,
    *,
    adaptive: bool = False,
    here: bool = False,
) -> Plan:
    """Select, sound, try settings, forecast, decide; forecasts are registered before any real run.

    Args:
        project: what to plan; sources of an excluded licence are left out.
        workspace: where stages and runs are kept.
        engine: where to train.
        adaptive: choose soundings one round after another, by what they would save.
        here: the planned run is made here (:func:`carry_out`), so of free sources it reads what can
            be read, not their full declared size.

    Raises:
        InputError: something in the project or its files is wrong.
        BudgetError: the budget does not pay for a sounding, or limits leave no choice.
        DesignError: the soundings cannot carry a forecast.
    """
    notes = check_project(project)
    project = project.allowed()
    measured = project.budget.measured(workspace.ledger)
    project = project.model_copy(update={"budget": measured})
    project, starts = looked_at(project)
    allowed = [start for start in starts if refusal(project, start) is None]
    notes += size_notes(project, check_budget(project, allowed))
    for note in notes:
        workspace.watcher.note(f"Note: {note}")
    tokens, mixtures = data_stages(project, workspace, starts, here=here)
    known = _known_starts(project, starts, workspace, tokens)
    beside = [
        recipe
        for start in allowed
        for recipe in start.series(mixtures, tokens["data"], seed=project.seed)
    ]
    ladder = sounding_recipes(
        project.soundings,
        mixtures,
        vocab_size=tokens["vocab_size"],
        data=tokens["data"],
        seed=project.seed,
        beside=beside,
    )
    found = Designed(project, mixtures, tokens, ladder, beside, known, here=here)
    found.options()  # limits that leave no choice are said before anything is trained
    places = _places(workspace, tokens, starts)
    if adaptive:
        runs = sound_adaptively(found, workspace, engine, y=Y, places=places)
    else:
        runs = _sound(ladder, places, workspace, engine)
    runs += _try_settings(found, runs, places, workspace, engine)
    inputs = {
        "runs": sorted(run.id for run in runs if run.status == "finished"),
        "project": _asked(project),
        "budget": project.budget.total_flops,
        "full": tokens["full"],
        "version": __version__,
    }
    result = workspace.stage(
        "forecast", "Forecast and plan", inputs, lambda: conclude(found, runs, workspace)
    )
    plan = Plan.from_dict(result["plan"])
    workspace.files.write_json("plan.json", result["plan"])
    for option in (plan.chosen, plan.naive, *plan.alternatives):
        if option.forecast.id not in workspace.ledger:
            workspace.ledger.register(option.forecast)
    tell.tell_plan(plan, project.words, workspace.watcher)
    return plan


def carry_out(
    project: Project, plan: Plan, workspace: Workspace, engine: Engine
) -> list[ForecastScore]:
    """Do the chosen run and the naive one, and score their forecasts.

    Raises:
        EngineError: a run was lost or diverged.
    """
    tokens = workspace.result("tokenise")
    _, starts = looked_at(project)
    wanted = {plan.chosen.recipe.id: (plan.chosen.recipe, "final")}
    wanted.setdefault(plan.naive.recipe.id, (plan.naive.recipe, "naive"))
    jobs = [
        job
        for recipe, role in wanted.values()
        for job in plan_trunks(
            [recipe],
            **_places(workspace, tokens, starts),
            role=role,
            models=str(workspace.path / "models"),
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
    tell.tell_scores(scores, runs, project.words, workspace.watcher)
    return scores


def _known_starts(
    project: Project, starts: Sequence[Start], workspace: Workspace, tokens: dict[str, Any]
) -> list[dict[str, Any]]:
    """What is known of each base model before any run: its result as it is, or why it is left."""
    if not starts:
        return []
    held_out = data.held_out_directories(workspace)[data.HELD_OUT]
    known: list[dict[str, Any]] = workspace.stage(
        "starts",
        f"Look at {len(starts)} base models" if len(starts) > 1 else "Look at the base model",
        [[each.to_dict() for each in starts], tokens["sets"][data.HELD_OUT]],
        lambda: [each.to_dict() | {"as_it_is": each.bpb(held_out)} for each in starts],
    )
    for each, start in zip(known, starts, strict=True):
        each["left_out"] = refusal(project, start)
    tell.tell_starts(known, workspace.watcher)
    return known


def _asked(project: Project) -> dict[str, Any]:
    """What of a project decides beside its text, which the runs name."""
    apart = {"sources", "target"} | ({"starts"} if not project.starts else set())
    plain = project.model_dump(mode="json", exclude=apart)
    return plain | {"prices": {each.name: str(each.price) for each in project.priced}}


def _sound(
    recipes: Sequence[Recipe], places: dict[str, Any], workspace: Workspace, engine: Engine
) -> list[Run]:
    sizes = {recipe.shape.non_embedding_params for recipe in recipes}
    names = {recipe.mixture.name for recipe in recipes}
    workspace.watcher.stage(
        f"Sound: {len(recipes)} small runs ({len(sizes)} sizes, {len(names)} mixtures)"
    )
    runs = _train(recipes, places, workspace, engine, role="proxy")
    workspace.watcher.note(
        f"{len(runs)} runs in the ledger, {sum(recipe.flops for recipe in recipes):.3g} FLOPs"
    )
    return runs


def _try_settings(
    found: Designed,
    runs: Sequence[Run],
    places: dict[str, Any],
    workspace: Workspace,
    engine: Engine,
) -> list[Run]:
    """Small runs for each departure from the reference settings, around the first choice."""
    if not found.axes.departures:
        return []
    inputs = {
        "runs": sorted(run.id for run in runs if run.status == "finished"),
        "project": _asked(found.project),
        "version": __version__,
    }

    def design() -> dict[str, Any]:
        project = found.project
        wanted = setting_runs(
            found.axes,
            found.ladder,
            first_choice(found, runs),
            share=project.vary.share,
            first=[each.name for each in project.priced],
        )
        return {
            "recipes": [recipe.to_dict() for recipe in wanted.recipes.values()],
            "twin": wanted.twin.to_dict(),
            "left_out": [[each.axis, each.value] for each in wanted.left_out],
        }

    stored = workspace.stage("settings", "Design the runs that try settings", inputs, design)
    recipes = [Recipe.from_dict(each) for each in stored["recipes"]]
    twin = Recipe.from_dict(stored["twin"])
    workspace.watcher.stage(
        f"Try settings: {len(recipes)} small runs beside "
        f"{found.project.words.short(twin.mixture.name)}, "
        f"{twin.shape.non_embedding_params:,} parameters"
    )
    for axis, value in stored["left_out"]:
        workspace.watcher.note(f"vary.share does not pay for {axis} {value}; it is not tried")
    return _train(recipes, places, workspace, engine, role=SETTING) if recipes else []


def _train(
    recipes: Sequence[Recipe],
    places: dict[str, Any],
    workspace: Workspace,
    engine: Engine,
    *,
    role: str,
) -> list[Run]:
    tell.tell_remaining(recipes, workspace, engine.workers)
    jobs = plan_trunks(recipes, **places, role=role)
    runs = train_ladder(jobs, engine, on_progress=tell.progress_to(workspace.watcher))
    for run in runs:
        if run.status != "finished":
            workspace.watcher.note(f"Note: small run {run.id} failed: {run.reason}")
    return runs


def _places(
    workspace: Workspace, tokens: dict[str, Any], starts: Sequence[Start]
) -> dict[str, Any]:
    return {
        "sources": data.token_directories(workspace, tokens),
        "held_out": data.held_out_directories(workspace),
        "ledger": workspace.ledger.location,
        "work": str(workspace.path / "training"),
        "starts": {each.id: each.spec.path for each in starts},
    }
