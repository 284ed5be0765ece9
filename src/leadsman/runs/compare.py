"""Two runs side by side: what was different, what came of it, and whether noise explains it.

The noise of a result is the spread of runs that differ in the seed only: of the two recipes if the
ledger has replicates of them, else of all replicates in the ledger, as a share of the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from leadsman.runs.ledger import Ledger
from leadsman.runs.recipe import Recipe
from leadsman.runs.run import Run

CURVE_POINTS = 8


@dataclass(frozen=True)
class Difference:
    """One result of both runs.

    Attributes:
        name: column, such as ``bpb.target``.
        a, b: of the runs.
        noise: standard deviation of ``b - a`` by seed noise; nan if there are no replicates.
        replicates: runs the noise was told from.
    """

    name: str
    a: float
    b: float
    noise: float
    replicates: int

    @property
    def change(self) -> float:
        """``b / a - 1``."""
        return self.b / self.a - 1

    @property
    def deviations(self) -> float:
        """The difference in standard deviations of the noise."""
        return (self.b - self.a) / self.noise


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        a, b: the runs.
        settings: fields of the recipes that differ, with both values.
        results: losses, bits per byte and scores that both have.
        curves: columns ``tokens``, ``a``, ``b``: mean training loss up to each of a few points.
    """

    a: Run
    b: Run
    settings: Mapping[str, tuple[Any, Any]]
    results: tuple[Difference, ...]
    curves: pl.DataFrame


def compare(ledger: Ledger, a: str, b: str) -> Comparison:
    """Compare two runs of a ledger.

    Args:
        ledger: where they are.
        a, b: ids, or unique beginnings of them.

    Raises:
        InputError: there is no such run.
    """
    one, other = ledger.get(a), ledger.get(b)
    spreads = list(_spreads(ledger))
    results = []
    for kind, of_a, of_b in (
        ("loss", one.losses, other.losses),
        ("bpb", one.bpb, other.bpb),
        ("score", one.scores, other.scores),
    ):
        for name in of_a:
            if name in of_b:
                column = f"{kind}.{name}"
                noise, count = _noise(spreads, column, (one, other))
                results.append(Difference(column, of_a[name], of_b[name], noise, count))
    return Comparison(
        a=one,
        b=other,
        settings=_differences(_flat(one), _flat(other)),
        results=tuple(results),
        curves=_joined(ledger.curve(one.id), ledger.curve(other.id)),
    )


@dataclass(frozen=True)
class _Spread:
    """Relative variance of one result over runs that differ in the seed only."""

    key: str
    column: str
    variance: float
    runs: int


def _seedless(recipe: Recipe) -> str:
    return repr(recipe.to_dict() | {"seed": None})


def _spreads(ledger: Ledger) -> Iterable[_Spread]:
    groups: dict[str, list[Run]] = {}
    for run in ledger:
        if run.recipe is not None and run.status == "finished":
            groups.setdefault(_seedless(run.recipe), []).append(run)
    for key, runs in groups.items():
        rows = [run.row() for run in runs]
        for column in rows[0]:
            if column.startswith(("loss.", "bpb.", "score.")) and len(runs) > 1:
                values = np.array([row.get(column, math.nan) for row in rows])
                variance = float(np.var(values, ddof=1) / np.mean(values) ** 2)
                yield _Spread(key, column, variance, len(runs))


def _noise(spreads: list[_Spread], column: str, runs: tuple[Run, Run]) -> tuple[float, int]:
    """Standard deviation of the difference of two runs, and how many runs it was told from."""
    keys = {_seedless(run.recipe) for run in runs if run.recipe is not None}
    of_column = [spread for spread in spreads if spread.column == column]
    chosen = [spread for spread in of_column if spread.key in keys] or of_column
    freedom = sum(spread.runs - 1 for spread in chosen)
    if not freedom:
        return math.nan, 0
    pooled = sum((spread.runs - 1) * spread.variance for spread in chosen) / freedom
    values = [run.row()[column] for run in runs]
    return math.sqrt(pooled * sum(value**2 for value in values)), freedom + len(chosen)


def _flat(run: Run) -> dict[str, Any]:
    plain: Mapping[str, Any] = run.settings if run.recipe is None else run.recipe.to_dict()
    return (
        dict(_leaves(plain, ""))
        | {"status": run.status, "device": run.device}
        | dict(_leaves(run.versions, "versions."))
    )


def _leaves(plain: Mapping[str, Any], before: str) -> Iterable[tuple[str, Any]]:
    for name, value in plain.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys([*a, *b])
    return {name: (a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name)}


def _joined(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    """Mean loss since the point before, at points both curves reach."""
    schema = {"tokens": pl.Int64, "a": pl.Float64, "b": pl.Float64}
    frames = [frame.drop_nulls(["tokens", "loss"]) for frame in (a, b)]
    if any(frame.is_empty() for frame in frames):
        return pl.DataFrame(schema=schema)
    reach = min(int(frame["tokens"].max()) for frame in frames)  # type: ignore[arg-type]
    marks = [reach * k // CURVE_POINTS for k in range(CURVE_POINTS + 1)]
    rows = []
    for low, high in pairwise(marks):
        means = [
            frame.filter(pl.col("tokens").is_between(low, high, closed="right"))["loss"].mean()
            for frame in frames
        ]
        # A run that ended at once has no step before the first marks.
        if None not in means:
            rows.append({"tokens": high, "a": means[0], "b": means[1]})
    return pl.DataFrame(rows, schema=schema)
