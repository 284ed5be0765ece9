"""Which small run to make next: of the ladder, of the settings tried, of those not yet tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from leadsman.plan.account.cost import cost_of
from leadsman.plan.decision import BeliefOfWays
from leadsman.plan.decision.next_runs import next_runs, worth_of_result
from leadsman.plan.decision.space import Floats, at_share
from leadsman.plan.designed import Designed
from leadsman.plan.project import Project
from leadsman.plan.settings.axes import Axes
from leadsman.plan.settings.runs import longer, longest_departed
from leadsman.plan.soundings import further_soundings
from leadsman.runs import Recipe, Run

SHOWN = 10
LESS = 0.05
"""Share of the real run's compute whose worth is asked."""


def next_of(
    found: Designed,
    axes: Axes,
    belief: BeliefOfWays,
    options: Sequence[Recipe],
    runs: Sequence[Run],
) -> dict[str, Any]:
    """Small runs by the expected fall of regret for their cost, as far as they are worth it.

    A run is worth its compute if the real run would gain less from the same compute.

    Candidates are what is left of the ladder, each series at twice its length, each setting run at
    twice its length, and departures that were asked for and not made.
    """
    project = found.project
    done = [run.recipe for run in runs if run.recipe is not None]
    candidates = further_soundings([each for each in done if not axes.departed(each)], found.ladder)
    candidates += longer(axes, done)
    if not candidates:
        return {"stop": True, "why": "every sounding of the design is done", "runs": []}
    points, at_options = axes.points(candidates), belief.draws(axes.points(options))
    worth = worth_of_compute(axes, belief, options)
    ranked = next_runs(
        belief.draws(points),
        at_options,
        points["flops"].to_numpy(),
        noise=belief.noise,
        worth=worth,
        tolerance=project.decision.regret_tolerance,
    )
    rows = [_row(project, axes, candidates[each.row], each.value) for each in ranked.runs]
    rows += _untried(found, axes, belief, at_options, done)
    rows.sort(key=lambda row: -row["per_cost"])
    stop, why = ranked.stop, ranked.why
    if stop and rows and rows[0].get("guess") and rows[0]["per_cost"] > 1 / worth:
        stop, why = False, "a setting not yet tried may be worth its run"
    told = worth if math.isfinite(worth) else None
    return {"stop": stop, "why": why, "flops_per_unit": told, "runs": rows[:SHOWN]}


def worth_of_compute(axes: Axes, belief: BeliefOfWays, options: Sequence[Recipe]) -> float:
    """FLOPs that one unit of the result is worth at the real run: what soundings compete with.

    Infinite where the forecast expects nothing of more tokens.
    """
    points = axes.points(options)
    best = points[[int(belief.draws(points).mean(axis=0).argmin())]]
    less = belief.draws(at_share(best, 1 - LESS))
    return worth_of_result(less[:, 0], belief.draws(best)[:, 0], LESS * float(best["flops"][0]))


def _untried(
    found: Designed,
    axes: Axes,
    belief: BeliefOfWays,
    at_options: Floats,
    done: Sequence[Recipe],
) -> list[dict[str, Any]]:
    """Departures not made, valued as if their effects were as large as those of the others.

    With an effect of spread s on the log result and two runs' noise v, seeing a run and its twin
    lets the better be taken: ``s^2 / sqrt(s^2 + v^2) / sqrt(2 pi)`` of the result.
    """
    spread = belief.effect_sd
    missing = [each for each in found.axes.departures if each not in axes.departures]
    departed = longest_departed(axes, done)
    if not missing or not spread or not departed:
        return []
    result = float(at_options.mean(axis=0).min())
    shown = spread**2 / math.hypot(spread, math.sqrt(2) * belief.noise)
    value = result * shown / math.sqrt(2 * np.pi)
    base = axes.row(departed[0])["mixture"]
    twins = [
        each
        for each in found.ladder
        if each.shape == departed[0].shape
        and each.tokens == departed[0].tokens
        and each.mixture.name == base
    ]
    return [
        _row(
            found.project,
            found.axes,
            found.axes.moved(twin, {each.axis: each.value}),
            value,
        )
        | {"guess": True}
        for each in missing
        for twin in twins[:1]
    ]


def _row(project: Project, axes: Axes, recipe: Recipe, value: float) -> dict[str, Any]:
    return {
        "recipe": recipe.id,
        "mixture": axes.label(recipe),
        "params": float(recipe.shape.non_embedding_params),
        "tokens": float(recipe.tokens),
        "flops": recipe.flops,
        "money": cost_of(project, recipe.flops, recipe.precision)["money"],
        "value": value,
        "per_cost": value / recipe.flops,
    }
