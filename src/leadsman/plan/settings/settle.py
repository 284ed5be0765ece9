"""The settings of the big run: an optimum over all that was tried, and which data to buy.

The space is size, tokens and every setting the small runs vary, for one mixture; limits are the
budget (training, serving and data together), passes over each source, and half of the tokens as the
most that may be moved to single sources together, no setting beyond what was tried. The optimiser
(:mod:`leadsman.plan.decision.optimise`) walks it over the joint draws. What it finds for the
settings is then weighed at every size that can be built, beside the reference settings. The
reference is left only where the runs say so: a setting whose chance of being better is below
``vary.certainty`` goes back to it. Names and shares are judged at the size at which they were
tried; learning rate and batch at the planned one, since what is best for them moves with the length
of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl

from leadsman.errors import BudgetError
from leadsman.plan.budget import Budget
from leadsman.plan.decision import BeliefOfWays, Constraint, Dimension, Objective, Space, optimise
from leadsman.plan.decision.purchase import Offer, Purchase, choose_purchases
from leadsman.plan.decision.space import Floats
from leadsman.plan.project import Project
from leadsman.plan.settings.axes import ADD, NAMES, NUMBERS, Axes, Row
from leadsman.plan.settings.reads import PointReads
from leadsman.plan.soundings import serve_flops
from leadsman.plan.sources import compute_left, money_for_data
from leadsman.plan.speed import dearer
from leadsman.runs import Recipe
from leadsman.train.ladder.design import LEAST_TOKENS

MOST_ADDED = 0.5
LEAST_ADDED = 0.01
"""A smaller share of one source is none: no small run tells the two apart."""
LISTED_SETS = 3
MARGIN = 1.02


@dataclass(frozen=True)
class Settled:
    """Settings for the big run.

    Attributes:
        row: value of each axis; empty where the reference is best or nothing was tried.
        purchase: what to buy; ``None`` where no source has a price.
        budget_flops: what is left of the budget after buying data.
    """

    row: Row
    purchase: Purchase | None
    budget_flops: float


def settle(
    project: Project,
    axes: Axes,
    belief: BeliefOfWays,
    options: Sequence[Recipe],
    *,
    base: str,
    tried_at: Mapping[str, float],
    full: Mapping[str, float],
) -> Settled:
    """Choose settings, and data to buy.

    Args:
        project: with budget, serving and decision.
        axes: with departures on the axes that were measured.
        belief: of the ladder and the setting runs.
        options: recipes at the reference settings that the budget pays for.
        base: the mixture that settings were tried on.
        tried_at: params and tokens of the runs that tried them.
        full: tokens of each token set at its full size.
    """
    total = project.budget.total_flops
    way = axes.ways.get(base)
    options = [each for each in options if axes.ways.get(each.mixture.name) == way]
    space = space_of(axes, options, base, project.budget)
    objective = Objective(project.decision.objective, project.decision.quantile)
    offers = [
        Offer(each.name, each.price, full[each.name])
        for each in project.priced
        if each.name in axes.additions
    ]

    def best(names: frozenset[str]) -> tuple[float, Row, float]:
        held = {ADD + each.name: 0.0 for each in offers if each.name not in names}
        inner = space.fix({name: value for name, value in held.items() if name in space.dimensions})
        price = sum(each.cost for each in offers if each.name in names)
        flops = compute_left(project.budget, price, project.decision.money_for_data)
        limits = limits_of(project, axes, options, base, full, flops)
        found = optimise(inner, belief, limits, objective, seed=project.seed, hindsight=False)
        return found.value, found.point, flops

    def value(names: frozenset[str]) -> float:
        try:
            return best(names)[0]
        except BudgetError:
            return float("inf")

    purchase = None
    bought: frozenset[str] = frozenset()
    if offers:
        money = money_for_data(project.budget, project.decision.money_for_data)
        free = Offer("free sources", None, 1.0)
        purchase = choose_purchases([*offers, free], money, value, listed=LISTED_SETS)
        bought = frozenset(purchase.bought)
    if not axes.departures:
        return Settled({}, purchase, total)
    _, point, flops = best(bought)
    certain = partial(certain_settings, certainty=project.vary.certainty, budget=project.budget)
    row = certain(axes, belief, point, tried_at)
    if purchase is not None and any(not row.get(ADD + name) for name in bought):
        used = frozenset(name for name in bought if row.get(ADD + name))
        purchase = replace(
            purchase,
            bought=tuple(sorted(used)),
            price=sum(each.cost for each in offers if each.name in used),
        )
        _, point, flops = best(used)
        row = certain(axes, belief, point, tried_at)
    return Settled(row, purchase, flops)


def space_of(axes: Axes, options: Sequence[Recipe], base: str, budget: Budget) -> Space:
    """Size, tokens and the measured settings of one mixture."""
    params = [float(each.shape.non_embedding_params) for each in options]
    tried = [str(each.value) for each in axes.departures if each.axis == "precision"]
    cheapest = min([1.0, *(budget.dearer(each) for each in tried)])
    most = max(each.tokens for each in options) / cheapest
    dimensions = {
        "params": _range(min(params), max(params)),
        "tokens": Dimension(low=float(LEAST_TOKENS), high=MARGIN * max(most, 2.0 * LEAST_TOKENS)),
        "mixture": Dimension(choices=(base,)),
    }
    return Space(dimensions | setting_dimensions(axes))


def setting_dimensions(axes: Axes) -> dict[str, Dimension]:
    """The range or the names of each axis that was tried, the reference among them."""
    tried: dict[str, list[float | str]] = {}
    for each in axes.departures:
        tried.setdefault(each.axis, []).append(each.value)
    found: dict[str, Dimension] = {}
    for name, values in tried.items():
        if name in NUMBERS:
            numbers = [float(each) for each in [*values, axes.reference[name]]]
            found[name] = _range(min(numbers), max(numbers))
        elif name in NAMES:
            choices = dict.fromkeys(str(each) for each in [axes.reference[name], *values])
            found[name] = Dimension(choices=tuple(choices))
        else:
            most = max(float(each) for each in values)
            found[name] = Dimension(low=0.0, high=most, scale="linear")
    return found


def limits_of(
    project: Project,
    axes: Axes,
    options: Sequence[Recipe],
    base: str,
    full: Mapping[str, float],
    flops: float,
) -> list[Constraint]:
    """Budget, passes over sources, and how far the mixture may be moved."""
    shapes = sorted({each.shape for each in options}, key=lambda each: each.non_embedding_params)
    logs = np.log([each.non_embedding_params for each in shapes])
    train = np.log([each.train_flops_per_token for each in shapes])
    serving = project.serving
    served = serving.tokens if serving is not None and serving.in_budget else 0.0
    serve = [serve_flops(each, serving) if serving is not None else 0.0 for each in shapes]

    def cost(points: pl.DataFrame) -> Floats:
        at = np.log(points["params"].to_numpy())
        per_token = np.exp(np.interp(at, logs, train)) * dearer(project.budget, points)
        return np.asarray(
            points["tokens"].to_numpy() * per_token + np.interp(at, logs, serve) * served
        )

    found = [Constraint("budget", flops, cost, "FLOPs")]
    if axes.additions:
        found.append(Constraint("the share moved to single sources", MOST_ADDED, _moved))
    reads = PointReads(axes, full)
    for source in dict.fromkeys([*axes.references[base].weights, *axes.additions]):
        limit = project.most_passes(source)
        if limit is not None and source in full:
            use = partial(reads.passes, name=source)
            found.append(Constraint(f"the quantity of {source!r}", limit, use, "epochs"))
    return found


def _moved(points: pl.DataFrame) -> Floats:
    total = np.full(len(points), 1e-9)
    for name in points.columns:
        if name.startswith(ADD):
            total = total + points[name].to_numpy()
    return total


def _settings(point: Mapping[str, float | str], axes: Axes) -> Row:
    """Values as a recipe takes them; none where all are the reference."""
    row: Row = {}
    for name, value in point.items():
        if name.startswith(ADD):
            row[name] = round(float(value), 2) if float(value) >= LEAST_ADDED else 0.0
        elif name in NUMBERS:
            row[name] = float(f"{float(value):.2g}") if name == "lr" else float(value)
        elif name in NAMES:
            row[name] = value
    same = all(value == axes.reference.get(name, 0.0) for name, value in row.items())
    return {} if same else row


def certain_settings(
    axes: Axes,
    belief: BeliefOfWays,
    planned: Mapping[str, float | str],
    tried_at: Mapping[str, float],
    *,
    certainty: float,
    budget: Budget | None = None,
) -> Row:
    """The settings of a point, put back where the runs do not say that they are better.

    Each is judged alone, with all others at the reference: numbers where they are planned to be
    used, the others where they were tried. What text that repeats costs is that of the plan, and a
    precision is compared at equal hours where these bind.

    Args:
        axes: with the departures that were measured.
        belief: of the ladder and the setting runs.
        planned: the point, with params and tokens.
        tried_at: params and tokens of the runs that tried settings.
        certainty: least chance of being better.
        budget: tells what a precision takes of it.
    """
    row = _settings(planned, axes)
    plain = {name: axes.reference.get(name, 0.0) for name in row}
    for name, value in row.items():
        if value != plain[name]:
            at = {**planned, **({} if name in NUMBERS else tried_at)}
            pair = pl.DataFrame([{**at, **plain, name: value}, {**at, **plain}])
            there = pl.DataFrame([{**planned, **plain, name: value}, {**planned, **plain}])
            effects = belief.effect(pair) + belief.cost_of_repeats(there)
            if name == "precision" and budget is not None:
                shares = [1.0, budget.dearer(str(value))]
                effects += log_results(belief, {**planned, **plain}, shares)
            if float((effects[:, 0] < effects[:, 1]).mean()) < certainty:
                row[name] = plain[name]
    return {} if row == plain else row


def log_results(
    belief: BeliefOfWays, row: Mapping[str, float | str], shares: Sequence[float]
) -> Floats:
    """Draws of the log result with shares of the tokens of a row, shape (worlds, shares)."""
    tokens = float(row["tokens"])
    points = pl.DataFrame([{**row, "tokens": tokens * share} for share in shares])
    return np.log(belief.draws(points))


def _range(low: float, high: float) -> Dimension:
    return Dimension(low=low, high=high) if low < high else Dimension(fixed=low)
