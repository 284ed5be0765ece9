"""The front of cost against quality: the best choice at every cost up to the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leadsman.errors import BudgetError
from leadsman.plan.decision.belief import Belief
from leadsman.plan.decision.constraints import Constraint
from leadsman.plan.decision.optimise import Objective, optimise
from leadsman.plan.decision.space import Space

LEVELS = 6
LOWEST = 1 / 32


@dataclass(frozen=True)
class ParetoPoint:
    """The best choice for a cost.

    Attributes:
        cost: what is allowed, in the unit of the constraint.
        point: the choice.
        median, low, high: of the result; low to high holds 80 %.
    """

    cost: float
    point: dict[str, Any]
    median: float
    low: float
    high: float


def pareto_front(
    space: Space,
    belief: Belief,
    constraints: Sequence[Constraint],
    objective: Objective,
    *,
    cost: str = "budget",
    seed: int = 0,
) -> list[ParetoPoint]:
    """Choices at costs from a thirty-second of the limit to all of it, by the same optimiser.

    Costs at which nothing is allowed are left out, as is a choice that costs more than another
    and is no better.
    """
    front: list[ParetoPoint] = []
    for share in np.geomspace(LOWEST, 1.0, LEVELS):
        scaled = [each.scaled(share) if each.name == cost else each for each in constraints]
        try:
            found = optimise(space, belief, scaled, objective, seed=seed, hindsight=False)
        except BudgetError:
            continue
        low, median, high = np.quantile(found.draws, [0.1, 0.5, 0.9])
        if front and median >= front[-1].median:
            continue
        limit = next(each.limit for each in scaled if each.name == cost)
        front.append(ParetoPoint(limit, found.point, float(median), float(low), float(high)))
    return front
