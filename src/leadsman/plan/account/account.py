"""What else a person wants to know of a plan: what it costs, beats, risks, and should measure next.

Everything here is data ready for JSON; it goes into ``plan.json`` beside the decision, and the
joint draws behind it into ``plan_draws.parquet``:

    mixture, settings, width, params, total_params, tokens, flops, data_flops,
    serve_flops_per_token, draws

with one row for a mixture, settings, a shape and a level of compute; position ``k`` of ``draws`` is
the same world in every row. ``settings`` names mixture and settings together and is empty at the
reference; ``data_flops`` is what the data bought for the option takes from the budget, in FLOPs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from leadsman.plan.account.ask_next import next_of
from leadsman.plan.account.certainty import certainty_of
from leadsman.plan.account.cost import cost_of, memory_of, serving_of
from leadsman.plan.account.levels import pareto_of, would_change
from leadsman.plan.account.limits import constraints_of, epochs_of_plan
from leadsman.plan.account.tried import purchases_of, settings_kept, settings_tried
from leadsman.plan.decision import BeliefOfWays
from leadsman.plan.designed import Designed
from leadsman.plan.plan import Plan
from leadsman.plan.settings.axes import Axes
from leadsman.plan.settings.settle import Settled
from leadsman.runs import Recipe, Run


def account(
    found: Designed,
    axes: Axes,
    plan: Plan,
    options: Sequence[Recipe],
    belief: BeliefOfWays,
    runs: Sequence[Run],
    settled: Settled,
) -> dict[str, Any]:
    """Details of a decision among ``options``.

    Args:
        found: the project and its ladder.
        axes: with the departures that were measured.
        plan: the decision.
        options: recipes that were weighed.
        belief: joint draws at any point.
        runs: the soundings behind it.
        settled: settings and purchases.
    """
    project = found.project
    draws = belief.draws(axes.points(options))
    chosen = next(k for k, each in enumerate(options) if each.id == plan.chosen.recipe.id)
    regrets = draws[:, chosen] - draws.min(axis=1)
    first = np.bincount(draws.argmin(axis=1), minlength=len(options)) / len(draws)
    decision = project.decision
    front = pareto_of(project, options, axes, belief)
    return {
        "objective": {
            "kind": decision.objective,
            "q": decision.quantile if decision.objective == "quantile" else None,
        },
        "cost": cost_of(project, plan.chosen.recipe.flops, plan.chosen.recipe.precision),
        "serving": serving_of(project, plan.chosen.recipe.shape),
        "memory": memory_of(project, plan.chosen.recipe),
        "epochs": epochs_of_plan(found, axes, belief, plan.chosen.recipe),
        "constraints": constraints_of(found, plan.chosen.recipe, settled, options),
        "settings": settings_tried(found, axes, belief, plan.chosen.recipe),
        "kept": settings_kept(found, axes),
        "purchases": purchases_of(found, axes, settled, plan.chosen.recipe),
        "regret": {
            "expected": float(regrets.mean()),
            "q90": float(np.quantile(regrets, 0.9)),
            "unit": plan.y,
        },
        "certainty": certainty_of(
            [axes.label(each) for each in options],
            draws,
            chosen,
            tolerance=max(decision.regret_tolerance, belief.noise * plan.chosen.forecast.mean),
        ),
        "probability_best": [
            {
                "label": f"{axes.label(options[k])}, "
                f"{options[k].shape.non_embedding_params:,} parameters",
                "recipe": options[k].id,
                "p": float(first[k]),
            }
            for k in np.argsort(-first)
        ],
        "pareto": front,
        "would_change": would_change(project, options, axes, belief, chosen),
        "rules": rules_of(options, axes, draws.mean(axis=0), chosen),
        "next": next_of(found, axes, belief, options, runs),
        **({"starts": starts_of(found, plan)} if found.starts else {}),
    }


def starts_of(found: Designed, plan: Plan) -> list[dict[str, Any]]:
    """The base models that were weighed, with a warning where one needs no training at all."""
    rows = []
    for each in found.starts:
        row = dict(each)
        if "as_it_is" in each and each["as_it_is"] <= plan.chosen.forecast.median:
            row["warning"] = (
                f"{each['name']} as it is gives {each['as_it_is']:.4f}, and the plan "
                f"{plan.chosen.forecast.median:.4f}: no run of this budget is expected to do better"
            )
        rows.append(row)
    return rows


def rules_of(
    options: Sequence[Recipe], axes: Axes, means: Any, chosen: int
) -> list[dict[str, Any]]:
    """What rules of thumb would have chosen among the options, and how much worse it is."""
    ratios = np.array(
        [each.tokens / each.shape.non_embedding_params for each in options], dtype=np.float64
    )
    found: list[dict[str, Any]] = []
    for mixture in dict.fromkeys(("natural", axes.label(options[chosen]))):
        labels = [(k, axes.label(each)) for k, each in enumerate(options) if not each.start]
        rows = [k for k, label in labels if label == mixture]
        if not rows:
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
