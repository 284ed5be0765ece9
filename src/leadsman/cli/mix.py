"""``leadsman mix``: in which proportions to draw sources for a target."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, cast

import typer

from leadsman.cli.inputs import (
    AsJson,
    DryRun,
    Inputs,
    MaxRejectRate,
    Out,
    Seed,
    as_it_is,
    open_inputs,
    size_of,
)

if TYPE_CHECKING:
    from leadsman.corpus import Corpus
    from leadsman.mix import Mixer, MixReport


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mix")(mix)


def mix(
    inputs: Inputs,
    target: Annotated[list[str], typer.Option("--target", "-t", help="Documents that are good.")],
    out: Out,
    method: Annotated[str, typer.Option(help="A mixer: see 'leadsman methods'.")] = "regmix",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE: a setting of the method.")
    ] = None,
    training_bytes: Annotated[
        str | None, typer.Option(help="Text of the run it is for (5M, 2G): limits small sources.")
    ] = None,
    max_epochs: Annotated[float, typer.Option(help="How often that run may read a source.")] = 4.0,
    proxy_bytes: Annotated[
        str | None, typer.Option(help="Text of one cheap run; 2M, or a fifth of all text.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Cheap runs to compare with natural shares.")] = 5,
    seed: Seed = 0,
    max_reject_rate: MaxRejectRate = 0.01,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Find proportions of the sources, and measure them on held-out text of the target."""
    from leadsman.cli.watch import TerminalWatcher
    from leadsman.mix import mix as run
    from leadsman.registry import method as find_method
    from leadsman.registry import method_settings

    opened = open_inputs(inputs, out, max_reject_rate)
    sources, wanted = opened.joined, open_inputs(target, out, max_reject_rate).joined
    mixer = cast("type[Mixer]", find_method("mixer", method))
    made = mixer(**method_settings(mixer, setting or []))
    proxy_size = size_of(proxy_bytes, "--proxy-bytes")
    if dry_run:
        _print_estimate(sources, wanted, made, proxy_size, seeds)
        return
    with TerminalWatcher() as watcher:
        report = run(
            sources, wanted, out, mixer=made, max_epochs=max_epochs, seeds=seeds, seed=seed,
            proxy_bytes=proxy_size, training_bytes=size_of(training_bytes, "--training-bytes"),
            watch=(lambda done, total, what: None) if as_json else watcher.progress,
        )  # fmt: skip
    opened.keep_rejects(out)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
        return
    _print(report, out)


def _print_estimate(
    sources: Corpus, target: Corpus, mixer: Mixer, proxy_bytes: int | None, seeds: int
) -> None:
    """From one cheap run on all there is; the split and the cleaning of sources come on top."""
    import time

    from leadsman.humanize import count, duration, megabytes
    from leadsman.mix import MixingProblem

    begin = time.perf_counter()
    problem = MixingProblem(sources, target, proxy_bytes=proxy_bytes)
    natural = problem.mixture("natural", problem.natural)
    problem.losses([natural], [0])
    ready = time.perf_counter()
    problem.losses([natural], [1])
    one = time.perf_counter() - ready
    runs = mixer.cheap_runs(len(problem.names)) + 2 * seeds
    seconds = 3 * (ready - begin) + runs * one / problem.engine.workers
    typer.echo(
        f"{runs} cheap runs on {megabytes(problem.proxy_bytes)} each, from "
        f"{count(sources.documents)} documents, {megabytes(sources.text_bytes)}\n"
        f"about {duration(seconds)}"
    )


def _print(report: MixReport, out: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("source")
    for heading in ("by size", report.mixer, "at most"):
        table.add_column(heading, justify="right")
    for name, share in report.weights.items():
        shares = (report.natural[name], share, report.most[name])
        table.add_row(as_it_is(name), *(f"{value:.1%}" for value in shares))
    Console().print(table)
    bpb, natural = (sum(values) / len(values) for values in (report.bpb, report.natural_bpb))
    interval = ""
    if report.gain_ci is not None:
        low, high = report.gain_ci
        interval = f" (95 % interval over seeds {low:.4f} to {high:.4f})"
    typer.echo(
        f"held-out target, cheap runs on {report.proxy_bytes} bytes: {bpb:.4f} bits per byte, "
        f"{natural:.4f} by size; gain {report.gain:.4f}{interval}"
    )
    if report.gain_ci is None or report.gain_ci[0] <= 0:
        typer.secho("warning: it is not surely better than by size", err=True, fg="yellow")
    typer.echo(f"for a recipe file: {out}/mixture.yaml")
