"""What is wrong with a table of runs before any law sees it: errors, and sentences of warning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from leadsman.errors import DesignError, InputError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.identify import FLAT
from leadsman.laws.table import column

MIXED_UNITS = 1e7
"""Ratio of largest to smallest value of one input from which a change of unit is suspected."""

OTHER_RATIO = 1.3
"""Factor beyond the runs' tokens per parameter from which a point is said to differ."""

FAR_BELOW = 10.0
"""Factor below the smallest run's compute from which a point is said to be small."""

CURVE = 8
"""Rows of every size, at other steps, from which they may be checkpoints."""

MOST_ROWS, LEAST_ROWS, CURVE_ROWS = 1000, 100, 5
"""Rows that laws are fitted on at most, of one group at least, and those that a run counts for."""

SMALLEST_MODEL = 100.0
"""A language model with fewer parameters than this is probably given in millions or billions."""


def screen(runs: pl.DataFrame, *, y: str, x: Sequence[str]) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Check the columns laws will read and drop rows that repeat another in every cell.

    Args:
        runs: the table.
        y: column to predict.
        x: input columns.

    Returns:
        The runs without repeats, and sentences about what looks wrong.

    Raises:
        InputError: a column is missing, or a cell is empty, not a number or not above zero.
        DesignError: fewer than two runs.
    """
    for name in (y, *x):
        column(runs, name)
    if len(runs) < 2:
        raise DesignError(
            f"one run cannot show how {y} changes; add at least four runs at other settings"
        )
    warnings = []
    others = [name for name in runs.columns if name not in ("id", "created", "seconds")]
    kept = runs.unique(subset=others, maintain_order=True)
    if len(kept) < len(runs):
        warnings.append(f"{len(runs) - len(kept)} rows repeat another and were counted once.")
    for name in x:
        warnings += _column_unit_warnings(name, column(kept, name))
    return kept, tuple(warnings)


def complete(
    runs: pl.DataFrame, *, y: str, x: Sequence[str] | None = None, group: str | None = None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Leave out rows that were not measured: an empty ``y``, or an empty input that others have.

    Exported histories hold an evaluation every hundredth row. A column that is empty throughout is
    not one; a cell that is not a number (``nan``) is an error later.

    Args:
        runs: the table.
        y: column to predict.
        x: inputs asked for; by default those that order runs by compute.
        group: column of the group, where there is one.

    Returns:
        The rows that are complete, and a sentence for each column with gaps.

    Raises:
        InputError: no result is there at all.
    """
    sized = [name for name in ("params", "tokens") if _known(runs, name)]
    needed = list(x) if x is not None else sized or ["flops" if _known(runs, "flops") else "step"]
    if y in runs.columns and len(runs) and not _known(runs, y):
        raise InputError("every cell is empty", column=y)
    said = []
    for name in dict.fromkeys((y, *needed, *([group] if group else []))):
        if name in runs.columns and (x is not None or _known(runs, name)):
            gaps = runs[name].null_count()
            if gaps:
                said.append(f"{gaps} of {len(runs)} rows have no {name} and were left out.")
                runs = runs.filter(pl.col(name).is_not_null())
    if len(sized) == 2 and "flops" in runs.columns and "flops" not in (x or ()):
        gaps = runs["flops"].null_count()
        if 0 < gaps < len(runs):
            said.append(f"flops is empty in {gaps} rows: 6 x params x tokens is used for all.")
        runs = runs.drop("flops") if gaps else runs
    for name in ("unique_tokens", "experts"):
        if x is None and _known(runs, name) and (gaps := runs[name].null_count()):
            said.append(f"{name} is empty in {gaps} rows, so it is not read.")
    return runs, tuple(said)


def _known(runs: pl.DataFrame, name: str) -> bool:
    return name in runs.columns and runs[name].null_count() < len(runs)


