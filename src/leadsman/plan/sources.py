"""Sources of a plan from a table: how much there is of each, at what price, under which licence.

A source gives at most ``max_epochs`` passes over its tokens: ``tokens * mix.NAME <= max_epochs *
size``, with its full declared size if it is free or bought, and nothing if it is neither. Money
spent on data is taken from the budget where the budget is money.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from pydantic import Field

from leadsman.errors import InputError
from leadsman.plan.budget import Budget
from leadsman.plan.decision.constraints import Constraint
from leadsman.plan.decision.purchase import Offer
from leadsman.plan.decision.space import Dimension, Floats, Space
from leadsman.plan.money import Amount, Money
from leadsman.strict_yaml import Strict

EPOCHS = 4.0
"""Passes that hardly differ from new text at published sizes (Muennighoff et al. 2023)."""


class SourceOffer(Strict):
    """A source as offered."""

    tokens: float = Field(gt=0, description="declared full size")
    sample_tokens: float = Field(0.0, ge=0, description="what can be read before buying")
    price: Money | None = Field(None, description="of all of it; none is free")
    licence: str | None = None


def allowed_sources(
    sources: Mapping[str, SourceOffer], exclude_licences: Sequence[str]
) -> dict[str, SourceOffer]:
    """Sources whose licence is not excluded.

    Raises:
        InputError: none is left.
    """
    kept = {name: each for name, each in sources.items() if each.licence not in exclude_licences}
    if sources and not kept:
        raise InputError(
            f"exclude_licences ({', '.join(exclude_licences)}) leaves no source", column="sources"
        )
    return kept


def offers_of(sources: Mapping[str, SourceOffer]) -> list[Offer]:
    """Sources as things to buy.

    Raises:
        InputError: a sample larger than the declared size.
    """
    return [
        Offer(name, each.price, each.tokens, each.sample_tokens) for name, each in sources.items()
    ]


def with_sources(space: Space, names: frozenset[str]) -> Space:
    """The space in which only some sources can be drawn."""
    return Space(
        {
            name: Dimension(fixed=0.0)
            if name.startswith("mix.") and name.removeprefix("mix.") not in names
            else each
            for name, each in space.dimensions.items()
        }
    )


def quantity_constraints(
    sources: Mapping[str, SourceOffer],
    names: frozenset[str],
    space: Space,
    max_epochs: float,
) -> list[Constraint]:
    """Passes over each source that can be drawn; over all together without shares."""
    sizes = {name: each.tokens for name, each in sources.items() if name in names}
    drawn = [name for name in sizes if f"mix.{name}" in space.dimensions]

    def together(points: pl.DataFrame) -> Floats:
        return np.asarray(points["tokens"].to_numpy() / sum(sizes.values()))

    if not drawn:
        return [Constraint("the quantity of data", max_epochs, together, "epochs")]
    return [_passes(name, sizes[name], max_epochs) for name in drawn]


def _passes(name: str, size: float, max_epochs: float) -> Constraint:
    def use(points: pl.DataFrame) -> Floats:
        return np.asarray(points["tokens"].to_numpy() * points[f"mix.{name}"].to_numpy() / size)

    return Constraint(f"the quantity of {name!r}", max_epochs, use, "epochs")


def money_for_data(budget: Budget, given: Amount | None) -> Amount:
    """What may be spent on data: as given, else all of a budget of money.

    Raises:
        InputError: the budget is no money, and nothing is said of data.
    """
    if given is not None:
        return given
    if budget.money is None:
        raise InputError(
            "sources have prices, but the budget is not money; give money_for_data",
            column="money_for_data",
        )
    return budget.money


def compute_left(budget: Budget, spent: float, given: Amount | None) -> float:
    """Training FLOPs after data has been paid, from the budget unless there is money for it."""
    if given is not None or budget.money is None:
        return budget.total_flops
    share = max(1.0 - spent / budget.money.value, 0.0)
    return budget.total_flops * share
