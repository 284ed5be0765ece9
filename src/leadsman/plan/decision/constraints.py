"""What a plan must respect, as slacks: zero or more where a point is allowed.

Slacks are logs of limit over use, so that all are of one size for the optimiser.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from leadsman.errors import BudgetError
from leadsman.plan.decision.space import Floats

Use = Callable[[pl.DataFrame], Floats]


@dataclass(frozen=True)
class Constraint:
    """A limit on something a point uses.

    Attributes:
        name: what a person calls it (``budget``, ``memory``).
        limit: the most that is allowed.
        use: what each point uses, shape (n,), above zero.
        unit: of both, for messages.
    """

    name: str
    limit: float
    use: Use
    unit: str = ""

    def slack(self, points: pl.DataFrame) -> Floats:
        """``log(limit / use)``, shape (n,)."""
        used = np.maximum(self.use(points), 1e-300)
        return np.asarray(np.log(max(self.limit, 1e-300)) - np.log(used))

    def scaled(self, factor: float) -> Constraint:
        """The same with another limit."""
        return Constraint(self.name, self.limit * factor, self.use, self.unit)


def feasible_or_explain(points: pl.DataFrame, constraints: Sequence[Constraint]) -> Floats:
    """Least slack of each point, shape (n,); an error where none is allowed.

    Args:
        points: spread over the whole space, its corners included.
        constraints: all that must hold.

    Raises:
        BudgetError: one constraint that no point meets, or two that no point meets together; each
            is named with its limit and the least any point uses.
    """
    if not constraints:
        return np.full(len(points), np.inf)
    slacks = np.stack([each.slack(points) for each in constraints])
    least = np.asarray(slacks.min(axis=0))
    if (least >= 0).any():
        return least
    for each, slack in zip(constraints, slacks, strict=True):
        if (slack < 0).all():
            used = float(each.use(points).min())
            raise BudgetError(
                f"no choice meets {each.name}: at most {each.limit:.3g} {each.unit} are allowed, "
                f"the cheapest choice takes {used:.3g}".replace("  ", " ")
            )
    for (a, first), (b, second) in itertools.combinations(enumerate(constraints), 2):
        if not ((slacks[a] >= 0) & (slacks[b] >= 0)).any():
            raise BudgetError(
                f"{first.name} (at most {first.limit:.3g} {first.unit}) and {second.name} (at most "
                f"{second.limit:.3g} {second.unit}) contradict each other: no choice meets both"
            )
    names = ", ".join(each.name for each in constraints)
    raise BudgetError(f"no choice meets all of {names} together")
