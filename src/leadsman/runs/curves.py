"""Training curves of runs as one page a person can look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from leadsman.errors import InputError
from leadsman.runs.ledger import Ledger

SMOOTH = 40
"""A curve is drawn as the mean of this many equal parts of its steps, over its raw losses."""


def write_curves(ledger: Ledger, ids: Sequence[str], path: str | Path) -> None:
    """Write a page with the training loss of runs against tokens, on logarithmic axes.

    Args:
        ledger: where the runs are.
        ids: which; unique beginnings are enough.
        path: the HTML file; it needs nothing beside it.

    Raises:
        InputError: there is no such run, or none of them has a curve.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for run_id in ids:
        run = ledger.get(run_id)
        curve = ledger.curve(run.id).drop_nulls(["tokens", "loss"])
        if curve.is_empty():
            continue
        mean = smoothed(curve)
        label = run.id[:8]
        if run.recipe is not None:
            size = f"{run.recipe.shape.non_embedding_params / 1e6:.2f}M"
            label = f"{label} {run.recipe.mixture.name} {size} lr {run.recipe.lr:g}"
        figure.add_scatter(x=mean["tokens"], y=mean["loss"], name=label, mode="lines")
    if not figure.data:
        raise InputError("none of these runs has a curve", file=ledger.location)
    figure.update_xaxes(type="log", title="tokens")
    figure.update_yaxes(type="log", title="training loss, nats per token")
    figure.update_layout(template="plotly_white", legend={"orientation": "h", "y": -0.2})
    figure.write_html(str(path), include_plotlyjs=True)


def smoothed(curve: pl.DataFrame) -> pl.DataFrame:
    """Mean tokens and loss of equal parts of the steps.

    >>> smoothed(pl.DataFrame({"tokens": [1, 2], "loss": [4.0, 3.0]}))["loss"].to_list()
    [4.0, 3.0]
    """
    parts = pl.int_range(pl.len()) * SMOOTH // pl.len()
    return (
        curve.with_columns(part=parts)
        .group_by("part", maintain_order=True)
        .agg(pl.col("tokens").mean(), pl.col("loss").mean())
    )
