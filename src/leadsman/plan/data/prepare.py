"""Read sources and target, drop duplicates, drop what the target holds too."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import polars as pl

from leadsman.corpus import (
    Corpus,
    Extent,
    Source,
    convert,
    decontaminate,
    deduplicate,
    write_corpus,
)
from leadsman.corpus.dedup.removal import RemovalReport
from leadsman.errors import InputError
from leadsman.plan.project import Project, SourceSpec
from leadsman.plan.workspace import Workspace

MAX_EXAMPLES = 3


def prepare(project: Project, workspace: Workspace) -> dict[str, Any]:
    """Read sources and target; drop duplicates and what the target holds too.

    Raises:
        InputError: a source or the target cannot be read, is empty, or becomes empty.
    """
    reference, held_out = _read_target(project, workspace)
    sources = []
    for position, spec in enumerate(project.sources):
        workspace.watcher.progress(position, len(project.sources) + 2, f"reading {spec.name}")
        sources.append(_read_source(spec, workspace))
    workspace.watcher.progress(len(sources), len(sources) + 2, "dropping duplicates")
    unique = deduplicate([source.corpus for source in sources], workspace.path / "corpora/unique")
    _refuse_empty(sources, unique.corpus, "is a copy of another, in it or in a source before it")
    workspace.watcher.progress(len(sources) + 1, len(sources) + 2, "comparing with the target")
    clean = decontaminate(
        unique.corpus,
        Corpus.join([reference, held_out]),
        workspace.path / "corpora/clean",
    )
    _refuse_empty(sources, clean.corpus, "is in the target too, or a copy of another")
    rows = [_source_row(source, unique, clean) for source in sources]
    return {
        "project": project.name,
        "sources": rows,
        "precision": unique.precision,
        "warnings": [*unique.warnings, *clean.warnings],
        "reference_documents": reference.documents,
        "held_out_documents": held_out.documents,
        "held_out_bytes": held_out.text_bytes,
        "examples": _removed_examples(unique) + _removed_examples(clean),
        "corpus": Corpus.open(workspace.path / "corpora/clean").fingerprint,
        "reference": reference.fingerprint,
        "held_out": held_out.fingerprint,
    }


def _refuse_empty(sources: list[Source], left: Corpus, why: str) -> None:
    """A source that the mixture counts on must not vanish.

    Raises:
        InputError: one has.
    """
    for source in sources:
        if not left.sources.get(source.name, Extent()).documents:
            raise InputError(
                f"source {source.name!r} becomes empty: each of its {source.corpus.documents:,} "
                f"documents {why}; leave it out, or give it other text"
            )


def _read_source(spec: SourceSpec, workspace: Workspace) -> Source:
    report = convert(spec.path, workspace.path / "corpora/raw" / spec.name, source=spec.name)
    if report.rejected:
        workspace.watcher.note(
            f"{spec.name}: {report.rejected} rows could not be used; first: {report.first_reject}"
        )
    price = None if spec.price is None else spec.price.value
    return Source(spec.name, report.corpus, spec.declared_bytes or 0, price)


def _read_target(project: Project, workspace: Workspace) -> tuple[Corpus, Corpus]:
    """The documents to select by, and those to evaluate on, without near copies."""
    spec, corpora = project.target, workspace.path / "corpora"
    raw = convert(spec.path, corpora / "raw-target", source=spec.name)
    unique = deduplicate([raw.corpus], corpora / "target-unique").corpus
    table = pl.DataFrame(unique.table())
    order = [
        hashlib.blake2b(f"{project.seed}:{identity}".encode(), digest_size=8).digest()
        for identity in table["id"]
    ]
    table = table.with_columns(order=pl.Series(order), size=pl.col("text").str.len_bytes())
    table = table.sort("order", "id").with_columns(ahead=pl.col("size").cum_sum() - pl.col("size"))
    limit = min(spec.held_out * unique.text_bytes, spec.held_out_bytes)
    kept_back = table.filter(pl.col("ahead") < limit)
    rest = table.filter(pl.col("ahead") >= limit)
    if rest.is_empty() or kept_back.is_empty():
        raise InputError(
            f"holds {unique.documents} different documents; at least two are needed, one to "
            f"select by and one to evaluate on",
            file=spec.path,
        )
    columns = ["id", "text", "source"]
    reference = write_corpus(
        corpora / "target-reference", rest.select(columns).iter_rows(named=True)
    )
    held_out = write_corpus(
        corpora / "target-held-out", kept_back.select(columns).iter_rows(named=True)
    )
    return reference, held_out


def _source_row(source: Source, unique: RemovalReport, clean: RemovalReport) -> dict[str, Any]:
    """What became of one source; kept and dropped add up to what was read."""
    nothing = Extent()
    offered = unique.offered[source.name]
    distinct = clean.offered.get(source.name, nothing)
    kept = clean.kept.get(source.name, nothing)
    return {
        "name": source.name,
        "documents": offered.documents,
        "bytes": offered.text_bytes,
        "declared_bytes": source.declared_bytes,
        "duplicates": offered.documents - distinct.documents,
        "duplicate_bytes": offered.text_bytes - distinct.text_bytes,
        "contaminated": distinct.documents - kept.documents,
        "contaminated_bytes": distinct.text_bytes - kept.text_bytes,
        "kept_documents": kept.documents,
        "kept_bytes": kept.text_bytes,
    }


def _removed_examples(report: RemovalReport) -> list[dict[str, str]]:
    return [
        {
            "id": example["id"],
            "why": example["reason"]
            + (f", a copy of {example['kept_id']}" if example.get("kept_id") else ""),
            "text": example["excerpt"],
        }
        for example in list(report.examples)[:MAX_EXAMPLES]
    ]


def input_files(project: Project) -> list[list[str | int]]:
    """Path, size and time of change of every input, so that a changed file is read again."""
    found: list[list[str | int]] = []
    for path in map(Path, [*(spec.path for spec in project.sources), project.target.path]):
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [
            [str(file), file.stat().st_size, file.stat().st_mtime_ns]
            for file in files
            if file.is_file()
        ]
    return found
