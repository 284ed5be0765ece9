"""Soundings one round after another: sound, fit, ask which runs are worth most, sound again.

The first round is the short part of the ladder: every mixture and size at its two smallest token
counts, enough for a law of each mixture. After each round the runs that are left are valued by the
expected fall of decision regret, each given those picked beside it, and the best few for their
compute are made. It ends when the compute of the whole ladder is spent, nothing is left, or no run
is worth its compute: what it saves in expectation is less than the same compute would bring to the
real run. A longer run of a series goes on from where the one before it began its decay, and costs
only what it adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

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
    spent = compute_of(made)
    wanted = list(made)
    runs: list[Run] = []
    while wanted:
        workspace.watcher.stage(f"Sound: {len(wanted)} runs, {len(runs)} before")
        tell.tell_remaining(wanted, workspace, engine.workers)
        jobs = plan_trunks(wanted, role="proxy", keep_trunk=True, **places)
        runs += train_ladder(jobs, engine, on_progress=tell.progress_to(workspace.watcher))
        compute = compute_of(found.ladder) - spent
        wanted = _next_round(found, made, runs, compute, engine.workers, y=y, workspace=workspace)
        for recipe in wanted:
            spent += added_compute(recipe, made)
            made.append(recipe)
    return runs


def added_compute(recipe: Recipe, made: Sequence[Recipe]) -> float:
    """FLOPs of one run more, beside those made: a longer one of a series goes on from its trunk."""
    series = [each for each in made if each.trunk_id == recipe.trunk_id]
    if not series or recipe.tokens <= max(each.tokens for each in series):
        return compute_of([recipe])
    return compute_of([*series, recipe]) - compute_of(series)


def _next_round(
    found: Designed,
    made: Sequence[Recipe],
    runs: Sequence[Run],
    compute: float,
    count: int,
    *,
    y: str,
    workspace: Workspace,
) -> list[Recipe]:
    """The best few runs that the remaining compute pays for; none when the decision is safe."""
    adding = [(each, added_compute(each, made)) for each in further_soundings(made, found.ladder)]
    affordable = [each for each, added in adding if added <= compute]
    costs = np.array([added for _, added in adding if added <= compute])
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
        order = np.argsort(costs, kind="stable")[:count]
        return [affordable[row] for row in order]
    at_runs = belief.draws(axes.points(affordable))
    at_options = belief.draws(axes.points(options))
    worth = worth_of_compute(axes, belief, options)
    ranked = next_runs(
        at_runs,
        at_options,
        costs,
        noise=belief.noise,
        worth=worth,
        tolerance=found.project.decision.regret_tolerance,
    )
    workspace.watcher.note(f"{ranked.why[0].upper()}{ranked.why[1:]}.")
    if ranked.stop:
        return []
    chosen: list[Recipe] = []
    batch = best_batch(at_runs, at_options, costs, noise=belief.noise, count=count, worth=worth)
    for row in batch or [each.row for each in ranked.runs[:count]]:
        if costs[row] <= compute:
            chosen.append(affordable[row])
            compute -= costs[row]
    return chosen