def in_unit_of(runs: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """The points with ``flops`` counted as those of the runs are.

    Where only the runs have the column, 6ND of a point is multiplied by what the runs' column is of
    theirs, in the middle; where only the points have it, it is not read. A count in another unit
    (exact FLOPs, or 1e18 of them) would move every point.
    """
    sized = {"params", "tokens"}
    if not sized <= set(runs.columns) or not sized <= set(points.columns):
        return points
    counted = "flops" in runs.columns and not runs["flops"].null_count()
    if counted and ("flops" not in points.columns or points["flops"].null_count()):
        rough = column(runs.drop("flops"), "flops")
        factor = float(np.median(column(runs, "flops") / rough))
        flops = factor * column(points.drop("flops", strict=False), "flops")
        return points.with_columns(flops=pl.Series(flops))
    return points if counted else points.drop("flops", strict=False)


def unit_warnings(
    runs: pl.DataFrame, points: pl.DataFrame, x: Sequence[str]
) -> list[tuple[str, ...]]:
    """Sentences about each point: a unit that cannot be that of the runs."""
    warnings: list[list[str]] = [[] for _ in range(len(points))]
    for name in x:
        known = column(runs, name)
        middle = float(np.exp(np.log(known).mean()))
        for row, value in enumerate(column(points, name)):
            ratio = value / middle
            if ratio > 1e6 or ratio < 1e-6:
                warnings[row].append(
                    f"{name} is {value:.3g} here but about {middle:.3g} in the runs: "
                    f"is it in the same unit?"
                )
    return [tuple(each) for each in warnings]


def constant_input_warnings(
    runs: pl.DataFrame, points: pl.DataFrame, x: Sequence[str]
) -> list[tuple[str, ...]]:
    """Sentences about points at another value of an input that is the same in every run."""
    warnings: list[list[str]] = [[] for _ in range(len(points))]
    for name in x:
        known, asked = column(runs, name), column(points, name)
        if known.max() / known.min() > 1 + FLAT:
            continue
        for row in np.flatnonzero(np.abs(np.log(asked / known[0])) > np.log(OTHER_RATIO)):
            warnings[row].append(
                f"every run has {name} {known[0]:.3g}, this point {asked[row]:.3g}: its effect was "
                f"never seen and is not in the forecast; add a run at {name} {asked[row]:.3g}."
            )
    return [tuple(each) for each in warnings]


def small_point_warnings(known: Floats, asked: Floats) -> list[tuple[str, ...]]:
    """Sentences about points of far less compute than any run: laws are made to look up."""
    return [
        (f"a {known.min() / value:.3g}th of the compute of the smallest run.",)
        if value * FAR_BELOW < known.min()
        else ()
        for value in asked
    ]


def checkpoint_warnings(runs: pl.DataFrame) -> tuple[str, ...]:
    """A sentence where rows of one size look like checkpoints and no column says of which run."""
    if not {"params", "tokens", "step"} <= set(runs.columns):
        return ()
    lengths = runs.group_by("params").agg(
        pl.len().alias("rows"), pl.col("tokens").n_unique(), pl.col("step").n_unique()
    )
    many = lengths.filter((pl.col("step") >= CURVE) & (pl.col("tokens") == pl.col("rows")))
    if len(many) < len(lengths):
        return ()
    return (
        "rows of one params differ in step and tokens: if they are checkpoints of one run, name "
        "it with --run COLUMN, since a checkpoint is not a finished run.",
    )


def fewer_rows(
    runs: pl.DataFrame, compute: Floats, *, group: str | None, run: str | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Rows that a law can be fitted on in seconds: every k-th in order of compute, and the dearest.

    Thousands of rows determine a law no better than one thousand, and cost as much more time.

    Args:
        runs: the table.
        compute: of each row, shape (n,).
        group: column of groups; each is thinned by itself.
        run: column of runs, where rows are checkpoints; whole runs are kept.
    """
    groups = 1 if group is None else runs[group].n_unique()
    most = max(MOST_ROWS // groups, LEAST_ROWS) if groups > 1 else MOST_ROWS
    keys = pl.DataFrame({"row": np.arange(len(runs)), "compute": compute}).with_columns(
        group=pl.lit(0) if group is None else runs[group],
        unit=pl.col("row") if run is None else runs[run],
    )
    if run is not None:
        most = max(most // CURVE_ROWS, LEAST_ROWS // 2)
    units = keys.group_by("group", "unit", maintain_order=True).agg(pl.col("compute").max())
    # Ties in a random order: every k-th row of a grid would be of one kind.
    units = units.sample(fraction=1, shuffle=True, seed=0).sort("group", "compute")
    rank, count = pl.col("compute").cum_count().over("group") - 1, pl.len().over("group")
    share = (rank + 1) * most / count
    kept = units.filter((count <= most) | (share.floor() > (rank * most / count).floor()))
    if len(kept) == len(units):
        return runs, ()
    rows = keys.join(kept, on=["group", "unit"], how="semi")["row"].sort()
    what = "rows" if run is None else f"runs ({run})"
    return runs[rows.to_list()], (
        f"laws are fitted on {len(kept)} of {len(units)} {what}, even in order of compute.",
    )


def ratio_warnings(runs: pl.DataFrame, points: pl.DataFrame) -> list[tuple[str, ...]]:
    """Sentences about points whose tokens per parameter no run has, where all runs share one."""
    if any(np.ptp(np.log(column(runs, name))) < FLAT for name in ("params", "tokens")):
        return [()] * len(points)
    known = column(runs, "tokens") / column(runs, "params")
    asked = column(points, "tokens") / column(points, "params")
    low, high = known.min() / OTHER_RATIO, known.max() * OTHER_RATIO
    size = float(np.median(column(runs, "params")))
    return [
        ()
        if low <= ratio <= high
        else (
            f"every run has about {np.median(known):.3g} tokens per parameter, this point "
            f"{ratio:.3g}: its effect was never seen; add a run at params {size:.3g}, tokens "
            f"{size * ratio:.3g}.",
        )
        for ratio in asked
    ]


def _column_unit_warnings(
    name: str, values: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> list[str]:
    if values.max() / values.min() > MIXED_UNITS:
        return [
            f"{name} goes from {values.min():.3g} to {values.max():.3g}: are all rows in one unit?"
        ]
    if name in ("params", "active_params", "total_params") and values.max() < SMALLEST_MODEL:
        return [f"{name} is at most {values.max():.3g}: is it in millions or billions?"]
    return []
