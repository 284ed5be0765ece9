"""The forecast from the small runs finished so far, for a page that watches a running plan.

It is the plan's own (:func:`leadsman.plan.conclude.weighed`): text that repeats, settings tried and
base models count as they will in the plan, and once all runs are finished it is the plan's. Nothing
is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leadsman.errors import LeadsmanError
from leadsman.humanize import base_of
from leadsman.plan import conclude
from leadsman.plan.designed import Designed
from leadsman.plan.project import Project, load_project
from leadsman.plan.workspace import Workspace
from leadsman.runs import Ledger, Recipe, Run

LEAST_RUNS = 6
"""Finished soundings of a mixture below which no law can be told from another."""


def interim_forecast(work: Path) -> dict[str, Any]:
    """What the budget would give by the small runs finished so far.

    Args:
        work: a project's working directory, with its ``project.yaml``.

    Returns:
        ``{runs, intervals: [{mixture, low, median, high}], left_out}`` with 80 % intervals, each
        mixture and each base model on it at its best size; ``left_out`` are base models with too
        few runs as yet. ``{runs, why}`` where there is no forecast yet: too few runs of a mixture,
        runs that carry no law, limits that leave no choice, a project file that is being edited.
    """
    runs = [
        run
        for run in Ledger(str(work / "ledger"))
        if run.role in ("proxy", "setting") and run.status == "finished" and run.recipe is not None
    ]
    ladder = [run.recipe for run in runs if run.role == "proxy" and run.recipe is not None]
    counts = Counter(recipe.mixture.name for recipe in ladder)
    try:
        project = load_project(work / "project.yaml")
        few = next((m for m in project.soundings.mixtures if counts[m] < LEAST_RUNS), None)
        if few is not None:
            told = f"{counts[few]} finished runs of the {few} mixture are too few to forecast"
            return {"runs": len(runs), "why": f"{told}; {LEAST_RUNS} are needed."}
        late = {each.mixture.name for each in ladder if counts[each.mixture.name] < LEAST_RUNS}
        found = designed_so_far(project, [r for r in ladder if r.mixture.name not in late], work)
        intervals = _intervals(found, [run for run in runs if _series(run) not in late])
    except LeadsmanError as error:
        return {"runs": len(runs), "why": f"No forecast yet: {error}"}
    return {"runs": len(runs), "intervals": intervals, "left_out": sorted(late)}


def designed_so_far(project: Project, ladder: Sequence[Recipe], work: Path) -> Designed:
    """A project with its data at hand, as a plan that is under way left it.

    Args:
        project: as it stands in the working directory.
        ladder: finished soundings.
        work: the working directory.
    """
    workspace = Workspace(work)
    project = project.allowed()
    project = project.model_copy(update={"budget": project.budget.measured(workspace.ledger)})
    tokens = workspace.result("tokenise")
    full = workspace.result("mixtures").get("full")
    tokens |= {"full": full} if full else {}
    fresh = [each for each in ladder if not each.start]
    beside = {each.mixture.name: each for each in ladder if each.start}
    mixtures = {each.mixture.name: each.mixture for each in fresh}
    wanted = [mixtures[name] for name in project.soundings.mixtures]
    return Designed(project, wanted, tokens, fresh, list(beside.values()))


def _series(run: Run) -> str:
    return base_of(run.recipe.mixture.name) if run.recipe is not None else ""


def _intervals(found: Designed, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """For each mixture, and each base model on it, the interval of its best size."""
    _, axes, options, belief = conclude.weighed(found, runs)
    forecast = belief.forecast(axes.points(options), draws=conclude.DRAWS, seed=found.project.seed)
    means = forecast.draws.mean(axis=0)
    low, median, high = (forecast.quantile(q).tolist() for q in (0.1, 0.5, 0.9))
    best: dict[str, int] = {}
    for k in means.argsort():
        best.setdefault(options[k].mixture.name, int(k))
    return [
        {"mixture": name, "low": low[k], "median": median[k], "high": high[k]}
        for name, k in sorted(best.items())
    ]
