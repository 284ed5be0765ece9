"""When to give up on a run: the shape of a rule, and what it is asked.

A rule is given from above (:mod:`leadsman.plan.stopping` has one by the learning curve); training
only asks it. It must be picklable, since jobs travel to workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from leadsman.runs import Ledger, Recipe
from leadsman.train.schedule import shared_steps, warmup_steps

QUESTIONS = (0.25, 0.5, 0.75)
"""Shares of the steps before the decay after which the rule is asked."""


class StopRule(Protocol):
    """Says whether a run is hopeless beside its rivals."""

    def __call__(self, curve: pl.DataFrame, rivals: Sequence[pl.DataFrame], *, tokens: int) -> str:
        """The reason to stop, or nothing to go on.

        Args:
            curve: of the run so far, columns ``tokens`` and ``loss``, warm-up left out.
            rivals: curves of runs that differ in the learning rate only; they may end sooner.
            tokens: where the decay begins, at which they are compared.
        """
        ...


def is_question(recipe: Recipe, step: int) -> bool:
    """Whether the rule is asked after this many steps."""
    return step in {round(share * shared_steps(recipe)) for share in QUESTIONS}


def are_rivals(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes differ in the learning rate only."""
    return one.lr != other.lr and one.to_dict() | {"lr": 0} == other.to_dict() | {"lr": 0}


def without_warmup(recipe: Recipe, curve: pl.DataFrame) -> pl.DataFrame:
    """The part of a curve at the constant rate."""
    batches = recipe.batches
    begin, end = (batches.tokens_at(count(recipe)) for count in (warmup_steps, shared_steps))
    return curve.filter(pl.col("tokens").is_between(begin, end, closed="right"))


def rivals_in(ledger: Ledger, recipe: Recipe) -> list[pl.DataFrame]:
    """Curves of the finished rivals of a recipe."""
    return [
        without_warmup(run.recipe, ledger.curve(run.id))
        for run in ledger
        if run.status == "finished" and run.recipe is not None and are_rivals(run.recipe, recipe)
    ]
