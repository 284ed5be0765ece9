"""What else a person wants to know of a plan: what it costs, beats, risks, and should measure next.

Everything here is data ready for JSON; it goes into ``plan.json`` beside the decision, and the
joint draws behind it into ``plan_draws.parquet``:

    mixture, width, params, total_params, tokens, flops, serve_flops_per_token, draws

with one row for a mixture, a shape and a level of compute; position ``k`` of ``draws`` is the same
world in every row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from leadsman.plan.decide import points_of
from leadsman.plan.decision.belief import Belief
from leadsman.plan.decision.next_runs import next_runs
from leadsman.plan.inference import ServingSpec, serving_cost
from leadsman.plan.memory import estimate_memory
from leadsman.plan.plan import Plan
from leadsman.plan.project import Project
from leadsman.plan.soundings import memory_limit, memory_setting_of, serve_flops
from leadsman.runs import ModelShape, Recipe

LEVELS = 24
LOWEST, HIGHEST = 1 / 30, 3.0
STORED_WORLDS = 200
SHOWN_NEXT = 10


def account(
    project: Project,
    plan: Plan,
    options: Sequence[Recipe],
    belief: Belief,
    *,
    candidates: Sequence[Recipe],
    noise: float,
) -> dict[str, Any]:
    """Details of a decision among ``options``.

    Args:
        project: with its budget, serving and decision.
        plan: the decision.
        options: recipes that were weighed.
        belief: joint draws at any (params, tokens, mixture).
        candidates: small runs that could be made next.
        noise: standard deviation of the log of a single run.
    """
    points = points_of(options)
    draws = belief.draws(points)
    chosen = next(k for k, each in enumerate(options) if each.id == plan.chosen.recipe.id)
    regrets = draws[:, chosen] - draws.min(axis=1)
    first = np.bincount(draws.argmin(axis=1), minlength=len(options)) / len(draws)
    decision = project.decision
    return {
        "objective": {
            "kind": decision.objective,
            "q": decision.quantile if decision.objective == "quantile" else None,
        },
        "cost": cost_of(project, plan.chosen.recipe.flops),
        "serving": serving_of(project, plan.chosen.recipe.shape),
        "memory": memory_of(project, plan.chosen.recipe),
        "regret": {
            "expected": float(regrets.mean()),
            "q90": float(np.quantile(regrets, 0.9)),
            "unit": plan.y,
        },
        "probability_best": [
            {"label": _label(options[k]), "recipe": options[k].id, "p": float(first[k])}
            for k in np.argsort(-first)
        ],
        "pareto": pareto_of(project, options, belief),
        "rules": rules_of(options, draws.mean(axis=0), chosen),
        "next": next_of(project, candidates, belief, draws, noise),
    }


def cost_of(project: Project, flops: float) -> dict[str, Any]:
    """Hours, money, energy and carbon of training FLOPs on the project's hardware."""
    budget = project.budget
    hardware = budget.on_hardware()
    rate = budget.flops_rate
    hours = None if rate is None else flops / rate / 3600
    return {
        "hardware": budget.hardware,
        "devices": budget.devices,
        "flops_per_second": rate,
        "utilisation": None if hardware is None else hardware.utilisation,
        "utilisation_from": None if hardware is None else hardware.source,
        "price_per_hour": budget.price,
        "currency": budget.currency,
        "hours": hours,
        "money": None if hours is None or budget.price is None else hours * budget.price,
        "energy_kwh": None if hardware is None else hardware.energy_kwh(flops),
        "carbon_kg": None if hardware is None else hardware.carbon_kg(flops),
    }


def serving_of(project: Project, shape: ModelShape) -> dict[str, Any] | None:
    """What serving the model takes."""
    spec, hardware = project.serving, project.budget.on_hardware()
    if spec is None:
        return None
    found: dict[str, Any] = {
        "tokens": spec.tokens,
        "prompt_tokens": spec.prompt_tokens,
        "output_tokens": spec.output_tokens,
        "flops_per_token": serve_flops(shape, spec),
        "in_budget": spec.in_budget,
        "seconds_per_million": None,
        "money": None,
    }
    if hardware is not None:
        cost = serving_cost(shape, spec, hardware.accelerator, precision=hardware.precision)
        found["seconds_per_million"] = cost.seconds_per_million
        if hardware.price_per_hour is not None:
            hours = cost.seconds_per_million * spec.tokens / 1e6 / 3600
            found["money"] = hours * hardware.price_per_hour.value
    return found


def memory_of(project: Project, recipe: Recipe) -> dict[str, Any]:
    """Peak of a training step by part, and the limit."""
    estimate = estimate_memory(memory_setting_of(recipe.shape)).to_dict()
    total, moment = estimate.pop("total"), estimate.pop("moment")
    limit = memory_limit(project)
    return {"total_bytes": total, "limit_bytes": limit, "moment": moment, "parts": estimate}


