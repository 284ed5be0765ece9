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
from leadsman.laws.competition import compute_of
from leadsman.laws.forecast import Forecast
from leadsman.laws.table import column

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
"""Okabe and Ito's palette: told apart under every common colour blindness."""

UNITS = {"params": "parameters", "tokens": "tokens", "flops": "FLOPs", "step": "steps"}


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
        figures.append(_isoflop(fitted, runs, compute, results))
    return figures


def forecast_figure(forecast: Forecast, runs: pl.DataFrame) -> Any:
    """Runs and forecast intervals against compute."""
    import plotly.graph_objects as go

    compute = compute_of(forecast.points)
    low, high = forecast.interval(0.95).T
    inner = forecast.interval(0.5)
    figure = go.Figure()
    figure.add_scatter(
        x=compute_of(runs),
        y=column(runs, forecast.y),
        mode="markers",
        name="runs",
        marker={"color": BLUE, "symbol": "circle"},
    )
    middle = forecast.quantile(0.5)
    for name, pair, width in (("95 % interval", (low, high), 1.5), ("50 % interval", inner.T, 5)):
        figure.add_scatter(
            x=compute,
            y=middle,
            mode="markers",
            name=name,
            marker={"color": ORANGE, "symbol": "diamond", "size": 7},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": pair[1] - middle,
                "arrayminus": middle - pair[0],
                "thickness": width,
                "color": ORANGE,
            },
        )
    return _finish(
        figure,
        f"Forecast of {forecast.y} ({forecast.law})",
        "training compute (FLOPs)",
        f"{forecast.y}",
    )


def write_figures(figures: Sequence[Any], file: str | Path, *, title: str = "Leadsman") -> None:
    """Write figures below each other into one HTML page, or each into a PNG of its own.

    The second PNG beside ``fit.png`` is ``fit-2.png``.

    Raises:
        InputError: the ending is neither .html nor .png, or no browser is there to draw a PNG.
        MissingExtraError: a PNG without the extra that draws it.
    """
    path = Path(file)
    if path.suffix.lower() == ".html":
        body = "\n".join(
            figure.to_html(full_html=False, include_plotlyjs=k == 0)
            for k, figure in enumerate(figures)
        )
        path.write_text(
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f"<title>{title}</title></head><body><h1>{title}</h1>{body}</body></html>"
        )
    elif path.suffix.lower() == ".png":
        _write_pngs(figures, path)
    else:
        raise InputError("plots are written as .html or .png", file=path)


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
        height=480,
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0},
    )
    figure.update_xaxes(title=x, type="log", exponentformat="power")
    figure.update_yaxes(title=y, type="log" if log_y else "linear")
    return figure


def _against_compute(
    fitted: FittedLaw, runs: pl.DataFrame, compute: Floats, results: Floats, seed: int
) -> Any:
    import plotly.graph_objects as go

    order = np.argsort(compute)
    forecast = fitted.predict(runs, draws=400, seed=seed)
    low, high = forecast.interval(0.95).T
    middle = fitted.curve(runs)
    figure = go.Figure()
    figure.add_scatter(x=compute, y=results, mode="markers", name="runs", marker={"color": BLUE})
    figure.add_scatter(
        x=compute[order],
        y=middle[order],
        mode="markers",
        name="fit, with 95 % interval",
        marker={"color": ORANGE, "symbol": "line-ew-open", "size": 10},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": (high - middle)[order],
            "arrayminus": (middle - low)[order],
            "color": ORANGE,
            "thickness": 1,
        },
    )
    return _finish(figure, f"{fitted.law.name}: runs and fit", "training compute (FLOPs)", fitted.y)


def _residuals(fitted: FittedLaw, runs: pl.DataFrame, compute: Floats, results: Floats) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        x=compute,
        y=100 * np.log(results / fitted.curve(runs)),
        mode="markers",
        name="runs",
        marker={"color": BLUE},
    )
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    return _finish(
        figure,
        f"{fitted.law.name}: residuals",
        "training compute (FLOPs)",
        "result over fit, %",
        log_y=False,
    )


def _isoflop(fitted: FittedLaw, runs: pl.DataFrame, compute: Floats, results: Floats) -> Any:
    """Result against model size at fixed compute: where each budget is best spent."""
    import plotly.graph_objects as go

    params = column(runs, "params")
    ratio = compute / (params * column(runs, "tokens"))
    factor = float(np.median(ratio))
    sizes = np.geomspace(params.min() / 2, params.max() * 2, 60)
    figure = go.Figure()
    budgets = np.geomspace(np.quantile(compute, 0.2), compute.max(), 4)
    for budget, colour in zip(budgets, (GREEN, BLUE, ORANGE, GREY), strict=True):
        tokens = budget / (factor * sizes)
        points = pl.DataFrame({"params": sizes, "tokens": tokens, "flops": np.full(60, budget)})
        for name in fitted.law.inputs:
            if name not in points.columns:
                points = points.with_columns(
                    pl.lit(float(np.median(column(runs, name)))).alias(name)
                )
        inside = (tokens >= 0.3 * params.min()) & (tokens / sizes < 1e5)
        figure.add_scatter(
            x=sizes[inside],
            y=fitted.curve(points)[inside],
            mode="lines",
            name=f"{budget:.1e} FLOPs",
            line={"color": colour},
        )
    return _finish(figure, f"{fitted.law.name}: isoFLOP curves", UNITS["params"], fitted.y)
