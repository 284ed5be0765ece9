"""What the setting runs say: the effect of each value tried, what was kept untried, what to buy."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from leadsman.plan.decision import BeliefOfWays
from leadsman.plan.designed import Designed
from leadsman.plan.settings.axes import NONE, Axes
from leadsman.plan.settings.settle import Settled, log_results
from leadsman.plan.speed import told
from leadsman.runs import Recipe

UNTRIED = {
    "optimizer": "name optimizers in vary.optimizer to try them",
    "precision": "name precisions in vary.precision to try them",
    "method": "name training methods, growth among them, in vary.methods to try them",
    "keep": "give rates in vary.keep to try them",
    "lr": "give rates in vary.lr to try them",
    "batch_tokens": "give sizes in vary.batch_tokens to try them",
}
FRESH = "name base models in `starts` to weigh continuing them"


def settings_tried(
    found: Designed, axes: Axes, belief: BeliefOfWays, recipe: Recipe
) -> list[dict[str, Any]]:
    """For each value tried: its effect on the result at the planned size and length.

    Effects are ratios less one (-0.02 is two per cent better), median and 80 % interval, against
    the reference with all else as planned; repeats of text are counted. Precisions are compared at
    equal hours where hours or money bind.
    """
    planned = axes.row(recipe)
    rows = []
    for axis in dict.fromkeys(each.axis for each in axes.departures):
        reference = axes.reference.get(axis, 0.0)
        values = [each.value for each in axes.departures if each.axis == axis]
        if planned[axis] not in [reference, *values]:
            values.append(planned[axis])
        points = pl.DataFrame([planned | {axis: value} for value in [reference, *values]])
        logs = belief.effect(points) + belief.cost_of_repeats(points)
        if axis == "precision":
            budget = found.project.budget
            shares = [budget.dearer(str(each)) for each in [planned[axis], reference, *values]]
            plain = planned | {axis: reference}
            logs += log_results(belief, plain, [shares[0] / share for share in shares[1:]])
        for place, value in enumerate(values, start=1):
            low, middle, high = np.expm1(np.quantile(logs[:, place] - logs[:, 0], [0.1, 0.5, 0.9]))
            rows.append(
                {
                    "axis": axis,
                    "value": value,
                    "reference": reference,
                    "chosen": planned[axis] == value,
                    "tried": any(each.axis == axis and each.value == value
                                 for each in axes.departures),
                    "effect": float(middle),
                    "low": float(low),
                    "high": float(high),
                    **_speed_of(found, axis, str(value)),
                }
            )  # fmt: skip
    return rows


def _speed_of(found: Designed, axis: str, value: str) -> dict[str, Any]:
    """How fast a precision is beside the reference, and in words."""
    if axis != "precision":
        return {}
    speed = found.project.budget.speed(value)
    return {"speed": speed.ratio, "note": told(speed)}


def settings_kept(found: Designed, axes: Axes) -> list[dict[str, Any]]:
    """Settings that were not measured, where they were kept, and why."""
    measured = {each.axis for each in axes.departures}
    wanted = {each.axis for each in found.axes.departures}
    rows = []
    for axis, hint in UNTRIED.items():
        if axis in measured or (axis == "keep" and "selected" not in axes.references):
            continue
        why = "vary.share did not pay for its runs, or they failed" if axis in wanted else hint
        rows.append({"axis": axis, "kept": axes.reference[axis], "why": why})
    if not axes.additions:
        why = "no share was moved to single sources (vary.added_share, vary.share)"
        rows.append({"axis": "mixture weights", "kept": "as sounded", "why": why})
    if not found.beside:
        rows.append({"axis": "adapt or pretrain", "kept": "pretrain", "why": FRESH})
    return [row | {"kept": "no method" if row["kept"] == NONE else row["kept"]} for row in rows]


def purchases_of(
    found: Designed, axes: Axes, settled: Settled, recipe: Recipe
) -> list[dict[str, Any]]:
    """Each source with a price: what it is worth to the result, and whether the choice buys it."""
    purchase = settled.purchase
    rows = []
    for source in found.project.priced:
        share = recipe.mixture.weights.get(source.name, 0.0)
        tried = purchase is not None and source.name in axes.additions
        rows.append(
            {
                "source": source.name,
                "price": source.price.value if source.price else 0.0,
                "currency": source.price.currency if source.price else None,
                "bytes": source.declared_bytes,
                "tokens": found.tokens["full"].get(source.name),
                "licence": source.licence,
                "worth": purchase.worth[source.name] if purchase and tried else None,
                "bought": share > 0,
                "share": share,
            }
        )
    return rows
