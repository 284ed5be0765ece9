"""``leadsman corpus``: documents in, and a look at them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadsman.cli.inputs import (
    AsJson,
    Inputs,
    MaxRejectRate,
    Metadata,
    Out,
    Seed,
    as_it_is,
    shown_sources,
    size_of,
    tell_left_out,
    tell_unread,
    together,
)

if TYPE_CHECKING:
    from leadsman.corpus import Corpus

group = typer.Typer(help="Read documents into a corpus, and look at one.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.add_typer(group, name="corpus")


@group.command("convert")
def convert_command(
    paths: Inputs,
    out: Out,
    source: Annotated[
        str | None, typer.Option(help="Name of the source; else the rows' own.")
    ] = None,
    metadata: Metadata = None,
    suffix: Annotated[
        list[str] | None, typer.Option(help="A suffix to read as plain text.")
    ] = None,
    text_field: Annotated[
        str, typer.Option(help="Where rows keep their text: content, body.raw, messages.content.")
    ] = "text",
    max_document: Annotated[
        str | None, typer.Option(help="Longer documents are unusable: bytes, or 10M; else 256 MiB.")
    ] = None,
    max_reject_rate: MaxRejectRate = 0.01,
) -> None:
    """Read JSON lines, tables, web archives and text; unusable rows go to OUT/rejects."""
    from leadsman.corpus import convert
    from leadsman.corpus.readers.options import MAX_DOCUMENT_BYTES
    from leadsman.corpus.readers.sources import TEXT_SUFFIXES

    report = convert(
        list(paths),
        out,
        source=source,
        metadata=metadata or (),
        text_suffixes=suffix or TEXT_SUFFIXES,
        max_document_bytes=size_of(max_document, "--max-document") or MAX_DOCUMENT_BYTES,
        text_field=text_field,
        max_reject_rate=max_reject_rate,
    )
    _print_sources(report.corpus)
    tell_unread(report)
    tell_left_out(report.left_out)


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
    seed: Seed = 0,
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


def _print_sources(corpus: Corpus) -> None:
    from rich.console import Console
    from rich.table import Table

    from leadsman.humanize import count, megabytes

    table = Table(box=None, pad_edge=False)
    table.add_column("source")
    for heading in ("documents", "text", "mean"):
        table.add_column(heading, justify="right")
    for name, sources in shown_sources(corpus.sources).items():
        extent = together(corpus.sources, sources)
        sizes = (extent.text_bytes, extent.text_bytes / max(extent.documents, 1))
        table.add_row(as_it_is(name), count(extent.documents), *map(megabytes, sizes))
    Console().print(table)
    typer.echo(
        f"{corpus.documents} documents, {megabytes(corpus.text_bytes)} in "
        f"{len(corpus.shards)} shards at {corpus.location}"
    )
