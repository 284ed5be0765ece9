"""Soundings one round after another: sound, fit, ask which run is worth most, sound again.

The first round is the short part of the ladder: every mixture and size at its two smallest token
counts, enough for a law of each mixture. After each round the runs that are left are ranked by the
expected fall of decision regret for their compute, and the best few are made. It ends when the
compute of the whole ladder is spent, nothing is left, or no run could change the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from leadsman.engine import Engine
from leadsman.errors import DesignError
from leadsman.plan import tell
from leadsman.plan.decide import points_of
from leadsman.plan.decision import BeliefOfRuns, Dimension, Space
from leadsman.plan.decision.next_runs import next_runs
from leadsman.plan.project import Project
from leadsman.plan.soundings import further_soundings
from leadsman.plan.workspace import Workspace
from leadsman.runs import Recipe, Run
from leadsman.train.ladder import plan_trunks, train_ladder

FIRST_BRANCHES = 2
WORLDS = 4000
WORTHY = 0.2
"""Runs made beside the best one are worth at least this share of it for their cost."""


def belief_of_soundings(
    table: pl.DataFrame, options: Sequence[Recipe], *, y: str, seed: int
) -> BeliefOfRuns:
    """Joint draws over (params, tokens, mixture) from soundings, out to the options."""
    points = points_of(options)
    both = pl.concat([points.select("params", "tokens"), table.select(
        pl.col("params").cast(pl.Float64), pl.col("tokens").cast(pl.Float64)
    )])  # fmt: skip
    dimensions = {
        name: Dimension(low=both[name].min() * 0.999, high=both[name].max() * 1.001)  # type: ignore[operator]
        for name in ("params", "tokens")
    }
    mixtures = tuple(dict.fromkeys(points["mixture"].to_list()))
    space = Space(dimensions | {"mixture": Dimension(choices=mixtures)})
    return BeliefOfRuns(table, space, y=y, group="mixture", worlds=WORLDS, seed=seed)


def first_round(ladder: Sequence[Recipe]) -> list[Recipe]:
    """Each series of a ladder at its smallest token counts."""
    series: dict[str, list[Recipe]] = {}
    for recipe in ladder:
        series.setdefault(recipe.trunk_id, []).append(recipe)
    return [
        recipe
        for each in series.values()
        for recipe in sorted(each, key=lambda r: r.tokens)[:FIRST_BRANCHES]
    ]


def sound_adaptively(
    project: Project,
    ladder: Sequence[Recipe],
    options: Sequence[Recipe],
    workspace: Workspace,
    engine: Engine,
    *,
    y: str,
    places: Mapping[str, Any],
) -> list[Run]:
    """Make soundings until the compute of the ladder is spent or the decision is safe.

    Args:
        project: with ``decision.regret_tolerance``.
        ladder: the fixed design; its compute is the limit.
        options: what may be chosen in the end.
        workspace: ledger and watcher; runs that are there already are not made again.
        engine: where to train.
        y: column that is minimised.
        places: where data, ledger and checkpoints are (arguments of ``plan_trunks``).

    Returns:
        All soundings that were made, failed ones included.
    """
    made = first_round(ladder)
    compute = _trunk_compute(ladder) - _trunk_compute(made)
    wanted = list(made)
    runs: list[Run] = []
    while wanted:
        workspace.watcher.stage(f"Sound: {len(wanted)} runs, {len(runs)} before")
        tell.tell_remaining(wanted, workspace, engine.workers)
        jobs = plan_trunks(wanted, role="proxy", **places)
        runs += train_ladder(jobs, engine, on_progress=tell.progress_to(workspace.watcher))
        left = further_soundings(made, ladder)
        wanted = _next_round(
            project, left, options, runs, compute, engine.workers, y=y, workspace=workspace
        )
        compute -= sum(recipe.flops for recipe in wanted)
        made += wanted
    return runs


def _next_round(
    project: Project,
    left: Sequence[Recipe],
    options: Sequence[Recipe],
    runs: Sequence[Run],
    compute: float,
    count: int,
    *,
    y: str,
    workspace: Workspace,
) -> list[Recipe]:
    """The best few runs that the remaining compute pays for; none when the decision is safe."""
    affordable = [recipe for recipe in left if recipe.flops <= compute]
    finished = [run.row() for run in runs if run.status == "finished"]
    if not affordable:
        workspace.watcher.note("The compute for soundings is spent.")
        return []
    try:
        table = pl.DataFrame(finished, infer_schema_length=None)
        belief = belief_of_soundings(table, options, y=y, seed=project.seed)
    except DesignError as error:
        workspace.watcher.note(f"Next by length, no law yet: {error}")
        return sorted(affordable, key=lambda recipe: recipe.flops)[:count]
    found = next_runs(
        belief.draws(points_of(affordable)),
        belief.draws(points_of(options)),
        points_of(affordable)["flops"].to_numpy(),
        noise=belief.noise,
        tolerance=project.decision.regret_tolerance,
    )
    workspace.watcher.note(f"Expected regret {found.regret:.2g}: {found.why}.")
    if found.stop:
        return []
    chosen: list[Recipe] = []
    for each in found.runs:
        recipe = affordable[each.row]
        worthy = each.per_cost >= WORTHY * found.runs[0].per_cost
        if worthy and len(chosen) < count and recipe.flops <= compute:
            chosen.append(recipe)
            compute -= recipe.flops
    return chosen


def _trunk_compute(recipes: Sequence[Recipe]) -> float:
    """FLOPs of recipes made together: those of one series branch off the longest."""
    longest: dict[str, float] = {}
    for recipe in recipes:
        longest[recipe.trunk_id] = max(longest.get(recipe.trunk_id, 0.0), recipe.flops)
    return sum(longest.values())
