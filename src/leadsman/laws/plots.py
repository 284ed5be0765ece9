"""Plots of fits and forecasts as plotly figures: curve, intervals, isoFLOP curves, residuals."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from leadsman.errors import InputError, MissingExtraError
from leadsman.laws.base import FittedLaw, Floats
from leadsman.laws.competition import RunTable, compute_of, run_column
from leadsman.laws.forecast import Forecast
from leadsman.laws.screening import complete, in_unit_of
from leadsman.laws.table import column

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
"""Okabe and Ito's palette: told apart under every common colour blindness."""

BAND = "rgba(213, 94, 0, 0.18)"
DASHES = ("solid", "dash", "dot", "dashdot")

COMPUTE = "training compute (FLOPs)"

STYLE = (
    "body{font-family:system-ui,sans-serif;max-width:60rem;margin:2rem auto;color:#222}"
    "h1{font-size:1.4rem;font-weight:600}"
    "table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}"
    "td,th{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #ddd}"
    "td:first-child,th:first-child{text-align:left}"
)


def fit_figures(fitted: FittedLaw, runs: pl.DataFrame, *, seed: int = 0) -> list[Any]:
    """Data against compute with the fit, residuals, and isoFLOP curves where N and D are known.

    Args:
        fitted: a fitted law.
        runs: what it was fitted on.
        seed: of the bootstrap behind the interval.
    """
    compute = compute_of(runs)
    results = column(runs, fitted.y)
    figures = [
        _against_compute(fitted, runs, compute, results, seed),
        _residuals(fitted, runs, compute, results),
    ]
    if {"params", "tokens"} <= set(runs.columns) and {"params", "tokens"} <= set(fitted.law.inputs):
        figures.append(_isoflop(fitted, runs, compute, seed))
    return figures


def forecast_figure(forecast: Forecast, runs: pl.DataFrame, *, run: str | None = None) -> Any:
    """Runs, their checkpoints (``run`` names the column that tells) and forecast intervals."""
    import plotly.graph_objects as go

    runs, _ = complete(runs, y=forecast.y)
    compute = compute_of(in_unit_of(runs, forecast.points))
    low, high = forecast.interval(0.95).T
    inner = forecast.interval(0.5)
    figure = go.Figure()
    table = RunTable.of(runs, run=run_column(runs, run))
    shown = {"runs": (table.finished, BLUE, 6), "checkpoints": (~table.finished, GREY, 3)}
    for name, (some, colour, size) in shown.items():
        rows = table.take(some)
        if some.any():
            figure.add_scatter(
                x=rows.compute,
                y=column(rows.frame, forecast.y),
                mode="markers",
                name=name,
                marker={"color": colour, "size": size},
            )
    middle = forecast.quantile(0.5)
    styles = (
        ("95 % interval", (low, high), 1.5, "line-ew-open"),
        ("median, 50 % interval", inner.T, 5, "diamond"),
    )
    for name, pair, width, symbol in styles:
        figure.add_scatter(
            x=compute,
            y=middle,
            mode="markers",
            name=name,
            marker={"color": ORANGE, "symbol": symbol, "size": 8},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": pair[1] - middle,
                "arrayminus": middle - pair[0],
                "thickness": width,
                "color": ORANGE,
            },
        )
    title = f"Forecast of {forecast.y}<br><sup>{forecast.law}</sup>"
    return _finish(figure, title, COMPUTE, _with_unit(forecast.y))


