"""The groups of a table with the evidence of each: every fit behind a forecast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.engine import Progress
from leadsman.errors import DesignError, InputError
from leadsman.laws.competition import (
    Candidate,
    Evidence,
    RunTable,
    SharedFits,
    competing,
    compute_of,
    gather,
)


@dataclass(frozen=True)
class Series:
    """One group of runs, the points asked about, and the evidence.

    Attributes:
        runs: the group's runs.
        points: its points, m rows.
        rows: where they stand in the whole table of points, shape (m,).
        evidence: rolling origins and the final fits.
    """

    runs: pl.DataFrame
    points: pl.DataFrame
    rows: npt.NDArray[np.int64]
    evidence: Evidence


def gather_series(
    runs: pl.DataFrame,
    points: pl.DataFrame,
    *,
    y: str,
    x: Sequence[str] | None,
    law: str | Sequence[str],
    group: str | None,
    run: str | None = None,
    seed: int,
    progress: Progress | None = None,
    refused: dict[object, str] | None = None,
) -> list[Series]:
    """Evidence of each group that has points; arguments as :func:`leadsman.laws.forecast_runs`.

    Args:
        refused: takes the groups that cannot carry a law, and why, if others can; else the first
            is an error for all.
    """
    if group is not None:
        for frame in (runs, points):
            if group not in frame.columns:
                raise InputError(f"no column {group!r} to group by", column=group)
    names = [None] * len(runs) if group is None else runs[group].to_list()
    tables = {
        name: RunTable.of(runs if group is None else runs.filter(pl.col(group) == name), x, run=run)
        for name in dict.fromkeys(names)
    }
    candidates = _candidates(tables, x, law, run)
    _check_points(candidates, points)
    shared_fits = SharedFits(tables, y=y, seed=seed)
    point_names = points[group].to_list() if group else [None] * len(points)
    asked_names = list(dict.fromkeys(point_names))
    found = []
    for name in asked_names:
        if name not in tables:
            raise InputError(f"no runs with {group} = {name!r}", column=group)
        places = np.flatnonzero(np.array([each == name for each in point_names])).astype(np.int64)
        asked = points[places.tolist()]
        try:
            evidence = gather(
                candidates,
                tables[name],
                asked,
                compute_of(asked, x),
                y=y,
                seed=seed,
                shared_fits=shared_fits,
                group=name,
            )
        except DesignError as error:
            reason = f"{group} = {name!r}: {error}" if group else str(error)
            if refused is None:
                raise DesignError(reason) from error
            refused[name] = reason
            continue
        found.append(Series(tables[name].choose("finished").frame, asked, places, evidence))
        if progress is not None:
            progress(len(found), len(asked_names))
    if not found and refused:
        raise DesignError(next(iter(refused.values())))
    return found


def _candidates(
    tables: dict[object, RunTable],
    x: Sequence[str] | None,
    law: str | Sequence[str],
    run: str | None,
) -> list[Candidate]:
    """Who competes for these groups."""
    ends = pl.concat([table.choose("finished").frame for table in tables.values()])
    rows = pl.concat([table.frame for table in tables.values()])
    some = None if len(ends) == len(rows) else rows
    try:
        return competing(ends, x=x, law=law, groups=len(tables) > 1, checkpoints=some)
    except DesignError as error:
        if some is None:
            raise
        raise DesignError(
            f"rows of one {run} are read as checkpoints of one run, and at their ends {error}; "
            f"to carry each run's own curve on, say --group {run}"
        ) from error


def _check_points(candidates: Iterable[Candidate], points: pl.DataFrame) -> None:
    """Refuse points without a column that a competing law reads.

    Raises:
        InputError: names the columns.
    """
    needed = dict.fromkeys(name for each in candidates for name in each.law.inputs)
    there = set(points.columns) | (
        {"flops"} if {"params", "tokens"} <= set(points.columns) else set()
    )
    missing = [name for name in needed if name not in there]
    if missing:
        raise InputError(
            f"the points have no column {' and no column '.join(map(repr, missing))}, which "
            f"differs between the runs; they have {', '.join(points.columns[:12])}"
        )
