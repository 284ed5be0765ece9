"""Tables of runs and points as commands read them: the user's names, every cell checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadsman.errors import InputError

if TYPE_CHECKING:
    import polars as pl

X = Annotated[
    str,
    typer.Option("--x", help="Inputs, with your own names if they differ: params=N,tokens=D."),
]


def read_runs(
    path: Path, x: str, y: str | None, *, curves: bool = False
) -> tuple[pl.DataFrame, list[str]]:
    """A table with canonical column names, every cell that will be read checked.

    Args:
        path: the file.
        x: the option; a table of points may have the canonical names instead of the user's own.
        y: column to predict; ``None`` for points.
        curves: as :func:`leadsman.laws.table.read_table`.
    """
    import numpy as np

    from leadsman.laws.table import (
        check_cells,
        column,
        mixture_columns,
        near_misses,
        no_column,
        no_inputs,
        read_table,
        rename_columns,
    )

    rename = {}
    for part in filter(None, (each.strip() for each in x.split(","))):
        name, _, own = part.partition("=")
        rename[name] = own or name
    inputs = list(rename)
    table = read_table(path, curves=curves)
    if y is None:
        rename = {k: v for k, v in rename.items() if v in table.columns or k not in table.columns}
    table = rename_columns(table, rename, file=path)
    for name in inputs:
        column(table, name, empty=y is not None, file=path)
    for name in {"params", "tokens"} & set(table.columns) if y is None and not inputs else ():
        column(table, name, file=path)
    sized = {"flops", "params", "active_params", "total_params", "tokens", "step"}
    if not inputs and not sized & set(table.columns) and not mixture_columns(table):
        raise InputError(no_inputs(table), file=path)
    if y is not None:
        if y not in table.columns:
            raise InputError(f"{no_column(y, table)}; name yours with --y", file=path)
        values = column(table, y, positive=False, empty=True, file=path)
        known = values[~np.isnan(values)]
        if len(known) and not 0 <= known.min() <= known.max() <= 1:  # a loss may not be 0
            column(table, y, empty=True, file=path)
    check_cells(table, file=path)
    for sentence in near_misses(table) if not inputs else ():
        typer.echo(f"Warning: {path}: {sentence}", err=True)
    return table, inputs
