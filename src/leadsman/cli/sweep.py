"""``leadsman select --sweep``: what each amount of each method is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from leadsman.corpus import Corpus
    from leadsman.select.sweep import SweepDesign, SweepReport


def amounts_of(text: str) -> tuple[float, ...]:
    """``0.01,0.1`` as numbers.

    Raises:
        InputError: that is no such list.
    """
    from leadsman.errors import InputError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"{text!r} is no list of shares; write 0.01,0.03,0.1", column="--sweep"
        ) from error


def run_sweep(
    raw: Corpus, target: Corpus, out: str, design: SweepDesign, *, dry_run: bool, as_json: bool
) -> None:
    """Run a sweep, or say what it would take; print what it found."""
    import json

    from leadsman.cli.inputs import print_estimate
    from leadsman.cli.watch import TerminalWatcher
    from leadsman.corpus.shards.estimate import estimate
    from leadsman.select.selection import MEMORY_PER_DOCUMENT
    from leadsman.select.sweep import sweep
    from leadsman.select.sweep.page import write_page

    if dry_run:
        if design.proxy == "neural":
            _print_neural_estimate(raw, design)
            return

        def work(corpus: Corpus, place: Path) -> object:
            return sweep(corpus, target, place, design)

        print_estimate(estimate(raw, work, memory_per_document=MEMORY_PER_DOCUMENT))
        return
    if as_json:
        report = sweep(raw, target, out, design)
        write_page(report, out)
        typer.echo(json.dumps(report.to_dict(), indent=1))
        return
    with TerminalWatcher() as watcher:
        report = sweep(raw, target, out, design, watch=watcher.progress)
    write_page(report, out)
    _print_report(report, out)


def _print_neural_estimate(raw: Corpus, design: SweepDesign) -> None:
    from leadsman.humanize import count, duration, megabytes
    from leadsman.select.sweep.neural import proxy_recipe
    from leadsman.train.cost import estimate_seconds

    bytes_per_token = 3.3  # of a byte-level BPE of 2,048 entries on English prose
    params = 0
    pool = min(raw.text_bytes, design.pool_bytes)
    seconds = tokens = 0.0
    for arm in design.arms():
        size = arm.amount * pool
        if arm.view == "equal compute":
            size = design.equal_bytes or design.all_amounts[-1] * pool
        recipe = proxy_recipe(int(size / bytes_per_token))
        params = recipe.shape.non_embedding_params
        held_out = design.held_out_bytes / bytes_per_token
        seconds += estimate_seconds(recipe, held_out_tokens=int(held_out))
        tokens += recipe.tokens
    arms = sum(1 for _ in design.arms())
    typer.echo(
        f"{arms} models of {count(params)} non-embedding parameters, "
        f"{count(tokens)} tokens in all, from {megabytes(pool)} of text\n"
        f"about {duration(seconds)} on one core of the reference machine, at "
        f"{bytes_per_token} bytes a token"
    )


def _print_report(report: SweepReport, out: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from leadsman.select.sweep.page import cell_text, explanation

    amounts = sorted({cell.amount for cell in report.cells})
    console = Console(highlight=False)
    for view in report.views:
        console.print(f"[bold]{view}[/]: bits per byte of the held-out target, ± over seeds")
        console.print(f"  {explanation(report, view)}")
        table = Table(box=None, pad_edge=False)
        table.add_column("method")
        for amount in amounts:
            table.add_column(f"{amount:g}", justify="right")
        for name in dict.fromkeys(cell.method for cell in report.cells):
            cells = [report.cell(name, view, amount) for amount in amounts]
            table.add_row(name, *map(cell_text, cells))
        console.print(table)
    for finding in report.findings:
        typer.echo(f"- {finding}")
    typer.echo(f"✗ worse than a smaller amount; plots and numbers: {out}/sweep.html, sweep.json")
