"""Tables of runs and points: reading, column names, and checks that name the cell at fault.

Known columns (see :meth:`leadsman.runs.Run.row`): ``params`` (non-embedding), ``tokens``,
``flops``, ``unique_tokens``, ``active_params``, ``total_params``, ``lr``, ``batch_tokens``,
``experts``, ``step``, ``loss`` / ``loss.SET``, ``bpb.SET``, ``score.TASK``, and ``mix.SOURCE``
for mixture weights.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from leadsman.errors import InputError
from leadsman.humanize import counted
from leadsman.laws.base import Floats
from leadsman.runs import Ledger
from leadsman.runs.table_file import read_table_file

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

MIXTURE = "mix."
"""What names of the columns begin with that hold a source's share of the mixture."""

SAME_SHARE = 0.005
"""Difference of shares below which they are one mixture."""

COUNTS = (*NUMERIC[:6], "batch_tokens")
"""Columns whose cells may be written as ``6.9B``, ``410M`` or ``1,000,000``."""

ALIASES = {
    "params": "n n_params num_params nparams param_count parameters n_parameters num_parameters "
    "model_size model_params size params_m params_b non_embedding_params",
    "tokens": "d n_tokens num_tokens ntokens tokens_seen train_tokens training_tokens total_tokens "
    "consumed_tokens num_input_tokens_seen tokens_m tokens_b data dataset_size",
    "flops": "c compute total_flops train_flops training_flops",
    "step": "steps global_step iter iteration",
}
"""What others call the columns that tell small runs from large; only ever suggested."""


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
        frame = read_table_file(path)
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
    """Give the table's own columns their canonical names, and counts in words as numbers.

    Raises:
        InputError: a column to be renamed is not in the table.
    """
    for name, own in rename.items():
        if own not in frame.columns:
            raise InputError(no_column(own, frame), file=file)
        if name != own:
            frame = frame.drop(name, strict=False).rename({own: name})
    return frame.with_columns(_as_counts(frame[name]) for name in COUNTS if name in frame.columns)


def _as_counts(series: pl.Series) -> pl.Series:
    """A column of text as numbers, if every cell is one; otherwise the cell is named when read."""
    values = pl.Series(series.name, _numbers(series), nan_to_null=True)
    if series.dtype != pl.String or values.null_count() > series.null_count():
        return series
    return values


def column(
    frame: pl.DataFrame,
    name: str,
    *,
    positive: bool = True,
    empty: bool = False,
    file: str | Path | None = None,
) -> Floats:
    """One numeric column as float64, shape (n,), every cell checked.

    ``flops`` is computed as 6 x params x tokens where the table lacks it.

    Args:
        frame: the table.
        name: column name.
        positive: whether cells must be above zero.
        empty: whether cells may be empty; they are ``nan`` then.
        file: named in errors.

    Raises:
        InputError: the column is missing, or a cell is empty, not a number, or not positive; or
            this is no polars table.
    """
    if not isinstance(frame, pl.DataFrame):
        raise InputError(
            f"a table must be a polars DataFrame, not {type(frame).__module__}."
            f"{type(frame).__name__}; polars.DataFrame(table) makes one"
        )
    if name not in frame.columns:
        if name == "flops" and {"params", "tokens"} <= set(frame.columns):
            params, tokens = (column(frame, each, file=file) for each in ("params", "tokens"))
            return FLOPS_PER_PARAM_TOKEN * params * tokens
        raise InputError(
            f"{no_column(name, frame)}; map yours with --x {name}=YOUR_COLUMN", file=file
        )
    series = frame[name]
    values = _numbers(series)
    bad = ~np.isfinite(values)
    if positive:
        bad |= ~(values > 0)
    if empty:
        bad &= ~series.is_null().to_numpy()
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


def _numbers(series: pl.Series) -> Floats:
    """Cells as float64, ``nan`` where they are none; counts may have letters and commas."""
    if series.dtype == pl.String and series.name in COUNTS:
        cells = [None if cell is None else counted(cell) for cell in series.to_list()]
        series = pl.Series(series.name, cells, dtype=pl.Float64)
    return series.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)


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
            column(frame, name, empty=True, file=file)


def no_column(name: str, frame: pl.DataFrame) -> str:
    """The first half of a sentence: a column is missing, and which may be meant."""
    return f"no column {name!r}{_nearest(name, frame.columns)}"


def no_inputs(frame: pl.DataFrame) -> str:
    """Sentence for a table in which nothing tells small runs from large."""
    if any(name.startswith("results.") for name in frame.columns):
        return (
            "this looks like results of one model by lm-eval; bring the file of each model into "
            "a ledger with `leadsman runs import FILE --from lm-eval`, or make a table of them"
        )
    known = [f"{name}={own}" for name, own in _guessed(frame.columns).items()]
    option = ",".join(known or ["params=YOUR_COLUMN", "tokens=YOUR_COLUMN"])
    option = f'"{option}"' if " " in option else option
    return (
        f"no column flops, params, tokens or step to tell small runs from large among "
        f"{', '.join(frame.columns[:12])}; "
        f"{'if these are they, say' if known else 'map yours with'} --x {option}"
    )


def _guessed(names: Sequence[str]) -> dict[str, str]:
    """Columns that are probably inputs under another name: canonical name -> own name."""
    found: dict[str, str] = {}
    for canonical, known in ALIASES.items():
        for own in names:
            last = own.lower().replace(" ", "_").replace("/", ".").rsplit(".", 1)[-1].strip("_")
            if last == canonical or last in known.split():
                found.setdefault(canonical, own)
    if {"params", "tokens"} & set(found):
        found.pop("step", None)
    return found


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
    return sorted(name for name in frame.columns if name.startswith(MIXTURE))


def mixtures_vary(frame: pl.DataFrame) -> bool:
    """Whether some source's share differs between rows, none being empty."""
    shares = [frame[name] for name in mixture_columns(frame)]
    known = all(each.dtype.is_numeric() and not each.null_count() for each in shares)
    return known and any(float(np.ptp(each.to_numpy())) > SAME_SHARE for each in shares)


def _nearest(name: str, known: Sequence[str]) -> str:
    lasts = [own for own in known if own.lower().replace("/", ".").split(".")[-1] == name.lower()]
    near = lasts or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}" if near else f" among {', '.join(list(known)[:12])}"
