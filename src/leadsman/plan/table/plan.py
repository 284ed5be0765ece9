"""The decision from a table of runs, its front, the rules it beats, and what to run next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from leadsman.errors import BudgetError, DesignError, InputError
from leadsman.laws.score_results import recognise
from leadsman.laws.screening import complete, fewer_rows
from leadsman.laws.table import column
from leadsman.plan.decision.belief import BeliefOfRuns
from leadsman.plan.decision.constraints import Constraint
from leadsman.plan.decision.net import nets
from leadsman.plan.decision.next_runs import NextRuns, next_runs, worth_of_result
from leadsman.plan.decision.optimise import Decision, Objective, optimise
from leadsman.plan.decision.pareto import ParetoPoint, pareto_front
from leadsman.plan.decision.purchase import Purchase, choose_purchases
from leadsman.plan.decision.space import Dimension, Space, at_share
from leadsman.plan.money import common_currency
from leadsman.plan.sources import (
    EPOCHS,
    allowed_sources,
    compute_left,
    money_for_data,
    offers_of,
    quantity_constraints,
    with_sources,
)
from leadsman.plan.speed import told
from leadsman.plan.table.limits import constraints_of, repetition_of, timed, training_flops
from leadsman.plan.table.spec import TableSpec

NEXT_NET = 128
LISTED_SETS = 5
OTHER_UNIT = 1e4
"""Factor beyond all runs from which a space is in another unit."""

FAR = 100.0
"""Factor beyond the largest run's compute from which it is said."""

LESS = 0.05
"""Share of the planned compute whose worth is asked."""


@dataclass(frozen=True)
class TablePlan:
    """A plan from a table.

    Attributes:
        decision: the choice and its regret.
        front: best choice at each cost.
        rules: name of a rule of thumb, its point, and how much worse it is expected to be.
        next: which small run to make.
        next_points: the runs ``next`` ranks, by row.
        notes: what a reader must know: what no run varies, how far beyond the runs.
        law: behind the forecast.
        purchase: which sources to buy; ``None`` where none has a price.
    """

    decision: Decision
    front: list[ParetoPoint]
    rules: list[tuple[str, dict[str, float | str], float]]
    next: NextRuns
    next_points: pl.DataFrame
    notes: tuple[str, ...]
    law: str
    purchase: Purchase | None = None


def plan_table(runs: pl.DataFrame, spec: TableSpec) -> TablePlan:
    """Decide from runs.

    Raises:
        InputError: a column is missing, or runs of several tokenizers are mixed.
        DesignError: the runs cannot carry a law.
        BudgetError: nothing is allowed; says which limits are to blame.
    """
    check_tokenizers(runs, spec.y)
    space = Space(spec.space)
    spec = timed(spec, runs)
    runs, said = _readable(runs, spec, space)
    check_limits(spec, space)
    belief = BeliefOfRuns(
        runs,
        space,
        y=spec.y,
        group=spec.group,
        repetition=repetition_of(spec, runs),
        worlds=spec.worlds,
        seed=spec.seed,
    )
    space, notes = _held(space, belief, runs)
    objective = Objective(spec.objective, spec.quantile)
    space, constraints, purchase = _data(spec, space, belief, objective)
    decision = optimise(space, belief, constraints, objective, seed=spec.seed)
    front = pareto_front(space, belief, constraints, objective, seed=spec.seed)
    points = _next_points(space, runs, spec)
    alternatives = decision.candidates[: min(len(decision.candidates), 64)]
    ranked = next_runs(
        belief.draws(points),
        belief.draws(alternatives),
        training_flops(points),
        noise=belief.noise,
        worth=_worth(belief, decision),
        tolerance=spec.regret_tolerance,
    )
    rules = _rules(space, belief, constraints, decision)
    notes = (*said, *notes, *belief.warnings, *_far(decision, runs), *_speeds(spec))
    return TablePlan(decision, front, rules, ranked, points, notes, belief.law, purchase)


