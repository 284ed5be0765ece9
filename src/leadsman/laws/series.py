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
    gather,
)
from leadsman.laws.points import check_points, compute_at
from leadsman.laws.table import mixture_columns, mixtures_vary


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
    names = [None] * len(runs) if group is None else runs[group].to_list()
    tables = {
        name: RunTable.of(runs if group is None else runs.filter(pl.col(group) == name), x, run=run)
        for name in dict.fromkeys(names)
    }
    candidates = _candidates(tables, x, law, run)
    check_points(candidates, runs, points)
    shared_fits = SharedFits(tables, y=y, seed=seed)
    rows_of = _rows_of(points[group].to_list() if group else [None] * len(points))
    found = []
    for done, (name, rows) in enumerate(rows_of.items(), start=1):
        if name not in tables:
            raise InputError(f"no runs with {group} = {name!r}", column=group)
        asked = points[rows]
        try:
            evidence = gather(
                candidates,
                tables[name],
                asked,
                compute_at(tables[name].frame, asked, x),
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
        else:
            ends = tables[name].choose("finished").frame
            found.append(Series(ends, asked, np.array(rows, dtype=np.int64), evidence))
        if progress is not None:
            progress(done, len(rows_of))
    if not found and refused:
        raise DesignError(next(iter(refused.values())))
    return found


def _rows_of(names: Iterable[object]) -> dict[object, list[int]]:
    """The rows of each name, in the order in which names first come."""
    rows: dict[object, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return rows


def _candidates(
    tables: dict[object, RunTable],
    x: Sequence[str] | None,
    law: str | Sequence[str],
    run: str | None,
) -> list[Candidate]:
    """Who competes for these groups."""
    ends = pl.concat([table.choose("finished").frame for table in tables.values()])
    rows = pl.concat([table.frame for table in tables.values()])
    if not any(mixtures_vary(table.frame) for table in tables.values()):
        ends, rows = (each.drop(mixture_columns(each)) for each in (ends, rows))
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
