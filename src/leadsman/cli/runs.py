"""``leadsman runs``: look into the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from leadsman.cli.ledgers import LedgerOption, open_ledger

group = typer.Typer(help="Look into the ledger: every run, its settings, curve and results.")


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.add_typer(group, name="runs")


@group.command("ls")
def list_runs(ledger: LedgerOption = "work/ledger") -> None:
    """List the runs, one a line."""
    from rich.console import Console
    from rich.table import Table

    from leadsman.humanize import count

    runs = list(open_ledger(ledger))
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "role", "mixture", "params", "tokens", "FLOPs", "bpb", "status"):
        right = heading in ("params", "tokens", "FLOPs", "bpb")
        table.add_column(heading, justify="right" if right else "left")
    for run in sorted(runs, key=lambda run: (run.role, run.row().get("flops") or 0)):
        row = run.row()
        results = ", ".join(f"{value:.4f}" for value in run.bpb.values())
        table.add_row(
            run.id,
            run.role,
            str(row.get("mixture", "")),
            count(row.get("params")),
            count(row.get("tokens")),
            f"{row['flops']:.2e}" if row.get("flops") else "",
            results,
            run.status if run.status == "finished" else f"{run.status}: {run.reason}",
        )
    Console().print(table)


@group.command("show")
def show(run: str, ledger: LedgerOption = "work/ledger") -> None:
    """Show one run whole, as JSON (a unique beginning of its id is enough)."""
    typer.echo(json.dumps(open_ledger(ledger).get(run).to_dict(), indent=1))


@group.command("sql")
def sql(
    query: str,
    ledger: LedgerOption = "work/ledger",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """Query the tables `runs` and `curves` with SQL (DuckDB).

    A column with a dot in its name is quoted: leadsman runs sql 'select id, "bpb.target" from runs'
    """
    frame = open_ledger(ledger).sql(query)
    if as_json:
        typer.echo(frame.write_json())
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in frame.columns:
        table.add_column(name)
    for values in frame.iter_rows():
        table.add_row(*("" if value is None else str(value) for value in values))
    Console().print(table)


@group.command("compare")
def compare_runs(
    a: str,
    b: str,
    ledger: LedgerOption = "work/ledger",
    plot: Annotated[str, typer.Option(help="Also write both curves to this HTML file.")] = "",
) -> None:
    """Compare two runs: settings that differ, results against seed noise, training curves."""
    from leadsman.runs.compare import compare
    from leadsman.runs.curves import write_curves

    book = open_ledger(ledger)
    found = compare(book, a, b)
    names = (found.a.id[:8], found.b.id[:8])
    settings = [(name, *map(str, values)) for name, values in found.settings.items()]
    _table("differs", names, settings or [("nothing", "", "")])
    _table(
        "result",
        (*names, "change", "seed noise"),
        [
            (
                each.name,
                f"{each.a:.4f}",
                f"{each.b:.4f}",
                f"{each.change:+.2%}",
                f"{each.deviations:+.1f} standard deviations ({each.replicates} replicates)"
                if each.replicates
                else "unknown: no runs differ in the seed only",
            )
            for each in found.results
        ],
    )
    rows = found.curves.iter_rows()
    _table("tokens", names, [(f"{t:,}", *(f"{x:.4f}" for x in pair)) for t, *pair in rows])
    if plot:
        write_curves(book, [a, b], plot)
        typer.echo(f"curves in {plot}")


def _table(first: str, headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(table)
    console.print()


@group.command("import")
def import_runs(
    file: Annotated[Path, typer.Argument(help="Table, trainer_state.json, results of lm-eval.")],
    source: Annotated[str, typer.Option("--from", help="table, wandb, lm-eval or trainer.")],
    ledger: LedgerOption = "work/ledger",
    run_id: Annotated[str, typer.Option("--id", help="Name of the run.")] = "",
    tokens_per_step: Annotated[int, typer.Option(help="Tokens in an optimizer step.")] = 0,
) -> None:
    """Write runs that were made elsewhere into the ledger (made if it is not there)."""
    from leadsman.errors import InputError
    from leadsman.runs import Ledger
    from leadsman.runs.imports import import_lm_eval, import_table, import_wandb
    from leadsman.train.hf.trainer import import_trainer_state

    book = Ledger(ledger)
    if source == "table":
        runs = import_table(file, book)
    elif source == "wandb":
        runs = [import_wandb(file, book, run_id=run_id, tokens_per_step=tokens_per_step)]
    elif source == "lm-eval":
        runs = [import_lm_eval(file, book, run_id=run_id)]
    elif source == "trainer":
        runs = [import_trainer_state(file, book, run_id=run_id, tokens_per_step=tokens_per_step)]
    else:
        raise InputError(
            f"{source!r} cannot be imported; there are table, wandb, lm-eval and trainer",
            column="from",
        )
    typer.echo(f"{len(runs)} runs in {ledger}: {', '.join(run.id for run in runs[:5])}")
    # A ledger is only added to: what a file says otherwise than a finished run is not taken over.
    undated = [(book.get(run.id).to_dict(), run.to_dict(), {"created": ""}) for run in runs]
    other = [new["id"] for old, new, date in undated if old | date != new | date]
    if other:
        typer.echo(
            f"Warning: {len(other)} of them were there with other values and stay as they were: "
            f"{', '.join(other[:5])}; import them under other ids or into another ledger",
            err=True,
        )
