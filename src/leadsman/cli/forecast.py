"""``leadsman forecast``, ``leadsman backtest`` and ``leadsman law fit|show|compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadsman.cli.run_tables import X, read_runs
from leadsman.errors import InputError

if TYPE_CHECKING:
    import polars as pl

    from leadsman.laws import ScoreTest
    from leadsman.laws.forecast import Forecast

Runs = Annotated[Path, typer.Argument(help="CSV, JSONL or Parquet table of runs, or a ledger.")]
Y = Annotated[str, typer.Option("--y", help="Column to predict.")]
LawName = Annotated[str, typer.Option("--law", help="auto, or laws by name: chinchilla,kaplan.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of all draws.")]
Plot = Annotated[Path | None, typer.Option("--plot", help="Write plots to .html or .png.")]

MANY_GROUPS = 10
"""Groups from which progress is told."""

TELLING = (
    "params",
    "active_params",
    "total_params",
    "experts",
    "tokens",
    "flops",
    "step",
    "mixture",
)
"""Columns that tell one point from another, printed where a table has them."""

MOST_SHARES = 4
"""Shares of a mixture that fit on a line."""

WAYS = """\
Way of fitting: d is the width of the Huber loss on log residuals, runs weigh as compute to the
power g, and "warmed-up" and "all" fits read checkpoints too. Weight: share of a combination."""


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command()(forecast)
    app.command()(backtest)
    law = typer.Typer(help="Fit, show and compare scaling laws.", no_args_is_help=True)
    law.command("fit")(fit)
    law.command("show")(show)
    law.command("compare")(compare)
    app.add_typer(law, name="law")


def forecast(
    runs: Runs,
    at: Annotated[Path, typer.Option("--at", help="Table of settings to forecast.")],
    y: Y = "loss",
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the forecast (.csv, .jsonl, .parquet).")
    ] = None,
    x: X = "",
    law: LawName = "auto",
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            help="Column that splits runs into series; they share exponents where that pays.",
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", help="Column naming each row's run, if rows are checkpoints."),
    ] = None,
    score: Annotated[
        bool | None,
        typer.Option(
            "--score/--no-score",
            help="y is a score in [0, 1] that rises; recognised with a warning if not said.",
        ),
    ] = None,
    items: Annotated[
        str | None,
        typer.Option("--items", help="Items behind each score: a number, or a column of both."),
    ] = None,
    chance: Annotated[float, typer.Option("--chance", help="Score of guessing.")] = 0.0,
    draws: Annotated[int, typer.Option("--draws", min=100, help="Predictive draws.")] = 1000,
    seed: Seed = 0,
    levels: Annotated[
        str, typer.Option("--levels", help="Interval levels to print and write.")
    ] = "0.5,0.8,0.95",
    plot: Plot = None,
) -> None:
    """Forecast results at settings not yet run, with intervals checked against history."""
    from dataclasses import replace

    from leadsman.laws import forecast_runs
    from leadsman.laws.plots import check_plot, forecast_figure, write_figures
    from leadsman.laws.table import read_table

    wanted = _levels(levels)
    _check_ending(out)
    check_plot(plot)
    table, inputs = read_runs(runs, x, y, curves=y == "loss")
    points, _ = read_runs(at, x, None)
    result = forecast_runs(
        table,
        points,
        y=y,
        x=inputs or None,
        law=law,
        group=group,
        run=run,
        score=_score(score, items, chance),
        draws=draws,
        seed=seed,
        progress=_tell_groups,
        skip=True,
    )
    if out is not None:
        as_given = replace(result, points=read_table(at))  # under the user's own names
        _write(as_given.to_frame(levels=wanted), out)
    if plot is not None:
        write_figures([forecast_figure(result, table, run=run)], plot, title=f"Forecast of {y}")
    _print_forecast(result, wanted, out, group)


def backtest(
    datasets: Annotated[
        Path | None,
        typer.Option("--datasets", envvar="LEADSMAN_DATASETS", help="Directory of public tables."),
    ] = None,
    only: Annotated[str | None, typer.Option("--only", help="One data set by name.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Directory for JSON and HTML.")] = Path(
        "backtest"
    ),
    workers: Annotated[int, typer.Option("--workers", help="Processes; 0 is one a core.")] = 0,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", help="Directory of finished fits; run again, it goes on from there."
        ),
    ] = None,
) -> None:
    """Forecast public runs from their small siblings, and count how often the truth was inside."""
    from leadsman.laws.backtest.report import print_report, write_report
    from leadsman.laws.backtest.suite import run_suite

    if datasets is None:
        raise InputError("say where the tables are: --datasets DIR, or set LEADSMAN_DATASETS")
    result = run_suite(
        datasets,
        only=only,
        workers=workers,
        keep=keep,
        progress=lambda done, total: typer.echo(f"\r{done}/{total} cases", nl=False, err=True),
    )
    typer.echo("", err=True)
    print_report(result)
    write_report(result, out)
    typer.echo(f"Written: {out / 'backtest.json'}, {out / 'backtest.html'}")


def fit(
    runs: Runs,
    law: Annotated[str, typer.Option("--law", help="Law by name.")] = "chinchilla",
    y: Y = "loss",
    x: X = "",
    seed: Seed = 0,
    plot: Plot = None,
) -> None:
    """Fit one law and print its parameters with 95 % intervals."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from leadsman.laws.competition import competing, compute_of, run_column
    from leadsman.laws.plots import check_plot, fit_figures, write_figures

    check_plot(plot)
    table, inputs = _read_screened(runs, x, y)
    if run_column(table) is not None:
        typer.echo(
            "Warning: some rows are checkpoints; each counts as a finished run here", err=True
        )
    candidate = competing(table, x=inputs or None, law=law)[0]
    compute = compute_of(table, inputs or None)
    fitted = candidate.fit(table, compute, y=y, seed=seed, off_grid=True)
    draws = fitted.parameter_draws(draws=400, seed=seed)
    view = Table(
        "parameter", "value", "2.5 %", "97.5 %", title=f"{law} fitted on {len(table)} runs"
    )
    for name, value in fitted.parameters().items():
        low, high = np.quantile(draws[name], [0.025, 0.975]) if name in draws else (value, value)
        view.add_row(name, f"{value:.5g}", f"{low:.4g}", f"{high:.4g}")
    Console().print(view)
    typer.echo(f"Scatter of single runs: {fitted.noise:.3%}")
    for warning in fitted.warnings:
        typer.echo(f"Warning: {warning}")
    if plot is not None:
        title = f"{law}, fitted on {len(table)} runs"
        write_figures(fit_figures(fitted, table, seed=seed), plot, title=title)


