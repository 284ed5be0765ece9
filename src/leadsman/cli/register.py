"""``leadsman register`` and ``leadsman score``: a forecast written before its run, scored after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadsman.cli.ledgers import LedgerOption, open_ledger

if TYPE_CHECKING:
    from leadsman.runs import ForecastBook

group = typer.Typer(help="Write forecasts down before their runs; check that none was changed.")


NARROW = 100
"""Columns of a terminal below which the time of day is left out."""


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.add_typer(group, name="register")
    app.command("score")(score)


@group.command("add")
def add(
    file: Annotated[
        Path, typer.Argument(help="plan.json, or what `leadsman forecast --out` wrote.")
    ],
    ledger: LedgerOption = "work/ledger",
    run_id: Annotated[
        str | None, typer.Option("--id", help="Name of the run, for a table of one row.")
    ] = None,
    y: Annotated[
        str | None, typer.Option("--y", help="What was forecast, e.g. loss.val or bpb.target.")
    ] = None,
) -> None:
    """Register forecasts before their runs; of several about one run, the first stands."""
    from leadsman.runs import Ledger
    from leadsman.runs.register.read import read_forecasts

    book = Ledger(ledger).book
    for forecast in read_forecasts(file, run_id=run_id, y=y):
        standing = book.register(forecast)
        entry, _ = book.forecasts()[forecast.id]
        low, high = standing.intervals["0.95"]
        stands = "registered" if standing == forecast else "an earlier forecast stands"
        typer.echo(
            f"{stands}: entry {entry.number}, {entry.time}, run {standing.id}: {standing.y} "
            f"{standing.median:.4f}, 95 % {low:.4f} to {high:.4f}"
        )
    typer.echo(f"Head: {book.chain.head}  (note it; `leadsman register verify --head` checks it)")


@group.command("ls")
def list_forecasts(ledger: LedgerOption = "work/ledger") -> None:
    """List registered forecasts, with their results where they are known."""
    from rich.console import Console
    from rich.table import Table

    book = open_ledger(ledger).book
    scored = {each.forecast.id: each for each in book.scores()}
    console, found = Console(), book.forecasts()
    results = sorted({forecast.y for _, forecast in found.values()})
    table = Table(box=None, pad_edge=False, title=f"Forecasts of {', '.join(results)}")
    table.title_justify = "left"
    several, narrow = len(results) > 1, console.width < NARROW
    for heading in ("#", "registered", "run", "of", "forecast", "95 %", "actual", "error"):
        if heading != "of" or several:
            right = heading in ("#", "forecast", "actual", "error")
            table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for run_id, (entry, forecast) in found.items():
        low, high = forecast.intervals["0.95"]
        score = scored.get(run_id)
        table.add_row(
            str(entry.number),
            entry.time[: 10 if narrow else 19].replace("T", " "),
            run_id,
            *([forecast.y] if several else []),
            f"{forecast.median:.4f}",
            f"{low:.4f} to {high:.4f}",
            f"{score.actual:.4f}" if score else "-",
            f"{100 * score.relative_error:+.2f} %" if score else "",
        )
    console.print(table)
    typer.echo(f"Head: {book.chain.head}")


@group.command("verify")
def verify(
    ledger: LedgerOption = "work/ledger",
    head: Annotated[
        str | None, typer.Option("--head", help="Hash noted earlier (a report prints it).")
    ] = None,
) -> None:
    """Check the chain; the first entry that was changed, removed or dated back is named."""
    from leadsman.errors import InputError

    book = open_ledger(ledger).book
    fault = book.verify(head=head)
    if fault is not None:
        raise InputError(f"entry {fault.number} {fault.why}", file=f"{ledger}/registry")
    typer.echo(f"{len(book.chain)} entries, none changed, removed or dated back.")
    if book.unchained():
        typer.echo(
            f"{book.unchained()} forecasts in {ledger}/forecasts were stored by an older Leadsman "
            f"without a chain; whether they were changed cannot be told, so they are not counted."
        )
    typer.echo(f"Head: {book.chain.head}")


def score(
    ledger: LedgerOption = "work/ledger",
    run_id: Annotated[
        str | None, typer.Option("--id", help="A run that is not in the ledger, with --actual.")
    ] = None,
    actual: Annotated[float | None, typer.Option("--actual", help="What that run gave.")] = None,
) -> None:
    """Score every registered forecast whose run is finished, and print the track record."""
    import math

    from leadsman.errors import InputError

    if (run_id is None) != (actual is None):
        raise InputError("--id and --actual belong together")
    if actual is not None and not math.isfinite(actual):
        raise InputError(f"must be a finite number, not {actual}", column="--actual")
    book = open_ledger(ledger).book
    book.score({run_id: actual} if run_id is not None and actual is not None else {})
    _tell_record(book)


def _tell_record(book: ForecastBook) -> None:
    record = book.record()
    if record is None:
        typer.echo(f"{len(book.forecasts())} forecasts registered, no run of theirs is finished.")
        return
    typer.echo(f"{record.count} forecasts scored, {record.pending} wait for their runs")
    for level, hits in record.hits.items():
        typer.echo(
            f"  {float(level):.0%} intervals held {hits} of {record.count}; "
            f"half are narrower than {100 * record.sharpness[level]:.1f} % of the forecast"
        )
    typer.echo(
        f"  error: {100 * record.mean_absolute_error:.2f} % on average, bias "
        f"{100 * record.bias:+.2f} %, CRPS {100 * record.relative_crps:.2f} % of the result"
    )
    latest = ", ".join(f"{100 * error:+.2f} %" for error in record.errors[-8:])
    typer.echo(f"  latest errors, oldest first: {latest}")
