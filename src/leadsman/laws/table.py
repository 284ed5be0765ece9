"""Tables of runs and points: reading, column names, and checks that name the cell at fault.

Known columns (see :meth:`leadsman.runs.Run.row`): ``params`` (non-embedding), ``tokens``,
``flops``, ``unique_tokens``, ``active_params``, ``total_params``, ``lr``, ``batch_tokens``,
``experts``, ``step``, ``loss`` / ``loss.SET``, ``bpb.SET``, ``score.TASK``, and ``mix.SOURCE``
for mixture weights.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from leadsman.errors import InputError
from leadsman.laws.base import Floats
from leadsman.runs import Ledger

FLOPS_PER_PARAM_TOKEN = 6.0
"""Training FLOPs per parameter and token where a table gives no ``flops``: the usual 6ND."""

NUMERIC = (
    "params",
    "tokens",
    "flops",
    "unique_tokens",
    "active_params",
    "total_params",
    "lr",
    "batch_tokens",
    "experts",
    "step",
    "loss",
)
"""Columns known by name that hold numbers."""


CURVE_ROWS, CURVE_BEGINS = 20, 0.02
"""Checkpoints read from a training curve, and the share of its tokens at which they begin."""


def read_table(
    location: str | Path, *, rename: Mapping[str, str] | None = None, curves: bool = False
) -> pl.DataFrame:
    """Read runs or points from CSV, JSONL, JSON, Parquet, or a ledger directory.

    Args:
        location: the file, or the directory of a :class:`~leadsman.runs.Ledger`.
        rename: canonical column name -> the table's own name (``{"params": "N"}``).
        curves: read the training curves of a ledger's finished runs, where there are any: several
            rows a run, with its training loss as ``loss``, the last of them its end.

    Raises:
        InputError: not there, not readable, empty, or a mapped column is missing.
    """
    path = Path(location)
    if path.is_dir():
        ledger = Ledger(str(path))
        frame = ledger.frame()
        if "status" in frame.columns:
            frame = frame.filter(pl.col("status") == "finished")
        if curves and "loss" not in frame.columns:
            frame = _along_curves(ledger, frame)
    else:
        frame = _read_file(path)
    if frame.is_empty():
        raise InputError("no rows", file=location)
    return rename_columns(frame, rename or {}, file=location)


def _along_curves(ledger: Ledger, frame: pl.DataFrame) -> pl.DataFrame:
    """Each run once a checkpoint of its training curve, evenly spaced in log tokens.

    A checkpoint's ``loss`` is the mean over the last tenth of the tokens seen until then, since
    the loss of a single batch says little; its ``flops`` are in proportion to its tokens.
    """
    rows = []
    for run in frame.iter_rows(named=True):
        curve = ledger.curve(run["id"]).drop_nulls(["tokens", "loss"]).sort("tokens")
        if curve.is_empty():
            continue
        tokens, loss = (curve[name].to_numpy().astype(np.float64) for name in ("tokens", "loss"))
        ends = np.geomspace(CURVE_BEGINS * tokens[-1], tokens[-1], CURVE_ROWS)
        for end in np.unique(np.searchsorted(tokens, ends * (1 - 1e-9))):
            mean = float(loss[(tokens > 0.9 * tokens[end]) & (tokens <= tokens[end])].mean())
            row = run | {"tokens": tokens[end], "loss": mean}
            if run.get("flops") is not None:
                row["flops"] = run["flops"] * tokens[end] / tokens[-1]
            rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None) if rows else frame


def rename_columns(
    frame: pl.DataFrame, rename: Mapping[str, str], *, file: str | Path | None = None
) -> pl.DataFrame:
    """Give the table's own columns their canonical names.

    Raises:
        InputError: a column to be renamed is not in the table.
    """
    for name, own in rename.items():
        if own not in frame.columns:
            raise InputError(f"no column {own!r}{_nearest(own, frame.columns)}", file=file)
        if name != own:
            frame = frame.drop(name, strict=False).rename({own: name})
    return frame


def column(
    frame: pl.DataFrame,
    name: str,
    *,
    positive: bool = True,
    file: str | Path | None = None,
) -> Floats:
    """One numeric column as float64, shape (n,), every cell checked.

    ``flops`` is computed as 6 x params x tokens where the table lacks it.

    Args:
        frame: the table.
        name: column name.
        positive: whether cells must be above zero.
        file: named in errors.

    Raises:
        InputError: the column is missing, or a cell is empty, not a number, or not positive.
    """
    if name not in frame.columns:
        if name == "flops" and {"params", "tokens"} <= set(frame.columns):
            params, tokens = (column(frame, each, file=file) for each in ("params", "tokens"))
            return FLOPS_PER_PARAM_TOKEN * params * tokens
        raise InputError(
            f"no column {name!r}{_nearest(name, frame.columns)}; "
            f"map yours with --x {name}=YOUR_COLUMN",
            file=file,
        )
    series = frame[name]
    values = series.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    bad = ~np.isfinite(values)
    if positive:
        bad |= ~(values > 0)
    if bad.any():
        row = int(np.argmax(bad))
        wanted = "a number above zero" if positive else "a finite number"
        headed = file is not None and Path(file).suffix.lower() in (".csv", ".tsv")
        line = row + 2 if headed else row + 1
        raise InputError(
            f"{series[row]!r} in row {row + 1} must be {wanted} "
            f"({int(bad.sum())} such cell{'s' if bad.sum() > 1 else ''})",
            file=file,
            line=line,
            column=name,
        )
    return values


def columns(frame: pl.DataFrame, names: Sequence[str]) -> dict[str, Floats]:
    """Several positive columns by name; see :func:`column`."""
    return {name: column(frame, name) for name in names}


def check_cells(frame: pl.DataFrame, *, file: str | Path | None = None) -> None:
    """Refuse a known column that became text because a cell is not a number.

    Raises:
        InputError: names file, line and column.
    """
    for name in NUMERIC:
        if name in frame.columns and frame[name].dtype == pl.String:
            column(frame, name, file=file)


def no_inputs(frame: pl.DataFrame) -> str:
    """Sentence for a table in which nothing tells small runs from large."""
    return (
        f"no column flops, params, tokens or step to tell small runs from large among "
        f"{', '.join(frame.columns[:12])}; map yours with --x params=YOUR_COLUMN,tokens=YOUR_COLUMN"
    )


def thin(frame: pl.DataFrame, column: str, count: int) -> pl.DataFrame:
    """At most ``count`` rows, evenly spaced in the log of a column: curves hold too many.

    Args:
        frame: rows of one curve.
        column: positive column to space by.
        count: rows kept at most.
    """
    frame = frame.sort(column)
    if len(frame) <= count:
        return frame
    logs = np.log(frame[column].to_numpy())
    targets = np.linspace(logs[0], logs[-1], count)
    rows = np.unique(np.abs(logs[:, None] - targets).argmin(axis=0))
    return frame.select(pl.all().gather(rows))


def near_misses(frame: pl.DataFrame) -> tuple[str, ...]:
    """Sentences about columns that are not read but are nearly called like one that is missing."""
    sentences = []
    for own in frame.columns:
        near = difflib.get_close_matches(own.lower(), NUMERIC, n=1, cutoff=0.8)
        if own not in NUMERIC and near and near[0] not in frame.columns:
            sentences.append(
                f"column {own!r} is not read; if it is {near[0]}, say --x {near[0]}={own}"
            )
    return tuple(sentences)


def mixture_columns(frame: pl.DataFrame) -> list[str]:
    """Names of the ``mix.SOURCE`` columns, sorted."""
    return sorted(name for name in frame.columns if name.startswith("mix."))


def _read_file(path: Path) -> pl.DataFrame:
    if not path.exists():
        raise InputError("no such file", file=path)
    suffix = path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv"):
            separator = "\t" if suffix == ".tsv" else ","
            return pl.read_csv(path, separator=separator, infer_schema_length=None)
        if suffix == ".parquet":
            return pl.read_parquet(path)
        if suffix in (".jsonl", ".ndjson"):
            return pl.read_ndjson(path, infer_schema_length=None)
        if suffix == ".json":
            return pl.read_json(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(_unreadable(path, error), file=path) from error
    raise InputError(
        f"{suffix or 'no'} ending is not known; use .csv, .tsv, .jsonl, .json or .parquet, "
        f"or the directory of a ledger",
        file=path,
    )


def _unreadable(path: Path, error: Exception) -> str:
    """Why a file cannot be read; for a CSV with the line whose cells do not match the header."""
    if path.suffix.lower() in (".csv", ".tsv"):
        with path.open(newline="", errors="replace") as lines:
            rows = csv.reader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            header = len(next(rows, []))
            for row in rows:
                if len(row) > header:
                    return f"line {rows.line_num} has {len(row)} cells, the header {header}"
    return f"cannot be read: {str(error).splitlines()[0]}"


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}" if near else f" among {', '.join(list(known)[:12])}"