def _readable(
    runs: pl.DataFrame, spec: TableSpec, space: Space
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The runs with a result that falls, every cell checked, and what was done to them.

    Raises:
        InputError: a bad cell, a result that rises, or a space in another unit than the runs.
    """
    runs, gaps = complete(runs, y=spec.y, x=("params", "tokens"), group=spec.group)
    for name in ("params", "tokens"):
        known, dimension = column(runs, name), space.dimensions[name]
        low = dimension.fixed or dimension.low or known.min()
        high = dimension.fixed or dimension.high or known.max()
        if low > OTHER_UNIT * known.max() or high * OTHER_UNIT < known.min():
            raise InputError(
                f"the space has {name} from {low:.3g} to {high:.3g}, the runs from "
                f"{known.min():.3g} to {known.max():.3g}: are they in one unit?",
                column=name,
            )
    test, rising = recognise(runs, spec.y, ("params", "tokens"))
    if test is not None:
        test, _ = test.measured_on(runs, runs, spec.y)
        runs, _ = test.error_rates(runs, spec.y)
        score = spec.y if test.top == 1 else f"{spec.y} / {test.top:.0f}"
        gaps += (f"{spec.y} is a score: results here are its error rate, 1 - {score}.",)
    elif rising:
        raise InputError(
            f"{spec.y} rises with compute, and a plan lowers it; give a column that falls"
        )
    column(runs, spec.y)
    runs, thinned = fewer_rows(runs, training_flops(runs), group=spec.group, run=None)
    return runs, (*gaps, *thinned)


def _far(decision: Decision, runs: pl.DataFrame) -> tuple[str, ...]:
    """A sentence where the choice lies far beyond the runs."""
    chosen = training_flops(decision.candidates[:1])[0] / training_flops(runs).max()
    return (f"{chosen:.3g}x the compute of the largest run.",) if chosen > FAR else ()


def _speeds(spec: TableSpec) -> tuple[str, ...]:
    """What was taken for the speed of each precision, where it counts."""
    names = spec.space["precision"].choices or () if "precision" in spec.space else ()
    return tuple(
        f"{name} beside {spec.budget.precision}: {told(spec.budget.speed(name))}."
        for name in names
        if name != spec.budget.precision and spec.budget.bound_by_time
    )


def _data(
    spec: TableSpec, space: Space, belief: BeliefOfRuns, objective: Objective
) -> tuple[Space, list[Constraint], Purchase | None]:
    """Space and constraints with the sources that are free or worth buying."""
    sources = allowed_sources(spec.sources, spec.exclude_licences)
    offers = offers_of(sources)
    epochs = spec.max_epochs or EPOCHS

    def limits(names: frozenset[str]) -> tuple[Space, list[Constraint]]:
        price = sum(offer.cost for offer in offers if offer.name in names)
        flops = compute_left(spec.budget, price, spec.money_for_data)
        inner = with_sources(space, names)
        return inner, [
            *constraints_of(spec, flops=flops),
            *quantity_constraints(sources, names, space, epochs),
        ]

    def result(names: frozenset[str]) -> float:
        inner, constraints = limits(names)
        try:
            found = optimise(inner, belief, constraints, objective, seed=spec.seed, hindsight=False)
        except BudgetError:
            return float("inf")
        return found.value

    if not sources:
        return space, constraints_of(spec), None
    if not any(offer.cost for offer in offers):
        return *limits(frozenset(sources)), None
    money = money_for_data(spec.budget, spec.money_for_data)
    purchase = choose_purchases(offers, money, result, listed=LISTED_SETS)
    free = {offer.name for offer in offers if not offer.cost}
    return *limits(frozenset({*purchase.bought, *free})), purchase


def check_limits(spec: TableSpec, space: Space) -> None:
    """Refuse limits that leave no choice before anything is fitted, all sources bought for nothing.

    Raises:
        BudgetError: names the limits.
        InputError: a source is not what it declares, or prices are in several currencies.
    """
    sources = allowed_sources(spec.sources, spec.exclude_licences)
    offers = offers_of(sources)
    constraints = constraints_of(spec)
    if sources:
        if any(offer.cost for offer in offers):
            prices = {f"source {offer.name!r}": offer.price for offer in offers}
            money = money_for_data(spec.budget, spec.money_for_data)
            common_currency({"the money for data": money, **prices})
        names = frozenset(sources)
        space = with_sources(space, names)
        constraints += quantity_constraints(sources, names, space, spec.max_epochs or EPOCHS)
    nets(space, constraints, spec.seed)


def check_tokenizers(runs: pl.DataFrame, y: str) -> None:
    """Refuse nats per token of several tokenizers in one table.

    Raises:
        InputError: names the tokenizers, and bits per byte as the way out.
    """
    bits = y.startswith("bpb") or y.startswith("score")
    for name in ("tokenizer", "shape.vocab_size", "vocab_size"):
        if not bits and name in runs.columns and runs[name].drop_nulls().n_unique() > 1:
            values = ", ".join(str(each) for each in sorted(runs[name].drop_nulls().unique())[:4])
            raise InputError(
                f"the runs have several tokenizers ({name} is {values}), so {y!r} in nats per "
                f"token cannot be compared; plan on bits per byte (bpb.SET) or keep one tokenizer",
                column=name,
            )


def _held(space: Space, belief: BeliefOfRuns, runs: pl.DataFrame) -> tuple[Space, tuple[str, ...]]:
    """The space with settings held that no run tells anything about, and a sentence for each."""
    held, notes = {}, []
    for name, dimension in space.dimensions.items():
        if dimension.low is None or name in ("params", "tokens"):
            continue
        if name in belief.fixed:
            held[name] = belief.fixed[name]
            notes.append(f"No run varies {name}; it is held at {belief.fixed[name]:.4g}.")
        elif name not in runs.columns:
            raise DesignError(
                f"no run tells {name}; add the column to the table, or leave it out of the space"
            )
    return space.fix(held), tuple(notes)


def _next_points(space: Space, runs: pl.DataFrame, spec: TableSpec) -> pl.DataFrame:
    """Small runs that could be made: a net over the sizes of the runs and a little beyond."""
    from scipy.stats import qmc

    top = max(float(training_flops(runs).max()), spec.next_share * spec.budget.total_flops)
    dimensions = dict(space.dimensions)
    for name in ("params", "tokens"):
        low, high = float(runs[name].min()), float(runs[name].max())  # type: ignore[arg-type]
        dimensions[name] = Dimension(low=low, high=max(2 * high, 1.01 * low))
    small = Space(dimensions)
    net = qmc.Sobol(len(small.numeric), seed=spec.seed).random(NEXT_NET)
    points = pl.concat([small.frame(net, branch) for branch in small.branches()])
    cheap = training_flops(points) <= max(2 * top, float(training_flops(points).min()))
    return points.filter(pl.Series(cheap))


def _worth(belief: BeliefOfRuns, decision: Decision) -> float:
    """FLOPs that a unit of the result is worth at the choice: a next run must save more."""
    point = pl.DataFrame([decision.point])
    less = belief.draws(at_share(point, 1 - LESS))
    return worth_of_result(less[:, 0], decision.draws, LESS * float(training_flops(point)[0]))


def _rules(
    space: Space, belief: BeliefOfRuns, constraints: Sequence[Constraint], decision: Decision
) -> list[tuple[str, dict[str, float | str], float]]:
    """Twenty tokens a parameter at the same budget, all else as chosen."""
    flops = float(training_flops(decision.candidates[:1])[0])
    params = float(np.sqrt(flops / 120))
    point = dict(decision.point) | {"params": params, "tokens": 20 * params}
    gap = float(belief.draws(pl.DataFrame([point])).mean() - decision.draws.mean())
    return [("20 tokens per parameter", point, gap)]
