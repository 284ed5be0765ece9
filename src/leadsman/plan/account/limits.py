"""What a plan must respect, in words, and what holds it back; passes over its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from leadsman.humanize import count
from leadsman.plan.decision import BeliefOfWays
from leadsman.plan.designed import Designed
from leadsman.plan.settings.axes import SELECTED, Axes
from leadsman.plan.settings.reads import PointReads
from leadsman.plan.settings.settle import Settled
from leadsman.plan.soundings import SEQ_LEN, epochs_of, memory_limit, memory_setting_of
from leadsman.plan.sources import EPOCHS
from leadsman.runs import Recipe
from leadsman.train.defaults import shape_of_width
from leadsman.train.memory import estimate_memory

NEAR = 0.95
"""Use of a limit from which it is said to hold the plan back."""


def epochs_of_plan(
    found: Designed, axes: Axes, belief: BeliefOfWays, recipe: Recipe
) -> list[dict[str, Any]]:
    """Passes over each token set, at its full size and over what is readable here.

    Where a set is read more than once: how many fresh passes that is worth, and in words above four
    passes.
    """
    full, sets = found.tokens["full"], found.tokens["sets"]
    worth = _worth_of(axes, belief, full, recipe)
    rows: list[dict[str, Any]] = []
    for name, epochs in epochs_of(recipe.mixture, recipe.tokens, full).items():
        share = recipe.mixture.weights[name]
        row = {
            "source": name,
            "share": share,
            "tokens": share * recipe.tokens,
            "full_tokens": full[name],
            "epochs": epochs,
            "readable_epochs": share * recipe.tokens / sets[name]["tokens"],
        }
        if epochs > 1:
            row["worth"], row["worth_low"], row["worth_high"] = middle, low, high = worth[name]
        if epochs > EPOCHS:
            row["warning"] = (
                f"{found.project.words.token_set(name)} is read {epochs:.3g} times: worth "
                f"{middle:.2g} times as much fresh text (80 %: {low:.2g} to "
                f"{high:.2g}); decision.max_epochs sets a limit"
            )
        rows.append(row)
    return rows


def _worth_of(
    axes: Axes, belief: BeliefOfWays, full: Mapping[str, float], recipe: Recipe
) -> dict[str, tuple[float, float, float]]:
    """Fresh passes that the passes over each token set are worth: median and 80 % interval."""
    worlds = belief.worth_of_passes(axes.points([recipe]))
    low, middle, high = np.quantile(worlds[:, 0], [0.1, 0.5, 0.9], axis=0)
    by_name = dict(
        zip(PointReads(axes, full).names, zip(middle.tolist(), low.tolist(), high.tolist()))
    )
    return {
        name: by_name[SELECTED if name.startswith(f"{SELECTED}@") else name]
        for name in recipe.mixture.weights
    }


def constraints_of(
    found: Designed, recipe: Recipe, settled: Settled, options: Sequence[Recipe]
) -> list[dict[str, Any]]:
    """Each limit in a sentence, and whether it holds the plan back."""
    project = found.project
    budget, decision = project.budget, project.decision
    wider = recipe.shape  # a given model has no other size
    if not recipe.start:
        wider = shape_of_width(wider.width + 8, vocab_size=wider.vocab_size, seq_len=SEQ_LEN)
    priced = {each.name for each in project.priced}
    buys = any(weight and name in priced for name, weight in recipe.mixture.weights.items())
    spent = budget.total_flops - settled.budget_flops if buys else 0.0
    text = f"Budget: {budget.total_flops:.3g} FLOPs"
    text += f", of which data takes {spent:.3g}" if spent else ""
    rows: list[dict[str, Any]] = [{"name": "budget", "text": text, "binding": True}]
    if budget.deadline_hours is not None and budget.flops_rate is not None:
        limit = 3600 * budget.deadline_hours * budget.flops_rate
        rows.append(
            {
                "name": "deadline",
                "text": f"Deadline: {budget.deadline_hours:g} hours, {limit:.3g} FLOPs",
                "binding": budget.total_flops >= NEAR * limit,
            }
        )
    if budget.max_params is not None:
        rows.append(
            {
                "name": "max_params",
                "text": f"Served size: at most {count(budget.max_params)} parameters",
                "binding": wider.non_embedding_params > budget.max_params,
            }
        )
    memory = memory_limit(project)
    if memory is not None:
        need = estimate_memory(memory_setting_of(wider)).total
        rows.append(
            {
                "name": "memory",
                "text": f"Memory: {memory / 1e9:.3g} GB a device",
                "binding": need > memory,
            }
        )
    if decision.max_epochs is not None:
        most = max(epochs_of(recipe.mixture, recipe.tokens, found.tokens["full"]).values())
        rows.append(
            {
                "name": "max_epochs",
                "text": f"Data: at most {decision.max_epochs:g} passes over each source",
                "binding": most >= NEAR * decision.max_epochs,
            }
        )
    if decision.exclude_licences:
        tags = ", ".join(decision.exclude_licences)
        rows.append({"name": "licences", "text": f"No source under {tags}", "binding": False})
    return [*rows, _sizes(recipe, options, limited=any(r["binding"] for r in rows[1:]))]


def _sizes(recipe: Recipe, options: Sequence[Recipe], *, limited: bool) -> dict[str, Any]:
    """The sizes that were weighed follow the ladder's: one at their end may be held by it."""
    fresh = [each for each in options if not each.start] or list(options)
    sizes = [each.shape.non_embedding_params for each in fresh]
    text = f"Sizes weighed: {count(min(sizes))} to {count(max(sizes))} parameters"
    ends = {min(sizes): "smaller", max(sizes): "larger"}
    end = None if recipe.start or limited else ends.get(recipe.shape.non_embedding_params)
    if end is not None:
        text += f"; soundings.widths sets them, and a {end} model may be better"
    return {"name": "sizes", "text": text, "binding": end is not None}
