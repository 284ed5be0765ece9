"""One size for laws to read: of a sparse model the active parameters, which its compute follows."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from leadsman.errors import InputError


def active_sizes(
    runs: pl.DataFrame, points: pl.DataFrame, x: Sequence[str] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame, Sequence[str] | None]:
    """Both tables with ``params`` the active parameters, ``total_params`` all of them.

    A table may hold ``active_params`` beside ``total_params`` or ``params`` (all of them), or
    ``total_params`` alone. One with ``params`` and no ``active_params`` stays as it is.

    Args:
        runs, points: the tables.
        x: inputs the user named; ``params`` among them is what the user says it is.

    Returns:
        The runs, the points, and ``x`` with ``params`` for ``active_params``.

    Raises:
        InputError: the runs tell active parameters and the points do not.
    """
    if "params" in (x or ()):
        return runs, points, x
    known = "active_params" in runs.columns and runs["active_params"].null_count() < len(runs)
    if known and "active_params" not in points.columns:
        raise InputError(
            f"the points have no column 'active_params', which the runs have; they have "
            f"{', '.join(points.columns[:12])}"
        )
    if known:
        runs, points = _by_active(runs), _by_active(points)
    elif "params" not in runs.columns and "total_params" in runs.columns:
        runs, points = (
            each.with_columns(params=pl.col("total_params"))
            if "total_params" in each.columns
            else each
            for each in (runs, points)
        )
    named = None if x is None else ["params" if name == "active_params" else name for name in x]
    return runs, points, named


def _by_active(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows without ``active_params`` are of dense models: all their parameters are active."""

    def first(*names: str) -> pl.Expr:
        return pl.coalesce(name for name in names if name in frame.columns)

    active = first("active_params", "params", "total_params")
    whole = first("total_params", "params", "active_params")
    told = {"total_params", "params"} & set(frame.columns)
    named = {"total_params": whole} if told else {}
    return frame.with_columns(params=active, active_params=active, **named)