def show(name: Annotated[str, typer.Argument(help="Law by name.")]) -> None:
    """Print a law's equation, inputs, units and source."""
    import inspect
    import sys

    from leadsman.registry import method

    cls = method("law", name)
    typer.echo(f"{cls.name}: {cls.summary()}\n")
    typer.echo(inspect.getdoc(sys.modules[cls.__module__]) or inspect.getdoc(cls) or "")
    inputs = getattr(cls, "inputs", ())
    typer.echo(f"\nInputs: {', '.join(inputs) if inputs else 'given to the constructor'}")
    if cls.paper is not None:
        typer.echo(f"Source: {cls.paper.title} ({cls.paper.year})")


def compare(
    runs: Runs,
    y: Y = "loss",
    x: X = "",
    law: LawName = "auto",
    seed: Seed = 0,
    plot: Plot = None,
) -> None:
    """Let laws predict the larger of your own runs from the smaller ones, and rank them."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from leadsman.laws.competition.ranking import rank
    from leadsman.laws.plots import check_plot, ranking_figure, write_figures

    check_plot(plot)
    table, inputs = _read_screened(runs, x, y)
    ranking = rank(table, y=y, x=inputs or None, law=law, seed=seed)
    view = Table(
        "law",
        "way of fitting",
        "error, %",
        "bias, %",
        "origins",
        "weight",
        title="Rolling origin: larger runs forecast from smaller ones",
    )
    for row in ranking.iter_rows(named=True):
        view.add_row(
            escape(row["law"]),
            row["way"],
            f"{row['error'] * 100:.2f}",
            f"{row['bias'] * 100:+.2f}",
            str(row["origins"]),
            f"{row['weight']:.2f}",
        )
    Console().print(view)
    typer.echo(WAYS)
    if plot is not None:
        write_figures([ranking_figure(ranking)], plot, title="Laws at rolling origins")


def _read_screened(path: Path, x: str, y: str) -> tuple[pl.DataFrame, list[str]]:
    """As :func:`read_runs`, without repeated rows; says what looks wrong."""
    from leadsman.laws.competition import INPUTS, compute_of, run_column, varying
    from leadsman.laws.screening import complete, fewer_rows, screen
    from leadsman.laws.unmodelled import unmodelled_warnings

    table, inputs = read_runs(path, x, y, curves=y == "loss")
    table, gaps = complete(table, y=y, x=inputs or None)
    table, warnings = screen(table, y=y, x=varying(table, inputs or None))
    warnings += unmodelled_warnings(table, y=y, x=inputs or INPUTS)
    compute = compute_of(table, inputs or None)
    table, thinned = fewer_rows(table, compute, group=None, run=run_column(table))
    for warning in (*gaps, *warnings, *thinned):
        typer.echo(f"Warning: {warning}", err=True)
    return table, inputs


def _score(score: bool | None, items: str | None, chance: float) -> ScoreTest | bool | None:
    from leadsman.laws import ScoreTest

    if items is None and not chance:
        return score
    if score is False:
        raise InputError("--items and --chance belong to a score; leave out --no-score")
    return ScoreTest(int(items) if items is not None and items.isdigit() else items, chance)


def _levels(text: str) -> list[float]:
    try:
        levels = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(
            f"{text!r} is not a list of levels such as 0.5,0.95", column="levels"
        ) from error
    for level in levels:
        if not 0 < level < 1:
            raise InputError(f"a level lies between 0 and 1, not {level}", column="levels")
    return levels


def _check_ending(out: Path | None) -> None:
    """Refuse what cannot be written before anything is computed."""
    if out is not None and out.suffix.lower() not in (".csv", ".jsonl", ".parquet"):
        raise InputError("forecasts are written as .csv, .jsonl or .parquet", file=out)
    if out is not None and not out.absolute().parent.is_dir():
        raise InputError("the directory is not there; make it first", file=out.parent)


def _write(frame: pl.DataFrame, out: Path) -> None:
    suffix = out.suffix.lower()
    if suffix == ".csv":
        frame.write_csv(out)
    elif suffix == ".jsonl":
        frame.write_ndjson(out)
    else:
        frame.write_parquet(out)


def _tell_groups(done: int, total: int) -> None:
    """Say how far it is, where it takes long."""
    if total >= MANY_GROUPS:
        typer.echo(f"\r{done}/{total} groups", nl=done == total, err=True)


def _print_forecast(
    result: Forecast, levels: list[float], out: Path | None, group: str | None
) -> None:
    import numpy as np
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from leadsman.laws.table import mixture_columns

    telling = dict.fromkeys((group, *TELLING))
    shown = [name for name in telling if name in result.points.columns]
    shares = mixture_columns(result.points)
    shown += shares if len(shares) <= MOST_SHARES else []
    view = Table(
        *shown,
        "median",
        *(f"{level:.0%}" for level in levels),
        title=escape(f"Forecast of {result.y} by {result.law}"),
    )
    medians = result.quantile(0.5)
    intervals = [result.interval(level) for level in levels]
    for row, point in enumerate(result.points.iter_rows(named=True)):
        cells = [
            f"{point[name]:.3g}"
            if isinstance(point[name], int | float)
            else escape(str(point[name]))
            for name in shown
        ]
        ranges = [f"{each[row, 0]:.4f} to {each[row, 1]:.4f}" for each in intervals]
        answers = [f"{medians[row]:.4f}", *ranges]
        view.add_row(*cells, *(["-"] * len(answers) if np.isnan(medians[row]) else answers))
    Console().print(view)
    for warning in dict.fromkeys(w for each in result.warnings for w in each):
        typer.echo(f"Warning: {warning}")
    if out is not None:
        typer.echo(f"Written: {out}")
