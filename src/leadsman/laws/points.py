"""Points against the runs they are forecast from: what laws read, compute in one measure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from leadsman.errors import InputError
from leadsman.laws.base import Floats
from leadsman.laws.competition import Candidate, compute_of
from leadsman.laws.fitting.identify import FLAT
from leadsman.laws.table import column

SIZES = ("params", "tokens", "step")
"""Columns whose product orders runs where flops are not known."""


def comparable(
    runs: pl.DataFrame, points: pl.DataFrame, x: Sequence[str] | None = None
) -> pl.DataFrame:
    """The runs without sizes that no law reads and the points do not have.

    Compute of runs counted with them, and of points without, could not be compared: every point
    would seem near.

    Args:
        runs: finished runs.
        points: settings asked about.
        x: inputs that laws may read; by default those that vary.
    """

    def read(name: str) -> bool:
        if x is not None:
            return name in x
        return runs[name].null_count() == 0 and np.ptp(np.log(column(runs, name))) >= FLAT

    there = set(points.columns)
    if "flops" in there and "flops" in runs.columns:
        return runs
    unasked = {name for name in SIZES if name in runs.columns and name not in there}
    unasked = {name for name in unasked if not read(name)}
    shared = {name for name in SIZES if name in runs.columns and name in there}
    if shared and not {"params", "tokens"} <= there and "flops" not in (x or ()):
        unasked.add("flops")
    return runs.drop(unasked, strict=False)


def check_points(candidates: Iterable[Candidate], runs: pl.DataFrame, points: pl.DataFrame) -> None:
    """Refuse points without a column that a competing law reads.

    Raises:
        InputError: names the columns.
    """
    needed = dict.fromkeys(name for each in candidates for name in each.law.reads(runs))
    there = set(points.columns) | (
        {"flops"} if {"params", "tokens"} <= set(points.columns) else set()
    )
    missing = [name for name in needed if name not in there]
    if missing:
        raise InputError(
            f"the points have no column {' and no column '.join(map(repr, missing))}, which "
            f"differs between the runs; they have {', '.join(points.columns[:12])}"
        )


def compute_at(runs: pl.DataFrame, points: pl.DataFrame, x: Sequence[str] | None) -> Floats:
    """Compute of each point in the measure that orders the runs, shape (n,).

    A column that the runs lack (tokens, where all were alike) would make another measure of it.
    """
    flops = "flops" in runs.columns and not runs["flops"].null_count()
    if flops or {"params", "tokens"} <= set(runs.columns):
        return compute_of(points, x)
    unlike = {"flops", *SIZES} - set(runs.columns)
    return compute_of(points.drop(unlike, strict=False), x)
