"""The choice that is best over the draws of a belief, within constraints.

In each branch of names a Sobol net of the numeric dimensions is screened with a few worlds; from
its best allowed points sequential quadratic programming (scipy's SLSQP) walks to the optimum of the
objective under the constraints, and the best of all is polished with every world. Dimensions with
a step are then rounded, the others re-optimised. The net is a start, never the answer.

Regret of a choice in one world is its result less that of the best candidate there; candidates are
the allowed points of the net, all optima, and optima of single worlds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl
from scipy.optimize import minimize

from leadsman.plan.decision.belief import Belief
from leadsman.plan.decision.constraints import Constraint
from leadsman.plan.decision.net import apart, nets
from leadsman.plan.decision.space import Floats, Space

SCREEN_WORLDS = slice(0, 256)
WALK_WORLDS = slice(0, 1000)
STARTS = 3
SINGLE_WORLDS = 12
STEP = 1e-4
CANDIDATES = 256
BANDWIDTH = 0.01
"""Of the smoothed quantile, in probability."""


@dataclass(frozen=True)
class Objective:
    """What is minimised: the mean result, or a quantile of it.

    Attributes:
        kind: ``mean``, or ``quantile`` for a choice that is good also in bad worlds.
        q: the quantile; 0.9 asks that nine worlds of ten give no worse.
        per_cost: units of the result that one unit of ``cost`` is worth; 0 ignores cost.
        cost: name of the constraint whose use is the cost.
    """

    kind: Literal["mean", "quantile"] = "mean"
    q: float = 0.9
    per_cost: float = 0.0
    cost: str = "budget"

    def of(self, draws: Floats) -> Floats:
        """Value of each point, shape (n,), from draws (worlds, n)."""
        if self.kind == "mean":
            return np.asarray(draws.mean(axis=0))
        # Order statistics near the quantile, weighed smoothly: a single one has no useful slope.
        ranks = (np.arange(len(draws)) + 0.5) / len(draws)
        width = max(BANDWIDTH, 1 / len(draws))
        weights = np.exp(-(((ranks - self.q) / width) ** 2) / 2)
        return np.asarray(weights @ np.sort(draws, axis=0) / weights.sum())


@dataclass(frozen=True)
class Decision:
    """A choice and what it was weighed against.

    Attributes:
        point: the choice, by column.
        value: its objective.
        draws: its result in each world, shape (worlds,).
        candidates: points weighed, the choice first.
        regrets: regret of the choice in each world, shape (worlds,).
        alternatives: the best of each branch of names, best first: point, value, and the
            probability that it is the best of them.
        slacks: slack of each constraint at the choice, in logs, by name.
    """

    point: dict[str, Any]
    value: float
    draws: Floats = field(repr=False)
    candidates: pl.DataFrame = field(repr=False)
    regrets: Floats = field(repr=False)
    alternatives: tuple[tuple[dict[str, Any], float, float], ...]
    slacks: dict[str, float]

    @property
    def expected_regret(self) -> float:
        """Mean regret, in the unit of the result."""
        return float(self.regrets.mean())


class _Problem:
    """One space, belief, objective and set of constraints."""

    def __init__(
        self,
        space: Space,
        belief: Belief,
        constraints: Sequence[Constraint],
        objective: Objective,
    ) -> None:
        self.space, self.belief = space, belief
        self.constraints, self.objective = constraints, objective
        self._cost = next((c for c in constraints if c.name == objective.cost), None)

    def value(self, points: pl.DataFrame, worlds: slice | None) -> Floats:
        """The objective at points, shape (n,)."""
        value = self.objective.of(self.belief.draws(points, worlds))
        if self.objective.per_cost and self._cost is not None:
            value = value + self.objective.per_cost * self._cost.use(points)
        return value

    def walk(
        self, start: Floats, branch: Mapping[str, str], worlds: slice | None
    ) -> tuple[Floats, float]:
        """The local optimum from a place in the unit cube; the start where none is allowed."""
        size = len(start)
        if not size:
            return start, float(self.value(self.space.frame(start[None], branch), worlds)[0])
        scale = max(abs(float(self.value(self.space.frame(start[None], branch), worlds)[0])), 1e-12)

        def around(place: Floats) -> tuple[pl.DataFrame, Floats]:
            """A place and one beside it along each axis, and how far that one lies."""
            steps = np.where(place + STEP <= 1, STEP, -STEP)
            return self.space.frame(np.vstack([place, place + np.diag(steps)]), branch), steps

        def slopes(values: Floats, steps: Floats) -> Floats:
            return np.asarray((values[..., 1:] - values[..., :1]) / steps)

        def objective(place: Floats) -> tuple[float, Floats]:
            frame, steps = around(place)
            values = self.value(frame, worlds) / scale
            return float(values[0]), slopes(values, steps)

        def slack(place: Floats) -> Floats:
            frame = self.space.frame(place[None], branch)
            return np.array([each.slack(frame)[0] for each in self.constraints])

        def slack_slopes(place: Floats) -> Floats:
            frame, steps = around(place)
            return slopes(np.stack([each.slack(frame) for each in self.constraints]), steps)

        limits = [{"type": "ineq", "fun": slack, "jac": slack_slopes}] if self.constraints else []
        found = minimize(
            objective, start, jac=True, method="SLSQP", bounds=[(0.0, 1.0)] * size,
            constraints=limits, options={"maxiter": 40, "ftol": 1e-9},
        )  # fmt: skip
        place = np.clip(found.x, 0.0, 1.0)
        if self.constraints and slack(place).min() < -1e-6:
            place = self._back(start, place, slack)
        both = self.value(self.space.frame(np.stack([start, place]), branch), worlds)
        if both[0] < both[1] and (not self.constraints or slack(start).min() >= -1e-6):
            return start, float(both[0])
        return place, float(both[1])

    @staticmethod
    def _back(start: Floats, place: Floats, slack: Callable[[Floats], Floats]) -> Floats:
        """The farthest allowed place on the way from an allowed start."""
        for share in np.linspace(1.0, 0.0, 41):
            there = start + share * (place - start)
            if slack(there).min() >= 0:
                return np.asarray(there)
        return start


def optimise(
    space: Space,
    belief: Belief,
    constraints: Sequence[Constraint] = (),
    objective: Objective | None = None,
    *,
    seed: int = 0,
    hindsight: bool = True,
) -> Decision:
    """Choose.

    Args:
        space: what may be chosen.
        belief: draws of the result.
        constraints: what must hold.
        objective: what is minimised; the mean by default.
        seed: of the Sobol nets.
        hindsight: also find optima of single worlds as candidates for regret.

    Raises:
        BudgetError: no point is allowed; says which constraints are to blame.
    """
    problem = _Problem(space, belief, constraints, objective or Objective())
    started = nets(space, constraints, seed)
    places: list[tuple[dict[str, str], Floats]] = []
    optima: list[tuple[float, dict[str, str], Floats]] = []
    for branch, net, least in started:
        allowed = net[least >= 0]
        if not len(allowed):
            continue
        screened = problem.value(space.frame(allowed, branch), SCREEN_WORLDS)
        order = np.argsort(screened)
        walked = [
            problem.walk(allowed[k], branch, WALK_WORLDS) for k in apart(allowed, order, STARTS)
        ]
        place, value = min(walked, key=lambda pair: pair[1])
        optima.append((value, branch, place))
        places += [(branch, allowed[k]) for k in order[: CANDIDATES // len(started)]]
    optima.sort(key=lambda each: each[0])
    final: list[tuple[float, dict[str, str], Floats]] = []
    for value, branch, place in optima:
        if value <= optima[0][0] + 3 * abs(optima[0][0]) * 1e-2 or len(final) < 2:
            place, value = problem.walk(place, branch, None)
        place, value = _rounded(problem, place, branch, value)
        final.append((value, branch, place))
    final.sort(key=lambda each: each[0])
    if hindsight:
        for world in range(SINGLE_WORLDS):
            _, branch, start = final[world % len(final)]
            place, _ = problem.walk(start, branch, slice(world, world + 1))
            places.append((branch, place))
    return _decision(problem, final, places)


def _rounded(
    problem: _Problem, place: Floats, branch: Mapping[str, str], value: float
) -> tuple[Floats, float]:
    """Dimensions with a step rounded both ways, the others re-optimised; the best allowed."""
    space = problem.space
    stepped = {n: d.step for n, d in space.dimensions.items() if d.step and d.low is not None}
    if not stepped:
        return place, value
    point = space.frame(place[None], branch).row(0, named=True)
    sides = []
    for name, step in stepped.items():
        low, high = space.dimensions[name].low or 0.0, space.dimensions[name].high or 0.0
        down = np.floor(point[name] / step) * step
        sides.append([v for v in (down, down + step) if low <= v <= high] or [point[name]])
    best: tuple[Floats, float] | None = None
    for picked in itertools.product(*sides):
        held = dict(zip(stepped, picked, strict=True))
        inner = _Problem(space.fix(held), problem.belief, problem.constraints, problem.objective)
        free = [k for k, name in enumerate(space.numeric) if name not in held]
        there, _ = inner.walk(place[free], branch, WALK_WORLDS)
        frame = inner.space.frame(there[None], branch)
        if all(each.slack(frame)[0] >= -1e-6 for each in problem.constraints):
            full = space.units(frame.row(0, named=True))
            reached = float(problem.value(frame, None)[0])
            if best is None or reached < best[1]:
                best = full, reached
    return best or (place, value)


def _decision(
    problem: _Problem,
    final: list[tuple[float, dict[str, str], Floats]],
    places: list[tuple[dict[str, str], Floats]],
) -> Decision:
    """Draws at all candidates, regrets, and who is best how often."""
    space, belief = problem.space, problem.belief
    tops = [space.frame(place[None], branch) for _, branch, place in final]
    candidates = pl.concat([*tops, *(space.frame(place[None], branch) for branch, place in places)])
    draws = belief.draws(candidates)
    first = np.bincount(draws[:, : len(tops)].argmin(axis=1), minlength=len(tops)) / len(draws)
    point = candidates.row(0, named=True)
    return Decision(
        point=point,
        value=final[0][0],
        draws=draws[:, 0],
        candidates=candidates,
        regrets=draws[:, 0] - draws.min(axis=1),
        alternatives=tuple(
            (candidates.row(k, named=True), final[k][0], float(first[k])) for k in range(len(tops))
        ),
        slacks={each.name: float(each.slack(candidates[:1])[0]) for each in problem.constraints},
    )
