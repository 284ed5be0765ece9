"""The back-test as a table, as JSON and as a page: nominal against actual, set by set."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from leadsman._version import __version__
from leadsman.laws.backtest.suite import METHODS, SuiteResult
from leadsman.laws.plots import BLUE, GREY, ORANGE, label_log_axis, write_figures

SHOWN = "fitted on at most a tenth of the top compute"

COLUMNS = (
    "set",
    "method",
    "rows",
    "distance",
    "MAPE %",
    "bias %",
    "largest %",
    "50",
    "80",
    "95",
    "Winkler %",
)
"""Of the table: 50, 80 and 95 are the shares of held-out runs inside such intervals."""

WIDTH = 120
"""Columns of the printed table where the output is no terminal."""

COLOURS = dict(zip(METHODS, (BLUE, GREY, ORANGE), strict=True))


def summarise(points: pl.DataFrame, by: tuple[str, ...] = ("dataset", "method")) -> pl.DataFrame:
    """Scores by data set and method: rows, distance, error, coverage, Winkler score.

    ``distance`` is the median factor of compute beyond the runs; ``mape``, ``bias`` and
    ``largest`` (error at the largest-compute point) are shares of the truth; ``winkler`` is the
    mean 95 % Winkler score over the truth.
    """
    return points.group_by(by, maintain_order=True).agg(
        rows=pl.len(),
        distance=pl.col("distance").median().exp(),
        mape=pl.col("error").abs().mean(),
        bias=pl.col("error").mean(),
        largest=pl.col("error").sort_by("distance").last(),
        in50=pl.col("in50").mean(),
        in80=pl.col("in80").mean(),
        in95=pl.col("in95").mean(),
        winkler=pl.col("winkler").mean(),
    )


def bars(result: SuiteResult) -> dict[str, Any]:
    """What was promised and what was measured, by name."""
    sets = summarise(result.points)
    ours = sets.filter(pl.col("method") == "leadsman")
    pooled = summarise(result.points, by=("method",)).filter(pl.col("method") == "leadsman")
    rivals = (
        sets.filter(pl.col("method") != "leadsman")
        .group_by("dataset")
        .agg(rival=pl.col("winkler").min())
    )
    better = ours.join(rivals, on="dataset").select(pl.col("winkler") < pl.col("rival"))
    ratio = ours.join(result.hindsight, on="dataset", suffix="_best").select(
        pl.col("mape") / pl.col("mape_best")
    )
    large = ours.filter(pl.col("rows") >= 20)
    return {
        "pooled_coverage_95": pooled["in95"][0],
        "pooled_coverage_50": pooled["in50"][0],
        "sets_below_80": large.filter(pl.col("in95") < 0.8)["dataset"].to_list(),
        "sets_with_20_rows": len(large),
        "winkler_better_share": better.to_series().mean(),
        "winkler_over_rival": _geometric_mean(
            ours.join(rivals, on="dataset").select(pl.col("winkler") / pl.col("rival")).to_series()
        ),
        "mape_over_best_single": ratio.to_series().mean(),
        "sets": len(ours),
    }


def _geometric_mean(values: pl.Series) -> float:
    return float(np.exp(np.log(values.to_numpy()).mean()))


def print_report(result: SuiteResult) -> None:
    """Print the table and the bars."""
    from rich.console import Console
    from rich.table import Table

    view = Table(title=f"Back-test: {SHOWN}")
    for name in COLUMNS:
        view.add_column(name, justify="left" if name in ("set", "method") else "right")
    for cells in _cells(result):
        view.add_row(*cells)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(view)
    for name, value in bars(result).items():
        console.print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
    for name, reason in result.left_out.items():
        console.print(f"left out: {name}: {reason}")


def _cells(result: SuiteResult) -> list[list[str]]:
    """A row of text for each data set and method, under ``COLUMNS``."""
    return [
        [
            row["dataset"],
            row["method"],
            str(row["rows"]),
            f"{row['distance']:.1f}x",
            *(f"{100 * row[name]:.2f}" for name in ("mape", "bias", "largest")),
            *(f"{100 * row[name]:.0f}" for name in ("in50", "in80", "in95")),
            f"{100 * row['winkler']:.1f}",
        ]
        for row in summarise(result.points).iter_rows(named=True)
    ]


def _html(result: SuiteResult) -> str:
    """The printed table as HTML."""
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for cells in _cells(result)
    )
    return f"<p>{SHOWN[0].upper()}{SHOWN[1:]}.</p><table><tr>{head}</tr>{rows}</table>"


def to_json(result: SuiteResult) -> dict[str, Any]:
    """Everything in the report as plain values."""
    return {
        "leadsman": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "bars": bars(result),
        "sizes": result.sizes.to_dicts(),
        "sets": summarise(result.points).to_dicts(),
        "cases": summarise(result.points, by=("dataset", "case", "method")).to_dicts(),
        "hindsight": result.hindsight.to_dicts(),
        "left_out": result.left_out,
    }


def write_report(result: SuiteResult, folder: Path) -> None:
    """Write ``backtest.json`` and ``backtest.html`` into a directory."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "backtest.json").write_text(json.dumps(to_json(result), indent=1))
    figures = [_coverage(result), _errors(result), _winkler(result)]
    page = folder / "backtest.html"
    write_figures(figures, page, title="Leadsman back-test", table=_html(result))


def _bars_figure(result: SuiteResult, column: str, title: str, y: str, *, log: bool = False) -> Any:
    import plotly.graph_objects as go

    sets = summarise(result.points)
    figure = go.Figure()
    for method in METHODS:
        mine = sets.filter(pl.col("method") == method)
        figure.add_bar(
            x=mine["dataset"].to_list(),
            y=(100 * mine[column]).to_list(),
            name=method,
            marker={"color": COLOURS[method]},
        )
    figure.update_layout(
        title=title,
        template="plotly_white",
        barmode="group",
        height=460,
        legend={"orientation": "h", "yanchor": "top", "y": -0.35, "x": 0},
    )
    figure.update_xaxes(title="data set")
    figure.update_yaxes(title=y, type="log" if log else "linear")
    if log:
        label_log_axis(figure)
    return figure


def _coverage(result: SuiteResult) -> Any:
    figure = _bars_figure(result, "in95", "Coverage of 95 % intervals", "held-out runs inside, %")
    figure.add_hline(y=95, line={"color": "black", "dash": "dash", "width": 1})
    return figure


def _errors(result: SuiteResult) -> Any:
    return _bars_figure(result, "mape", "Mean absolute error", "share of the truth, %", log=True)


def _winkler(result: SuiteResult) -> Any:
    return _bars_figure(
        result, "winkler", "95 % Winkler score (lower is better)", "share of the truth, %", log=True
    )
