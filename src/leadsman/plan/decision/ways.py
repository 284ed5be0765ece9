"""Several beliefs as one: each group of runs is answered for by the belief that learned from it.

Training from fresh weights has laws of size and data; a given model that is continued has one size,
so its runs carry a law of data alone. What one law gets wrong says nothing of the other, so worlds
of different beliefs are drawn independently; within one, position ``k`` stays the same world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from leadsman.errors import InputError
from leadsman.laws import Forecast
from leadsman.plan.decision.belief import BeliefOfRuns
from leadsman.plan.decision.space import Floats

SIZE = ("params", "flops")


@dataclass(frozen=True)
class Way:
    """A belief, and what it answers for.

    Attributes:
        belief: learned from the runs of its groups.
        groups: values of the group column.
        label: what a person calls it; empty for training from fresh weights.
        one_size: whether its runs are of one size, so that its laws read no size.
    """

    belief: BeliefOfRuns
    groups: frozenset[str]
    label: str = ""
    one_size: bool = False

    def points(self, points: pl.DataFrame) -> pl.DataFrame:
        """The columns the belief reads."""
        return points.drop(*SIZE, strict=False) if self.one_size else points


class BeliefOfWays:
    """Joint draws over groups that different beliefs answer for.

    Args:
        ways: of one result and one number of worlds, their groups apart.
        group: column of names.

    Attributes:
        noise: standard deviation of the log of a single run, of the noisiest.
    """

    def __init__(self, ways: Sequence[Way], *, group: str) -> None:
        self.ways, self.group = ways, group
        self.y, self.worlds = ways[0].belief.y, ways[0].belief.worlds
        self.noise = max(way.belief.noise for way in ways)

    @property
    def effect_sd(self) -> float:
        """How large the effect of a setting is where settings were tried."""
        return max(way.belief.effect_sd for way in self.ways)

    def draws(self, points: pl.DataFrame, worlds: slice | None = None) -> Floats:
        """Results without the noise of a single run, shape (worlds, n)."""
        return self._each(points, lambda belief, part: belief.draws(part, worlds))

    def effect(self, points: pl.DataFrame) -> Floats:
        """Draws of what settings beside scale do to the log result, shape (worlds, n)."""
        return self._each(points, lambda belief, part: belief.effect(part))

    def cost_of_repeats(self, points: pl.DataFrame) -> Floats:
        """Draws of what it does to the log result that text repeats, shape (worlds, n)."""
        return self._each(points, lambda belief, part: belief.cost_of_repeats(part))

    def worth_of_passes(self, points: pl.DataFrame) -> Floats:
        """Draws of what passes over token sets are worth, (worlds, n, sets); points of one way."""
        ((way, rows),) = self._split(points)
        return way.belief.worth_of_passes(way.points(points[rows]))

    def forecast(self, points: pl.DataFrame, *, draws: int, seed: int) -> Forecast:
        """What single runs will give; see :meth:`BeliefOfRuns.forecast`."""
        laws: dict[str, None] = {}
        warnings: list[tuple[str, ...]] = [()] * len(points)
        values = np.empty((draws, len(points)))
        for way, rows in self._split(points):
            found = way.belief.forecast(way.points(points[rows]), draws=draws, seed=seed)
            values[:, rows] = found.draws
            laws[f"{way.label}: {found.law}" if way.label else found.law] = None
            for row, said in zip(rows, found.warnings or [()] * len(rows), strict=True):
                warnings[row] = said
        return Forecast(points, values, self.y, "; ".join(laws), tuple(warnings))

    def _each(
        self, points: pl.DataFrame, ask: Callable[[BeliefOfRuns, pl.DataFrame], Floats]
    ) -> Floats:
        if len(self.ways) == 1:
            return ask(self.ways[0].belief, points)
        parts = [
            (rows, ask(way.belief, way.points(points[rows]))) for way, rows in self._split(points)
        ]
        values = np.empty((len(parts[0][1]), len(points)))
        for rows, part in parts:
            values[:, rows] = part
        return values

    def _split(self, points: pl.DataFrame) -> list[tuple[Way, list[int]]]:
        """The rows that each belief answers for."""
        names: list[Any] = points[self.group].to_list()
        unknown = set(names).difference(*(way.groups for way in self.ways))
        if unknown:
            raise InputError(f"no runs with {self.group} = {min(unknown)!r}", column=self.group)
        found = [
            (way, [k for k, name in enumerate(names) if name in way.groups]) for way in self.ways
        ]
        return [(way, rows) for way, rows in found if rows]
