"""``leadsman corpus``, ``dedup`` and ``decontaminate``: documents in, copies and leaks out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from leadsman.corpus import Corpus, RemovalReport
    from leadsman.corpus.shards.estimate import Estimate

Inputs = Annotated[
    list[str],
    typer.Argument(help="Corpora, or files, directories, patterns and URLs to read as such."),
]
Out = Annotated[str, typer.Option("--out", "-o", help="Directory or URL of the result.")]
MaxRejectRate = Annotated[
    float, typer.Option(help="Largest share of unusable rows in an input, 0 to 1.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what it would take, from a 1 % sample.")
]
Explain = Annotated[
    str | None, typer.Option("--explain", metavar="ID", help="Say what became of a document.")
]
EngineOption = Annotated[
    str, typer.Option("--engine", help="local, or ray: a cluster; RAY_ADDRESS says which.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

group = typer.Typer(help="Read documents into a corpus, and look at one.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.add_typer(group, name="corpus")
    app.command("dedup")(dedup)
    app.command("decontaminate")(decontaminate)


def open_inputs(paths: list[str], out: str, max_reject_rate: float) -> list[Corpus]:
    """The inputs as corpora; what is none is converted under ``OUT.inputs``."""
    from leadsman.corpus import open_or_convert

    cache = f"{out.rstrip('/')}.inputs"
    return [open_or_convert(path, cache, max_reject_rate=max_reject_rate) for path in paths]


def print_estimate(estimate: Estimate) -> None:
    """What a job would take."""
    from leadsman.humanize import count, duration, megabytes

    typer.echo(
        f"{count(estimate.documents)} documents, {megabytes(estimate.text_bytes)} of text\n"
        f"about {duration(estimate.seconds)} and {megabytes(estimate.memory_bytes)} of memory "
        f"beyond the program's own (tried on {estimate.sample_share:.2%} of it)"
    )


@group.command("convert")
def convert_command(
    paths: Inputs,
    out: Out,
    source: Annotated[
        str | None, typer.Option(help="Name of the source; else the rows' own.")
    ] = None,
    metadata: Annotated[list[str] | None, typer.Option(help="Another field to keep.")] = None,
    suffix: Annotated[
        list[str] | None, typer.Option(help="A suffix to read as plain text.")
    ] = None,
    max_reject_rate: MaxRejectRate = 0.01,
) -> None:
    """Read JSON lines, tables, web archives and text; unusable rows go to OUT/rejects."""
    from leadsman.corpus import convert
    from leadsman.corpus.readers.sources import TEXT_SUFFIXES

    report = convert(
        list(paths),
        out,
        source=source,
        metadata=metadata or (),
        text_suffixes=suffix or TEXT_SUFFIXES,
        max_reject_rate=max_reject_rate,
    )
    _print_sources(report.corpus)
    if report.rejected:
        typer.echo(f"{report.rejected} rows could not be used; the first: {report.first_reject}")
    for reason, count in report.skipped.items():
        typer.echo(f"skipped, {reason}: {count}")


@group.command("stats")
def stats(corpus: str, as_json: AsJson = False) -> None:
    """Documents and bytes of each source."""
    from dataclasses import asdict

    from leadsman.corpus import Corpus

    opened = Corpus.open(corpus)
    if as_json:
        sources = {name: asdict(extent) for name, extent in opened.sources.items()}
        plain: dict[str, Any] = {"documents": opened.documents, "text_bytes": opened.text_bytes}
        plain |= {"shards": len(opened.shards), "schema": dict(opened.schema)}
        typer.echo(json.dumps(plain | {"sources": sources}, indent=1))
        return
    _print_sources(opened)


@group.command("sample")
def sample(
    corpus: str,
    documents: Annotated[int, typer.Option("--documents", "-n", min=1)] = 5,
    seed: int = 0,
) -> None:
    """Print documents drawn at random, one JSON object a line."""
    from leadsman.corpus import Corpus
    from leadsman.corpus.shards.estimate import sample_documents

    opened = Corpus.open(corpus)
    numbers = sample_documents(opened, documents, seed=seed)
    for row in opened.take(numbers, list(opened.schema)).values():
        typer.echo(json.dumps(row, ensure_ascii=False, default=str))


@group.command("verify")
def verify(corpus: str) -> None:
    """Check every shard against its checksum."""
    from leadsman.corpus import Corpus
    from leadsman.errors import InputError

    opened = Corpus.open(corpus)
    problems = opened.verify()
    if problems:
        raise InputError(
            f"{len(problems)} of {len(opened.shards)} shards are damaged: {'; '.join(problems)}",
            file=corpus,
        )
    typer.echo(f"all {len(opened.shards)} shards are as they were written")


def dedup(
    inputs: Inputs,
    out: Out,
    method: Annotated[
        str, typer.Option(help="minhash, exact copies only, paragraph, line, or semantic.")
    ] = "minhash",
    threshold: Annotated[
        float | None,
        typer.Option(help="Least similarity of a copy: Jaccard 0.7; cosine 0.9 if semantic."),
    ] = None,
    prototypes: Annotated[
        float, typer.Option(help="Share of the most ordinary documents to drop too (semantic).")
    ] = 0.0,
    embedding: Annotated[
        str, typer.Option(help="svd, or a sentence-transformers model (semantic).")
    ] = "svd",
    max_source_loss: Annotated[
        float, typer.Option(help="Warn when a source loses more than this share.")
    ] = 0.5,
    max_reject_rate: MaxRejectRate = 0.01,
    engine: EngineOption = "local",
    dry_run: DryRun = False,
    explain: Explain = None,
) -> None:
    """Drop copies and near copies; each removal is checked. Of two copies, the first stays."""
    from leadsman.cli.dedup import METHODS, dedup_otherwise, print_found
    from leadsman.corpus import Corpus, deduplicate
    from leadsman.corpus.dedup.documents import MEMORY_PER_DOCUMENT
    from leadsman.corpus.shards.estimate import estimate
    from leadsman.engine import open_engine

    if explain is not None:
        _explain(out, explain)
        return
    corpora = open_inputs(inputs, out, max_reject_rate)
    if method in METHODS:
        found = dedup_otherwise(
            corpora, out, method, threshold=threshold, prototypes=prototypes, embedding=embedding,
            max_source_loss=max_source_loss, engine=open_engine(engine, threads=True),
            dry_run=dry_run,
        )  # fmt: skip
        if found is not None:
            _print_removal(found)
            print_found(found)
        return
    options: dict[str, Any] = {"method": method}
    options |= {} if threshold is None else {"threshold": threshold}
    options["engine"] = open_engine(engine, threads=True)
    if dry_run:

        def work(corpus: Corpus, place: Path) -> object:
            return deduplicate(corpus, place, **options)

        joined = Corpus.join(corpora)
        print_estimate(estimate(joined, work, memory_per_document=MEMORY_PER_DOCUMENT))
        return
    report = deduplicate(corpora, out, max_source_loss=max_source_loss, **options)
    _print_removal(report)
    typer.echo(
        f"every removal was checked: precision {report.precision:.3f}, lowest similarity "
        f"{report.lowest_jaccard:.3f}; whole clusters would have cost {report.proposed} documents"
    )


def decontaminate(
    inputs: Inputs,
    against: Annotated[
        list[str], typer.Option("--against", "-a", help="Target or evaluation set.")
    ],
    out: Out,
    n: Annotated[int, typer.Option("--n", help="Tokens in an n-gram.")] = 8,
    span: Annotated[int, typer.Option(help="Tokens in a row that must not be shared.")] = 30,
    overlap: Annotated[float, typer.Option(help="Share of n-grams that must not be shared.")] = 0.5,
    max_reject_rate: MaxRejectRate = 0.01,
    engine: EngineOption = "local",
    dry_run: DryRun = False,
    explain: Explain = None,
) -> None:
    """Drop documents that hold text of a target or an evaluation set."""
    from leadsman.corpus import Corpus
    from leadsman.corpus import decontaminate as run
    from leadsman.corpus.dedup.contamination import MEMORY_PER_DOCUMENT
    from leadsman.corpus.shards.estimate import estimate
    from leadsman.engine import open_engine

    if explain is not None:
        _explain(out, explain)
        return
    corpora = open_inputs(inputs, out, max_reject_rate)
    targets = open_inputs(against, out, max_reject_rate)
    options: dict[str, Any] = {"n": n, "span": span, "overlap": overlap}
    options["engine"] = open_engine(engine, threads=True)
    if dry_run:

        def work(corpus: Corpus, place: Path) -> object:
            return run(corpus, targets, place, **options)

        joined = Corpus.join(corpora)
        print_estimate(estimate(joined, work, memory_per_document=MEMORY_PER_DOCUMENT))
        return
    report = run(corpora, targets, out, **options)
    _print_removal(report)
    if report.short_items:
        typer.echo(
            f"{report.short_items} of {report.items} items have fewer than {n} tokens: "
            f"looked for as whole documents only"
        )


def _explain(out: str, document: str) -> None:
    from leadsman.corpus import Corpus
    from leadsman.corpus.dedup.explain import explain_removal

    record = explain_removal(Corpus.open(out), document)
    typer.echo(json.dumps(record, indent=1, ensure_ascii=False))


def _print_sources(corpus: Corpus) -> None:
    from rich.console import Console
    from rich.table import Table

    from leadsman.humanize import count, megabytes

    table = Table(box=None, pad_edge=False)
    table.add_column("source")
    for heading in ("documents", "text", "mean"):
        table.add_column(heading, justify="right")
    rows = [*corpus.sources.items()]
    for name, extent in rows:
        mean = extent.text_bytes / max(extent.documents, 1)
        table.add_row(name, count(extent.documents), megabytes(extent.text_bytes), megabytes(mean))
    Console().print(table)
    typer.echo(
        f"{corpus.documents} documents, {megabytes(corpus.text_bytes)} in "
        f"{len(corpus.shards)} shards at {corpus.location}"
    )


def _print_removal(report: RemovalReport) -> None:
    from rich.console import Console
    from rich.table import Table

    from leadsman.corpus import Extent
    from leadsman.humanize import megabytes

    table = Table(box=None, pad_edge=False)
    table.add_column("source")
    for heading in ("documents", "text", "removed", "text removed"):
        table.add_column(heading, justify="right")
    for name, offered in report.offered.items():
        kept = report.kept.get(name, Extent())
        lost = offered.text_bytes - kept.text_bytes
        table.add_row(
            name,
            str(offered.documents),
            megabytes(offered.text_bytes),
            str(offered.documents - kept.documents),
            f"{megabytes(lost)} ({lost / max(offered.text_bytes, 1):.1%})",
        )
    Console().print(table)
    for reason, extent in report.removed.items():
        typer.echo(f"{reason}: {extent.documents} documents, {megabytes(extent.text_bytes)}")
    for warning in report.warnings:
        typer.secho(f"warning: {warning}", err=True, fg="yellow")
    typer.echo(f"kept: {report.location}; what went and why: {report.location}/rejects")
