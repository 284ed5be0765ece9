"""``leadsman dedup --method paragraph|line|semantic``: what the minhash method does not see."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

if TYPE_CHECKING:
    from leadsman.corpus import Corpus, RemovalReport
    from leadsman.engine import Engine

PIECES = ("paragraph", "line")
METHODS = (*PIECES, "semantic")


def dedup_otherwise(
    corpora: Sequence[Corpus],
    out: str,
    method: str,
    *,
    threshold: float | None,
    prototypes: float,
    embedding: str,
    max_source_loss: float,
    engine: Engine,
    dry_run: bool,
) -> RemovalReport | None:
    """Deduplicate by one of ``METHODS``, or only say what it would take."""
    from leadsman.cli.corpus import print_estimate
    from leadsman.corpus import Corpus
    from leadsman.corpus.dedup.paragraphs import MEMORY_PER_DOCUMENT as PIECES_MEMORY
    from leadsman.corpus.dedup.paragraphs import deduplicate_paragraphs
    from leadsman.corpus.dedup.semantic import MEMORY_PER_DOCUMENT, deduplicate_semantic
    from leadsman.corpus.shards.estimate import estimate
    from leadsman.corpus.vectors.embedding import embedding_named

    joined = Corpus.join(corpora)

    def work(corpus: Corpus, place: str | Path, max_source_loss: float = 1.0) -> RemovalReport:
        if method in PIECES:
            unit: Literal["paragraph", "line"] = "line" if method == "line" else "paragraph"
            return deduplicate_paragraphs(corpus, place, unit=unit, max_source_loss=max_source_loss)
        options: dict[str, Any] = {} if threshold is None else {"threshold": threshold}
        return deduplicate_semantic(
            corpus, place, prototypes=prototypes, embedding=embedding_named(embedding),
            max_source_loss=max_source_loss, engine=engine, **options,
        )  # fmt: skip

    if dry_run:
        memory = PIECES_MEMORY if method in PIECES else MEMORY_PER_DOCUMENT
        print_estimate(estimate(joined, work, memory_per_document=memory))
        return None
    return work(joined, out, max_source_loss)


def print_found(report: RemovalReport) -> None:
    """What the method alone tells."""
    from leadsman.corpus.dedup.paragraphs import ParagraphReport
    from leadsman.corpus.dedup.semantic import SemanticReport
    from leadsman.humanize import megabytes

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
