"""From finished soundings to the decision, with everything a person wants to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from leadsman.errors import DesignError
from leadsman.plan import data
from leadsman.plan.account import account
from leadsman.plan.account.levels import stored_draws
from leadsman.plan.decide import decide
from leadsman.plan.decision import BeliefOfWays, Objective
from leadsman.plan.designed import Designed
from leadsman.plan.plan import Plan
from leadsman.plan.settings.axes import Axes
from leadsman.plan.settings.believe import belief_of_soundings
from leadsman.plan.settings.runs import longest_departed
from leadsman.plan.settings.settle import Settled, settle
from leadsman.plan.soundings import epochs_of, final_options
from leadsman.plan.speed import precision_speeds
from leadsman.plan.workspace import Workspace
from leadsman.runs import Recipe, Run
from leadsman.train.ladder.design import LEAST_TOKENS

Y = f"bpb.{data.HELD_OUT}"
DRAWS = 4000
CURVE_POINTS = 40
LEAST_RUNS = 5


def first_choice(found: Designed, runs: Sequence[Run]) -> Recipe:
    """The best option by the ladder alone."""
    _, axes, options, belief = weighed(found, runs)
    means = belief.draws(axes.points(options)).mean(axis=0)
    return options[int(means.argmin())]


def conclude(found: Designed, runs: Sequence[Run], workspace: Workspace) -> dict[str, Any]:
    """The plan and the curves of its forecast, ready for JSON; draws go into the workspace.

    Raises:
        DesignError: the soundings cannot carry a forecast.
        BudgetError: limits leave no choice.
    """
    found = timed(found, runs)
    project = found.project
    table, axes, options, belief = weighed(found, runs)
    base, tried_at = _tried(axes, runs)
    if base is None:
        base = options[int(belief.draws(axes.points(options)).mean(axis=0).argmin())].mixture.name
    full = found.tokens["full"]
    settled = settle(project, axes, belief, options, base=base, tried_at=tried_at, full=full)
    options += settled_options(found, axes, settled, base)
    plan = decide(
        options,
        lambda points: belief.forecast(points, draws=DRAWS, seed=project.seed),
        objective=Objective(project.decision.objective, project.decision.quantile),
        belief=belief,
        columns=axes.points,
        label=axes.label,
        budget_flops=project.budget.total_flops,
        sounding_flops=float(sum(run.recipe.flops for run in runs if run.recipe is not None)),
        fitted_on=table["id"].to_list(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    details = account(found, axes, plan, options, belief, runs, settled)
    workspace.files.write_frame(
        "plan_draws.parquet",
        stored_draws(
            project,
            options,
            axes,
            belief,
            settled,
            {
                each.recipe.id: each.forecast.mean
                for each in (plan.chosen, plan.naive, *plan.alternatives)
            },
        ),
    )
    plan = replace(plan, details=details)
    return {"plan": plan.to_dict(), "curves": _curves(plan, found, axes, belief)}


def weighed(
    found: Designed, runs: Sequence[Run]
) -> tuple[pl.DataFrame, Axes, list[Recipe], BeliefOfWays]:
    """The table of finished runs, the axes it holds, the options, and what is believed of them.

    Raises:
        DesignError: the soundings cannot carry a forecast.
        BudgetError: limits leave no choice.
    """
    table, options = _table(found, runs), found.options()
    axes = found.axes.measured(table)
    return (
        table,
        axes,
        options,
        belief_of_soundings(table, options, axes, found.tokens, y=Y, seed=found.project.seed),
    )


def _table(found: Designed, runs: Sequence[Run]) -> pl.DataFrame:
    table = found.axes.table(runs, Y)
    if len(table) < len(found.mixtures) * LEAST_RUNS:
        raise DesignError(
            f"only {len(table)} soundings finished, too few for a forecast of "
            f"{len(found.mixtures)} mixtures; see `leadsman runs ls` for why the others failed"
        )
    return table


def _tried(axes: Axes, runs: Sequence[Run]) -> tuple[str | None, dict[str, float]]:
    """The mixture that settings were tried on, and the params and tokens of the longest tries."""
    tried = longest_departed(axes, (run.recipe for run in runs if run.recipe is not None))
    if not tried:
        return None, {}
    row = axes.row(max(tried, key=lambda each: each.tokens))
    return str(row["mixture"]), {name: float(row[name]) for name in ("params", "tokens")}


def settled_options(found: Designed, axes: Axes, settled: Settled, base: str) -> list[Recipe]:
    """Every size at the settings that were found best, as far as there is text enough for it."""
    if not settled.row:
        return []
    beside = [each for each in found.beside if each.mixture.name == base]
    plain = final_options(
        found.project,
        [] if beside else [axes.references[base]],
        vocab_size=found.tokens["vocab_size"],
        data=found.tokens["data"],
        budget_flops=settled.budget_flops,
        beside=beside,
    )
    options = []
    for recipe in (axes.moved(each, settled.row) for each in plain):
        tokens = int(recipe.tokens / found.project.budget.dearer(recipe.precision))
        paid = replace(recipe, tokens=tokens)
        if tokens >= LEAST_TOKENS and _has_text_for(found, paid):
            options.append(paid)
    return options


def timed(found: Designed, runs: Sequence[Run]) -> Designed:
    """The same with the speed of each precision that was tried."""
    budget, reference = found.project.budget, found.ladder[0].precision
    tried = [str(each.value) for each in found.axes.departures if each.axis == "precision"]
    hardware = budget.on_hardware()
    speeds = precision_speeds(
        tried, reference, runs, None if hardware is None else hardware.accelerator
    )
    timed = found.project.model_copy(update={"budget": budget.timed(speeds)})
    return replace(found, project=timed)


def _has_text_for(found: Designed, recipe: Recipe) -> bool:
    """Whether no source is passed over more often than it may be."""
    for name, epochs in epochs_of(recipe.mixture, recipe.tokens, found.tokens["full"]).items():
        limit = found.project.most_passes(name)
        if limit is not None and epochs > limit * (1 + 1e-3):
            return False
    return True


def _curves(plan: Plan, found: Designed, axes: Axes, belief: BeliefOfWays) -> list[dict[str, Any]]:
    """The forecast over compute, from the soundings to the budget: fresh starts at the shape of the
    best of them, given models at their own.
    """
    ranked = [plan.chosen, *plan.alternatives, plan.naive]
    fresh = [each.recipe for each in ranked if not each.recipe.start] or [found.ladder[0]]
    least = min(recipe.flops for recipe in found.ladder)
    flops = np.geomspace(least, plan.budget_flops, CURVE_POINTS)
    plain = [
        replace(found.ladder[0], mixture=each, shape=fresh[0].shape) for each in found.mixtures
    ]
    recipes = {recipe.mixture.name: recipe for recipe in [*plain, *found.beside]}
    if axes.departed(plan.chosen.recipe):
        recipes[axes.label(plan.chosen.recipe)] = plan.chosen.recipe
    parts = []
    for recipe in recipes.values():
        scale = {
            "params": [float(recipe.shape.non_embedding_params)] * CURVE_POINTS,
            "tokens": flops / recipe.shape.train_flops_per_token,
            "flops": flops,
        }
        rest = {k: [v] * CURVE_POINTS for k, v in axes.row(recipe).items() if k not in scale}
        parts.append(pl.DataFrame(scale | rest))
    points = pl.concat(parts)
    forecast = belief.forecast(points, draws=DRAWS, seed=found.project.seed)
    bounds = {str(level): forecast.interval(level).tolist() for level in (0.5, 0.8, 0.95)}
    median = forecast.quantile(0.5).tolist()
    curves = []
    for position, name in enumerate(recipes):
        rows = slice(position * CURVE_POINTS, (position + 1) * CURVE_POINTS)
        curves.append(
            {
                "mixture": name,
                "flops": flops.tolist(),
                "median": median[rows],
                "intervals": {level: each[rows] for level, each in bounds.items()},
            }
        )
    return curves