def pareto_of(project: Project, options: Sequence[Recipe], belief: Belief) -> list[dict[str, Any]]:
    """The best option at each level of compute up to the budget."""
    curves = level_points(options, LOWEST, 1.0, LEVELS)
    draws = belief.draws(curves)
    means = draws.mean(axis=0)
    front: list[dict[str, Any]] = []
    for level in sorted(set(curves["level"].to_list())):
        rows = np.flatnonzero(curves["level"].to_numpy() == level)
        row = int(rows[means[rows].argmin()])
        low, median, high = (float(v) for v in np.quantile(draws[:, row], [0.1, 0.5, 0.9]))
        if not front or median < front[-1]["median"]:
            point = curves.row(row, named=True)
            money = cost_of(project, point["flops"])["money"]
            front.append(
                {name: point[name] for name in ("flops", "mixture", "params", "tokens")}
                | {"money": money, "median": median, "low": low, "high": high}
            )
    return front


def level_points(
    options: Sequence[Recipe], lowest: float, highest: float, levels: int
) -> pl.DataFrame:
    """Every option's shape and mixture at levels of compute around the option's own."""
    rows = [
        {
            "mixture": recipe.mixture.name,
            "width": recipe.shape.width,
            "params": float(recipe.shape.non_embedding_params),
            "total_params": float(recipe.shape.params),
            "tokens": recipe.steps * recipe.batch_tokens * float(share),
            "flops": recipe.flops * float(share),
            "level": float(share),
        }
        for recipe in options
        for share in np.geomspace(lowest, highest, levels)
    ]
    return pl.DataFrame(rows)


def stored_draws(
    options: Sequence[Recipe], belief: Belief, serving: ServingSpec | None
) -> pl.DataFrame:
    """The table of ``plan_draws.parquet``."""
    points = level_points(options, LOWEST, HIGHEST, LEVELS)
    spec = serving or ServingSpec(tokens=1.0)
    by_width = {each.shape.width: serve_flops(each.shape, spec) for each in options}
    draws = belief.draws(points, slice(0, STORED_WORLDS)).T.astype(np.float32)
    return points.drop("level").with_columns(
        serve_flops_per_token=pl.Series([by_width[width] for width in points["width"]]),
        draws=pl.Series(draws.tolist(), dtype=pl.List(pl.Float32)),
    )


def rules_of(options: Sequence[Recipe], means: Any, chosen: int) -> list[dict[str, Any]]:
    """What rules of thumb would have chosen among the options, and how much worse it is."""
    ratios = np.array(
        [each.tokens / each.shape.non_embedding_params for each in options], dtype=np.float64
    )
    found: list[dict[str, Any]] = []
    for mixture in ("natural", options[chosen].mixture.name):
        rows = [k for k, each in enumerate(options) if each.mixture.name == mixture]
        if not rows or any(rule["mixture"] == mixture for rule in found):
            continue
        row = min(rows, key=lambda k: abs(float(np.log(ratios[k] / 20))))
        found.append(
            {
                "rule": "20 tokens per parameter",
                "mixture": mixture,
                "params": float(options[row].shape.non_embedding_params),
                "tokens": float(options[row].tokens),
                "mean": float(means[row]),
                "gap": float(means[row] - means[chosen]),
            }
        )
    return found


def next_of(
    project: Project,
    candidates: Sequence[Recipe],
    belief: Belief,
    at_options: Any,
    noise: float,
) -> dict[str, Any]:
    """Small runs by the expected fall of regret for their cost."""
    if not candidates:
        return {"stop": True, "why": "every sounding of the design is done", "runs": []}
    points = points_of(candidates)
    found = next_runs(
        belief.draws(points),
        at_options,
        points["flops"].to_numpy(),
        noise=noise,
        tolerance=project.decision.regret_tolerance,
    )
    return {
        "stop": found.stop,
        "why": found.why,
        "runs": [
            _next_row(project, candidates[each.row], each.value, each.per_cost)
            for each in found.runs[:SHOWN_NEXT]
        ],
    }


def _next_row(project: Project, recipe: Recipe, value: float, per_cost: float) -> Mapping[str, Any]:
    return {
        "recipe": recipe.id,
        "mixture": recipe.mixture.name,
        "params": float(recipe.shape.non_embedding_params),
        "tokens": float(recipe.tokens),
        "flops": recipe.flops,
        "money": cost_of(project, recipe.flops)["money"],
        "value": value,
        "per_cost": per_cost,
    }


def _label(recipe: Recipe) -> str:
    return f"{recipe.mixture.name}, {recipe.shape.non_embedding_params:,} parameters"
