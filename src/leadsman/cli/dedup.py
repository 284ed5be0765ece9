"""``leadsman dedup`` and ``decontaminate``: copies and leaks out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from leadsman.cli.inputs import (
    DryRun,
    EngineOption,
    Explain,
    Inputs,
    MaxRejectRate,
    MaxSourceLoss,
    Metadata,
    Out,
    StopSourceLoss,
    as_it_is,
    open_inputs,
    print_estimate,
    shown_sources,
    together,
)

if TYPE_CHECKING:
    from leadsman.cli.inputs import OpenedInputs
    from leadsman.corpus import Corpus, RemovalReport
    from leadsman.engine import Engine

    Work = Callable[..., RemovalReport]


METHODS = ("minhash", "exact", "paragraph", "line", "semantic")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("dedup")(dedup)
    app.command("decontaminate")(decontaminate)


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
    metadata: Metadata = None,
    max_source_loss: MaxSourceLoss = 0.5,
    stop_source_loss: StopSourceLoss = None,
    max_reject_rate: MaxRejectRate = 0.01,
    engine: EngineOption = "local",
    dry_run: DryRun = False,
    explain: Explain = None,
) -> None:
    """Drop copies and near copies; each removal is checked. Of two copies, the first stays."""
    from leadsman.corpus.dedup.settings import DedupSettings
    from leadsman.engine import open_engine

    if explain is not None:
        _explain(out, explain)
        return
    work, memory = _worker(
        method, threshold, prototypes, embedding, open_engine(engine, threads=True)
    )
    # On a cluster, its workers sketch the shards.
    sketch = DedupSettings() if method == "minhash" and engine == "local" else None
    opened = open_inputs(inputs, out, max_reject_rate, metadata, sketch)
    report = _remove(
        opened, out, work, memory, dry_run=dry_run, max_source_loss=max_source_loss,
        stop_source_loss=stop_source_loss,
    )  # fmt: skip
    if report is not None:
        _print_found(report)


def decontaminate(
    inputs: Inputs,
    against: Annotated[
        list[str], typer.Option("--against", "-a", help="Target or evaluation set.")
    ],
    out: Out,
    n: Annotated[int, typer.Option("--n", help="Tokens in an n-gram.")] = 8,
    span: Annotated[int, typer.Option(help="Tokens in a row that must not be shared.")] = 30,
    overlap: Annotated[float, typer.Option(help="Share of n-grams that must not be shared.")] = 0.5,
    metadata: Metadata = None,
    max_source_loss: MaxSourceLoss = 0.5,
    stop_source_loss: StopSourceLoss = None,
    max_reject_rate: MaxRejectRate = 0.01,
    engine: EngineOption = "local",
    dry_run: DryRun = False,
    explain: Explain = None,
) -> None:
    """Drop documents that hold text of a target or an evaluation set."""
    from leadsman.corpus import DecontaminationReport
    from leadsman.corpus import decontaminate as run
    from leadsman.corpus.dedup.contamination import MEMORY_PER_DOCUMENT
    from leadsman.engine import open_engine

    if explain is not None:
        _explain(out, explain)
        return
    opened = open_inputs(inputs, out, max_reject_rate, metadata)
    targets = open_inputs(against, out, max_reject_rate).corpora
    runner = open_engine(engine, threads=True)

    def work(corpora: Corpus | Sequence[Corpus], place: str | Path, **guard: Any) -> Any:
        return run(corpora, targets, place, n=n, span=span, overlap=overlap, engine=runner, **guard)

    report = _remove(
        opened, out, work, MEMORY_PER_DOCUMENT, dry_run=dry_run, max_source_loss=max_source_loss,
        stop_source_loss=stop_source_loss,
    )  # fmt: skip
    if isinstance(report, DecontaminationReport) and report.short_items:
        typer.echo(
            f"{report.short_items} of {report.items} items have fewer than {n} tokens: "
            f"looked for as whole documents only"
        )


def _remove(
    opened: OpenedInputs, out: str, work: Work, memory: int, *, dry_run: bool, **guards: Any
) -> RemovalReport | None:
    """Do the work and print what went; in a dry run, only what it would take."""
    from leadsman.corpus.shards.estimate import estimate

    if dry_run:
        print_estimate(estimate(opened.joined, work, memory_per_document=memory))
        return None
    report = work(opened.corpora, out, **guards)
    opened.keep_rejects(out)
    _print_removal(report)
    return report


def _worker(
    method: str, threshold: float | None, prototypes: float, embedding: str, engine: Engine
) -> tuple[Work, int]:
    """What does the work, given corpora and a place, and the bytes it holds for a document."""
    from leadsman.corpus import deduplicate
    from leadsman.corpus.dedup import documents, paragraphs, semantic
    from leadsman.corpus.vectors.embedding import embedding_named
    from leadsman.errors import InputError

    if method not in METHODS:
        raise InputError(f"must be one of {', '.join(METHODS)}, not {method!r}", column="--method")
    semantic_only = prototypes != 0 or embedding != "svd"
    if semantic_only and method != "semantic":
        raise InputError("--prototypes and --embedding are of the method semantic")
    if threshold is not None and method not in ("minhash", "semantic"):
        raise InputError(f"{method} looks for equal text, which has none", column="--threshold")
    options: dict[str, Any] = {} if threshold is None else {"threshold": threshold}

    def pieces(corpora: Corpus | Sequence[Corpus], place: str | Path, **guard: Any) -> Any:
        unit: Literal["paragraph", "line"] = "line" if method == "line" else "paragraph"
        return paragraphs.deduplicate_paragraphs(corpora, place, unit=unit, engine=engine, **guard)

    def meaning(corpora: Corpus | Sequence[Corpus], place: str | Path, **guard: Any) -> Any:
        return semantic.deduplicate_semantic(
            corpora, place, prototypes=prototypes, embedding=embedding_named(embedding),
            engine=engine, **options, **guard,
        )  # fmt: skip

    def copies(corpora: Corpus | Sequence[Corpus], place: str | Path, **guard: Any) -> Any:
        given: Any = {"method": method} | options
        return deduplicate(corpora, place, engine=engine, **given, **guard)

    if method in ("paragraph", "line"):
        return pieces, paragraphs.MEMORY_PER_DOCUMENT
    if method == "semantic":
        return meaning, semantic.MEMORY_PER_DOCUMENT
    return copies, documents.MEMORY_PER_DOCUMENT


def _explain(out: str, document: str) -> None:
    from leadsman.corpus import Corpus
    from leadsman.corpus.dedup.explain import explain_removal

    record = explain_removal(Corpus.open(out), document)
    typer.echo(json.dumps(record, indent=1, ensure_ascii=False))


def _print_removal(report: RemovalReport) -> None:
    from rich.console import Console
    from rich.table import Table

    from leadsman.humanize import megabytes

    table = Table(box=None, pad_edge=False)
    table.add_column("source")
    for heading in ("documents", "text", "removed", "text removed"):
        table.add_column(heading, justify="right")
    for name, sources in shown_sources(report.offered).items():
        offered = together(report.offered, sources)
        lost = offered - together(report.kept, sources)
        table.add_row(
            as_it_is(name),
            str(offered.documents),
            megabytes(offered.text_bytes),
            str(lost.documents),
            f"{megabytes(lost.text_bytes)} ({lost.text_bytes / max(offered.text_bytes, 1):.1%})",
        )
    Console().print(table)
    for reason, extent in report.removed.items():
        typer.echo(f"{reason}: {extent.documents} documents, {megabytes(extent.text_bytes)}")
    for warning in report.warnings:
        typer.secho(f"warning: {warning}", err=True, fg="yellow")
    why = f"; what went and why: {report.location}/rejects" if report.documents_removed else ""
    typer.echo(f"kept: {report.location}{why}")


def _print_found(report: RemovalReport) -> None:
    """What the method alone tells."""
    from leadsman.corpus import DedupReport
    from leadsman.corpus.dedup.paragraphs import ParagraphReport
    from leadsman.corpus.dedup.semantic import SemanticReport
    from leadsman.humanize import megabytes

    if isinstance(report, DedupReport) and not report.documents_removed:
        typer.echo("no copies were found")
    elif isinstance(report, DedupReport):
        typer.echo(
            f"every removal was checked: precision {report.precision:.3f}, lowest similarity "
            f"{report.lowest_jaccard:.3f}; whole clusters would have cost {report.proposed} "
            f"documents"
        )
    if isinstance(report, ParagraphReport):
        typer.echo(
            f"{report.spans} {report.unit}s, {megabytes(report.span_bytes)}, were cut out of "
            f"{report.documents_cut} documents that stay; where each stands still: rejects/spans"
        )
    if isinstance(report, SemanticReport):
        typer.echo(
            f"every removal has its neighbour: lowest cosine {report.lowest_cosine:.3f}, "
            f"compared within {report.clusters} clusters"
        )
