"""``leadsman train``, ``leadsman sound``: one run from a recipe file, or a design of many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadsman.runs import Run
    from leadsman.train.files import Design
    from leadsman.train.ladder import TrunkJob, TrunkProgress
    from leadsman.train.layout import Layout


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.command("train")(train)
    app.command("sound")(sound)


def train(
    recipe: Annotated[Path, typer.Argument(help="The recipe file (YAML).")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and how long it would take.")
    ] = False,
    lean: Annotated[
        bool,
        typer.Option("--lean", help="Give freed memory back at once: less memory, more time."),
    ] = False,
) -> None:
    """Train one model; stopped at any moment, the same command continues exactly."""
    from leadsman.train.allocator import return_freed_memory_everywhere
    from leadsman.train.defaults import explain
    from leadsman.train.files import load_recipe_file

    if lean and not return_freed_memory_everywhere():
        typer.echo("  --lean has no effect here: it sets glibc's allocator")
    design = load_recipe_file(recipe, record_failure=not dry_run)
    for line in explain(design.recipes[0]):
        typer.echo(f"  {line}")
    _carry_out(design, workers=1, dry_run=dry_run)


def sound(
    ladder: Annotated[Path, typer.Argument(help="The ladder file (YAML).")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and how long it would take.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Cores to use; 0: all.")] = 0,
    layout: Annotated[
        str,
        typer.Option(help="processes, threads, stacked, or auto: the fastest by measurement."),
    ] = "auto",
    engine: Annotated[str, typer.Option(help="local, or ray: one task a trunk.")] = "local",
) -> None:
    """Run a design of small runs into the ledger; what is finished is not redone."""
    from leadsman.train.files import load_ladder_file
    from leadsman.train.schedule import explain_schedule

    design = load_ladder_file(ladder, record_failure=not dry_run)
    for line in explain_schedule(max(design.recipes, key=lambda recipe: recipe.tokens)):
        typer.echo(f"  {line}")
    _carry_out(design, workers=workers, dry_run=dry_run, layout=layout, engine=engine)


def _carry_out(
    design: Design, *, workers: int, dry_run: bool, layout: str = "processes", engine: str = "local"
) -> None:
    from leadsman.cli.watch import TerminalWatcher
    from leadsman.engine import open_engine
    from leadsman.errors import LeadsmanError
    from leadsman.train.files import check_design
    from leadsman.train.ladder import train_ladder

    where = open_engine(engine, workers=workers)
    for line in describe(design, where.workers):
        typer.echo(f"  {line}")
    if dry_run:
        check_design(design)
    if layout == "auto" and dry_run:
        typer.echo("  the layout is chosen by measuring at the start")
        return
    chosen = _layout(design, where.workers, layout=layout, measured=engine == "local")
    if dry_run:
        return
    if engine == "local":
        where = open_engine(engine, workers=chosen.workers)
    with TerminalWatcher() as watcher:

        def show(states: Sequence[TrunkProgress]) -> None:
            done = sum(state.tokens for state in states)
            watcher.progress(done, sum(state.total_tokens for state in states), "training")

        runs = train_ladder(_jobs(design, chosen), where, on_progress=show)
        sets = list(dict.fromkeys(name for run in runs for name in run.bpb))
        header = ["run", "params", "tokens", "mixture", "lr", "seed", *(f"bpb {s}" for s in sets)]
        watcher.table("", header, [_row(run, sets) for run in runs])
    stopped = [run for run in runs if run.status == "stopped"]
    if stopped:
        typer.echo(f"  {len(stopped)} of {len(runs)} runs given up early; {stopped[0].reason}")
    failed = [run for run in runs if run.status == "failed"]
    if failed:
        raise LeadsmanError(f"{len(failed)} of {len(runs)} runs failed; {failed[0].reason}")


def _layout(design: Design, workers: int, *, layout: str, measured: bool) -> Layout:
    """The layout that was asked for, or that is fastest here."""
    from leadsman.errors import InputError
    from leadsman.train.cost import estimate_ladder_seconds
    from leadsman.train.layout import Layout, choose_layout
    from leadsman.train.layout.layouts import largest_stack

    device = _device(design)
    if not device:
        layout = "processes"  # the runs will say it, and the ledger with them
    processes = Layout("processes", workers=workers, threads=design.fields["threads"])
    if layout == "auto" and measured:
        nominal = estimate_ladder_seconds(
            design.jobs, workers=workers, held_out_tokens=design.held_out_tokens
        )
        choice = choose_layout(
            design.recipes,
            design.fields["sources"],
            work=design.fields["work"],
            seconds=nominal,
            compiled=any(job.use_compile for job in design.jobs),
            device=device,
            cores=workers,
        )
        typer.echo(f"  {choice.layout}; {choice.reason}")
        return choice.layout
    if layout in ("auto", "processes"):
        return processes
    if layout == "threads":
        return Layout("threads", workers=1, threads=workers)
    if layout == "stacked":
        stack = largest_stack(design.recipes, device, workers=workers)
        return Layout("stacked", workers=workers, stack=stack)
    raise InputError(
        f"{layout!r} is no layout; there are auto, processes, threads and stacked", column="layout"
    )


def _device(design: Design) -> str:
    """Where the runs will be; empty if what was asked for is not there."""
    from leadsman.errors import InputError
    from leadsman.train.device import resolve_device

    try:
        return resolve_device(design.fields["device"])
    except InputError:
        return ""


def _jobs(design: Design, layout: Layout) -> list[TrunkJob]:
    from dataclasses import replace

    from leadsman.plan.stopping import LearningCurveStop
    from leadsman.train.layout import lay_out

    jobs = lay_out(design.recipes, layout, **design.fields)
    if design.stop_margin is None:
        return jobs
    rule = LearningCurveStop(margin=design.stop_margin)
    return [replace(job, stop_rule=rule) for job in jobs]


def describe(design: Design, workers: int) -> list[str]:
    """What a design will do: runs, tokens saved by branching, time, memory."""
    from leadsman.humanize import duration
    from leadsman.train.cost import estimate_ladder_seconds
    from leadsman.train.footprint import estimate_memory_bytes
    from leadsman.train.machine_speed import machine_ratio

    recipes, jobs = design.recipes, design.jobs
    alone = sum(recipe.tokens for recipe in recipes)
    shared = sum(job.tokens for job in jobs)
    nominal = estimate_ladder_seconds(jobs, workers=workers, held_out_tokens=design.held_out_tokens)
    device = _device(design) or "cpu"
    memory = max(
        estimate_memory_bytes(job.recipes[0], device=device, branches=len(job.recipes) > 1)
        for job in jobs
    )
    flops = sum(job.flops for job in jobs)
    return [
        f"{len(recipes)} runs from {len(jobs)} trunks: {shared:,} tokens "
        f"({shared / alone:.0%} of training each alone), {flops:.3g} FLOPs",
        f"about {duration(nominal * machine_ratio())} here with {workers} "
        f"{'process' if workers == 1 else 'processes'} ({duration(nominal)} on the reference "
        f"machine)",
        f"up to {memory / 1e9:.2g} GB of memory a process",
    ]


def _row(run: Run, sets: list[str]) -> list[str]:
    recipe = run.recipe
    assert recipe is not None
    return [
        run.id[:8],
        f"{recipe.shape.non_embedding_params:,}",
        f"{recipe.trained_tokens:,}",
        recipe.mixture.name,
        f"{recipe.lr:g}",
        str(recipe.seed),
        *(f"{run.bpb[name]:.4f}" if name in run.bpb else run.status for name in sets),
    ]
