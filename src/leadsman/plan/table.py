"""A plan from a table of runs: the decision, its front, the rules it beats, and what to run next.

Where a project makes its own soundings, this starts from runs that are already there. A YAML file
says what may be chosen and under which limits:

    y: loss
    space:
      params: {low: 1e8, high: 7e9}
      tokens: {low: 2e9, high: 1e12}
      lr: {low: 1e-4, high: 1e-2}
    budget: {flops: 1e21}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from leadsman.errors import BudgetError, DesignError, InputError
from leadsman.laws.table import column
from leadsman.plan.budget import Budget
from leadsman.plan.decision.belief import BeliefOfRuns
from leadsman.plan.decision.constraints import Constraint
from leadsman.plan.decision.next_runs import NextRuns, next_runs
from leadsman.plan.decision.optimise import Decision, Objective, optimise
from leadsman.plan.decision.pareto import ParetoPoint, pareto_front
from leadsman.plan.decision.purchase import Purchase, choose_purchases
from leadsman.plan.decision.space import Dimension, Floats, Space
from leadsman.plan.inference import ServingSpec
from leadsman.plan.memory import TrainingSetting, estimate_memory
from leadsman.plan.money import Money
from leadsman.plan.sources import (
    EPOCHS,
    SourceOffer,
    allowed_sources,
    compute_left,
    money_for_data,
    offers_of,
    quantity_constraints,
    with_sources,
)
from leadsman.strict_yaml import Strict
from leadsman.train.defaults import shape_of_params

NEXT_NET = 128
MEMORY_KNOTS = 9
LISTED_SETS = 5


class MemorySpec(Strict):
    """How the planned run is trained, for its memory; the shape follows from ``params``."""

    limit_gb: float = Field(gt=0, description="1e9 bytes of one device")
    vocab_size: int = Field(32_000, ge=1)
    seq_len: int = Field(2048, ge=1)
    sequences: int = Field(1, ge=1)
    precision: Literal["float32", "bf16-mixed", "bf16", "bf16-master"] = "bf16-mixed"
    optimizer: Literal["sgd", "sgd-momentum", "adamw", "adamw-8bit", "lion", "muon"] = "adamw"
    checkpointing: bool = False
    zero_stage: Literal[0, 1, 2, 3] = 0
    devices: int = Field(1, ge=1)


class TableSpec(Strict):
    """What may be chosen, under which limits, and by what."""

    y: str = "loss"
    group: str | None = Field(None, description="column of names with a law each (mixtures)")
    space: dict[str, Dimension] = Field(min_length=1)
    budget: Budget
    serving: ServingSpec | None = None
    memory: MemorySpec | None = None
    unique_tokens: float | None = Field(None, gt=0, description="tokens there are, before keep")
    max_epochs: float | None = Field(None, gt=0, description="over the tokens that are kept")
    objective: Literal["mean", "quantile"] = "mean"
    quantile: float = Field(0.9, gt=0, lt=1)
    worlds: int = Field(10_000, ge=200, le=200_000)
    next_share: float = Field(0.02, gt=0, lt=1, description="most a next run may cost, of budget")
    regret_tolerance: float = Field(0.0, ge=0)
    sources: dict[str, SourceOffer] = Field({}, description="sizes, prices, licences by name")
    exclude_licences: tuple[str, ...] = ()
    money_for_data: Money | None = Field(None, description="beside the budget; else out of it")
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _complete(self) -> TableSpec:
        for name in ("params", "tokens"):
            if name not in self.space:
                raise ValueError(f"space must say what {name} may be: a range, or fixed")
        if self.max_epochs is not None and self.unique_tokens is None:
            raise ValueError("max_epochs needs unique_tokens, how many there are")
        if self.group is not None and self.group not in self.space:
            raise ValueError(f"space must list the choices of the group {self.group!r}")
        for name in self.space:
            if self.sources and name.startswith("mix.") and name[4:] not in self.sources:
                raise ValueError(f"{name} is in the space, but sources has no {name[4:]!r}")
        return self


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
    for name in ("params", "tokens", spec.y):
        column(runs, name)
    space = Space(spec.space)
    belief = BeliefOfRuns(
        runs, space, y=spec.y, group=spec.group, worlds=spec.worlds, seed=spec.seed
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
        tolerance=spec.regret_tolerance,
    )
    rules = _rules(space, belief, constraints, decision)
    notes = (*notes, *belief.warnings)
    return TablePlan(decision, front, rules, ranked, points, notes, belief.law, purchase)


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


def training_flops(points: pl.DataFrame) -> Floats:
    """6ND: what a table knows of compute."""
    return np.asarray(6.0 * points["params"].to_numpy() * points["tokens"].to_numpy())


def constraints_of(spec: TableSpec, *, flops: float | None = None) -> list[Constraint]:
    """The limits of a specification; ``flops`` in place of its budget's, if data was paid."""
    serving = spec.serving
    served = serving.tokens if serving is not None and serving.in_budget else 0.0

    def cost(points: pl.DataFrame) -> Floats:
        return np.asarray(training_flops(points) + 2.0 * points["params"].to_numpy() * served)

    limit = spec.budget.total_flops if flops is None else flops
    found = [Constraint("budget", limit, cost, "FLOPs")]
    if spec.budget.max_params is not None:
        found.append(
            Constraint(
                "max_params", spec.budget.max_params, lambda p: p["params"].to_numpy(), "parameters"
            )
        )
    if spec.memory is not None:
        found.append(_memory(spec.memory, spec.space["params"]))
    if spec.max_epochs is not None and spec.unique_tokens is not None:
        there = spec.unique_tokens

        def epochs(points: pl.DataFrame) -> Floats:
            kept = points["keep"].to_numpy() if "keep" in points.columns else 1.0
            return np.asarray(points["tokens"].to_numpy() / (there * kept))

        found.append(Constraint("max_epochs", spec.max_epochs, epochs, "epochs"))
    return found


def _memory(spec: MemorySpec, params: Dimension) -> Constraint:
    """Memory over parameters, exact at shapes of nine sizes and smooth between them."""
    low = params.low or params.fixed or 1.0
    high = params.high or params.fixed or low
    sizes = np.geomspace(low, max(high, low * 1.001), MEMORY_KNOTS)
    shapes = [shape_of_params(n, vocab_size=spec.vocab_size, seq_len=spec.seq_len) for n in sizes]
    fields = spec.model_dump(exclude={"limit_gb", "vocab_size", "seq_len"})
    needed = [estimate_memory(TrainingSetting(shape=shape, **fields)).total for shape in shapes]
    known = np.log([shape.non_embedding_params for shape in shapes])

    def use(points: pl.DataFrame) -> Floats:
        logs = np.log(points["params"].to_numpy())
        return np.asarray(np.exp(np.interp(logs, known, np.log(needed))))

    return Constraint("memory", 1e9 * spec.limit_gb, use, "bytes")


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


def _rules(
    space: Space, belief: BeliefOfRuns, constraints: Sequence[Constraint], decision: Decision
) -> list[tuple[str, dict[str, float | str], float]]:
    """Twenty tokens a parameter at the same budget, all else as chosen."""
    flops = float(training_flops(decision.candidates[:1])[0])
    params = float(np.sqrt(flops / 120))
    point = dict(decision.point) | {"params": params, "tokens": 20 * params}
    gap = float(belief.draws(pl.DataFrame([point])).mean() - decision.draws.mean())
    return [("20 tokens per parameter", point, gap)]