def ranking_figure(ranking: pl.DataFrame, *, laws: int = 4) -> Any:
    """Errors at rolling origins against how far beyond the runs they lie, the best laws' best ways.

    Args:
        ranking: of :func:`leadsman.laws.competition.ranking.rank`.
        laws: shown at most.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    best = ranking.filter(pl.col("origins") > 0).unique("law", keep="first", maintain_order=True)
    symbols = ("circle", "diamond", "square", "cross")
    for row, colour, symbol in zip(
        best.head(laws).iter_rows(named=True), (BLUE, ORANGE, GREEN, GREY), symbols
    ):
        figure.add_scatter(
            x=row["beyond"],
            y=[100 * each for each in row["log_errors"]],
            mode="markers",
            name=row["law"],
            marker={"color": colour, "symbol": symbol, "size": 6},
        )
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    title = "Larger runs forecast from smaller ones"
    return _finish(
        figure,
        title,
        "compute over the largest run fitted on",
        "result over forecast, %",
        log_y=False,
    )


def check_plot(file: Path | None) -> None:
    """Refuse a plot that could not be written, before anything is computed.

    Raises:
        InputError: the ending is neither .html nor .png, or the directory is not there.
    """
    if file is None:
        return
    if file.suffix.lower() not in (".html", ".png"):
        raise InputError("plots are written as .html or .png", file=file)
    if not file.absolute().parent.is_dir():
        raise InputError("the directory is not there; make it first", file=file.parent)


def write_figures(
    figures: Sequence[Any], file: str | Path, *, title: str = "Leadsman", table: str = ""
) -> None:
    """Write figures below each other into one HTML page, or each into a PNG of its own.

    The second PNG beside ``fit.png`` is ``fit-2.png``.

    Args:
        figures: plotly figures.
        file: ends in .html or .png.
        title: of the page.
        table: HTML written below the figures of a page.

    Raises:
        InputError: the ending is neither .html nor .png, or no browser is there to draw a PNG.
        MissingExtraError: a PNG without the extra that draws it.
    """
    path = Path(file)
    check_plot(path)
    if path.suffix.lower() == ".html":
        body = "\n".join(
            figure.to_html(full_html=False, include_plotlyjs=k == 0)
            for k, figure in enumerate(figures)
        )
        path.write_text(
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f"<title>{title}</title><style>{STYLE}</style></head>"
            f"<body><h1>{title}</h1>{body}{table}</body></html>"
        )
    else:
        _write_pngs(figures, path)


def _with_unit(name: str) -> str:
    """``loss`` is in nats per token, ``bpb`` in bits per byte; others have none."""
    units = {"loss": "nats per token", "bpb": "bits per byte"}
    unit = units.get(name.partition(".")[0])
    return f"{name} ({unit})" if unit else name


def _write_pngs(figures: Sequence[Any], path: Path) -> None:
    if importlib.util.find_spec("kaleido") is None:
        raise MissingExtraError("plots", "a PNG plot (.html needs nothing)")
    for k, figure in enumerate(figures):
        own = path if k == 0 else path.with_stem(f"{path.stem}-{k + 1}")
        try:
            figure.write_image(own, width=900, height=540, scale=2)
        except (ValueError, RuntimeError, OSError) as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                f"a PNG is drawn by a Chrome or Chromium browser, which failed: {said[0]}; "
                f"write .html instead",
                file=path,
            ) from error


def _finish(figure: Any, title: str, x: str, y: str, *, log_y: bool = True) -> Any:
    figure.update_layout(
        title=title,
        template="plotly_white",
        height=460,
        margin={"t": 60, "b": 60},
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0},
    )
    # Whole decades alone are labelled: between them plotly writes bare 2s and 5s.
    figure.update_xaxes(title=x, type="log", exponentformat="power", dtick=1)
    figure.update_yaxes(title=y, type="log" if log_y else "linear")
    if log_y:
        label_log_axis(figure)
    return figure


def label_log_axis(figure: Any) -> None:
    """Label the y axis of a figure with whole numbers: plotly would write bare digits."""
    values = _ticks(figure)
    figure.update_yaxes(tickvals=values, ticktext=[f"{value:g}" for value in values])


def _ticks(figure: Any) -> list[float]:
    """Whole numbers to label a log axis with: a handful, at 1, 2, 5 or at even steps."""
    drawn = []
    for trace in figure.data:
        y = np.asarray(trace.y, dtype=np.float64)
        error = trace.error_y.to_plotly_json() if "error_y" in trace else {}
        drawn += [y, y + error.get("array", 0.0), y - error.get("arrayminus", 0.0)]
    values = np.concatenate(drawn)
    low, high = (float(each(values[values > 0])) for each in (np.min, np.max))
    if high / low > 4:
        digits = (1.0,) if high / low > 1e3 else (1.0, 2.0, 5.0)
        decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        return [float(f"{d * 10.0**k:.6g}") for k in decades for d in digits]
    rough = max(high - low, 1e-3 * high) / 4
    step = min(
        (d * 10.0 ** np.floor(np.log10(rough)) for d in (1.0, 2.0, 5.0, 10.0)),
        key=lambda each: abs(np.log(each / rough)),
    )
    first, last = int(np.floor(low / step)), int(np.ceil(high / step))
    return [float(f"{k * step:.6g}") for k in range(max(first, 1), last + 1)]


def _settings(runs: pl.DataFrame) -> list[str]:
    """What a run was, for whoever points at it."""
    known = [name for name in ("params", "tokens") if name in runs.columns]
    return [
        ", ".join(f"{name} {row[name]:.3g}" for name in known)
        for row in runs.select(known).iter_rows(named=True)
    ]


def _against_compute(
    fitted: FittedLaw, runs: pl.DataFrame, compute: Floats, results: Floats, seed: int
) -> Any:
    import plotly.graph_objects as go

    low, high = fitted.predict(runs, draws=400, seed=seed).interval(0.95).T
    middle = fitted.curve(runs)
    figure = go.Figure()
    figure.add_scatter(
        x=compute,
        y=middle,
        mode="markers",
        name="fit, with 95 % interval of a run",
        marker={"color": ORANGE, "symbol": "line-ew-open", "size": 12},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": high - middle,
            "arrayminus": middle - low,
            "color": ORANGE,
            "thickness": 1.5,
        },
    )
    figure.add_scatter(
        x=compute,
        y=results,
        mode="markers",
        name="runs",
        marker={"color": BLUE, "size": 6},
        text=_settings(runs),
    )
    title = f"{fitted.law.name}: runs and fit"
    return _finish(figure, title, COMPUTE, _with_unit(fitted.y))


def _residuals(fitted: FittedLaw, runs: pl.DataFrame, compute: Floats, results: Floats) -> Any:
    """In percent of the fit for losses, in points for scores, with the scatter of the runs."""
    import plotly.graph_objects as go

    curve = fitted.curve(runs)
    loss = fitted.law.output == "loss"
    off = np.log(results / curve) if loss else results - curve
    figure = go.Figure()
    figure.add_hrect(
        y0=-196 * fitted.noise, y1=196 * fitted.noise, fillcolor=BAND, line_width=0, layer="below"
    )
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    figure.add_scatter(
        x=compute,
        y=100 * off,
        mode="markers",
        name="runs (band: 1.96 times their scatter)",
        marker={"color": BLUE},
        text=_settings(runs),
        showlegend=True,
    )
    title = f"{fitted.law.name}: residuals"
    label = "result over fit, %" if loss else "result less fit, points"
    reach = 115 * max(float(np.abs(off).max()), 1.96 * fitted.noise, 1e-6)
    return _finish(figure, title, COMPUTE, label, log_y=False).update_yaxes(range=[-reach, reach])


def _isoflop(fitted: FittedLaw, runs: pl.DataFrame, compute: Floats, seed: int) -> Any:
    """Result against model size at fixed compute, and where each budget is best spent.

    Curves are drawn for tokens per parameter up to four times beyond those of the runs.
    """
    import plotly.graph_objects as go

    params, tokens = column(runs, "params"), column(runs, "tokens")
    factor = float(np.median(compute / (params * tokens)))
    ratios = np.geomspace((tokens / params).min() / 4, (tokens / params).max() * 4, 60)
    figure = go.Figure()
    budgets = np.geomspace(np.quantile(compute, 0.2), compute.max(), 4)
    others = [name for name in fitted.law.inputs if name not in ("params", "tokens", "flops")]
    for budget, colour, dash in zip(budgets, (GREEN, BLUE, ORANGE, GREY), DASHES, strict=True):
        sizes = np.sqrt(budget / factor / ratios)
        points = pl.DataFrame(
            {"params": sizes, "tokens": sizes * ratios, "flops": np.full(60, budget)}
        ).with_columns(pl.lit(float(np.median(column(runs, name)))).alias(name) for name in others)
        curve = fitted.curve(points)
        low, high = np.quantile(
            fitted.curve_draws(points, draws=400, seed=seed), [0.025, 0.975], axis=0
        )
        label = f"{budget:.1e} FLOPs"
        figure.add_scatter(
            x=np.concatenate([sizes, sizes[::-1]]),
            y=np.concatenate([low, high[::-1]]),
            fill="toself",
            line={"width": 0},
            fillcolor="rgba(100, 100, 100, 0.15)",
            hoverinfo="skip",
            legendgroup=label,
            showlegend=False,
        )
        figure.add_scatter(
            x=sizes,
            y=curve,
            mode="lines",
            name=label,
            legendgroup=label,
            line={"color": colour, "dash": dash},
        )
        best = int(np.argmin(curve))
        if 0 < best < len(sizes) - 1:
            figure.add_scatter(
                x=sizes[best : best + 1],
                y=curve[best : best + 1],
                mode="markers",
                legendgroup=label,
                showlegend=False,
                name=f"best size for {label}",
                marker={"color": colour, "size": 9},
            )
    title = f"{fitted.law.name}: isoFLOP curves with 95 % intervals, best size marked"
    return _finish(figure, title, "parameters", _with_unit(fitted.y))
