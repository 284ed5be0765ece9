"""Soundings one round after another: sound, fit, ask which runs are worth most, sound again.

The first round is the short part of the ladder: every mixture and size at its two smallest token
counts, enough for a law of each mixture. After each round the runs that are left are valued by the
expected fall of decision regret, each given those picked beside it, and the best few for their
compute are made. It ends when the compute of the whole ladder is spent, nothing is left, or no run
is worth its compute: what it saves in expectation is less than the same compute would bring to the
real run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from leadsman.engine import Engine
from leadsman.errors import DesignError
from leadsman.plan import tell
from leadsman.plan.account.ask_next import worth_of_compute
from leadsman.plan.decision.next_runs import best_batch, next_runs
from leadsman.plan.designed import Designed
from leadsman.plan.settings.believe import belief_of_soundings
from leadsman.plan.settings.runs import compute_of
from leadsman.plan.soundings import further_soundings
from leadsman.plan.workspace import Workspace
from leadsman.runs import Recipe, Run
from leadsman.train.ladder import plan_trunks, train_ladder

FIRST_BRANCHES = 2
FIRST_OF_GIVEN = 4
"""Of a given model, whose law rests on one size."""


def first_round(ladder: Sequence[Recipe]) -> list[Recipe]:
    """Each series of a ladder at its smallest token counts, as many as its law needs."""
    series: dict[str, list[Recipe]] = {}
    for recipe in ladder:
        series.setdefault(recipe.trunk_id, []).append(recipe)
    return [
        recipe
        for each in series.values()
        for recipe in sorted(each, key=lambda r: r.tokens)[
            : FIRST_OF_GIVEN if each[0].start else FIRST_BRANCHES
        ]
    ]


def sound_adaptively(
    found: Designed,
    workspace: Workspace,
    engine: Engine,
    *,
    y: str,
    places: Mapping[str, Any],
) -> list[Run]:
    """Make soundings until the compute of the ladder is spent or the decision is safe.

    Args:
        found: the project, with ``decision.regret_tolerance``, and its ladder, whose compute is
            the limit.
        workspace: ledger and watcher; runs that are there already are not made again.
        engine: where to train.
        y: column that is minimised.
        places: where data, ledger and checkpoints are (arguments of ``plan_trunks``).

    Returns:
        All soundings that were made, failed ones included.
    """
    made = first_round(found.ladder)
    compute = compute_of(found.ladder) - compute_of(made)
    wanted = list(made)
    runs: list[Run] = []
    while wanted:
        workspace.watcher.stage(f"Sound: {len(wanted)} runs, {len(runs)} before")
        tell.tell_remaining(wanted, workspace, engine.workers)
        jobs = plan_trunks(wanted, role="proxy", **places)
        runs += train_ladder(jobs, engine, on_progress=tell.progress_to(workspace.watcher))
        left = further_soundings(made, found.ladder)
        wanted = _next_round(found, left, runs, compute, engine.workers, y=y, workspace=workspace)
        compute -= sum(recipe.flops for recipe in wanted)
        made += wanted
    return runs


def _next_round(
    found: Designed,
    left: Sequence[Recipe],
    runs: Sequence[Run],
    compute: float,
    count: int,
    *,
    y: str,
    workspace: Workspace,
) -> list[Recipe]:
    """The best few runs that the remaining compute pays for; none when the decision is safe."""
    affordable = [recipe for recipe in left if recipe.flops <= compute]
    axes = found.axes.measured(table := found.axes.table(runs, y))
    options = found.options()
    if not affordable:
        workspace.watcher.note("The compute for soundings is spent.")
        return []
    try:
        belief = belief_of_soundings(
            table, options, axes, found.tokens, y=y, seed=found.project.seed
        )
    except DesignError as error:
        workspace.watcher.note(f"Next by length, no law yet: {error}")
        return sorted(affordable, key=lambda recipe: recipe.flops)[:count]
    points = axes.points(affordable)
    at_runs, at_options = belief.draws(points), belief.draws(axes.points(options))
    costs = points["flops"].to_numpy()
    ranked = next_runs(
        at_runs,
        at_options,
        costs,
        noise=belief.noise,
        worth=worth_of_compute(axes, belief, options),
        tolerance=found.project.decision.regret_tolerance,
    )
    workspace.watcher.note(f"Expected regret {ranked.regret:.2g}: {ranked.why}.")
    if ranked.stop:
        return []
    chosen: list[Recipe] = []
    batch = best_batch(at_runs, at_options, costs, noise=belief.noise, count=count)
    for row in batch or [each.row for each in ranked.runs[:count]]:
        if affordable[row].flops <= compute:
            chosen.append(affordable[row])
            compute -= affordable[row].flops
    return chosen
